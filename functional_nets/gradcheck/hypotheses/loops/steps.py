"""Arrays of another step of a loop: the state before for the state after, a buffer that all steps share.

In each run of a line, a rule takes the array of another line, of the run before or of the run after.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.backprop.rules import RULES, backward
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Entry, Hypothesis
from functional_nets.gradcheck.hypotheses.loops.repeated import everywhere
from functional_nets.gradcheck.hypotheses.loops.runs import Runs, groups, initial, neighbour, slots
from functional_nets.gradcheck.program import Node, Values, entries, gradient, is_real, walk

KEEPERS = {"mul", "div", "dot_general", "tanh", "logistic", "exp", "relu", "max", "log", "sqrt", "select_n"}
BY_OUTPUT = {"tanh", "logistic", "exp", "sqrt", "rsqrt"}
SHIFTS = (0, 1, -1)


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields each repeated rule with one of its arrays exchanged for one of another line or step."""
    together = groups(evidence)
    known = slots(evidence)
    start = initial(evidence)
    for runs in [*together, *_sharing(evidence)]:
        yield from turned(evidence, runs)
    for runs in together:
        node = evidence.program.nodes[runs.positions[-1]]
        if node.op in KEEPERS and node.op in RULES:
            yield from _exchanged(evidence, runs, known, start)
    yield from _buffers(evidence, known)


def _sharing(evidence: Evidence) -> Iterator[Runs]:
    """The products of several lines with one matrix that is no parameter, as a graph's adjacency."""
    uses: dict[tuple[int, int], list[int]] = defaultdict(list)
    for position in evidence.active:
        node = evidence.program.nodes[position]
        for place, number in enumerate(node.inputs if node.op == "dot_general" else ()):
            if number not in evidence.reach:
                uses[number, place].append(position)
    for positions in uses.values():
        if len({evidence.program.nodes[p].where for p in positions}) > 1:
            yield Runs((), positions)


def turned(evidence: Evidence, runs: Runs) -> Iterator[Hypothesis]:
    """Yields a factor transposed, left out, or each in place of the other."""
    values = evidence.program.values
    node = evidence.program.nodes[runs.positions[-1]]
    if node.op not in KEEPERS or node.op not in RULES:
        return

    def at_each(entry: Entry, kind: str, text: str, cost: float) -> Hypothesis:
        overrides = dict.fromkeys(runs.positions, entry)
        return everywhere(overrides, kind, text + ", each time this line runs", cost)

    for place, number in enumerate(node.inputs):
        value = values[number]
        if not is_real(value) or np.size(value) < 2:
            continue
        for a in range(np.ndim(value)):
            for b in range(a):
                if np.shape(value)[a] == np.shape(value)[b]:
                    turn = _substituted(place, partial(np.swapaxes, axis1=a, axis2=b))
                    text = "a factor is transposed here, or not transposed where it must be"
                    yield at_each(turn, "transposed", text, 0.7)
        if node.op in ("mul", "dot_general"):
            yield at_each(_substituted(place, np.ones_like), "wrong_operand", "a factor is left out", 0.9)
            if np.shape(values[node.inputs[1 - place]]) == np.shape(value):
                text = "the product rule takes the other factor: here it takes its own"
                yield at_each(_own_factor((place,)), "wrong_operand", text, 0.6)
                if place == 0:
                    text = "the product rule takes the other factor: here each takes its own"
                    yield at_each(_own_factor((0, 1)), "wrong_operand", text, 0.5)


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


def _exchanged(
    evidence: Evidence, runs: Runs, known: dict[Any, list[int]], start: dict[int, int]
) -> Iterator[Hypothesis]:
    values = evidence.program.values
    node = evidence.program.nodes[runs.positions[-1]]
    places: list[int | None] = [p for p, n in enumerate(node.inputs) if is_real(values[n]) and np.size(values[n]) > 1]
    if node.op in BY_OUTPUT:
        places.append(None)
    for place in places:
        shape = np.shape(values[node.outputs[0] if place is None else node.inputs[place]])
        nodes = [evidence.program.nodes[p] for p in runs.positions]
        own = [each.outputs[0] if place is None else each.inputs[place] for each in nodes]
        for slot in known.values():
            if np.shape(values[slot[-1]]) != shape or not is_real(values[slot[-1]]):
                continue
            for shift in SHIFTS:
                others = [neighbour(i, len(own), slot, shift, start) for i in range(len(own))]
                if all(o is None or o == n for o, n in zip(others, own, strict=True)):
                    continue
                yield _with_others(evidence, runs, place, own, others, shift)
        if place is not None and len(set(own)) > 2:
            yield _with_others(evidence, runs, place, own, list(reversed(own)), None)


