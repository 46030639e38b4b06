"""Where gathers, scatters, dynamic slices and sorts read and write, as NumPy indices."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.linear import Index
from functional_nets.backprop.primitive import plain


class Places(NamedTuple):
    """A NumPy index into an operand, and the mask of its elements that lie within the operand."""

    at: Index
    inside: np.ndarray


def gather_places(shape: Sequence[int], indices: Any, dimension_numbers: Any, slice_sizes: Any, mode: Any) -> Places:
    """Return where a `gather` from an operand of `shape` reads."""
    dims = dimension_numbers
    places = _places(
        shape, plain(indices), slice_sizes, dims.offset_dims, dims.collapsed_slice_dims, dims.start_index_map,
        dims.operand_batching_dims, dims.start_indices_batching_dims,
    )  # fmt: skip
    # All other modes move a slice that sticks out back into the operand.
    return places if _name(mode) == "FILL_OR_DROP" else places._replace(inside=np.ones_like(places.inside))


def scatter_places(shape: Sequence[int], indices: Any, updates: Any, dimension_numbers: Any, mode: Any) -> Places:
    """Return where a `scatter` into an operand of `shape` writes its updates."""
    dims = dimension_numbers
    sizes = iter(updates.shape[axis] for axis in dims.update_window_dims)
    single = {*dims.inserted_window_dims, *dims.operand_batching_dims}
    places = _places(
        shape, plain(indices), [1 if d in single else next(sizes) for d in range(len(shape))],
        dims.update_window_dims, dims.inserted_window_dims, dims.scatter_dims_to_operand_dims,
        dims.operand_batching_dims, dims.scatter_indices_batching_dims,
    )  # fmt: skip
    # All other modes drop an update that sticks out.
    return places._replace(inside=np.ones_like(places.inside)) if _name(mode) == "CLIP" else places


def _name(mode: Any) -> str:
    return getattr(mode, "name", "")


def _places(
    shape: Sequence[int],
    indices: np.ndarray,
    sizes: Sequence[int],
    window_axes: Sequence[int],
    dropped: Sequence[int],
    index_map: Sequence[int],
    batching: Sequence[int],
    indices_batching: Sequence[int],
) -> Places:
    """Return an index with the axes of the slices: `window_axes` are those within a slice."""
    rank = indices.ndim - 1 + len(window_axes)
    slice_axes = [axis for axis in range(rank) if axis not in window_axes]
    windowed = [d for d in range(len(shape)) if d not in dropped and d not in batching]
    lengths = dict(zip([*slice_axes, *window_axes], [*indices.shape[:-1], *(sizes[d] for d in windowed)], strict=True))
    full = [lengths[axis] for axis in range(rank)]

    def along(axes: Sequence[int], values: np.ndarray) -> np.ndarray:
        return values.reshape([values.shape[axes.index(axis)] if axis in axes else 1 for axis in range(rank)])

    index: list[np.ndarray] = []
    inside: Any = True
    for d, n in enumerate(shape):
        place: Any = 0
        if d in index_map:
            start = indices[..., list(index_map).index(d)].astype(int)
            last = n - sizes[d]
            inside = inside & along(slice_axes, (start >= 0) & (start <= last))
            place = along(slice_axes, np.clip(start, 0, last))
        if d in batching:
            axis = slice_axes[indices_batching[list(batching).index(d)]]
            place = along([axis], np.arange(n))
        if d in windowed:
            place = place + along([window_axes[windowed.index(d)]], np.arange(sizes[d]))
        index.append(np.broadcast_to(place, full))
    return Places(tuple(index), np.broadcast_to(inside, full))


def writers(places: Places, shape: Sequence[int]) -> np.ndarray:
    """Return for each element of the operand which update is written there last: 1 + its number, or 0."""
    last = np.zeros(tuple(shape), int)
    last[tuple(part[places.inside] for part in places.at)] = 1 + np.flatnonzero(places.inside)
    return last


def dynamic_index(shape: Sequence[int], starts: Sequence[Any], sizes: Sequence[int]) -> Index:
    """Return the slices that begin at `starts`, moved back where they would leave the operand."""
    first = (min(max(int(plain(s)), 0), n - k) for s, n, k in zip(starts, shape, sizes, strict=True))
    return tuple(slice(s, s + k) for s, k in zip(first, sizes, strict=True))


def along_axis(order: np.ndarray, axis: int) -> Index:
    """Return the index that reads `order` along an axis, the same as `take_along_axis`."""
    rest = np.indices(order.shape, sparse=True)
    return (*rest[:axis], order, *rest[axis + 1 :])


def sort_order(keys: Sequence[Any], axis: int) -> np.ndarray:
    """Return the stable order by the first key, then the second, …; NaN comes last."""
    return np.lexsort([plain(key) for key in reversed(keys)], axis=axis)


def top_order(x: Any, k: int, axis: int) -> np.ndarray:
    """Return the places of the k largest, in order: of equal elements the earlier first, NaN before all."""
    flipped = np.argsort(np.flip(plain(x), axis), axis=axis, kind="stable")
    order = x.shape[axis] - 1 - np.flip(flipped, axis)
    return np.take(order, range(k), axis)
