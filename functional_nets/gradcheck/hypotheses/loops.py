"""One mistake at a line that runs several times: in a loop, or in a function that several layers call.

Mistakes that are made at each step compound, so these hypotheses have no quick projection: each costs a walk.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from functional_nets.backprop.mistakes import EVERYWHERE, MISTAKES, recognised
from functional_nets.backprop.rules import RULES, backward
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.functions import regions, slope
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.program import Foreign, Location, Node, Values, entries, gradient, is_real, walk

Entry = Callable[[Node, Any, Values], tuple[Any, ...]]
FACTORS = ((0.0, "missing_term", 0.8), (-1.0, "sign", 1.2), (2.0, "scale", 1.4), (0.5, "scale", 1.5))
BOUNDS = (1, 5, 0.1, 0.5, 0.01, 0.05, 0.2, 0.3, 2, 0.02, 0.001)
KEEPERS = {"mul", "div", "dot_general", "tanh", "logistic", "exp", "relu", "max", "log", "sqrt", "select_n"}
NEAR = 10  # Values on either side that are tried in place of an operand.


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields mistakes that are made at all operations of one line at once, and at shared values."""
    yield from _shared(evidence)
    together = groups(evidence)
    for positions in together:
        yield from _factors(evidence, positions)
    yield from _functions(evidence)
    for positions in together:
        yield from _upstream(evidence, positions)
        yield from _operands(evidence, positions)


def groups(evidence: Evidence) -> list[list[int]]:
    """Returns the operations that are the same one in several runs of a line.

    A run of a line ends where another line's operation comes; the second product of a line is then the
    second in each of its runs.
    """
    found = defaultdict(list)
    wrong = frozenset(evidence.wrong)
    active = set(evidence.active)
    previous: Location | None = None
    counts: dict[str, int] = defaultdict(int)
    for position, node in enumerate(evidence.program.nodes):
        if node.where != previous:
            previous, counts = node.where, defaultdict(int)
        counts[node.op] += 1
        if position in active and node.where is not None:
            found[node.where, node.op, len(node.inputs), counts[node.op]].append(position)
    return [
        positions
        for positions in found.values()
        if len(positions) > 1
        and any(wrong & evidence.reach.get(n, frozenset()) for n in evidence.program.nodes[positions[0]].inputs)
    ]


def _everywhere(
    evidence: Evidence, positions: Sequence[int], kind: str, text: str, cost: float, entry: Entry
) -> Hypothesis:
    def make() -> list[Any]:
        with np.errstate(all="ignore"):
            cotangents = walk(evidence.program, evidence.active, override=dict.fromkeys(positions, entry))
        return gradient(evidence.program, cotangents)

    return Hypothesis(kind, positions[0], text + ", each time this line runs", cost, None, make)


