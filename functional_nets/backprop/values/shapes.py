"""The values of primitives that move numbers, and of those that only rename them."""

from typing import Any

import numpy as np

from functional_nets.backprop import linear
from functional_nets.backprop.special import reduce_precision
from functional_nets.backprop.values.table import value, wide


def broadcast_in_dim(x: Any, *, shape: Any, broadcast_dimensions: Any) -> Any:
    """Return `x` with its axes at `broadcast_dimensions` of a larger shape."""
    kept = dict(zip(broadcast_dimensions, x.shape, strict=True))
    return np.broadcast_to(x.reshape([kept.get(axis, 1) for axis in range(len(shape))]), shape)


def pad(x: Any, fill: Any, *, padding_config: Any) -> Any:
    """Return `x` with `fill` before, after and between its elements; a negative width cuts away."""
    shape, kept, placed = linear.padded(x.shape, padding_config)
    out = np.full(shape, fill, x.dtype)
    out[placed] = x[kept]
    return out


def slice_(x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
    """Return every `strides`-th element between two corners."""
    return x[tuple(map(slice, start_indices, limit_indices, strides or (1,) * x.ndim))]


def iota(*, dtype: Any, shape: Any, dimension: int) -> Any:
    """Return integers that count along one axis."""
    counted = np.indices(shape, sparse=True)[dimension]
    return np.broadcast_to(counted, shape).astype(wide(dtype))


def convert_element_type(x: Any, *, new_dtype: Any) -> Any:
    """Return `x` in another type, where every float is a float64."""
    target = wide(new_dtype)
    real = np.real(x) if x.dtype.kind == "c" and target.kind != "c" else x
    return nearest(real, target) if real.dtype.kind == "f" and target.kind in "iu" else real.astype(target)


def nearest(x: Any, integer: Any) -> Any:
    """Return the integers to which floats are cut, within the range of the type as in XLA; 0 for NaN."""
    low, high = np.iinfo(integer).min, np.iinfo(integer).max
    whole = np.where(np.isnan(x), 0, x).astype(integer)
    return np.where(x >= high, high, np.where(x <= low, low, whole)).astype(integer)


def bitcast_convert_type(x: Any, *, new_dtype: Any) -> Any:
    """Read the bits as another type of the same width, in which a float64 stands for a narrower float."""
    narrow = x.astype(f"{x.dtype.kind}{new_dtype.itemsize}")
    return narrow.view(new_dtype).astype(wide(new_dtype))


# fmt: off
value("reshape",          lambda x, *, new_sizes: x.reshape(new_sizes))
value("squeeze",          lambda x, *, dimensions: np.squeeze(x, tuple(dimensions)))
value("expand_dims",      lambda x, *, dimensions: np.expand_dims(x, tuple(dimensions)))
value("transpose",        lambda x, *, permutation: np.transpose(x, permutation))
value("rev",              lambda x, *, dimensions: np.flip(x, tuple(dimensions)))
value("broadcast_in_dim", broadcast_in_dim)
value("tile",             lambda x, *, reps: np.tile(x, reps))
value("concatenate",      lambda *xs, dimension: np.concatenate(xs, dimension))
value("split",            lambda x, *, sizes, axis: tuple(np.split(x, np.cumsum(sizes)[:-1], axis)))
value("stack",            lambda *xs, axis: np.stack(xs, axis))
value("unstack",          lambda x, *, axis: tuple(np.moveaxis(x, axis, 0)))
value("pad",              pad)
value("slice",            slice_)
value("iota",             iota)

value("take",             linear.take)
value("scatter_add",      linear.scatter_add)
value("windows",          linear.windows)
value("fold",             linear.fold)
value("contract",         linear.contract)

value("copy",                 lambda x: x)
value("copy_p",               lambda x: x)
value("name",                 lambda x: x)
value("stop_gradient",        lambda x: x)
value("sharding_constraint",  lambda x: x)
value("layout_constraint",    lambda x: x)
value("reshard",              lambda x: x)
value("device_put",           lambda *xs: xs)
value("optimization_barrier", lambda *xs: xs)
value("reduce_precision",     reduce_precision)
value("convert_element_type", convert_element_type)
value("bitcast_convert_type", bitcast_convert_type)
# fmt: on
