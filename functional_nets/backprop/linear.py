"""Linear maps in pairs: each is the transpose of its partner, and the backward pass is made of transposes.

    take      ↔  scatter_add      elements of an array, by any NumPy index
    windows   ↔  fold             sliding windows over the last axes
    contract  ↔  contract         sums of products over shared axes, in both operands

Whatever moves numbers without changing them (slices, padding, gathers, sorts, pooling) is made of the first
pair, a convolution of all three. `rules/linear.py` states the same pairs as rules, so that second derivatives
need nothing new.
"""

import itertools
import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from functional_nets.backprop.primitive import primitive

Index = tuple[Any, ...]
Labels = Sequence[Hashable]


@primitive
def take(x: Any, *, index: Index) -> Any:
    """Return `x[index]`, for any NumPy index: integers, slices, integer arrays, masks."""
    return x[index]


@primitive
def scatter_add(x: Any, *, index: Index, shape: tuple[int, ...]) -> Any:
    """Return zeros of `shape` with `x` added at `index`: an element that is named twice gets both."""
    if all(isinstance(part, slice | int | np.integer) for part in index):
        out = np.zeros(shape, x.dtype)
        out[index] = x
        return out
    size = math.prod(shape)
    positions = np.arange(size).reshape(shape)[index].ravel()
    # `bincount` adds in one pass; `np.add.at` does the same some ten times slower.
    total = sum(
        unit * np.bincount(positions, np.ravel(part), size)
        for unit, part in ((1, np.real(x)), (1j, np.imag(x)))
        if unit == 1 or np.iscomplexobj(x)
    )
    return np.reshape(total, shape).astype(x.dtype)


@primitive
def windows(x: Any, *, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Any:
    """Return the windows that slide over the last `len(size)` axes, as `x.shape[:-n] + positions + size`.

    A window takes every `dilation`-th element, and moves by `strides`. Without room for one there are none.
    """
    n = len(size)
    extents = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
    lead, room = x.shape[: x.ndim - n], x.shape[x.ndim - n :]
    if any(length < extent for length, extent in zip(room, extents, strict=True)):
        return np.empty((*lead, *window_positions(room, size, strides, dilation), *size), x.dtype)
    view = np.lib.stride_tricks.sliding_window_view(x, extents, tuple(range(x.ndim - n, x.ndim)))
    every: Index = (..., *(slice(None, None, step) for step in (*strides, *dilation)))
    return view[every]


@primitive
def fold(x: Any, *, shape: tuple[int, ...], strides: Sequence[int], dilation: Sequence[int]) -> Any:
    """Add windows back to an array of `shape` where they were taken: the transpose of `windows`."""
    n = len(strides)
    out = np.zeros(shape, x.dtype)
    for tap, index in taps(x.shape[x.ndim - 2 * n : x.ndim - n], x.shape[x.ndim - n :], strides, dilation):
        out[index] += x[(..., *tap)]
    return out


def taps(
    positions: Sequence[int], size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], Index]]:
    """Yield each place within a window, with the index of the elements which the windows have there."""
    for tap in itertools.product(*map(range, size)):
        starts = (k * d for k, d in zip(tap, dilation, strict=True))
        spans = zip(starts, positions, strides, strict=True)
        yield tap, (..., *(slice(a, a + (m - 1) * s + 1, s) if m else slice(0, 0) for a, m, s in spans))


def window_positions(
    shape: Sequence[int], size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    """Return how many places a window has along each axis."""
    return tuple(
        max(0, (length - (k - 1) * d - 1) // s + 1)
        for length, k, s, d in zip(shape, size, strides, dilation, strict=True)
    )


@primitive
def contract(a: Any, b: Any, *, labels: tuple[Labels, Labels, Labels]) -> Any:
    """Return a sum of products of two arrays with named axes, like `einsum`, by matrix products.

    `labels` names the axes of `a`, of `b` and of the result. A label that the result lacks is summed over;
    every label stands in two of the three at least.
    """
    of_a, of_b, of_out = (tuple(each) for each in labels)
    batch = [l for l in of_a if l in of_b and l in of_out]
    summed = [l for l in of_a if l in of_b and l not in of_out]
    rows = [l for l in of_a if l not in of_b]
    columns = [l for l in of_b if l not in of_a]
    size = dict(zip(of_a + of_b, a.shape + b.shape, strict=True))

    def matrices(x: Any, names: tuple[Hashable, ...], *groups: list[Hashable]) -> Any:
        order = [names.index(l) for group in groups for l in group]
        return np.transpose(x, order).reshape([math.prod(size[l] for l in group) for group in groups])

    product = matrices(a, of_a, batch, rows, summed) @ matrices(b, of_b, batch, summed, columns)
    labelled = batch + rows + columns
    return np.transpose(product.reshape([size[l] for l in labelled]), [labelled.index(l) for l in of_out])


# `pad` is made of the first pair, and so is its transpose.

Padding = Sequence[tuple[int, int, int]]


def pad(x: Any, padding: Padding) -> Any:
    """Pad with zeros: before, after and between the elements of each axis; a negative width cuts away."""
    shape, kept, placed = padded(x.shape, padding)
    return scatter_add(take(x, index=kept), index=placed, shape=shape)


def unpad(x: Any, padding: Padding, shape: tuple[int, ...]) -> Any:
    """Return the transpose of `pad` on arrays of `shape`: it drops what was padded, and pads what was cut."""
    _, kept, placed = padded(shape, padding)
    return scatter_add(take(x, index=placed), index=kept, shape=shape)


def padded(shape: Sequence[int], padding: Padding) -> tuple[tuple[int, ...], Index, Index]:
    """Return the shape after padding, the index of the elements that are kept, and where they go."""
    sizes, kept, placed = [], [], []
    for n, (low, high, interior) in zip(shape, padding, strict=True):
        step = interior + 1
        size = max(0, low + high + max(0, (n - 1) * step + 1))
        first = max(0, -(low // step))  # The first whose place low + i·step is not negative …
        stop = max(first, min(n, (size - 1 - low) // step + 1))  # … and the first beyond the end.
        start = low + first * step
        sizes.append(size)
        kept.append(slice(first, stop))
        placed.append(slice(start, start + (stop - first - 1) * step + 1, step) if stop > first else slice(0, 0))
    return tuple(sizes), tuple(kept), tuple(placed)


def outside(index: Index, shape: Sequence[int]) -> np.ndarray:
    """Return the mask of the elements that `index` does not reach."""
    mask = np.ones(tuple(shape), bool)
    mask[index] = False
    return mask
