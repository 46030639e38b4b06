"""A loss value that is not the loss's: another reduction, a logarithm's base or guard, a term left out."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.factors import named
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.program import rerun

GUARDS = (1e-7, 1e-8, 1e-5, 1e-6, 1e-9, 1e-10, 1e-12, 1e-15, 1e-4, 1e-3)


def explanations(evidence: Evidence, manual_loss: float, rounding: float) -> list[Hypothesis]:
    """Returns what makes the loss given out of the right one, the most plausible first.

    Args:
        evidence: The loss's program.
        manual_loss: The value given.
        rounding: The relative error that rounding explains.
    """
    return sorted(_proposed(evidence, manual_loss, max(rounding, 1e-9)), key=lambda hypothesis: hypothesis.cost)


def _proposed(evidence: Evidence, given: float, slack: float) -> Iterator[Hypothesis]:
    program = evidence.program
    right = float(program.values[program.result])
    last = evidence.active[-1] if evidence.active else None

    def same(value: Any) -> bool:
        return abs(float(value) - given) <= 8 * slack * max(abs(given), abs(float(value)), 1e-30)

    def wrong(position: int | None, text: str, cost: float) -> Hypothesis:
        return Hypothesis("wrong_loss", position, text, cost)

    shown = f"the loss given is {given:.9g} and should be {right:.9g}: "
    if same(-right):
        yield wrong(last, shown + "its sign is flipped", 0.2)
    for position in reversed(evidence.active):
        node = program.nodes[position]
        value = program.values[node.outputs[0]]
        if node.outputs[0] != program.result and np.shape(value) == () and same(value):
            after = _next(evidence, position)
            yield wrong(after, shown + "what this line does to it is left out", 0.4)
    if right and given:
        yield from _scaled(evidence, given / right, wrong, shown, last)
    for position in evidence.active:
        node = program.nodes[position]
        if node.op in ("log", "abs", "square", "integer_pow", "sqrt"):
            without = rerun(program, {node.outputs[0]: program.values[node.inputs[0]]})
            if same(without[program.result]):
                yield wrong(position, shown + f"the operation {node.op} here is left out", 0.5)
        if node.op == "log":
            for eps in GUARDS:
                guarded = rerun(program, {node.outputs[0]: np.log(program.values[node.inputs[0]] + eps)})
                if same(guarded[program.result]):
                    yield wrong(position, shown + f"it takes log(x + {eps:g}) for log(x)", 0.4)


def _scaled(evidence: Evidence, factor: float, wrong: Any, shown: str, last: int | None) -> Iterator[Hypothesis]:
    """The whole loss times a constant, at the line that divides by it."""
    for base, words in ((2, "two"), (10, "ten")):
        if abs(factor * math.log(base) - 1) < 1e-6:
            yield wrong(last, shown + f"it is in logarithms to the base {words}", 0.3)
    name, natural = named(evidence, factor)
    if natural:
        text = f"it is {factor:.6g} times too large, a factor of {name}: another reduction (sum for mean?)"
        yield wrong(_divides(evidence, factor) or last, shown + text, 0.6)


def _divides(evidence: Evidence, factor: float) -> int | None:
    """Returns the last operation that multiplies or divides the scalar loss by the factor."""
    program = evidence.program
    for position in reversed(evidence.active):
        node = program.nodes[position]
        if node.op in ("mul", "div") and np.shape(program.values[node.outputs[0]]) == ():
            for number in node.inputs:
                constant = float(np.real(program.values[number])) if np.size(program.values[number]) == 1 else 0.0
                if (
                    constant
                    and number not in evidence.reach
                    and min(abs(factor / constant - 1), abs(factor * constant - 1)) < 1e-6
                ):
                    return position
    return None


def _next(evidence: Evidence, position: int) -> int:
    """Returns the operation that takes a node's output on towards the loss."""
    uses = evidence.uses.get(evidence.program.nodes[position].outputs[0], [])
    return min(uses)[0] if uses else position
