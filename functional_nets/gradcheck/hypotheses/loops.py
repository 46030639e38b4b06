"""One mistake at a line that runs several times: in a loop, or in a function that several layers call."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from functional_nets.backprop.mistakes import EVERYWHERE, MISTAKES, recognised
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.program import Node, Values, entries, gradient, walk

Entry = Callable[[Node, Any, Values], tuple[Any, ...]]
FACTORS = ((0.0, "missing_term", 0.8), (-1.0, "sign", 1.2), (2.0, "scale", 1.4), (0.5, "scale", 1.5))


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields mistakes that are made at all operations of one line at once, and at shared values."""
    yield from _shared(evidence)
    for positions in groups(evidence):
        node = evidence.program.nodes[positions[0]]
        for place in range(len(node.inputs)):
            if any(evidence.entries(p)[place] is None for p in positions):
                continue
            for factor, kind, cost in FACTORS:
                text = (
                    "the contribution of this operand is left out, each time this line runs"
                    if factor == 0
                    else f"the gradient is multiplied by {factor:g}, each time this line runs"
                )
                yield _everywhere(evidence, positions, kind, text, cost, _scaled(place, factor))
        if len(node.inputs) == 1 and len(node.outputs) == 1:
            x, y = (evidence.program.values[n] for n in (node.inputs[0], node.outputs[0]))
            if np.shape(x) == np.shape(y):
                yield from _functions(evidence, positions, x, y)


def groups(evidence: Evidence) -> list[list[int]]:
    """Returns the operations that stand at one line and are alike, where there are several."""
    found = defaultdict(list)
    for position in evidence.active:
        node = evidence.program.nodes[position]
        if node.where is not None:
            found[node.where, node.op, len(node.inputs)].append(position)
    return [positions for positions in found.values() if len(positions) > 1]


def _everywhere(
    evidence: Evidence, positions: list[int], kind: str, text: str, cost: float, entry: Entry
) -> Hypothesis:
    def make() -> list[Any]:
        with np.errstate(all="ignore"):
            cotangents = walk(evidence.program, evidence.active, override=dict.fromkeys(positions, entry))
        return gradient(evidence.program, cotangents)

    return Hypothesis(kind, positions[0], text, cost, None, make)


def _scaled(place: int, factor: float) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        found = list(entries(node, g, values))
        if found[place] is not None:
            found[place] = factor * found[place]
        return tuple(found)

    return entry


def _functions(evidence: Evidence, positions: list[int], x: Any, y: Any) -> Iterator[Hypothesis]:
    names = recognised(y, x, np.asarray(entries(evidence.program.nodes[positions[0]], np.ones_like(y),
                                                evidence.program.values)[0]))  # fmt: skip
    for mistake in MISTAKES:
        if mistake.function not in (*names, EVERYWHERE):
            continue

        def entry(node: Node, g: Any, values: Values, formula: Any = mistake.formula) -> tuple[Any, ...]:
            d = entries(node, np.ones_like(values[node.outputs[0]]), values)[0]
            return (formula(g, values[node.outputs[0]], values[node.inputs[0]], d),)

        cost = 0.35 if mistake.function != EVERYWHERE else 1.1
        yield _everywhere(evidence, positions, mistake.kind, mistake.text, cost, entry)


def _shared(evidence: Evidence) -> Iterator[Hypothesis]:
    """A value used three times or more that keeps one contribution, or their mean."""
    wrong = frozenset(evidence.wrong)
    for number, uses in evidence.uses.items():
        if len(uses) < 2 or not wrong <= evidence.reach[number]:
            continue
        parts = [np.asarray(evidence.entries(position)[place]) for position, place in sorted(uses)]
        total = np.sum(parts, axis=0)
        first = min(uses)[0]
        if len(uses) > 2:
            text = "this value is used {} times, and its gradient keeps only {} contribution: add them (+=)"
            kept = ((parts[0], "the last", 0.45), (parts[-1], "the first", 0.55))
            for part, which, cost in kept:
                words = text.format(len(uses), which)
                yield Hypothesis("overwritten", first, words, cost, {number: part - total})
        text = f"the {len(uses)} contributions to this value's gradient are averaged: add them"
        yield Hypothesis("wrong_reduction", first, text, 0.8, {number: total / len(uses) - total})
        if len(uses) == 2:
            a, b = parts
            for other in (a * b, a - b, b - a):
                text = "the two contributions to this value's gradient are not added"
                yield Hypothesis("missing_term", first, text, 1.6, {number: other - total})
