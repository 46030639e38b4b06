"""The values of reads and writes at computed places, and of sorting."""

from collections.abc import Callable
from typing import Any

import numpy as np

from functional_nets.backprop.indexing import (
    along_axis,
    dynamic_index,
    gather_places,
    scatter_places,
    sort_order,
    top_order,
)
from functional_nets.backprop.pooling import highest, lowest
from functional_nets.backprop.values.table import value


def dynamic_update_slice(x: Any, update: Any, *starts: Any) -> Any:
    """Return a copy with a block overwritten."""
    out = x.copy()
    out[dynamic_index(x.shape, starts, update.shape)] = update
    return out


def gather(x: Any, indices: Any, *, dimension_numbers: Any, slice_sizes: Any, mode: Any, fill_value: Any) -> Any:
    """Return the slices that begin at `indices`."""
    places = gather_places(x.shape, indices, dimension_numbers, slice_sizes, mode)
    if fill_value is None:
        fill_value = {"i": lowest, "u": highest, "b": highest}.get(x.dtype.kind, lambda _: np.nan)(x.dtype)
    return np.where(places.inside, x[places.at], np.asarray(fill_value, x.dtype))


def scatter(write: Callable[[Any, Any, Any], None]) -> Callable[..., Any]:
    """Return the value of a scatter that brings the updates in by `write(out, index, updates)`."""

    def formula(x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any) -> Any:
        places = scatter_places(x.shape, indices, updates, dimension_numbers, mode)
        out = x.copy()
        write(out, tuple(part[places.inside] for part in places.at), updates[places.inside])
        return out

    return formula


def overwrite(out: Any, index: Any, updates: Any) -> None:
    """Write the updates in order: the last one stays."""
    out[index] = updates


def sort(*xs: Any, dimension: int, num_keys: int) -> tuple[Any, ...]:
    """Return the operands in the order of the first `num_keys` of them."""
    index = along_axis(sort_order(xs[:num_keys], dimension), dimension)
    return tuple(x[index] for x in xs)


def top_k(x: Any, *, k: int, axis: int) -> tuple[Any, Any]:
    """Return the k largest, and where they are."""
    order = top_order(x, k, axis)
    return x[along_axis(order, axis)], order.astype(np.int32)


# fmt: off
value("dynamic_slice",        lambda x, *starts, slice_sizes: x[dynamic_index(x.shape, starts, slice_sizes)])
value("dynamic_update_slice", dynamic_update_slice)
value("gather",               gather)
value("scatter",              scatter(overwrite))
value("scatter-add",          scatter(np.add.at))
value("scatter-sub",          scatter(np.subtract.at))
value("scatter-mul",          scatter(np.multiply.at))
value("scatter-min",          scatter(np.minimum.at))
value("scatter-max",          scatter(np.maximum.at))
value("sort",                 sort)
value("top_k",                top_k)
# fmt: on
