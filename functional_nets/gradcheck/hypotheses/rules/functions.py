"""Wrong derivatives of functions of one variable, however many operations they are written in."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.backprop.mistakes import EVERYWHERE, MISTAKES, recognised
from functional_nets.gradcheck.evidence import Evidence, once
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.program import Cotangents, Values, compute, cotangent, entries, is_real

LONGEST = 14  # Operations that a function of one variable is looked for in.


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each function of one variable, what its wrong derivatives would do."""
    for inside, x, y in regions(evidence):
        if evidence.concerns(x) and y in evidence.cotangents:
            curved = any(is_curved(evidence, position) for position in inside)
            masked = any(_is_masked(evidence, position) for position in inside)
            d = slope(evidence, inside, x, y)
            yield from derivatives(evidence, inside[0], x, y, d, curved, masked)
            if curved:
                yield from _one_path(evidence, inside[0], x, y, d)
            if curved and len(inside) < LONGEST:
                yield from _elsewhere(evidence, inside, x, y, d)
    for position in evidence.active:
        if evidence.program.nodes[position].op == "log":
            yield from _guarded_log(evidence, position)


@once
def regions(evidence: Evidence) -> list[tuple[tuple[int, ...], int, int]]:
    """Returns (operations, last first; x; y) where they make y, an elementwise function, of x alone."""
    program = evidence.program
    found = []
    for position in evidence.active:
        y = program.nodes[position].outputs[0]
        shape = np.shape(program.values[y])
        frontier, inside = [y], []
        for _ in range(LONGEST):
            latest = max(frontier, key=lambda number: evidence.made.get(number, -1))
            if latest not in evidence.made or not _elementwise(evidence, evidence.made[latest], shape):
                break
            inside.append(evidence.made[latest])
            inputs = [n for n in program.nodes[evidence.made[latest]].inputs if n in evidence.reach]
            frontier = list(dict.fromkeys([*(n for n in frontier if n != latest), *inputs]))
            if not frontier:
                break
            if len(frontier) == 1:
                found.append((tuple(inside), frontier[0], y))
    return found


def _elementwise(evidence: Evidence, position: int, shape: tuple[int, ...]) -> bool:
    """Whether each element of a node's output depends on the same element of its inputs, and on constants."""
    program = evidence.program
    node = program.nodes[position]
    if len(node.outputs) != 1 or np.shape(program.values[node.outputs[0]]) != shape:
        return False
    if node.op in ("dot_general", "cumsum", "cumprod", "cummax", "rev", "transpose", "sort", "conv_general_dilated"):
        return False
    varying = [number for number in node.inputs if number in evidence.reach]
    others = [number for number in node.inputs if number not in evidence.reach]
    return all(np.shape(program.values[number]) == shape for number in varying) and all(
        np.size(program.values[number]) == 1 or np.shape(program.values[number]) == shape for number in others
    )


def is_curved(evidence: Evidence, position: int) -> bool:
    """Whether an operation is more than a multiplication by what does not depend on the parameters."""
    node = evidence.program.nodes[position]
    if node.op in ("add", "add_any", "sub", "neg", "copy", "convert_element_type"):
        return False
    if node.op == "mul":
        return all(number in evidence.reach for number in node.inputs)
    if node.op == "div":
        return node.inputs[1] in evidence.reach
    if node.op == "select_n":
        return node.inputs[0] in evidence.moving
    return True


def _one_path(evidence: Evidence, function: int, x: int, y: int, d: Any) -> Iterator[Hypothesis]:
    """One contribution to the output's gradient that does not go through the function, while the others do."""
    uses = evidence.uses.get(y, [])
    if not 1 < len(uses) <= 6:
        return
    for position, place in uses:
        part = np.asarray(evidence.entries(position)[place])
        delta = {x: part * (1 - d)}
        where = evidence.program.nodes[position].where
        text = f"the contribution of line {where.line if where else '?'} is added behind this function's derivative: "
        text += "it has to go through it as the others do"
        pulled = partial(evidence.pulled, delta, evidence.made.get(x, -1) + 1)
        yield Hypothesis("wrong_derivative", function, text, 0.95, delta, pulled)


