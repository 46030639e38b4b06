"""Softmax and other normalisations over the wrong axis, or with a Jacobian that is too simple.

They are found by their values, however they are written: y is a softmax of x if its numbers are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence, once
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.row_functions import (
    NORMALISERS,
    Axes,
    Normaliser,
    all_axes,
    over,
    root_mean_square,
    standardiser,
)
from functional_nets.gradcheck.hypotheses.rules.substitutes import in_place, near
from functional_nets.gradcheck.program import gradient, is_real, rerun, walk

NEAREST = 12  # Other arrays that a normalisation may have been differentiated at.
REACH = 26  # Operations between a normalisation's input and output.


class Found(NamedTuple):
    """A normalisation in a program: y = normaliser.value(x, axes).

    Attributes:
        normaliser: Which.
        position: Its first reduction.
        x: The number of its input.
        y: The number of its output.
        axes: The axes that it ties together.
        landmarks: Positions by name, for `Normaliser.places`.
    """

    normaliser: Normaliser
    position: int
    x: int
    y: int
    axes: Axes
    landmarks: dict[str, int]


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields what goes wrong at each normalisation."""
    yield from _everywhere(evidence)
    for found in recognised(evidence):
        yield from _simplified(evidence, found)
        yield from _one_path(evidence, found)
        yield from _other_axes(evidence, found)
        yield from _elsewhere(evidence, found)


@once
def recognised(evidence: Evidence) -> list[Found]:
    """Returns the normalisations of a program, each at its first reduction's line."""
    program = evidence.program
    seen = set()
    known: list[Found] = []
    for index, position in enumerate(evidence.active):
        node = program.nodes[position]
        if node.op != "reduce_sum" and node.op != "logistic":
            continue
        for x in _sources(evidence, index):
            shape = np.shape(program.values[x])
            made_of = set(node.outputs)
            for later in evidence.active[index : index + REACH]:
                y = program.nodes[later].outputs[0]
                if later != position and made_of.isdisjoint(program.nodes[later].inputs):
                    continue
                made_of.add(y)
                if (x, y) in seen or x == y or np.shape(program.values[y]) != shape or len(shape) == 0:
                    continue
                seen.add((x, y))
                if evidence.reach[x] and y in evidence.cotangents:
                    match = _identified(program.values[x], program.values[y])
                    if match:
                        marks = _landmarks(evidence, position, later)
                        known.append(Found(match[0], position, x, y, match[1], marks))
    return known


def _landmarks(evidence: Evidence, first: int, last: int) -> dict[str, int]:
    """Returns where in a normalisation its reductions and its square root stand."""
    inside = [p for p in evidence.active if first <= p <= last]
    ops = {p: evidence.program.nodes[p].op for p in inside}
    sums = [p for p in inside if ops[p] == "reduce_sum"]
    roots = [p for p in inside if ops[p] in ("sqrt", "rsqrt", "pow")]
    return {"first": first, "second": sums[1] if len(sums) > 1 else first, "root": roots[0] if roots else last}


def _sources(evidence: Evidence, index: int) -> list[int]:
    """The value that a reduction sums, and those that it is made of a few operations before."""
    program = evidence.program
    numbers = [program.nodes[evidence.active[index]].inputs[0]]
    for earlier in reversed(evidence.active[max(0, index - 8) : index]):
        node = program.nodes[earlier]
        if not set(numbers).isdisjoint(node.outputs):
            numbers += [n for n in node.inputs if n in evidence.reach and n not in numbers]
    shape = np.shape(program.values[numbers[0]])
    return [n for n in numbers if np.shape(program.values[n]) == shape]


def _identified(x: Any, y: Any) -> tuple[Normaliser, Axes] | None:
    if not is_real(x) or not np.size(x) or not np.all(np.isfinite(x)) or not np.all(np.isfinite(y)):
        return None
    with np.errstate(all="ignore"):
        for axes in all_axes(np.ndim(x)):
            if np.prod([np.shape(x)[axis] for axis in axes]) < 2:
                continue
            for normaliser in (*NORMALISERS, *_standardisers(x, y, axes)):
                if np.allclose(normaliser.value(x, axes), y, rtol=1e-9, atol=1e-12):
                    return normaliser, axes
    return None


