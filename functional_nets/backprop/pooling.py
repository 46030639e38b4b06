"""Sliding windows over all axes, as pooling uses them: sums of windows, and where their extremes are."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.linear import (
    Padding,
    fold,
    outside,
    pad,
    padded,
    scatter_add,
    take,
    unpad,
    window_positions,
    windows,
)
from functional_nets.backprop.primitive import plain


class Windows(NamedTuple):
    """The windows of one `reduce_window` over an array of `shape`."""

    shape: tuple[int, ...]
    window_dimensions: Sequence[int]
    window_strides: Sequence[int]
    padding: Sequence[tuple[int, int]]
    base_dilation: Sequence[int] | None = None
    window_dilation: Sequence[int] | None = None

    @property
    def _padding(self) -> Padding:
        dilation = self.base_dilation or (1,) * len(self.shape)
        return [(low, high, d - 1) for (low, high), d in zip(self.padding, dilation, strict=True)]

    @property
    def dilation(self) -> Sequence[int]:
        """How far apart the elements of a window are."""
        return self.window_dilation or (1,) * len(self.shape)

    @property
    def positions(self) -> tuple[int, ...]:
        """How many windows there are along each axis."""
        padded_shape, _, _ = padded(self.shape, self._padding)
        return window_positions(padded_shape, self.window_dimensions, self.window_strides, self.dilation)

    def padded(self, x: Any, fill: Any) -> np.ndarray:
        """Return the array that the windows slide over."""
        shape, _, placed = padded(self.shape, self._padding)
        return np.where(outside(placed, shape), fill, pad(x, self._padding))

    def fold_sum(self, g: Any) -> Any:
        """Add `g`, one number a window, to every element of its window: the transpose of summing windows."""
        columns = np.reshape(g, (*self.positions, *(1 for _ in self.shape)))
        repeated = np.broadcast_to(columns, (*self.positions, *self.window_dimensions))
        shape, _, _ = padded(self.shape, self._padding)
        folded = fold(repeated, shape=shape, strides=self.window_strides, dilation=self.dilation)
        return unpad(folded, self._padding, self.shape)

    def extremes(self, x: Any, largest: bool) -> np.ndarray:
        """Return where in the flat `x` the extreme of each window is: the first of several, -1 in the padding."""

        def flat(values: np.ndarray, fill: Any) -> np.ndarray:
            view = windows(
                self.padded(values, fill),
                size=self.window_dimensions, strides=self.window_strides, dilation=self.dilation,
            )  # fmt: skip
            return view.reshape((*self.positions, math.prod(self.window_dimensions)))

        values = flat(plain(x), lowest(x.dtype) if largest else highest(x.dtype))
        places = flat(np.arange(math.prod(self.shape)).reshape(self.shape), -1)
        first = np.argmax(values, -1) if largest else np.argmin(values, -1)
        return np.take_along_axis(places, first[..., None], -1)[..., 0]


def gather_flat(x: Any, places: np.ndarray) -> Any:
    """Read the flat `x` at `places`; zero where a place is -1."""
    extended = np.concatenate([np.ravel(x), np.zeros(1, x.dtype)])
    return take(extended, index=(places,))


def scatter_flat(g: Any, places: np.ndarray, shape: tuple[int, ...]) -> Any:
    """Add `g` at `places` of a flat array, dropped where a place is -1: the transpose of `gather_flat`."""
    size = math.prod(shape)
    extended = scatter_add(g, index=(places,), shape=(size + 1,))
    return np.reshape(take(extended, index=(slice(0, size),)), shape)


def lowest(dtype: Any) -> Any:
    """Return what is never the larger of two numbers of a type."""
    kind = np.dtype(dtype).kind
    return -np.inf if kind == "f" else False if kind == "b" else np.iinfo(dtype).min


def highest(dtype: Any) -> Any:
    """Return what is never the smaller of two numbers of a type."""
    kind = np.dtype(dtype).kind
    return np.inf if kind == "f" else True if kind == "b" else np.iinfo(dtype).max
