"""Cases of pooling."""

import numpy as np
from jax.extend.core import primitives

from tests.backprop.rule_cases.case import Case, integers, normal

IMAGE = normal(2, 6, 5, 2)
TIED = integers(0, 3, 2, 6, 5, 2).astype(float)
POOL = {"window_dimensions": (1, 2, 2, 1), "window_strides": (1, 2, 2, 1)}
SIDES = ((0, 0), (1, 0), (1, 2), (0, 0))
INFINITE = np.where(TIED == 0, -np.inf, np.where(TIED == 2, np.inf, TIED))
OUTSIDE = ((0, 0), (2, 0), (0, 3), (0, 0))
NONE = ((0, 0),) * 4
ONES = (1,) * 4
SELECTORS = {"ge": primitives.ge_p, "le": primitives.le_p}


def pooled(name, x, size, strides, padding=NONE, base=ONES, window=ONES, **options):
    params = {
        "window_dimensions": size,
        "window_strides": strides,
        "padding": padding,
        "base_dilation": base,
        "window_dilation": window,
    }
    primitive = getattr(primitives, f"{name}_p")
    return Case(name, x, label=f"{tuple(params.values())}", function=lambda x: primitive.bind(x, **params), **options)


def pools(name):
    return [
        pooled(name, IMAGE, (1, 2, 2, 1), (1, 2, 2, 1)),
        pooled(name, IMAGE, (1, 3, 2, 1), (1, 1, 2, 1), SIDES),
        pooled(name, IMAGE, (2, 6, 5, 1), ONES),
        pooled(name, IMAGE, ONES, (1, 2, 3, 1)),
        pooled(name, normal(7), (3,), (2,), ((1, 1),), (1,), (1,)),
        pooled(name, normal(1), (1,), (1,), ((0, 0),), (1,), (1,)),
    ]


def dilated(name, **options):
    return [
        pooled(name, IMAGE, (1, 3, 2, 1), ONES, SIDES, ONES, (1, 2, 3, 1), **options),
        pooled(name, IMAGE, (1, 3, 2, 1), (1, 2, 1, 1), SIDES, (1, 2, 3, 1), **options),
    ]


def selected(name, x, select, **params):
    primitive = getattr(primitives, f"{name}_p")
    params = {**POOL, "padding": NONE, "select_prim": SELECTORS[select], **params}
    sizes = zip(x.shape, params["padding"], params["window_dimensions"], params["window_strides"], strict=True)
    positions = [(n + sum(sides) - size) // stride + 1 for n, sides, size, stride in sizes]
    first = normal(*positions) if name == "select_and_scatter_add" else normal(*x.shape, seed=3)
    # Which of a tie is gathered depends in XLA on how it compiles; where it is scattered is always the first.
    gathers = {"compiled": False} if name == "select_and_gather_add" else {"unknown": (0,)}
    return Case(
        name, first, x, label=f"{select} {params['padding']} {params['window_dimensions']}", fixed=(1,),
        function=lambda first, x: primitive.bind(first, x, **params), **(gathers if x is TIED else {}),
    )  # fmt: skip


DILATION = {"base_dilation": ONES, "window_dilation": ONES}
OVERLAP = {"window_dimensions": (1, 3, 3, 1), "window_strides": (1, 2, 1, 1), "padding": SIDES}

CASES = [
    *pools("reduce_window_sum"),
    *pools("reduce_window_max"),
    *pools("reduce_window_min"),
    *dilated("reduce_window_sum"),
    *dilated("reduce_window_max", unknown=(0,)),
    *dilated("reduce_window_min", unknown=(0,)),
    pooled("reduce_window_sum", IMAGE, (1, 2, 2, 2), ONES, ((0, 0), (-1, 0), (0, -1), (0, 0))),
    pooled("reduce_window_sum", IMAGE, (1, 7, 2, 1), (1, 2, 1, 1)),
    *(
        pooled(name, INFINITE, size, (1, 2, 2, 1), SIDES, smooth=False)
        for name in ("reduce_window_max", "reduce_window_min")
        for size in ((1, 2, 2, 1), (1, 3, 2, 1))
    ),
    *(
        pooled(name, TIED, size, strides, SIDES, smooth=False)
        for name in ("reduce_window_max", "reduce_window_min")
        for size, strides in (((1, 2, 2, 1), (1, 2, 2, 1)), ((1, 3, 3, 1), ONES))
    ),
    *(
        selected(name, x, select, **more, **extra)
        for name, extra in (("select_and_scatter_add", {}), ("select_and_gather_add", DILATION))
        for x in (IMAGE, TIED)
        for select in ("ge", "le")
        for more in ({}, OVERLAP, {"padding": OUTSIDE})
    ),
]
