"""Reductions: the cotangent of the result goes back to each element that made it."""

import math
from typing import Any

import numpy as np

from functional_nets.backprop.rules.table import rule


def spread(g: Any, axes: Any, x: Any) -> Any:
    """Repeat `g` along the axes of `x` that were reduced."""
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    return np.broadcast_to(np.reshape(g, kept), x.shape)


def shared(g: Any, y: Any, x: Any, *, axes: Any) -> tuple[Any]:
    """Give the cotangent to the elements that equal the result: those that tie get equal parts."""
    chosen = x == spread(y, axes, x)
    return (spread(g / np.sum(chosen, axis=tuple(axes)), axes, x) * chosen,)


def others(x: Any, axes: Any) -> Any:
    """Return for each element the product of all others along the axes.

    The products before and after it: unlike y / x, right where elements are zero.
    """
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    order = (*axes, *kept)
    moved = np.transpose(x, order)
    rows = np.reshape(moved, [math.prod(x.shape[axis] for axis in group) for group in (axes, kept)])
    one = np.ones(rows[:1].shape)
    before = np.cumprod(np.concatenate([one, rows[:-1]], 0), 0)
    after = np.flip(np.cumprod(np.concatenate([one, np.flip(rows[1:], 0)], 0), 0), 0)
    return np.transpose(np.reshape(before * after, moved.shape), np.argsort(order))


# fmt: off
rule("reduce_sum",  lambda g, y, x, *, axes: (spread(g, axes, x),))
rule("reduce_prod", lambda g, y, x, *, axes: (spread(g, axes, x) * others(x, axes),))
rule("reduce_max",  shared)
rule("reduce_min",  shared)
# fmt: on