def _standardisers(x: Any, y: Any, axes: Axes) -> list[Normaliser]:
    """The normalisation whose eps is read off: var(y) = var(x) / (var(x) + eps)."""
    found = []
    for spread, normaliser in ((np.var, standardiser), (_mean_square, root_mean_square)):
        before, after = spread(x, axis=axes).flat[0], spread(y, axis=axes).flat[0]
        if 0 < after < 1 + 1e-9 and before > 0:
            found.append(normaliser(max(float(before / after - before), 0.0)))
    return found


def _mean_square(x: Any, axis: Axes) -> Any:
    return np.mean(x * x, axis=axis)


def _simplified(evidence: Evidence, found: Found) -> Iterator[Hypothesis]:
    """The Jacobian with something left out, at the right values."""
    values = evidence.program.values
    g, y, x = evidence.cotangents[found.y], values[found.y], values[found.x]
    with np.errstate(all="ignore"):
        right = found.normaliser.pullback(g, y, x, found.axes)
        for index, (text, kind, formula) in enumerate(found.normaliser.simpler):
            places = found.normaliser.places
            position = found.landmarks[places[index]] if places else found.position
            delta = {found.x: formula(g, y, x, found.axes) - right}
            pulled = _pulled(evidence, found, delta)
            yield Hypothesis(kind, position, text, 0.4, delta, pulled)


def _everywhere(evidence: Evidence) -> Iterator[Hypothesis]:
    """The same at each call of a function that normalises: of the anchor, the positive and the negative."""
    calls: dict[Any, list[Hypothesis]] = defaultdict(list)
    for found in recognised(evidence):
        for each in (*_simplified(evidence, found), *_other_axes(evidence, found)):
            if each.delta is not None and each.position is not None:
                calls[evidence.program.nodes[each.position].where, each.text, each.cost].append(each)
    for (_, text, cost), several in calls.items():
        numbers = [number for each in several for number in each.delta or {}]
        if 1 < len(several) == len(set(numbers)):
            delta = {number: change for each in several for number, change in (each.delta or {}).items()}
            first = min(evidence.made.get(number, -1) for number in numbers)
            last = max(evidence.made.get(number, -1) for number in numbers)
            if first == last or not _depends(evidence, numbers):
                pulled = partial(evidence.pulled, delta, last + 1)
                where = several[0].position
                yield Hypothesis(several[0].kind, where, f"{text}, at each call", cost + 0.05, delta, pulled)


def _depends(evidence: Evidence, numbers: list[int]) -> bool:
    """Whether one of some values is made of another: then what is wrong with both is no sum."""
    reached = {min(numbers)}
    for position in evidence.active:
        node = evidence.program.nodes[position]
        if not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
    return len(reached.intersection(numbers)) > 1


def _one_path(evidence: Evidence, found: Found) -> Iterator[Hypothesis]:
    """What is left out for one of the contributions to the output's gradient, and right for the others."""
    values = evidence.program.values
    y, x = values[found.y], values[found.x]
    uses = evidence.uses.get(found.y, [])
    for position, place in uses if 1 < len(uses) <= 6 else ():
        g = np.asarray(evidence.entries(position)[place])
        with np.errstate(all="ignore"):
            right = found.normaliser.pullback(g, y, x, found.axes)
            for text, kind, formula in found.normaliser.simpler:
                delta = {found.x: formula(g, y, x, found.axes) - right}
                words = f"for the gradient that comes from this line: {text}"
                yield Hypothesis(kind, position, words, 0.8, delta, _pulled(evidence, found, delta))


