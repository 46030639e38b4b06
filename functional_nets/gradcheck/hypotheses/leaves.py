"""Mistakes in one array of the gradient itself: another shape, another order, a term added."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, when one leaf is wrong, what may have been done to it."""
    if len(evidence.wrong) == 1:
        (leaf,) = evidence.wrong
        position = first_use(evidence, leaf)
        for kind, text, cost, array in rearranged(evidence.reference[leaf]):
            yield _single(evidence, leaf, position, kind, text, cost, array)
        yield from _added(evidence, leaf, position)
        yield from _clipped(evidence, leaf, position)


def first_use(evidence: Evidence, leaf: int) -> int | None:
    """Returns the node that uses a leaf first in the forward pass: where a person looks for its gradient."""
    uses = evidence.uses.get(evidence.program.leaves[leaf])
    return min(uses)[0] if uses else None


def _single(
    evidence: Evidence, leaf: int, position: int | None, kind: str, text: str, cost: float, array: Any
) -> Hypothesis:
    def gradient() -> list[Any]:
        return [array if number == leaf else right for number, right in enumerate(evidence.reference)]

    return Hypothesis(kind, position, f"{evidence.paths[leaf]}: {text}", cost, None, gradient)


def rearranged(right: Any) -> Iterator[tuple[str, str, float, Any]]:
    """Yields (kind, text, cost, array): the right gradient with its elements in another order."""
    if right.ndim == 2 and right.shape[0] == right.shape[1]:
        yield "transposed", "the gradient is transposed", 0.3, right.T
    if right.ndim > 2:
        for order in itertools.permutations(range(right.ndim)):
            if order != tuple(range(right.ndim)) and tuple(right.shape[a] for a in order) == right.shape:
                yield "transposed", f"its axes are in the order {order}", 0.6, np.transpose(right, order)
    for count in range(1, min(right.ndim, 2) + 1):
        for axes in itertools.combinations(range(right.ndim), count):
            names = " and ".join(map(str, axes))
            flipped = np.flip(right, axes)
            yield "permuted", f"the gradient is reversed along axis {names}", 0.5 + 0.1 * count, flipped
    for axis in range(right.ndim):
        for step in (1, -1):
            text = f"the gradient is shifted by one along axis {axis}"
            yield "permuted", text, 0.9, np.roll(right, step, axis)
    if right.ndim > 1:
        text = "the elements are laid out in another order (column by column)"
        yield "permuted", text, 0.7, np.reshape(right.ravel(order="F"), right.shape)
        yield "permuted", text, 0.7, np.reshape(right.ravel(), right.shape, order="F")
        for order in itertools.islice(itertools.permutations(range(right.ndim)), 1, 24):
            text = f"the elements are laid out with the axes in the order {order}"
            yield "permuted", text, 0.9, np.transpose(right, order).reshape(right.shape)
    for axis in range(right.ndim):
        mean = np.broadcast_to(right.mean(axis, keepdims=True), right.shape)
        yield "wrong_reduction", f"the gradient is averaged over axis {axis}, which it has", 1.5, mean
        total = np.broadcast_to(right.sum(axis, keepdims=True), right.shape)
        yield "wrong_reduction", f"the gradient is summed over axis {axis}, which it has", 1.5, total
    yield "wrong_reduction", "the gradient is averaged over all its elements", 1.5, np.full_like(right, right.mean())
    yield "wrong_reduction", "all its elements are summed", 1.5, np.full_like(right, right.sum())
    yield "upstream", "the absolute value is given", 1.6, np.abs(right)
    yield "wrong_operand", "the gradient is squared", 1.8, right * right


def _added(evidence: Evidence, leaf: int, position: int | None) -> Iterator[Hypothesis]:
    """A multiple of something that has the leaf's shape."""
    error = evidence.given[leaf] - evidence.reference[leaf]
    ones = np.ones_like(error)
    if np.size(error) > 1 and np.ptp(error) <= 1e-9 * (np.max(np.abs(error)) or 1):
        constant = float(error.flat[0])
        text = f"a constant {constant:.6g} is added to every element"
        yield _single(evidence, leaf, position, "extra_term", text, 1.6, evidence.reference[leaf] + constant * ones)
    off = np.abs(error) > max(evidence.tolerances[leaf], 1e-12 * evidence.scales[leaf])
    rows = np.reshape(off, (len(error), -1)) if error.ndim else np.zeros((0, 1), bool)
    row = np.flatnonzero(np.any(rows, axis=1))
    if len(row) == 1 and error.shape[0] > 2 and not np.any(evidence.given[leaf][row[0]]):
        array = evidence.reference[leaf].copy()
        array[row[0]] = 0
        text = f"row {row[0]} is left at zero: a loop that starts or ends one too early"
        yield _single(evidence, leaf, position, "missing_term", text, 1.0, array)


