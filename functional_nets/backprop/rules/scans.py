"""Cumulative primitives: y_i = x_1 ∘ x_2 ∘ … ∘ x_i.

The backward pass of a sum is the sum from the other end. That of any other operation `∘` with a backward rule
is the backward pass of the parallel prefix scan, a tree of applications of `∘`: exact where elements are zero
or infinite, and a tie of `cummax` is shared as JAX shares it, in halves at each node of the tree.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from functional_nets.backprop.linear import scatter_add, take
from functional_nets.backprop.rules.table import RULES, Formula, rule


def cumsum(g: Any, y: Any, x: Any, *, axis: int, reverse: bool) -> tuple[Any]:
    """Sum from the other end: x_i is part of every y from i on."""
    return (np.cumsum(g, axis) if reverse else np.flip(np.cumsum(np.flip(g, axis), axis), axis),)


def scan(combine: Callable[[Any, Any], Any], combine_rule: Formula) -> Formula:
    """Return the rule of the cumulative primitive that applies `combine`."""

    def formula(g: Any, y: Any, x: Any, *, axis: int, reverse: bool) -> tuple[Any]:
        def ahead(z: Any) -> Any:
            return np.moveaxis(np.flip(z, axis) if reverse else z, axis, 0)

        gradient = np.moveaxis(unscan(ahead(g), ahead(y), ahead(x)), 0, axis)
        return (np.flip(gradient, axis) if reverse else gradient,)

    def unscan(g: Any, y: Any, x: Any) -> Any:
        n = x.shape[0]
        if n < 2:
            return g

        def place(z: Any, start: int, stop: int | None = None, step: int = 2, size: int = n) -> Any:
            return scatter_add(z, index=(slice(start, stop, step),), shape=(size, *x.shape[1:]))

        def pick(z: Any, start: int, stop: int | None = None) -> Any:
            return take(z, index=(slice(start, stop, 2),))

        # y at odd places is the scan of the pairs; at even places, from 2 on, that of the pairs before, ∘ x.
        a, b, odd = pick(x, 0, -1), pick(x, 1), pick(y, 1)
        to_odd, to_even = combine_rule(pick(g, 2), pick(y, 2), pick(y, 1, n - 1), pick(x, 2))
        pairs = combine(a, b)
        from_even = place(to_odd, 0, to_odd.shape[0], 1, odd.shape[0])
        to_a, to_b = combine_rule(unscan(pick(g, 1) + from_even, odd, pairs), pairs, a, b)
        first = place(take(g, index=(slice(0, 1),)), 0, 1)
        return first + place(to_a, 0, -1) + place(to_b, 1) + place(to_even, 2)

    return formula


def finite(x: Any) -> Any:
    """Return x, with 0 in place of +inf: ∞ - ∞ is then 0, and a gradient reaches the infinite element."""
    return np.where(x == np.inf, 0, x)


# fmt: off
rule("logaddexp",    lambda g, y, a, b: (g * np.exp(finite(a) - finite(y)),
                                         g * np.exp(finite(b) - finite(y))))

rule("cumsum",       cumsum)
rule("cumprod",      scan(np.multiply,  RULES["mul"]))
rule("cummax",       scan(np.maximum,   RULES["max"]))
rule("cummin",       scan(np.minimum,   RULES["min"]))
rule("cumlogsumexp", scan(np.logaddexp, RULES["logaddexp"]))
# fmt: on