def _other_axes(evidence: Evidence, found: Found) -> Iterator[Hypothesis]:
    """The normalisation over other axes: in the formula, in the value that it uses, or in the whole pass."""
    values = evidence.program.values
    normaliser = found.normaliser
    x = values[found.x]
    g = evidence.cotangents[found.y]
    y = values[found.y]
    with np.errstate(all="ignore"):
        right = normaliser.pullback(g, y, x, found.axes)
        for axes in all_axes(np.ndim(x)):
            if axes == found.axes:
                continue
            text = (
                f"{normaliser.name} runs over {over(axes, np.ndim(x))}; it must run over {over(found.axes, np.ndim(x))}"
            )
            other = normaliser.value(x, axes)
            for wrong in (
                normaliser.pullback(g, other, x, found.axes),
                normaliser.pullback(g, other, x, axes),
                normaliser.pullback(g, y, x, axes),
                *((normaliser.sums(g, y, x, axes, found.axes),) if normaliser.sums else ()),
            ):
                delta = {found.x: wrong - right}
                yield Hypothesis("wrong_axis", found.position, text, 0.45, delta, _pulled(evidence, found, delta))
            yield Hypothesis("wrong_axis", found.position, text, 0.5, None, _whole(evidence, found, axes, axes))
            yield Hypothesis("wrong_axis", found.position, text, 0.55, None, _whole(evidence, found, axes, found.axes))


def _elsewhere(evidence: Evidence, found: Found) -> Iterator[Hypothesis]:
    """The right Jacobian at the values of another array, such as logits that were divided in place."""
    values, normaliser = evidence.program.values, found.normaliser
    x, g = values[found.x], evidence.cotangents[found.y]
    derived = in_place(evidence, found.x)
    with np.errstate(all="ignore"):
        right = normaliser.pullback(g, values[found.y], x, found.axes)
        for other in near(evidence, np.shape(x), found.position)[:NEAREST]:
            if other in (found.x, found.y) or other not in evidence.moving:
                continue
            y = normaliser.value(values[other], found.axes)
            delta = {found.x: normaliser.pullback(g, y, values[other], found.axes) - right}
            kind = "mutated" if other in derived else "wrong_operand"
            text = f"{normaliser.name} is differentiated at another array than the one it was taken of"
            text += ": was that changed in place?" if kind == "mutated" else ""
            cost = 0.98 if kind == "mutated" else 1.0
            yield Hypothesis(kind, found.position, text, cost, delta, _pulled(evidence, found, delta))


def _pulled(evidence: Evidence, found: Found, delta: dict[int, Any]) -> Callable[[], list[Any]]:
    """Returns the gradient after a change at the normalisation's input, wherever the blame is put."""
    before = next((p for p in evidence.active if found.x in evidence.program.nodes[p].inputs), found.position)
    return lambda: evidence.pulled(delta, before)


def _whole(evidence: Evidence, found: Found, axes: Axes, back: Axes) -> Callable[[], list[Any]]:
    """Returns the gradient when the forward pass, too, normalises over other axes."""

    def make() -> list[Any]:
        program = evidence.program
        other = found.normaliser.value(program.values[found.x], axes)
        values = rerun(program, {found.y: other})
        after = [p for p in evidence.active if p > _maker(evidence, found.y)]
        cotangents = walk(program, after, values=values)
        if found.y not in cotangents:
            return list(evidence.reference)
        to_x = found.normaliser.pullback(cotangents[found.y], other, values[found.x], back)
        before = [p for p in evidence.active if p < found.position]
        # What flows to earlier values by other ways is kept; the normalisation's own inside is not walked.
        start = {n: c for n, c in cotangents.items() if n != found.y and _is_before(evidence, n, found.x)}
        start[found.x] = start.get(found.x, 0) + to_x
        return gradient(program, walk(program, before, start=start, values=values))

    return make


def _maker(evidence: Evidence, number: int) -> int:
    return next(p for p in evidence.active if number in evidence.program.nodes[p].outputs)


def _is_before(evidence: Evidence, number: int, x: int) -> bool:
    return number <= x or number in evidence.program.leaves
