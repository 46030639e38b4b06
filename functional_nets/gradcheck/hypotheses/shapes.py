"""Gradients of another shape than their parameter's: what was done to the right one, or left undone."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.backprop.rules import RULES
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.rules.reductions import stretched_axes

Finding = tuple[str, str]
"""A mistake's identifier, and what is wrong in words."""

VIEWS = {"broadcast_in_dim", "reshape", "expand_dims", "convert_element_type", "copy", "squeeze"}


def misshapen(evidence: Evidence, leaf: int, given: Any, right: Any) -> Finding:
    """Returns what may have given a leaf's gradient another shape; the bare fact if nothing explains it."""
    if np.asarray(given).dtype.kind not in "fiubc":
        return "wrong_shape", f"the gradient has another shape and no numbers: {_shapes(given, right)}"
    known = of_another(evidence, given) or reshaped(given, right) or intermediate(evidence, given)
    known = known or reduced(evidence, leaf, given)
    return known or ("wrong_shape", f"the gradient has another shape than the parameter: {_shapes(given, right)}")


def reduced(evidence: Evidence, leaf: int, given: Any) -> Finding | None:
    """Returns (kind, text) if the right terms were summed over other axes than those along which a leaf is used."""
    given, right = np.asarray(given), evidence.reference[leaf]
    for whole in _unsummed(evidence, leaf):
        for count in range(whole.ndim + 1):
            for axes in itertools.combinations(range(whole.ndim), count):
                names = " and ".join(map(str, axes)) or "none"
                for total, how in ((whole.sum(axes), "summed"), (whole.mean(axes), "averaged")):
                    if total.size == given.size and np.allclose(total.ravel(), given.ravel(), rtol=1e-6, atol=0):
                        text = f"the terms are {how} over axis {names} of {list(whole.shape)}: {_shapes(given, right)}"
                        return "wrong_axis", text
    return None


def _unsummed(evidence: Evidence, leaf: int) -> Iterator[Any]:
    """The gradients of a leaf's uses, before they are summed over the places that share it."""
    frontier = [evidence.program.leaves[leaf]]
    while frontier:
        for position, place in evidence.uses.get(frontier.pop(), []):
            node = evidence.program.nodes[position]
            if node.op in VIEWS:
                yield np.asarray(evidence.cotangents_of(position))
                frontier += node.outputs
            elif stretched_axes(evidence, node, place):
                inputs = tuple(np.asarray(evidence.program.values[number]) for number in node.inputs)
                y = evidence.program.values[node.outputs[0]]
                yield np.asarray(RULES[node.op](evidence.cotangents_of(position), y, *inputs, **node.params)[place])


def _shapes(given: Any, right: Any) -> str:
    return f"expected {list(np.shape(right))}, found {list(np.shape(given))}"


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

    shapes = _shapes(given, right)
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
