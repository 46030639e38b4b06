"""What each primitive computes, in NumPy float64: the forward half of the table, without JAX."""

from functional_nets.backprop.values import (  # noqa: F401  Each page registers its values.
    arithmetic,
    contractions,
    functions,
    indexing,
    reductions,
    shapes,
    windows,
)
from functional_nets.backprop.values.table import VALUES, NoValueError, evaluate, value, widen

__all__ = ["VALUES", "value", "evaluate", "widen", "NoValueError"]
