"""The values of pooling."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from functional_nets.backprop.linear import taps
from functional_nets.backprop.pooling import Windows, gather_flat, highest, lowest, scatter_flat
from functional_nets.backprop.values.table import value


def reduce_window(ufunc: Callable[[Any, Any], Any], start: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the value of the pooling that combines a window by `ufunc`; padding counts as `start(dtype)`."""

    def formula(
        x: Any,
        *,
        window_dimensions: Any,
        window_strides: Any,
        padding: Any,
        base_dilation: Any,
        window_dilation: Any,
    ) -> Any:
        windows = Windows(x.shape, window_dimensions, window_strides, padding, base_dilation, window_dilation)
        padded = windows.padded(x, start(x.dtype))
        # One pass over the array for each place in the window: faster than a reduction over tiny axes.
        places = taps(windows.positions, window_dimensions, window_strides, windows.dilation)
        return functools.reduce(ufunc, (padded[index] for _, index in places))

    return formula


def select_and_scatter_add(
    source: Any, x: Any, *, select_prim: Any, window_dimensions: Any, window_strides: Any, padding: Any
) -> Any:
    """Add each source to the element that its window selects."""
    windows = Windows(x.shape, window_dimensions, window_strides, padding)
    return scatter_flat(source, windows.extremes(x, select_prim.name == "ge"), x.shape)


def select_and_gather_add(
    tangents: Any, x: Any, *, select_prim: Any, window_dimensions: Any, window_strides: Any, padding: Any,
    base_dilation: Any, window_dilation: Any,
) -> Any:  # fmt: skip
    """Read the tangent of the element that each window selects."""
    windows = Windows(x.shape, window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return gather_flat(tangents, windows.extremes(x, select_prim.name == "ge"))


# fmt: off
value("reduce_window_sum",      reduce_window(np.add,     lambda dtype: 0))
value("reduce_window_max",      reduce_window(np.maximum, lowest))
value("reduce_window_min",      reduce_window(np.minimum, highest))
value("select_and_scatter_add", select_and_scatter_add)
value("select_and_gather_add",  select_and_gather_add)
# fmt: on
