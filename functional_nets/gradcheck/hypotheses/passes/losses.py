"""A loss value that is not the loss's: another reduction, a logarithm's base or guard, a term left out."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.careful import carefully
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.passes.constants import constants
from functional_nets.gradcheck.hypotheses.rules.forgotten import named
from functional_nets.gradcheck.hypotheses.rules.places import reader
from functional_nets.gradcheck.program import is_real, rerun

OFFSETS = (("½ log 2π", 0.5 * math.log(2 * math.pi)), ("½", 0.5), ("1", 1.0), ("log 2", math.log(2)))
GUARDS = (1e-7, 1e-8, 1e-5, 1e-6, 1e-9, 1e-10, 1e-12, 1e-15, 1e-4, 1e-3)


def explanations(evidence: Evidence, manual_loss: float, rounding: float) -> list[Hypothesis]:
    """Returns what makes the loss given out of the right one, the most plausible first.

    Args:
        evidence: The loss's program.
        manual_loss: The value given.
        rounding: The relative error that rounding explains.
    """
    proposed = carefully(evidence, "the loss given", _proposed(evidence, manual_loss, max(rounding, 1e-9)))
    return sorted(proposed, key=lambda hypothesis: hypothesis.cost)


def _proposed(evidence: Evidence, given: float, slack: float) -> Iterator[Hypothesis]:
    program = evidence.program
    right = float(program.values[program.result])
    last = evidence.active[-1] if evidence.active else None

    def same(value: Any) -> bool:
        return bool(np.isfinite(value)) and abs(float(value) - given) <= 8 * slack * max(
            abs(given), abs(float(value)), 1e-30
        )

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
    for name, constant in OFFSETS:
        for count in _counts(evidence):
            if same(right + count * constant) or same(right - count * constant):
                what = "has" if given > right else "lacks"
                yield wrong(last, f"{shown}it {what} a constant, {count:g} times {name}", 0.7)
    if right and given:
        yield from _scaled(evidence, given / right, wrong, shown, last)
    yield from _terms(evidence, given, same, wrong, shown)
    yield from _constants(evidence, same, wrong, shown)
    for position in evidence.active:
        node = program.nodes[position]
        for number in node.inputs:
            value = program.values[number]
            if is_real(value) and np.shape(value) == np.shape(program.values[node.outputs[0]]):
                without = rerun(program, {node.outputs[0]: value})
                if same(without[program.result]):
                    yield wrong(position, shown + f"the operation {node.op} here is left out", 0.5)
        if node.op == "log":
            for eps in GUARDS:
                guarded = rerun(program, {node.outputs[0]: np.log(program.values[node.inputs[0]] + eps)})
                if same(guarded[program.result]):
                    yield wrong(position, shown + f"it takes log(x + {eps:g}) for log(x)", 0.4)


def _counts(evidence: Evidence) -> list[float]:
    """How often a constant may have been added: once, for each example, for each element."""
    sizes = {size for number in evidence.program.arguments for size in np.shape(evidence.program.values[number])}
    return sorted({1.0, *map(float, sizes), *(float(a * b) for a in sizes for b in sizes)})


def _terms(evidence: Evidence, given: float, same: Any, wrong: Any, shown: str) -> Iterator[Hypothesis]:
    """One term of a sum with the wrong sign, or times a constant that people forget."""
    program = evidence.program
    for position in evidence.active:
        node = program.nodes[position]
        if node.op not in ("add", "sub"):
            continue
        for place, number in enumerate(node.inputs):
            turned = rerun(program, {}, edits={position: _signed(node.op, place, -1.0)})
            made = evidence.made.get(number, position)
            if same(turned[program.result]):
                yield wrong(position, shown + "the sign of one term here is the other", 0.45)
            if np.shape(program.values[node.outputs[0]]) != () or not float(program.values[number]):
                continue
            without = float(rerun(program, {}, edits={position: _signed(node.op, place, 0.0)})[program.result])
            part = float(program.values[program.result]) - without
            name, natural = named(evidence, (given - without) / part) if part and given != without else ("", False)
            if natural:
                text = f"one term of it is {(given - without) / part:.6g} times what it should be, a factor of {name}"
                yield wrong(made, shown + text, 0.7)


def _signed(op: str, place: int, factor: float) -> Callable[..., Any]:
    """Returns addition or subtraction with one operand times a factor."""

    def edited(a: Any, b: Any) -> Any:
        a, b = (factor * a, b) if place == 0 else (a, factor * b)
        return a + b if op == "add" else a - b

    return edited


def _constants(evidence: Evidence, same: Any, wrong: Any, shown: str) -> Iterator[Hypothesis]:
    """Weights, masks or smoothed labels that the loss given does not have."""
    program = evidence.program
    for constant in constants(evidence):
        value = np.asarray(constant.value)
        others = [(np.ones_like(value), "left out")]
        others += [(program.values[number], "taken before the operation that made it") for number in constant.before]
        if np.size(value) == 1:
            others = [
                (-value, "of the other sign"),
                (0 * value, "left out"),
                (value / 2, "halved"),
                (2 * value, "doubled"),
            ]
        for other, how in others:
            whole = np.ravel(other)[0] if np.size(other) == 1 else other
            shapes = {number: np.shape(program.values[number]) for number in constant.numbers}
            values = rerun(program, {number: np.broadcast_to(whole, shape) for number, shape in shapes.items()})
            if same(values[program.result]):
                what = f"the constant {float(value):.6g}" if np.size(value) == 1 else "an array of constants"
                yield wrong(constant.position, shown + f"{what} here is {how}", 0.8)


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
    return reader(evidence, min(uses)[0]) if uses else position
