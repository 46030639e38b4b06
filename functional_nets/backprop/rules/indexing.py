"""Reading and writing at computed places: a read adds its cotangent back, a write takes it from there."""

import math
from typing import Any

import numpy as np

from functional_nets.backprop.indexing import (
    along_axis,
    dynamic_index,
    gather_places,
    scatter_places,
    sort_order,
    top_order,
    writers,
)
from functional_nets.backprop.linear import outside, scatter_add, take
from functional_nets.backprop.rules.table import NoRuleError, rule


def dynamic_slice(g: Any, y: Any, x: Any, *starts: Any, slice_sizes: Any) -> tuple[Any, ...]:
    """Put the cotangent back where the slice was read."""
    index = dynamic_index(x.shape, starts, slice_sizes)
    return scatter_add(g, index=index, shape=x.shape), *(None for _ in starts)


def dynamic_update_slice(g: Any, y: Any, x: Any, update: Any, *starts: Any) -> tuple[Any, ...]:
    """Part the cotangent: the old values keep what was not overwritten."""
    index = dynamic_index(x.shape, starts, update.shape)
    return g * outside(index, x.shape), take(g, index=index), *(None for _ in starts)


def gather(
    g: Any, y: Any, x: Any, indices: Any, *, dimension_numbers: Any, slice_sizes: Any, mode: Any
) -> tuple[Any, None]:
    """Add the cotangent back where it was read, as often as it was."""
    places = gather_places(x.shape, indices, dimension_numbers, slice_sizes, mode)
    return scatter_add(g * places.inside, index=places.at, shape=x.shape), None


def scatter_added(
    g: Any, y: Any, x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any
) -> tuple[Any, None, Any]:
    """Pass the cotangent to the old values, and read that of the updates where they were added."""
    places = scatter_places(x.shape, indices, updates, dimension_numbers, mode)
    return g, None, take(g, index=places.at) * places.inside


def scatter_subtracted(
    g: Any, y: Any, x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any
) -> tuple[Any, None, Any]:
    """Pass the cotangent to the old values, and minus it to the updates."""
    places = scatter_places(x.shape, indices, updates, dimension_numbers, mode)
    return g, None, -take(g, index=places.at) * places.inside


def scatter(
    g: Any, y: Any, x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any
) -> tuple[Any, None, Any]:
    """Part the cotangent between the old values and the updates that were not overwritten themselves."""
    places = scatter_places(x.shape, indices, updates, dimension_numbers, mode)
    last = writers(places, x.shape)
    numbers = 1 + np.arange(math.prod(updates.shape)).reshape(updates.shape)
    stays = last[places.at] == numbers  # Later updates overwrite earlier ones.
    return g * (last == 0), None, take(g, index=places.at) * stays


def scatter_multiplied(
    g: Any, y: Any, x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any
) -> tuple[Any, None, Any]:
    """Apply the product rule where an update was written."""
    places = scatter_places(x.shape, indices, updates, dimension_numbers, mode)
    hits = scatter_add(1.0 * places.inside, index=places.at, shape=x.shape)
    if np.any(hits > 1):
        raise NoRuleError("Expected 'scatter-mul' at indices that differ, got some twice: it has no rule for those.")
    factors = scatter_add(updates * places.inside, index=places.at, shape=x.shape) + (hits == 0)
    return g * factors, None, take(g * x, index=places.at) * places.inside


def scatter_extreme(
    g: Any, y: Any, x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any
) -> tuple[Any, None, Any]:
    """Share the cotangent equally among the old value and the updates that equal the new one."""
    places = scatter_places(x.shape, indices, updates, dimension_numbers, mode)
    stays = x == y
    attains = (updates == take(y, index=places.at)) & places.inside
    share = g / (stays + scatter_add(1.0 * attains, index=places.at, shape=x.shape))
    return share * stays, None, take(share, index=places.at) * attains


def sort(g: Any, y: Any, *xs: Any, dimension: int, num_keys: int) -> tuple[Any, ...]:
    """Put the cotangents back in the order in which the values came."""
    index = along_axis(sort_order(xs[:num_keys], dimension), dimension)
    return tuple(
        None if x.dtype.kind in "biu" else scatter_add(each, index=index, shape=x.shape)
        for each, x in zip(g, xs, strict=True)
    )


def top_k(g: Any, y: Any, x: Any, *, k: int, axis: int) -> tuple[Any]:
    """Put the cotangent of the largest back where they were found."""
    return (scatter_add(g[0], index=along_axis(top_order(x, k, axis), axis), shape=x.shape),)


# fmt: off
rule("dynamic_slice",        dynamic_slice)
rule("dynamic_update_slice", dynamic_update_slice)
rule("gather",               gather)
rule("scatter",              scatter)
rule("scatter-add",          scatter_added)
rule("scatter-sub",          scatter_subtracted)
rule("scatter-mul",          scatter_multiplied)
rule("scatter-min",          scatter_extreme)
rule("scatter-max",          scatter_extreme)
rule("sort",                 sort, several=True)
rule("top_k",                top_k, several=True)
# fmt: on
