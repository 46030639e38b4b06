"""NumPy's reductions: sums, products, extremes and what is made of them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from functional_nets.backprop.tape.dispatch import FUNCTIONS, plain
from functional_nets.backprop.tape.variable import primitive


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    """The axes that `axis` names: all without one, counted from the start."""
    if axis is None:
        return tuple(range(np.ndim(x)))
    return np.lib.array_utils.normalize_axis_tuple(axis, np.ndim(x), "axis")


def count(x: Any, axis: Any) -> int:
    """How many elements go into each element of a reduction."""
    return math.prod(np.shape(x)[i] for i in axes_of(x, axis))


def in_type(a: Any, dtype: Any) -> Any:
    """The array in the type that the sum is to be taken in."""
    return a if dtype is None or np.dtype(dtype) == a.dtype else a.astype(dtype)


def reduction(name: str, function: Callable[..., Any], first: Any = None) -> Callable[..., Any]:
    """What records a reduction; `first` is the axis where none is named."""

    def reduce(a: Any, axis: Any = first, dtype: Any = None, out: None = None, keepdims: bool = False) -> Any:
        axes = axes_of(a, axis)
        reduced = primitive(name, in_type(a, dtype), compute=lambda x: function(x, axis=axes), axes=axes)
        if not keepdims:
            return reduced
        return np.reshape(reduced, [1 if i in axes else n for i, n in enumerate(np.shape(a))])

    return reduce


def extreme(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for `np.max` and `np.min`, which take no `dtype`."""
    reduce = reduction(name, function)
    return lambda a, axis=None, out=None, keepdims=False: reduce(a, axis, keepdims=keepdims)


def cumulative(name: str, function: Callable[..., Any], first: int | None = None) -> Callable[..., Any]:
    """What records a cumulative sum or product; without an axis, of the flattened array."""

    def accumulate(a: Any, axis: Any = first, dtype: Any = None) -> Any:
        a = in_type(a, dtype)
        if axis is None:
            a, axis = np.reshape(a, -1), 0
        (axis,) = axes_of(a, axis)
        return primitive(name, a, compute=lambda x: function(x, axis), axis=axis, reverse=False)

    return accumulate


def mean(a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> Any:
    """The sum divided by how many there are."""
    return np.sum(a, axis, dtype, keepdims=keepdims) / count(a, axis)


def var(a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The mean square of the distance to the mean."""
    centred = a - np.mean(a, axis, dtype, keepdims=True)
    return np.sum(centred * centred, axis, keepdims=keepdims) / (count(a, axis) - ddof)


def std(*args: Any, **options: Any) -> Any:
    """The root of the variance."""
    return np.sqrt(var(*args, **options))


def average(a: Any, axis: Any = None, weights: Any = None) -> Any:
    """The mean, each element counted by its weight."""
    if weights is None:
        return np.mean(a, axis)
    if np.shape(weights) != np.shape(a) and axis is not None:
        (axis,) = axes_of(a, axis)
        weights = np.reshape(weights, [-1 if i == axis else 1 for i in range(np.ndim(a))])
    weights = np.broadcast_to(weights, np.shape(a))
    return np.sum(a * weights, axis) / np.sum(weights, axis)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The length of vectors: of the whole array without an axis."""
    vector = (axis is not None and np.ndim(axis) == 0) or (axis is None and np.ndim(x) == 1)
    if ord in (None, "fro") or (ord == 2 and vector):
        return np.sqrt(np.sum(x * x, axis, keepdims=keepdims))
    if vector and ord in (1, math.inf):
        return (np.sum if ord == 1 else np.max)(np.abs(x), axis, keepdims=keepdims)
    raise ValueError(f"ord={ord!r} has no recording; write it with sums and powers")


def sort(a: Any, axis: int | None = -1) -> Any:
    """The elements in order, by the places that `np.argsort` gives."""
    a, axis = (np.reshape(a, -1), 0) if axis is None else (a, axis)
    return np.take_along_axis(a, np.argsort(plain(a), axis, kind="stable"), axis)


def median(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The mean of the one or two elements in the middle."""
    kept = [i for i in range(np.ndim(a)) if i not in axes_of(a, axis)]
    rows = np.reshape(np.transpose(a, (*kept, *axes_of(a, axis))), (*(np.shape(a)[i] for i in kept), -1))
    n = rows.shape[-1]
    middle = np.mean(np.sort(rows, -1)[..., (n - 1) // 2 : n // 2 + 1], -1)
    shape = [n if i in kept else 1 for i, n in enumerate(np.shape(a))]
    return np.reshape(middle, shape) if keepdims else middle


# fmt: off
FUNCTIONS |= {
    np.sum:     reduction("reduce_sum", np.sum),
    np.prod:    reduction("reduce_prod", np.prod),
    np.max:     extreme("reduce_max", np.max),
    np.min:     extreme("reduce_min", np.min),
    np.amax:    extreme("reduce_max", np.max),
    np.amin:    extreme("reduce_min", np.min),
    np.cumsum:  cumulative("cumsum", np.cumsum),
    np.cumprod: cumulative("cumprod", np.cumprod),
    np.mean:    mean,
    np.var:     var,
    np.std:     std,
    np.average: average,
    np.median:  median,
    np.ptp:     lambda a, axis=None, **options: np.max(a, axis, **options) - np.min(a, axis, **options),
    np.sort:    sort,
    np.linalg.norm: norm,
    # The methods of ufuncs reduce the first axis unless told otherwise.
    np.add.reduce:          reduction("reduce_sum", np.sum, 0),
    np.multiply.reduce:     reduction("reduce_prod", np.prod, 0),
    np.maximum.reduce:      reduction("reduce_max", np.max, 0),
    np.minimum.reduce:      reduction("reduce_min", np.min, 0),
    np.add.accumulate:      cumulative("cumsum", np.cumsum, 0),
    np.multiply.accumulate: cumulative("cumprod", np.cumprod, 0),
}
# fmt: on
