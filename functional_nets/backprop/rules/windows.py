"""Pooling: a sum hands its cotangent to the whole window, an extreme to the first element that attains it."""

from typing import Any

from functional_nets.backprop.pooling import Windows, gather_flat, scatter_flat
from functional_nets.backprop.rules.table import Formula, rule


def reduce_window_sum(
    g: Any, y: Any, x: Any, *, window_dimensions: Any, window_strides: Any, padding: Any, base_dilation: Any,
    window_dilation: Any,
) -> tuple[Any]:  # fmt: skip
    """Add the cotangent of each window to all of its elements."""
    return (Windows(x.shape, window_dimensions, window_strides, padding, base_dilation, window_dilation).fold_sum(g),)


def extreme(largest: bool) -> Formula:
    """Return the rule of `reduce_window_max` or `reduce_window_min`."""

    def formula(
        g: Any, y: Any, x: Any, *, window_dimensions: Any, window_strides: Any, padding: Any,
        base_dilation: Any, window_dilation: Any,
    ) -> tuple[Any]:  # fmt: skip
        windows = Windows(x.shape, window_dimensions, window_strides, padding, base_dilation, window_dilation)
        return (scatter_flat(g, windows.extremes(x, largest), x.shape),)

    return formula


def select_and_scatter_add(
    g: Any,
    y: Any,
    source: Any,
    x: Any,
    *,
    select_prim: Any,
    window_dimensions: Any,
    window_strides: Any,
    padding: Any,
) -> tuple[Any, None]:
    """Read the cotangent where each source was added."""
    windows = Windows(x.shape, window_dimensions, window_strides, padding)
    return gather_flat(g, windows.extremes(x, select_prim.name == "ge")), None


def select_and_gather_add(
    g: Any, y: Any, tangents: Any, x: Any, *, select_prim: Any, window_dimensions: Any, window_strides: Any,
    padding: Any, base_dilation: Any, window_dilation: Any,
) -> tuple[Any, None]:  # fmt: skip
    """Add the cotangent where each tangent was read."""
    windows = Windows(x.shape, window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return scatter_flat(g, windows.extremes(x, select_prim.name == "ge"), x.shape), None


# fmt: off
rule("reduce_window_sum",      reduce_window_sum)
rule("reduce_window_max",      extreme(largest=True))
rule("reduce_window_min",      extreme(largest=False))
# Which element is selected does not change with a small step: no gradient to what is compared.
rule("select_and_scatter_add", select_and_scatter_add)
rule("select_and_gather_add",  select_and_gather_add)
# fmt: on
