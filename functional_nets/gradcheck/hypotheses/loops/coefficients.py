"""Sums of products, such as a gate's (1 - z)·a + z·h: each factor with the other's coefficient, the difference negated.

A sum may run once or in each step of a loop.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from functional_nets.backprop.rules import backward
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Entry, Hypothesis
from functional_nets.gradcheck.hypotheses.loops.repeated import everywhere
from functional_nets.gradcheck.hypotheses.loops.runs import keyed
from functional_nets.gradcheck.program import Node, Values, active_nodes, compute, entries, gradient, rerun, walk

Terms = list[tuple[int, int]]
"""By run, the positions of the two products."""


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each sum of two products, what goes wrong with their factors."""
    active = set(evidence.active)
    for positions in keyed(evidence).values():
        terms = [_products(evidence, p) for p in positions if p in active]
        if terms and None not in terms and any(evidence.concerns(n) for n in _outputs(evidence, positions)):
            yield from _confused(evidence, [pair for pair in terms if pair])
    for positions in keyed(evidence).values():
        yield from _turned(evidence, [p for p in positions if p in active])


def _outputs(evidence: Evidence, positions: list[int]) -> list[int]:
    return [evidence.program.nodes[p].outputs[0] for p in positions]


def _products(evidence: Evidence, position: int) -> tuple[int, int] | None:
    node = evidence.program.nodes[position]
    if node.op not in ("add", "sub"):
        return None
    first, second = (evidence.made.get(number) for number in node.inputs)
    if first is None or second is None or first == second:
        return None
    return (first, second) if all(evidence.program.nodes[p].op == "mul" for p in (first, second)) else None


def _confused(evidence: Evidence, terms: Terms) -> Iterator[Hypothesis]:
    """The two coefficients exchanged: where the factors beside them get their gradients, or in both passes."""
    nodes, values = evidence.program.nodes, evidence.program.values
    for i, j in itertools.product((0, 1), repeat=2):
        coefficients = [(nodes[a].inputs[i], nodes[b].inputs[j]) for a, b in terms]
        if any(a == b or np.shape(values[a]) != np.shape(values[b]) for a, b in coefficients):
            continue
        overrides: dict[int, Entry] = {}
        for (a, b), (own, other) in zip(terms, coefficients, strict=True):
            overrides |= {a: _with(i, other), b: _with(j, own)}
        text = "each of the two products here is differentiated with the other's coefficient: exchange them"
        yield everywhere(overrides, "wrong_operand", text, 0.8)
        text = "this gradient belongs to a forward pass in which the two coefficients here are exchanged"
        make = _both_passes(evidence, terms, coefficients, (i, j))
        yield Hypothesis("wrong_operand", min(overrides), text, 0.9, None, make)


def _with(place: int, coefficient: int) -> Entry:
    """The product rule with another coefficient for the factor beside it; the coefficient's own gradient is right."""

    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        right = list(entries(node, g, values))
        inputs = [values[number] for number in node.inputs]
        inputs[place] = values[coefficient]
        wrong = backward(node.op, g, values[node.outputs[0]], tuple(inputs), node.params)
        right[1 - place] = wrong[1 - place] if right[1 - place] is not None else None
        return tuple(right)

    return entry


def _both_passes(
    evidence: Evidence, terms: Terms, coefficients: list[tuple[int, int]], places: tuple[int, int]
) -> Callable[[], list[Any]]:
    def make() -> list[Any]:
        nodes = list(evidence.program.nodes)
        for positions, own in zip(terms, coefficients, strict=True):
            for position, place, number in zip(positions, places, own[::-1], strict=True):
                inputs = list(nodes[position].inputs)
                inputs[place] = number
                nodes[position] = nodes[position]._replace(inputs=tuple(inputs))
        changed = evidence.program._replace(nodes=tuple(nodes))
        edits = {p: _computed(nodes[p]) for pair in terms for p in pair}
        values = rerun(changed, {}, edits=edits)
        return gradient(changed, walk(changed, active_nodes(changed, changed.leaves), values=values))

    return make


def _computed(node: Node) -> Callable[..., Any]:
    return lambda *inputs: compute(node, inputs)[0]


def _turned(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    """The gradient of a gate is g(a - b), one of the two with the minus of 1 - z: here it is g(b - a)."""
    nodes = evidence.program.nodes
    numbers = [nodes[p].outputs[0] for p in positions if len(nodes[p].outputs) == 1]
    overrides: dict[int, Entry] = {}
    minus = False
    for number in numbers:
        uses = evidence.uses.get(number, [])
        if len(uses) < 2 or len({nodes[p].where for p, _ in uses}) > 1:
            return
        minus = minus or any(nodes[p].op == "neg" or (nodes[p].op == "sub" and place == 1) for p, place in uses)
        for p, place in uses:
            overrides[p] = _negated(frozenset(at for q, at in uses if q == p) | {place})
    if minus and overrides and any(evidence.concerns(number) for number in numbers):
        text = "the gradient of this value is a difference, and here it is taken the other way round"
        yield everywhere(overrides, "sign", text, 0.7)


def _negated(places: frozenset[int]) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        found = entries(node, g, values)
        return tuple(-e if place in places and e is not None else e for place, e in enumerate(found))

    return entry