def _clipped(evidence: Evidence, leaf: int, position: int | None) -> Iterator[Hypothesis]:
    given, right = evidence.given[leaf], evidence.reference[leaf]
    bound = float(np.max(np.abs(given), initial=0.0))
    if bound and np.count_nonzero(np.abs(given) == bound) > 1:
        text = f"the gradient is clipped to [-{bound:g}, {bound:g}]"
        yield _single(evidence, leaf, position, "upstream", text, 0.8, np.clip(right, -bound, bound))


def intermediate(evidence: Evidence, given: Any) -> tuple[str, str] | None:
    """Returns (kind, text) if the array is the gradient of another value of the loss, else None."""
    given = np.asarray(given)
    for number, g in evidence.cotangents.items():
        if np.shape(g) == given.shape and np.size(g) > 1 and np.any(g) and np.allclose(g, given, rtol=1e-6, atol=0):
            made = evidence.made.get(number)
            where = evidence.program.nodes[made].where if made is not None else None
            line = f"what line {where.line} gives" if where else "another value"
            return (
                "wrong_shape",
                f"this is the gradient of {line}, of shape {list(given.shape)}: it has to go on to here",
            )
    return None


def of_another(evidence: Evidence, given: Any) -> tuple[str, str] | None:
    """Returns (kind, text) if an array of another shape is what another parameter should have got, else None."""
    for path, right in zip(evidence.paths, evidence.reference, strict=True):
        if np.any(right) and np.shape(right) == np.shape(given) and np.allclose(given, right, rtol=1e-6, atol=0):
            return "permuted", f"this is the gradient of {path}: put the arrays in order"
    return None


def reshaped(given: Any, right: Any) -> tuple[str, str] | None:
    """Returns (kind, text) for a gradient of another shape whose values can be explained, else None."""
    given = np.asarray(given)

    def same(a: Any) -> bool:
        a = np.asarray(a)
        scale = np.max(np.abs(right), initial=0.0) or 1.0
        return a.shape == right.shape and bool(np.max(np.abs(a - right), initial=0.0) <= 1e-6 * scale)

    shapes = f"expected {list(right.shape)}, found {list(given.shape)}"
    if given.ndim == right.ndim and given.ndim >= 2:
        for order in itertools.permutations(range(given.ndim)):
            if same(np.transpose(given, order)):
                return "transposed", f"the gradient is transposed: {shapes}"
    if given.size == right.size and same(given.reshape(right.shape)):
        return "wrong_shape", f"the values are right, the shape is not: {shapes}; reshape it"
    if given.size == right.size and same(given.reshape(right.shape, order="F")):
        return "permuted", f"the elements are in another order and the shape is not the parameter's: {shapes}"
    if given.ndim == right.ndim and all(a >= b for a, b in zip(given.shape, right.shape, strict=True)):
        for first in itertools.product(*(range(a - b + 1) for a, b in zip(given.shape, right.shape, strict=True))):
            if same(given[tuple(slice(f, f + n) for f, n in zip(first, right.shape, strict=True))]):
                return "wrong_shape", f"what was padded is not cut off: {shapes}; cut it off"
    used = right[np.any(np.reshape(right, (len(right), -1)) != 0, axis=1)] if right.ndim else right
    if used.shape == given.shape != right.shape and np.allclose(used, given, rtol=1e-6, atol=0):
        return "wrong_shape", f"only the rows that are not 0 are given: {shapes}; put them where they belong"
    for count in range(1, given.ndim + 1):
        for axes in itertools.combinations(range(given.ndim), count):
            names = " and ".join(map(str, axes))
            for keep in (False, True):
                total = given.sum(axes, keepdims=keep)
                if total.size == right.size and same(total.reshape(right.shape)):
                    return "wrong_reduction", f"axis {names} is left unsummed: {shapes}; sum over it"
                mean = given.mean(axes, keepdims=keep)
                if mean.size == right.size and same(mean.reshape(right.shape)):
                    return "wrong_shape", f"the values are repeated along axis {names}: {shapes}"
    for count in range(1, right.ndim + 1):
        for axes in itertools.combinations(range(right.ndim), count):
            names = " and ".join(map(str, axes))
            # What is summed may cancel: softmax minus one-hot sums to 0, and only its rounding is left.
            room = 16 * _epsilon(given) * np.max(np.abs(right).sum(axes), initial=0.0)
            for reduced, how in ((right.sum(axes), "summed"), (right.mean(axes), "averaged")):
                if reduced.size == given.size and np.allclose(reduced.ravel(), given.ravel(), rtol=1e-6, atol=room):
                    return "wrong_reduction", f"the gradient is {how} over axis {names}, which it has: {shapes}"
    return None


def _epsilon(array: Any) -> float:
    """The relative rounding error of an array's type."""
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0
