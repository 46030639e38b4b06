"""One mistake at a line that runs several times: in a loop, or in a function that several layers call.

Mistakes that are made at each step compound, so most of these hypotheses have no quick projection: each costs a walk.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from functional_nets.backprop.mistakes import EVERYWHERE, MISTAKES, recognised
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.factors import literals
from functional_nets.gradcheck.hypotheses.functions import regions, slope
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.runs import groups
from functional_nets.gradcheck.program import Foreign, Node, Values, entries, gradient, walk

Entry = Callable[[Node, Any, Values], tuple[Any, ...]]
FACTORS = ((0.0, "missing_term", 0.8), (-1.0, "sign", 1.2), (2.0, "scale", 1.4), (0.5, "scale", 1.5))
BOUNDS = (1, 5, 0.1, 0.5, 0.01, 0.05, 0.2, 0.3, 2, 0.02, 0.03, 0.25, 0.15, 0.001, 0.005, 10, 3)


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields mistakes that are made at all operations of one line at once, and at shared values."""
    yield from _shared(evidence)
    together = groups(evidence)
    for runs in together:
        yield from _factors(evidence, runs.positions)
        yield from _reordered(evidence, runs.positions)
    yield from _functions(evidence)
    for runs in together:
        yield from _upstream(evidence, runs.positions)


def everywhere(evidence: Evidence, overrides: Mapping[int, Entry], kind: str, text: str, cost: float) -> Hypothesis:
    """Returns the hypothesis that some operations' rules are others."""

    def make() -> list[Any]:
        with np.errstate(all="ignore"):
            cotangents = walk(evidence.program, evidence.active, override=overrides)
        return gradient(evidence.program, cotangents)

    return Hypothesis(kind, min(overrides), text, cost, None, make)


