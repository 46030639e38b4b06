"""NumPy's functions that move elements about without changing them, and those that join arrays."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from functional_nets.backprop.tape.dispatch import FUNCTIONS, plain
from functional_nets.backprop.tape.reductions import axes_of
from functional_nets.backprop.tape.variable import primitive


def moved(function: Callable[..., Any]) -> Callable[..., Any]:
    """What records a function that only picks elements of its first argument: as an index.

    Where each element of the result comes from is what the function makes of an array of places.
    """

    def pick(a: Any, *args: Any, **options: Any) -> Any:
        places = function(np.arange(np.size(a)).reshape(np.shape(a)), *plain(args), **plain(options))
        return np.reshape(a, -1)[places]

    return pick


def reshape(a: Any, shape: Any, order: str = "C") -> Any:
    """The same elements in another shape; one length may be -1."""
    if order == "F":
        sizes = np.empty(np.shape(a)).reshape(shape).shape
        return np.reshape(np.transpose(a), sizes[::-1]).T
    sizes = np.empty(np.shape(a), bool).reshape(shape).shape
    return primitive("reshape", a, new_sizes=sizes, dimensions=None)


def transpose(a: Any, axes: Any = None) -> Any:
    """The axes in another order, reversed if none is given."""
    order = tuple(range(np.ndim(a)))[::-1] if axes is None else axes_of(a, axes)
    if len(order) != np.ndim(a):
        raise ValueError("axes don't match array")
    return primitive("transpose", a, permutation=order)


def reordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """What records a function that only reorders axes: what it makes of lengths 0, 1, 2 … tells how."""

    def reorder(a: Any, *args: Any, **options: Any) -> Any:
        stand_in = np.broadcast_to(np.empty(()), tuple(range(np.ndim(a))))
        return np.transpose(a, function(stand_in, *args, **options).shape)

    return reorder


def reshaped(function: Callable[..., Any]) -> Callable[..., Any]:
    """What records a function that only adds or drops axes of length 1."""
    return lambda a, *args, **options: np.reshape(
        a, function(np.broadcast_to(np.empty(()), np.shape(a)), *args, **options).shape
    )


def broadcast_to(array: Any, shape: Any) -> Any:
    """The array repeated along new axes and along those of length 1."""
    shape = np.broadcast_to(np.broadcast_to(np.empty(()), np.shape(array)), shape).shape
    added = len(shape) - np.ndim(array)
    kept = tuple(range(added, len(shape)))
    return primitive("broadcast_in_dim", array, shape=shape, broadcast_dimensions=kept, sharding=None)


def flip(m: Any, axis: Any = None) -> Any:
    """The elements in reverse order along the axes."""
    return primitive("rev", m, dimensions=axes_of(m, axis))


def concatenate(arrays: Any, axis: int | None = 0) -> Any:
    """The arrays one after another along an axis."""
    if axis is None:
        arrays, axis = [np.reshape(a, -1) for a in arrays], 0
    (dimension,) = axes_of(arrays[0], axis)
    return primitive("concatenate", *arrays, compute=lambda *xs: np.concatenate(xs, dimension), dimension=dimension)


def stack(arrays: Any, axis: int = 0) -> Any:
    """The arrays side by side along a new axis."""
    return np.concatenate([np.expand_dims(a, axis) for a in arrays], axis)


def hstack(arrays: Any) -> Any:
    """The arrays one after another along the second axis, or the only one."""
    lifted = [np.atleast_1d(a) for a in arrays]
    return np.concatenate(lifted, 0 if np.ndim(lifted[0]) == 1 else 1)


def split(ary: Any, indices_or_sections: Any, axis: int = 0, *, even: bool = True) -> list[Any]:
    """The pieces between cuts along an axis; `even` asks for equal ones where their number is given."""
    (axis,) = axes_of(ary, axis)
    places = (np.split if even else np.array_split)(np.arange(np.shape(ary)[axis]), indices_or_sections)
    starts = [0, *np.cumsum([len(p) for p in places])]
    return [ary[(slice(None),) * axis + (slice(a, b),)] for a, b in pairwise(starts)]


def pad(array: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0, **options: Any) -> Any:
    """The array within a margin: of constants, or of its own elements as `mode` says."""
    if mode != "constant":
        if not isinstance(mode, str) or mode not in ("edge", "reflect", "symmetric", "wrap"):
            raise ValueError(f"mode={mode!r} makes new numbers; write it with np.concatenate")
        return moved(np.pad)(array, pad_width, mode, **options)
    if np.ndim(constant_values):
        raise ValueError("constant_values must be one number")
    widths = tuple((a, b, 0) for a, b in np.broadcast_to(pad_width, (np.ndim(array), 2)).tolist())
    return primitive("pad", array, constant_values * np.ones((), array.dtype), padding_config=widths)


def triangle(function: Callable[..., Any]) -> Callable[..., Any]:
    """What records `np.tril` and `np.triu`: zeros beyond the diagonal."""
    return lambda m, k=0: np.where(function(np.ones(np.shape(m)[-2:], bool), k), m, 0.0)


def diag(v: Any, k: int = 0) -> Any:
    """The diagonal of a matrix, or the matrix with a diagonal."""
    if np.ndim(v) == 2:
        return np.diagonal(v, k)
    places = np.diag(np.arange(1, np.size(v) + 1), k)
    return np.where(places > 0, v[np.maximum(places - 1, 0)], 0.0)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Write `src` into `dst` where the mask is true."""
    dst[...] = src if where is True else np.where(where, src, dst)