def _factors(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    node = evidence.program.nodes[positions[0]]
    for place in range(len(node.inputs)):
        if any(evidence.entries(p)[place] is None for p in positions[1:]):
            continue
        for factor, kind, cost in FACTORS:
            text = (
                "the contribution of this operand is left out"
                if factor == 0
                else f"the gradient is multiplied by {factor:g}"
            )
            yield _everywhere(evidence, positions, kind, text, cost, _scaled(place, factor))


def _scaled(place: int, factor: float) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        found = list(entries(node, g, values))
        if found[place] is not None:
            found[place] = factor * found[place]
        return tuple(found)

    return entry


def _upstream(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    def with_g(change: Callable[[Any], Any]) -> Entry:
        return lambda node, g, values: entries(node, change(np.asarray(g)), values)

    node = evidence.program.nodes[positions[0]]
    if len(node.outputs) > 1:
        return
    yield _everywhere(evidence, positions, "upstream", "the upstream gradient is ignored", 1.4, with_g(np.ones_like))
    yield _everywhere(
        evidence, positions, "upstream", "only the upstream gradient's sign is used", 2.0, with_g(np.sign)
    )
    for bound in BOUNDS:
        text = f"the upstream gradient is clipped to [-{bound}, {bound}]"
        clip = with_g(partial(np.clip, a_min=-bound, a_max=bound))
        yield _everywhere(evidence, positions, "upstream", text, 1.8, clip)
        if node.op == "dot_general":
            text = f"the gradient is clipped to [-{bound}, {bound}] on its way to the step before"
            yield _everywhere(evidence, positions, "upstream", text, 1.8, _clipped(bound))


def _clipped(bound: float) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        first, *others = entries(node, g, values)
        return (None if first is None else np.clip(first, -bound, bound), *others)

    return entry


def _operands(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    """The rule with one array exchanged: transposed, the other factor, or the neighbour at the same distance."""
    program = evidence.program
    node = program.nodes[positions[0]]
    if node.op not in KEEPERS or node.op not in RULES:
        return
    for place, number in enumerate(node.inputs):
        value = program.values[number]
        if not is_real(value) or np.size(value) < 2:
            continue
        for a in range(np.ndim(value)):
            for b in range(a):
                if np.shape(value)[a] == np.shape(value)[b]:
                    turn = _substituted(place, partial(np.swapaxes, axis1=a, axis2=b))
                    text = "a factor is transposed here, or not transposed where it must be"
                    yield _everywhere(evidence, positions, "transposed", text, 0.7, turn)
        if node.op in ("mul", "dot_general"):
            text = "a factor is left out"
            left_out = _substituted(place, np.ones_like)
            yield _everywhere(evidence, positions, "wrong_operand", text, 0.9, left_out)
            if np.shape(program.values[node.inputs[1 - place]]) == np.shape(value):
                text = "the product rule takes the other factor: here it takes its own"
                yield _everywhere(evidence, positions, "wrong_operand", text, 0.6, _own_factor((place,)))
                if place == 0:
                    text = "the product rule takes the other factor: here each takes its own"
                    yield _everywhere(evidence, positions, "wrong_operand", text, 0.5, _own_factor((0, 1)))
        for offset in sorted(range(-4 * NEAR, NEAR + 1), key=abs):
            if _fits(evidence, positions, place, offset):
                text = "the rule wants the array that the forward pass used; another of its shape is taken"
                mask = node.op in ("relu", "max", "select_n")
                kind = "wrong_mask" if mask else "wrong_operand" if len(node.inputs) > 1 else "wrong_derivative"
                yield _everywhere(evidence, positions, kind, text, 1.3, _shifted(place, offset))


def _substituted(place: int, change: Callable[[Any], Any]) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        inputs = [values[number] for number in node.inputs]
        inputs[place] = change(inputs[place])
        return backward(node.op, g, values[node.outputs[0]], tuple(inputs), node.params)

    return entry


def _own_factor(places: tuple[int, ...]) -> Entry:
    """The product rule with a factor's own value, for the gradients of the given factors."""

    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        right = entries(node, g, values)
        inputs = tuple(values[number] for number in node.inputs)[::-1]
        own = backward(node.op, g, values[node.outputs[0]], inputs, node.params)
        return tuple(own[i] if i in places else right[i] for i in range(2))

    return entry


def _shifted(place: int, offset: int) -> Entry:
    """The operand exchanged for the value that stands `offset` places from the result, in order of computation."""

    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        inputs = [values[number] for number in node.inputs]
        other = node.outputs[0] + offset
        if 0 <= other < len(values) and np.shape(values[other]) == np.shape(inputs[place]):
            inputs[place] = values[other]
        return backward(node.op, g, values[node.outputs[0]], tuple(inputs), node.params)

    return entry


def _fits(evidence: Evidence, positions: list[int], place: int, offset: int) -> bool:
    """Whether at most steps, a value of the operand's shape stands at that distance."""
    values = evidence.program.values
    hits = 0
    for position in positions:
        number = evidence.program.nodes[position].inputs[place]
        other = evidence.program.nodes[position].outputs[0] + offset
        if 0 <= other < len(values) and is_real(values[other]):
            hits += np.shape(values[other]) == np.shape(values[number])
    return 2 * hits > len(positions)


def _functions(evidence: Evidence) -> Iterator[Hypothesis]:
    """A wrong derivative of the same function, whatever it is made of, at each of its runs."""
    found = defaultdict(list)
    program = evidence.program
    for inside, x, y in regions(evidence):
        last = program.nodes[inside[0]]
        ops = tuple(program.nodes[p].op for p in inside)
        if last.where is not None and all(program.nodes[p].where == last.where for p in inside):
            found[last.where, ops].append((inside, x, y))
    for runs in found.values():
        if len(runs) < 2:
            continue
        slopes = [slope(evidence, inside, x, y) for inside, x, y in runs]
        if all(np.ptp(d) == 0 for d in slopes if np.size(d)):
            continue
        _, x, y = runs[0]
        names = recognised(program.values[y], program.values[x], slopes[0])
        for mistake in MISTAKES:
            if mistake.function in (*names, EVERYWHERE):
                cost = 0.35 if mistake.function != EVERYWHERE else 1.1
                make = _replaced(evidence, runs, slopes, mistake.formula)
                text = mistake.text + ", each time this line runs"
                yield Hypothesis(mistake.kind, runs[0][0][0], text, cost, None, make)


def _replaced(evidence: Evidence, runs: list[Any], slopes: list[Any], formula: Any) -> Callable[[], list[Any]]:
    """Returns the gradient with each run's operations replaced by one whose pullback is the formula."""

    def make() -> list[Any]:
        program = evidence.program
        nodes = list(program.nodes)
        dropped: set[int] = set()
        for (inside, x, y), d in zip(runs, slopes, strict=True):
            dropped.update(inside[1:])

            def pullback(g: Any, fx: Any, y: int = y, d: Any = d) -> tuple[Any, ...]:
                with np.errstate(all="ignore"):
                    return (formula(g, program.values[y], fx, d),)

            foreign = Foreign(lambda fx: fx, pullback)
            nodes[inside[0]] = Node("a function", (x,), (y,), {}, None, foreign)
        active = [p for p in evidence.active if p not in dropped]
        return gradient(program, walk(program._replace(nodes=tuple(nodes)), active))

    return make


def _shared(evidence: Evidence) -> Iterator[Hypothesis]:
    """A value used several times that keeps one contribution, or their mean."""
    wrong = frozenset(evidence.wrong)
    for number, uses in evidence.uses.items():
        if len(uses) < 2 or not wrong <= evidence.reach[number]:
            continue
        parts = [np.asarray(evidence.entries(position)[place]) for position, place in sorted(uses)]
        total = np.sum(parts, axis=0)
        first = min(uses)[0]
        if len(uses) > 2:
            text = "this value is used {} times, and its gradient keeps only {} contribution: add them (+=)"
            for part, which, cost in ((parts[0], "the last", 0.45), (parts[-1], "the first", 0.55)):
                words = text.format(len(uses), which)
                yield Hypothesis("overwritten", first, words, cost, {number: part - total})
        text = f"the {len(uses)} contributions to this value's gradient are averaged: add them"
        yield Hypothesis("wrong_reduction", first, text, 0.8, {number: total / len(uses) - total})
        if len(uses) == 2:
            a, b = parts
            for other in (a * b, a - b, b - a):
                text = "the two contributions to this value's gradient are not added"
                yield Hypothesis("missing_term", first, text, 1.6, {number: other - total})