def _is_masked(evidence: Evidence, position: int) -> bool:
    fixed = [n for n in evidence.program.nodes[position].inputs if n not in evidence.moving]
    values = [evidence.program.values[n] for n in fixed]
    return any(is_real(value) and np.ptp(value) > 0 for value in values)


def _elsewhere(evidence: Evidence, inside: tuple[int, ...], x: int, y: int, right: Any) -> Iterator[Hypothesis]:
    """The right derivative, taken at another array: at the function's own value, or at a neighbour's."""
    program = evidence.program
    if np.size(program.values[x]) < 2:
        return
    near = sorted(evidence.twins.get(np.shape(program.values[x]), []), key=lambda number: abs(number - y))
    for other in [y, *(n for n in near if n not in (x, y))][:6]:
        found = _slope_at(evidence, inside, x, y, program.values[other])
        if found is None or not np.all(np.isfinite(found)):
            continue
        how = "this function's own output" if other == y else "another array"
        text = f"the derivative is taken at {how}, and not at the input: was the input changed in place?"
        kind = "wrong_mask" if len(np.unique(np.round(right, 9))) <= 2 else "wrong_derivative"
        yield Hypothesis(
            kind, inside[0], text, 1.02 if other == y else 1.6, {x: evidence.cotangents[y] * (found - right)}
        )


def _slope_at(evidence: Evidence, inside: tuple[int, ...], x: int, y: int, value: Any) -> Any:
    program = evidence.program
    values = list(program.values)
    values[x] = value
    with np.errstate(all="ignore"):
        for node in program.nodes[: inside[0] + 1]:  # Conditions on x are no part of the function, and yet follow it.
            position = evidence.made[node.outputs[0]]
            follows = x in node.inputs or any(values[n] is not program.values[n] for n in node.inputs)
            if position in inside or (follows and evidence.made.get(x, -1) < position and len(node.outputs) == 1):
                values[node.outputs[0]] = compute(node, [values[n] for n in node.inputs])[0]
        return slope(evidence, inside, x, y, values)


def slope(evidence: Evidence, inside: tuple[int, ...], x: int, y: int, values: Values | None = None) -> Any:
    """Returns the derivative of y by x, elementwise, at the program's values or at others."""
    program = evidence.program
    values = program.values if values is None else values
    found: Cotangents = {y: np.ones_like(values[y])}
    with np.errstate(all="ignore"):
        for position in inside:
            node = program.nodes[position]
            g = cotangent(node, found, values)
            if g is None:
                continue
            for number, entry in zip(node.inputs, entries(node, g, values), strict=True):
                if entry is not None:
                    found[number] = found[number] + entry if number in found else entry
    return found.get(x, np.zeros_like(values[y]))


def derivatives(
    evidence: Evidence, position: int, x: int, y: int, d: Any, curved: bool, masked: bool = False
) -> Iterator[Hypothesis]:
    """Yields the mistakes of the table at a function from value x to value y with derivative d.

    A function is masked if an array takes part that is not the same everywhere; then it is none that has a name.
    """
    program = evidence.program
    values = program.values
    g, fx, fy = evidence.cotangents[y], values[x], values[y]
    names = recognised(fy, fx, d) if curved and not masked else ()
    straight, binary = not curved, _is_binary(d, np.ones_like(d))
    for mistake in MISTAKES:
        special = mistake.function in names
        if not special and (mistake.function != EVERYWHERE or (straight and mistake.kind != "upstream")):
            continue
        if np.size(d) < 2 and mistake.rarity:
            continue  # One number is soon explained.
        with np.errstate(all="ignore"):
            wrong = mistake.formula(g, fy, fx, d)
            delta = {x: wrong - g * d}
        kind, text = mistake.kind, mistake.text
        if not special and "relu" in names and kind == "wrong_derivative":
            kind = "wrong_mask" if "passed through" in text else kind
        if kind == "wrong_derivative" and binary and _is_binary(wrong, g):
            kind = "wrong_mask"
        if "abs" in names and kind == "wrong_loss" and x in program.leaves:
            kind = "wrong_derivative"  # A penalty is no error that could have been squared instead.
        cost = 0.3 if special else (1.3 if kind == "upstream" else 1.0) + mistake.rarity
        yield Hypothesis(kind, position, text, cost, delta)
    if not straight and np.size(d) > 1:
        yield from _misplaced(evidence, position, x, y, d, names)


