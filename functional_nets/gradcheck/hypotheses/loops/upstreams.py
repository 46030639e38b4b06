"""A parameter's gradient that is taken of another upstream gradient: too early, too late, or after it was changed.

What goes on to the values below is right, so nothing compounds, and the projections hold for each run of a line.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.rules import backward
from functional_nets.gradcheck.evidence import Evidence, once
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.loops.runs import initial, keyed, neighbour
from functional_nets.gradcheck.hypotheses.rules.substitutes import in_place
from functional_nets.gradcheck.program import Cotangents, active_nodes, entries, is_real, walk

VIEWS = {"broadcast_in_dim", "reshape", "transpose", "expand_dims", "convert_element_type", "copy", "squeeze"}
READERS = {"dot_general", "mul", "add", "sub", "conv_general_dilated"}
MIXING = {"dot_general", "conv_general_dilated", "transpose", "gather", "cumsum", "rev", "sort"}
MOST = 40  # Other values whose gradients are tried.


class Reader(NamedTuple):
    """An operation that reads a parameter.

    Attributes:
        positions: Its runs.
        place: The operand that is the parameter, or a view of it.
    """

    positions: list[int]
    place: int


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for the parameters of each line, the gradient of another value in place of their own upstream one."""
    nodes, values = evidence.program.nodes, evidence.program.values
    start = initial(evidence)
    slots = [[nodes[p].outputs[0] for p in positions] for positions in keyed(evidence).values()]
    slots += [[number] for number in evidence.program.arguments]
    by_shape: dict[tuple[int, ...], list[list[int]]] = defaultdict(list)
    for slot in slots:
        if slot[-1] in _cotangents(evidence):
            by_shape[np.shape(values[slot[-1]])].append(slot)
    for readers in _lines(evidence):
        last = nodes[readers[0].positions[-1]].outputs[0]
        count = len(readers[0].positions)
        near = sorted(by_shape[np.shape(values[last])], key=lambda slot: abs(slot[-1] - last))
        for slot in near[:MOST]:
            for shift in (0, 1) if count > 1 else (0,):
                others = [neighbour(run, count, slot, shift, start) for run in range(count)]
                if not evidence.late and None not in others:
                    yield from _taken(evidence, readers, others)


@once
def _cotangents(evidence: Evidence) -> Cotangents:
    """The gradients of all values, those that do not depend on the parameters among them: a first layer's input."""
    program = evidence.program
    inputs = [n for n, value in enumerate(program.values) if n not in evidence.made and is_real(value)]
    return walk(program, active_nodes(program, inputs)) | {n: evidence.cotangents[n] for n in evidence.uses}


def _lines(evidence: Evidence) -> Iterator[list[Reader]]:
    """Each reading of a wrong parameter, and all those of one line together."""
    active = set(evidence.active)
    lines: dict[Any, list[Reader]] = defaultdict(list)
    for key, positions in keyed(evidence).items():
        runs = [p for p in positions if p in active]
        node = evidence.program.nodes[positions[-1]]
        for place in range(len(node.inputs)) if runs and node.op in READERS else ():
            reader = Reader(runs, place)
            chains = [_leaf(evidence, p, place) for p in runs]
            if all(leaf is not None for leaf in chains) and not {*evidence.wrong}.isdisjoint(chains):
                lines[key[0]].append(reader)
    for readers in lines.values():
        yield from ([reader] for reader in readers)
        shapes = {np.shape(np.asarray(evidence.cotangents_of(reader.positions[-1]))) for reader in readers}
        if len(readers) > 1 and len(shapes) == 1 and len({len(reader.positions) for reader in readers}) == 1:
            yield readers


def _leaf(evidence: Evidence, position: int, place: int) -> int | None:
    """The parameter that an operand is, or is a view of."""
    chain = _chain(evidence, evidence.program.nodes[position].inputs[place])
    number = evidence.program.nodes[chain[-1]].inputs[0] if chain else evidence.program.nodes[position].inputs[place]
    return evidence.program.leaves.index(number) if number in evidence.program.leaves else None


def _chain(evidence: Evidence, number: int) -> list[int]:
    """The operations that make a view, last first."""
    found: list[int] = []
    while number in evidence.made and evidence.program.nodes[evidence.made[number]].op in VIEWS:
        found.append(evidence.made[number])
        number = evidence.program.nodes[found[-1]].inputs[0]
    return found


def _taken(evidence: Evidence, readers: list[Reader], others: list[Any]) -> Iterator[Hypothesis]:
    """The hypothesis that these operations' parameters took the gradients of other values."""
    known = _cotangents(evidence)
    delta: dict[int, Any] = {}
    for positions, place in readers:
        for position, other in zip(positions, others, strict=True):
            g = np.asarray(evidence.cotangents_of(position))
            instead = known.get(other)
            if other == evidence.program.nodes[position].outputs[0] or instead is None or np.shape(instead) != g.shape:
                return
            leaf, part = _contribution(evidence, position, place, instead - g)
            delta[leaf] = delta.get(leaf, 0) + part
    first = readers[0].positions
    reached = [evidence.program.leaves[leaf] for leaf in evidence.reach[evidence.program.nodes[first[-1]].outputs[0]]]
    # If it is all that the upstream gradient goes to, then the mistake is made before.
    if any(np.any(part) for part in delta.values()) and not delta.keys() >= set(reached):
        kind, text, cost = _described(evidence, first[-1], others[-1])
        text += ", each time this line runs" if len(first) > 1 else ""
        yield Hypothesis(kind, first[0], text, cost, delta, partial(evidence.pulled, delta, 0))


def _contribution(evidence: Evidence, position: int, place: int, g: Any) -> tuple[int, Any]:
    """The number of the parameter that an operation reads, and what it gets from a gradient of the output."""
    program = evidence.program
    node = program.nodes[position]
    inputs = tuple(program.values[n] for n in node.inputs)
    part = backward(node.op, g, program.values[node.outputs[0]], inputs, node.params)[place]
    number = node.inputs[place]
    for view in _chain(evidence, number):
        part = entries(program.nodes[view], part, program.values)[0]
        number = program.nodes[view].inputs[0]
    return number, np.asarray(part)


def _described(evidence: Evidence, position: int, other: int) -> tuple[str, str, float]:
    own = evidence.program.nodes[position].outputs[0]
    sums = [evidence.program.nodes[p] for p, _ in evidence.uses.get(own, [])]
    if any(node.op in ("add", "add_any") and other in node.inputs for node in sums):
        text = (
            "the gradient that goes around this line is added to the upstream gradient in place, before this "
            "parameter's gradient has read it: copy it first"
        )
        return "mutated", text, 0.9
    if other in _behind(evidence, own):
        text = (
            "this parameter's gradient is taken before the gradient has gone through the derivative of the function "
            "that follows: multiply by that first"
        )
        return "wrong_derivative", text, 1.0
    return "upstream", "this parameter's gradient is made from the upstream gradient of another value", 1.6


def _behind(evidence: Evidence, own: int) -> set[int]:
    """The values that functions of each element by itself make of a value, the sums that it is a term of among them."""
    made = (evidence.made.get(number) for number in in_place(evidence, own))
    nodes = [evidence.program.nodes[p] for p in sorted(p for p in made if p is not None)]
    found = {own}
    for node in nodes:
        if node.op not in MIXING and not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found - {own}