def fill_diagonal(a: Any, val: Any) -> None:
    """Write on the diagonal of a matrix."""
    places = np.arange(min(np.shape(a)))
    a[(places,) * np.ndim(a)] = val


def put(a: Any, ind: Any, v: Any) -> None:
    """Write at places of the flattened array."""
    a[np.unravel_index(ind, np.shape(a))] = v


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """The array turned by quarters in the plane of two axes."""
    first, second = axes_of(m, axes)
    k %= 4
    turned = np.swapaxes(m, first, second) if k % 2 else m
    turned = np.flip(turned, first) if k in (1, 2) else turned
    return np.flip(turned, second) if k in (2, 3) else turned


def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """The differences between neighbours along an axis, `n` times."""
    (axis,) = axes_of(a, axis)
    lead = (slice(None),) * axis
    for _ in range(n):
        a = a[(*lead, slice(1, None))] - a[(*lead, slice(None, -1))]
    return a


def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """What records a function of several arrays that treats each alone."""
    one = reshaped(function)
    return lambda *arrays: one(arrays[0]) if len(arrays) == 1 else tuple(map(one, arrays))


def broadcast_arrays(*arrays: Any) -> tuple[Any, ...]:
    """The arrays, all of the shape that they broadcast to."""
    shape = np.broadcast_shapes(*map(np.shape, arrays))
    return tuple(np.broadcast_to(a, shape) for a in arrays)


# fmt: off
FUNCTIONS |= {
    np.reshape:      reshape,
    np.ravel:        lambda a, order="C": np.reshape(a, -1, order=order),
    np.expand_dims:  reshaped(np.expand_dims),
    np.squeeze:      reshaped(np.squeeze),
    np.atleast_1d:   each(np.atleast_1d),
    np.atleast_2d:   each(np.atleast_2d),
    np.atleast_3d:   each(np.atleast_3d),
    np.transpose:    transpose,
    np.swapaxes:     reordered(np.swapaxes),
    np.moveaxis:     reordered(np.moveaxis),
    np.rollaxis:     reordered(np.rollaxis),
    np.matrix_transpose: reordered(np.matrix_transpose),
    np.broadcast_to: broadcast_to,
    np.broadcast_arrays: broadcast_arrays,
    np.flip:         flip,
    np.flipud:       lambda m: np.flip(m, 0),
    np.fliplr:       lambda m: np.flip(m, 1),
    np.rot90:        rot90,
    np.roll:         moved(np.roll),
    np.repeat:       moved(np.repeat),
    np.tile:         moved(np.tile),
    np.resize:       moved(np.resize),
    np.delete:       moved(np.delete),
    np.take:         moved(np.take),
    np.take_along_axis: moved(np.take_along_axis),
    np.diagonal:     moved(np.diagonal),
    np.lib.stride_tricks.sliding_window_view: moved(np.lib.stride_tricks.sliding_window_view),
    np.compress:     lambda condition, a, axis=None: moved(lambda x: np.compress(condition, x, axis))(a),
    np.extract:      lambda condition, arr: moved(lambda x: np.extract(condition, x))(arr),
    np.trace:        lambda a, *args, **options: np.sum(np.diagonal(a, *args, **options), -1),
    np.concatenate:  concatenate,
    np.append:       lambda arr, values, axis=None: np.concatenate([arr, values], axis),
    np.stack:        stack,
    np.hstack:       hstack,
    np.vstack:       lambda tup: np.concatenate([np.atleast_2d(a) for a in tup], 0),
    np.dstack:       lambda tup: np.concatenate([np.atleast_3d(a) for a in tup], 2),
    np.column_stack: lambda tup: np.concatenate([a[:, None] if np.ndim(a) == 1 else a for a in tup], 1),
    np.split:        split,
    np.array_split:  partial(split, even=False),
    np.hsplit:       lambda ary, cuts: split(ary, cuts, 0 if np.ndim(ary) == 1 else 1),
    np.vsplit:       split,
    np.dsplit:       lambda ary, cuts: split(ary, cuts, 2),
    np.pad:          pad,
    np.tril:         triangle(np.tril),
    np.triu:         triangle(np.triu),
    np.diag:         diag,
    np.diff:         diff,
    np.copyto:       copyto,
    np.put:          put,
    np.fill_diagonal: fill_diagonal,
}
# fmt: on
