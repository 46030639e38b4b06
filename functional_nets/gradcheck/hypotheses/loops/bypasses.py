"""What goes on to the step before, made from the gradient of another value each time: a slope is passed over.

Unlike a parameter's gradient, it compounds: each step's mistake is made with what the later steps have left.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from functional_nets.backprop.rules import RULES, backward
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Entry, Hypothesis
from functional_nets.gradcheck.hypotheses.loops.repeated import everywhere
from functional_nets.gradcheck.hypotheses.loops.runs import Runs, groups, neighbour, slots
from functional_nets.gradcheck.hypotheses.rules.substitutes import in_place
from functional_nets.gradcheck.program import Node, Values, entries

READERS = {"dot_general", "mul", "conv_general_dilated"}


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each operand that is no parameter, the gradients of later values in place of the output's own."""
    nodes, values = evidence.program.nodes, evidence.program.values
    known = slots(evidence)
    for runs in groups(evidence):
        node = nodes[runs.positions[-1]]
        if node.op not in READERS or node.op not in RULES:
            continue
        own = np.shape(values[node.outputs[0]])
        for place, number in enumerate(node.inputs):
            if number in evidence.program.leaves or number not in evidence.reach:
                continue
            for slot in known.values():
                if np.shape(values[slot[-1]]) == own and not evidence.late:
                    yield from _bypassing(evidence, runs, place, slot)


def _bypassing(evidence: Evidence, runs: Runs, place: int, slot: list[int]) -> Iterator[Hypothesis]:
    count = len(runs.positions)
    others = [neighbour(run, count, slot, 0, {}) for run in range(count)]
    makers = [None if other is None else evidence.made[other] for other in others]
    pairs = [
        (position, maker)
        for position, maker in zip(runs.positions, makers, strict=True)
        if maker in evidence.active and maker > position
    ]
    if len(pairs) < 2:
        return
    first, maker = pairs[0]
    text = "what goes on to the step before is made from the gradient of another value, each time this line runs"
    kind, cost = "upstream", 1.5
    if others[-1] in in_place(evidence, evidence.program.nodes[runs.positions[-1]].outputs[0]):
        text = "the gradient that goes on to the step before has not been through this function's derivative"
        kind, cost = "wrong_derivative", 1.0
    found = everywhere(_overrides(pairs, place), kind, text, cost)
    yield found._replace(position=maker if kind == "wrong_derivative" else first)


def _overrides(pairs: Sequence[tuple[int, int]], place: int) -> dict[int, Entry]:
    """Rules that note the gradient of each maker's output, and take it for that of the operation it belongs to."""
    seen: dict[int, Any] = {}

    def noted(maker: int) -> Entry:
        def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
            seen[maker] = g
            return entries(node, g, values)

        return entry

    def taken(maker: int) -> Entry:
        def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
            inputs = tuple(values[number] for number in node.inputs)
            other = backward(node.op, seen.pop(maker), values[node.outputs[0]], inputs, node.params)
            return tuple(other[i] if i == place else each for i, each in enumerate(entries(node, g, values)))

        return entry

    return {maker: noted(maker) for _, maker in pairs} | {position: taken(maker) for position, maker in pairs}