def _factors(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    """The contribution of one operand times a constant: each time the line runs, or at one end of the loop."""
    node = evidence.program.nodes[positions[0]]
    count = len(positions)
    parts = [
        (positions, "each time this line runs", 0.0),
        (positions[1:], "each time this line runs but the first", 0.1),
        (positions[:-1], "each time this line runs but the last", 0.1),
    ]
    if count > 2:
        parts += [(positions[:1], "the first time this line runs", 0.15)]
        parts += [(positions[-1:], "the last time this line runs", 0.15)]
    constants = [*literals(evidence), float(count)]
    for place in range(len(node.inputs)):
        if any(evidence.entries(p)[place] is None for p in positions[1:]):
            continue
        for some, when, more in parts:
            known = [p for p in some if evidence.entries(p)[place] is not None]
            if not known:
                continue
            for factor, kind, cost in FACTORS:
                text = (
                    "the contribution of this operand is left out"
                    if factor == 0
                    else f"the gradient is multiplied by {factor:g}"
                )
                scaled = dict.fromkeys(known, _scaled(place, factor))
                yield everywhere(evidence, scaled, kind, f"{text}, {when}", cost + more)
        for factor in (f for c in constants for f in (c, 1 / c)):
            text = f"the gradient is {factor:.6g} times what it should be, each time this line runs"
            scaled = dict.fromkeys(positions, _scaled(place, factor))
            yield everywhere(evidence, scaled, "scale", text, 1.0 if node.op in ("mul", "div") else 1.6)


def _scaled(place: int, factor: float) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        found = list(entries(node, g, values))
        if found[place] is not None:
            found[place] = factor * found[place]
        return tuple(found)

    return entry


def _reordered(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    """The parts of a split put together again in another order."""
    count = len(evidence.program.nodes[positions[0]].outputs)
    if evidence.program.nodes[positions[0]].op != "split" or not 1 < count <= 5:
        return
    for order in itertools.permutations(range(count)):
        if order != tuple(range(count)):
            text = f"the parts of this split come back in the order {order}: put them where they were"
            turned = dict.fromkeys(positions, _in_order(order))
            yield everywhere(evidence, turned, "permuted", text, 1.0)


def _in_order(order: tuple[int, ...]) -> Entry:
    return lambda node, g, values: entries(node, tuple(g[i] for i in order), values)


def _upstream(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    def with_g(change: Callable[[Any], Any]) -> dict[int, Entry]:
        return dict.fromkeys(positions, lambda node, g, values: entries(node, change(np.asarray(g)), values))

    node = evidence.program.nodes[positions[0]]
    if len(node.outputs) > 1:
        return
    when = ", each time this line runs"
    yield everywhere(evidence, with_g(np.ones_like), "upstream", "the upstream gradient is ignored" + when, 1.4)
    yield everywhere(evidence, with_g(np.sign), "upstream", "only the upstream gradient's sign is used" + when, 2.0)
    text = "the last step's upstream gradient is added at every step: only the last one has it" + when
    upstream = [np.asarray(evidence.cotangents_of(p)) for p in positions]
    if len({g.shape for g in upstream}) == 1:
        added = with_g(lambda g: g + upstream[-1])
        del added[positions[-1]]
        yield everywhere(evidence, added, "extra_term", text, 1.5)
    for bound in BOUNDS:
        text = f"the upstream gradient is clipped to [-{bound}, {bound}]" + when
        yield everywhere(evidence, with_g(partial(np.clip, a_min=-bound, a_max=bound)), "upstream", text, 1.8)
        if node.op == "dot_general":
            text = f"the gradient is clipped to [-{bound}, {bound}] on its way to the step before" + when
            yield everywhere(evidence, dict.fromkeys(positions, _clipped(bound)), "upstream", text, 1.8)


def _clipped(bound: float) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        first, *others = entries(node, g, values)
        return (None if first is None else np.clip(first, -bound, bound), *others)

    return entry


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
                cost = 0.35 if mistake.function != EVERYWHERE else 1.1 + mistake.rarity
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
    for number, uses in evidence.uses.items():
        if len(uses) < 2 or not evidence.concerns(number):
            continue
        parts = [np.asarray(evidence.entries(position)[place]) for position, place in sorted(uses)]
        total = np.sum(parts, axis=0)
        first = min(uses)[0]
        if len(uses) > 2:
            text = "this value is used {} times, and its gradient keeps only {} contribution: add them (+=)"
            for index, part in enumerate(parts[1:-1], 2):
                yield Hypothesis(
                    "overwritten", first, text.format(len(uses), f"number {index}"), 0.7, {number: part - total}
                )
            for part, which, cost in ((parts[0], "the last", 0.45), (parts[-1], "the first", 0.55)):
                words = text.format(len(uses), which)
                yield Hypothesis("overwritten", first, words, cost, {number: part - total})
            supports = [_support(evidence, position, place) for position, place in sorted(uses)]
            yield from _assigned(number, first, parts, supports, total)
        text = f"the {len(uses)} contributions to this value's gradient are averaged: add them"
        yield Hypothesis("wrong_reduction", first, text, 0.8, {number: total / len(uses) - total})
        if len(uses) == 2:
            a, b = parts
            for other in (a * b, a - b, b - a):
                text = "the two contributions to this value's gradient are not added"
                yield Hypothesis("missing_term", first, text, 1.6, {number: other - total})


def _support(evidence: Evidence, position: int, place: int) -> Any:
    """The elements of an operand that an operation reads."""
    g = np.ones_like(evidence.cotangents_of(position))
    return entries(evidence.program.nodes[position], g, evidence.program.values)[place] != 0


def _assigned(
    number: int, first: int, parts: Sequence[Any], supports: Sequence[Any], total: Any
) -> Iterator[Hypothesis]:
    """Slices of a value whose gradients are assigned (=) where they overlap."""
    pairs = list(zip(parts, supports, strict=True))
    for order, cost in ((pairs, 0.5), (pairs[::-1], 0.55)):
        kept = np.zeros_like(total)
        for part, support in order:
            kept = np.where(support, part, kept)
        text = "the parts of this value overlap, and their gradients overwrite each other: add them (+=)"
        yield Hypothesis("overwritten", first, text, cost, {number: kept - total})