def _is_binary(array: Any, of: Any) -> bool:
    """Whether an array is another one where a mask lets it through, and 0 elsewhere."""
    return bool(np.all((array == 0) | (array == of)))


def _misplaced(
    evidence: Evidence, position: int, x: int, y: int, d: Any, names: tuple[str, ...]
) -> Iterator[Hypothesis]:
    """The right derivative, or its mask, taken from another array of the same shape."""
    values = evidence.program.values
    g = evidence.cotangents[y]
    piecewise = len(np.unique(np.round(d, 9))) <= 3
    if piecewise:
        low, high = np.min(d), np.max(d)
        for mask, words in ((g > 0, "the upstream gradient is positive"), (g < 0, "the upstream gradient is negative")):
            text = f"the slope is chosen by whether {words}: it is the function's input that decides"
            yield Hypothesis("wrong_mask", position, text, 1.05, {x: g * np.where(mask, high, low) - g * d})
    for other in evidence.twins.get(np.shape(values[x]), []):
        if other == x:
            continue
        if piecewise:
            for mask, where in ((values[other] > 0, "> 0"), (values[other] < 0, "< 0")):
                text = f"the mask is taken from another array ({where}) than this function's input"
                yield Hypothesis("wrong_mask", position, text, 1.15, {x: np.where(mask, g, 0) - g * d})
        elif "sigmoid" in names or "tanh" in names:
            u = values[other]
            wrong = g * u * (1 - u) if "sigmoid" in names else g * (1 - u * u)
            text = "the derivative is taken with another array than this function's own output"
            yield Hypothesis("wrong_derivative", position, text, 1.1, {x: wrong - g * d})
    if np.ndim(d) == 2 and np.shape(d)[0] == np.shape(d)[1]:
        yield Hypothesis("transposed", position, "the derivative is transposed", 1.6, {x: g * d.T - g * d})
    shifted = {axis: np.roll(d, 1, axis) for axis in range(np.ndim(d))}
    for axis, rolled in shifted.items():
        text = f"the derivative belongs to the neighbour along axis {axis}: an index is off by one"
        yield Hypothesis("permuted", position, text, 2.0, {x: g * rolled - g * d})
        back = g * np.roll(d, -1, axis) - g * d
        yield Hypothesis("permuted", position, text, 2.0, {x: back})


def _guarded_log(evidence: Evidence, position: int) -> Iterator[Hypothesis]:
    """The gradient of log(x + ε) for log x: first-order in ε, so ε can be read off the error."""
    program = evidence.program
    node = program.nodes[position]
    x = node.inputs[0]
    g = evidence.cotangents_of(position)
    value = program.values[x]
    if not is_real(value) or g is None:
        return
    for eps in (1e-7, 1e-8, 1e-5, 1e-6, 1e-9, 1e-10, 1e-12, 1e-15, 1e-4, 1e-3):
        with np.errstate(all="ignore"):
            yield Hypothesis(
                "wrong_loss", position,
                f"this is the gradient of log(x + {eps:g}), and the loss has log(x): use the same in both",
                0.6, {x: g / (value + eps) - g / value},
            )  # fmt: skip
            yield Hypothesis(
                "wrong_loss", position,
                f"this is the gradient of log(x) without the {eps:g} that the loss adds to x",
                0.7, {x: g / (value - eps) - g / value},
            )  # fmt: skip