def _with_others(
    evidence: Evidence, runs: Runs, place: int | None, own: list[int], others: list[int | None], shift: int | None
) -> Hypothesis:
    """The rule at each run with the value that stands in for its own."""
    nodes = evidence.program.nodes
    values = evidence.program.values
    overrides: dict[int, Entry] = {}
    for position, mine, other in zip(runs.positions, own, others, strict=True):
        if other is not None and np.shape(values[other]) == np.shape(values[mine]):
            overrides[position] = _taking(place, other)
    when = {0: "of the same step", 1: "of the step before", -1: "of the step after", None: "of the steps in reverse"}
    text = f"the rule wants the array that the forward pass used; another one, {when[shift]}, is taken"
    node = nodes[runs.positions[-1]]
    kind = "wrong_mask" if node.op in ("relu", "max", "select_n") else "wrong_operand"
    if place is None or len(node.inputs) == 1:
        kind = "wrong_mask" if kind == "wrong_mask" else "wrong_derivative"
    if shift is None:
        kind = "permuted"
    text += ", each time this line runs"
    leaves = evidence.program.leaves
    if (
        place is not None
        and len(node.inputs) == 2
        and all(nodes[p].inputs[1 - place] in leaves for p in runs.positions)
    ):
        direct = _direct(evidence, overrides, 1 - place)
        # What reaches a parameter goes no further: nothing compounds, and the projections hold.
        return Hypothesis(kind, min(runs.positions), text, 1.3, direct)
    return everywhere(overrides, kind, text, 1.3)


def _direct(evidence: Evidence, overrides: dict[int, Entry], place: int) -> dict[int, Any]:
    program = evidence.program
    change: dict[int, Any] = {}
    for position, entry in overrides.items():
        node = program.nodes[position]
        new = entry(node, evidence.cotangents_of(position), program.values)[place]
        leaf = node.inputs[place]
        change[leaf] = change.get(leaf, 0) + (new - evidence.entries(position)[place])
    return change


def _taking(place: int | None, other: int) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        inputs = [values[number] for number in node.inputs]
        y = values[node.outputs[0]]
        if place is None:
            y = values[other]
        else:
            inputs[place] = values[other]
        return backward(node.op, g, y, tuple(inputs), node.params)

    return entry


def _buffers(evidence: Evidence, known: dict[Any, list[int]]) -> Iterator[Hypothesis]:
    """One array that every step writes to: the backward pass finds the last one's values wherever it looks."""
    values = evidence.program.values
    alike: dict[Any, list[int]] = {}
    for position in evidence.active:
        node = evidence.program.nodes[position]
        alike.setdefault((node.op, np.shape(values[node.outputs[0]])), []).append(node.outputs[0])
    for number in evidence.program.arguments:  # A copy of the input may have been the first to go.
        for key, numbers in list(alike.items()):
            if key[0] in BY_OUTPUT and key[1] == np.shape(values[number]) and len(numbers) > 1:
                alike[(*key, number)] = [number, *numbers]
    shared = [*known.values(), *(numbers for numbers in alike.values() if len(numbers) > 1)]
    start = initial(evidence)
    for slot in shared:
        if not is_real(values[slot[0]]) or np.size(values[slot[0]]) < 2:
            continue
        before = [start[slot[0]]] if slot[0] in start else []
        for numbers in (slot, [*before, *slot]) if before else (slot,):
            replaced = {n: values[slot[-1]] for n in numbers if np.shape(values[n]) == np.shape(values[slot[-1]])}
            text = (
                "all steps write to one array, and the backward pass finds the last values in it: keep a copy of each"
            )
            first = evidence.made.get(slot[0], evidence.made[slot[-1]])
            cost = 1.2 if numbers in known.values() or before else 1.5
            yield Hypothesis("mutated", first, text, cost, None, _read(evidence, replaced))


def _read(evidence: Evidence, replaced: dict[int, Any]) -> Callable[[], list[Any]]:
    def make() -> list[Any]:
        values = list(evidence.program.values)
        for number, value in replaced.items():
            values[number] = value
        with np.errstate(all="ignore"):
            return gradient(evidence.program, walk(evidence.program, evidence.active, values=values))

    return make
