"""Primitives that move values without changing them: their cotangents move back."""

import itertools
from typing import Any

import numpy as np

from functional_nets.backprop.linear import outside, padded, scatter_add, take, unpad
from functional_nets.backprop.rules.table import rule
from functional_nets.backprop.special import reduce_precision


def along(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    """Return the index of the elements from `start` to `stop` along an axis."""
    return (slice(None),) * axis + (slice(start, stop),)


def concatenate(g: Any, y: Any, *xs: Any, dimension: int) -> tuple[Any, ...]:
    """Cut the cotangent where the parts meet."""
    stops = itertools.accumulate(x.shape[dimension] for x in xs)
    return tuple(
        take(g, index=along(dimension, stop - x.shape[dimension], stop)) for x, stop in zip(xs, stops, strict=True)
    )


def pad(g: Any, y: Any, x: Any, fill: Any, *, padding_config: Any) -> tuple[Any, ...]:
    """Cut the padding off; the value that fills it gets what is cut off."""
    shape, _, placed = padded(x.shape, padding_config)
    return unpad(g, padding_config, x.shape), g * outside(placed, shape)


def slice_(g: Any, y: Any, x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> tuple[Any, ...]:
    """Put the cotangent back where the slice was read."""
    index = tuple(map(slice, start_indices, limit_indices, strides or (1,) * len(start_indices)))
    return (scatter_add(g, index=index, shape=x.shape),)


def broadcast_in_dim(g: Any, y: Any, x: Any, *, broadcast_dimensions: Any) -> tuple[Any]:
    """Sum over the axes that were added; `backward` sums over those that were stretched."""
    return (np.sum(g, axis=tuple(axis for axis in range(y.ndim) if axis not in broadcast_dimensions)),)


def tile(g: Any, y: Any, x: Any, *, reps: Any) -> tuple[Any, ...]:
    """Sum over the copies."""
    copies = np.reshape(g, tuple(itertools.chain(*zip(reps, x.shape, strict=True))))
    return (np.sum(copies, axis=tuple(range(0, copies.ndim, 2))),)


# fmt: off
rule("reshape",          lambda g, y, x: (np.reshape(g, x.shape),))
rule("squeeze",          lambda g, y, x: (np.reshape(g, x.shape),))
rule("expand_dims",      lambda g, y, x: (np.reshape(g, x.shape),))
rule("transpose",        lambda g, y, x, *, permutation: (
                             np.transpose(g, np.argsort(permutation)),))
rule("rev",              lambda g, y, x, *, dimensions: (np.flip(g, dimensions),))
rule("broadcast_in_dim", broadcast_in_dim)
rule("tile",             tile)
rule("concatenate",      concatenate)
rule("split",            lambda g, y, x, *, axis: (np.concatenate(g, axis),), several=True)
rule("stack",            lambda g, y, *xs, axis: tuple(
                             take(g, index=(slice(None),) * axis + (i,)) for i in range(len(xs))))
rule("unstack",          lambda g, y, x, *, axis: (np.stack(g, axis),), several=True)
rule("pad",              pad)
rule("slice",            slice_)

# The same value under another type, name or place.
rule("copy",                 lambda g, y, x: (g,))
rule("copy_p",               lambda g, y, x: (g,))
rule("name",                 lambda g, y, x: (g,))
rule("sharding_constraint",  lambda g, y, x: (g,))
rule("layout_constraint",    lambda g, y, x: (g,))
rule("reshard",              lambda g, y, x: (g,))
rule("device_put",           lambda g, y, *xs: g, several=True)
rule("optimization_barrier", lambda g, y, *xs: g, several=True)
rule("reduce_precision",     lambda g, y, x, *, exponent_bits, mantissa_bits: (
                                 reduce_precision(
                                     g, exponent_bits=exponent_bits, mantissa_bits=mantissa_bits),))
# A number cast to an integer has no gradient; the imaginary part that a cast adds or drops has none either.
rule("convert_element_type", lambda g, y, x: (
                                 None if y.dtype.kind in "biu" else
                                 g + 0j if x.dtype.kind == "c" else
                                 np.real(g) if y.dtype.kind == "c" else g,))
# fmt: on
