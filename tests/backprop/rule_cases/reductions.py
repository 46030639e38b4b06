"""Cases of reductions and cumulative primitives."""

import numpy as np
from jax import lax

from tests.backprop.rule_cases.case import Case, integers, normal

A, C = normal(3, 4), normal(3, 4, 2)
TIED = integers(0, 3, 4, 5).astype(float)
ZEROS = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [4.0, 5.0, 6.0]])
AXES = [
    (C, (0,)),
    (C, (1,)),
    (C, (2,)),
    (C, (0, 2)),
    (C, (0, 1, 2)),
    (A, ()),
    (normal(3, 1), (1,)),
    (normal(1, 1), (0, 1)),
]
INFINITE = np.array([-np.inf, -np.inf, 1.0, 2.0, -np.inf, 3.0])


def reduced(name, function, cases, **options):
    return [
        Case(name, x, label=f"over {axes}", function=lambda x, axes=axes: function(x, axes), **options)
        for x, axes in cases
    ]


def cumulative(name, function):
    return [
        Case(
            name,
            x,
            label=f"{axis} {reverse}",
            compiled=(x.shape, axis, reverse) in (((5,), 0, False), ((3, 4, 2), 1, True)),
            function=lambda x, axis=axis, reverse=reverse: function(x, axis, reverse),
        )
        for x, axis in (
            (C, 0),
            (C, 1),
            (C, 2),
            (normal(5), 0),
            (normal(8), 0),
            (normal(1, 3), 0),
            (normal(0, 3), 0),
        )
        for reverse in (False, True)
    ]


def ties(name, function, *xs):
    return [
        Case(
            name,
            x,
            label=f"tie {number} {reverse}",
            smooth=False,
            function=lambda x, reverse=reverse: function(x, 0, reverse),
        )
        for number, x in enumerate(xs)
        for reverse in (False, True)
    ]


EMPTY = [(normal(0, 3), (0,)), (normal(0, 3), (1,)), (normal(2, 0), (1,))]
BITS = integers(0, 30, 3, 4)

CASES = [
    *reduced("reduce_sum", lax.reduce_sum, [*AXES, *EMPTY]),
    *reduced("reduce_prod", lax.reduce_prod, [*AXES, *EMPTY, (ZEROS, (1,)), (ZEROS, (0,)), (ZEROS, (0, 1))]),
    *reduced("reduce_max", lax.reduce_max, AXES),
    *reduced("reduce_min", lax.reduce_min, AXES),
    *reduced("reduce_max", lax.reduce_max, [(TIED, (0,)), (TIED, (1,)), (TIED, (0, 1))], smooth=False),
    *reduced("reduce_min", lax.reduce_min, [(TIED, (0,)), (TIED, (1,)), (TIED, (0, 1))], smooth=False),
    *reduced("reduce_max", lax.reduce_max, EMPTY, smooth=False),
    *reduced("reduce_sum", lax.reduce_sum, [(BITS, (0,))]),
    *reduced("reduce_max", lax.reduce_max, [(BITS, (0,))]),
    *(
        Case(name, x, label=f"{x.dtype} over {axes}", function=lambda x, axes=axes, f=f: f(x, axes))
        for name, f in (
            ("reduce_and", lax.reduce_and),
            ("reduce_or", lax.reduce_or),
            ("reduce_xor", lax.reduce_xor),
        )
        for x, axes in ((BITS, (0,)), (BITS > 20, (1,)), (BITS > 20, (0, 1)))
    ),
    *(
        Case(name, TIED, label=f"{axis}", function=lambda x, axis=axis, f=f: f(x, axis, np.int32), smooth=False)
        for name, f in (("argmax", lax.argmax), ("argmin", lax.argmin))
        for axis in (0, 1)
    ),
    *cumulative("cumsum", lax.cumsum),
    *cumulative("cumprod", lax.cumprod),
    *cumulative("cummax", lax.cummax),
    *cumulative("cummin", lax.cummin),
    *cumulative("cumlogsumexp", lax.cumlogsumexp),
    *ties("cumprod", lax.cumprod, ZEROS),
    *ties("cummax", lax.cummax, TIED[:, 0], np.ones(5)),
    *ties("cummin", lax.cummin, TIED[:, 0], np.ones(6)),
    *ties("cumlogsumexp", lax.cumlogsumexp, 400 * A[:, 0], INFINITE),
]
