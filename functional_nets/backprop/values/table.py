"""The table of forward values, and the one function that evaluates one of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from functional_nets.backprop.rules.table import keyword_only


class NoValueError(LookupError):
    """A primitive that the table cannot evaluate."""


@dataclass(frozen=True)
class Value:
    """What a primitive computes: `formula(*inputs, **params)`, a tuple where there are several outputs.

    `keywords` names the params that the formula takes.
    """

    name: str
    formula: Callable[..., Any]
    keywords: frozenset[str]

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        """Return the output or the tuple of outputs."""
        return self.formula(*inputs, **{k: v for k, v in params.items() if k in self.keywords})


VALUES: dict[str, Value] = {}


def value(name: str, formula: Callable[..., Any]) -> None:
    """Register what `name` computes; the formula's keyword-only arguments are the params it needs."""
    # A ufunc takes keywords (`out`, `where`, …) that no primitive has as a param.
    VALUES[name] = Value(name, formula, frozenset() if isinstance(formula, np.ufunc) else keyword_only(formula))


def evaluate(name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Return what the primitive computes: an array, or a tuple of them where it has several outputs.

    Raises:
        NoValueError: The table has no such primitive.
    """
    if name not in VALUES:
        raise NoValueError(f"Expected a primitive with a value, got {name!r}: add it with value({name!r}, …).")
    # Infinities and NaN are results like any other, as in JAX.
    with np.errstate(all="ignore"):
        return VALUES[name](*(x if hasattr(x, "shape") else np.asarray(x) for x in inputs), **params)


def widen(x: Any) -> np.ndarray:
    """Return a constant as the tables compute with it: floats as float64, complex numbers as complex128."""
    x = np.asarray(x)
    return x.astype(wide(x.dtype), copy=False)


def wide(dtype: Any) -> np.dtype:
    """Return the type in which numbers of `dtype` are computed; integers and booleans keep theirs."""
    dtype = np.dtype(dtype)
    if dtype.kind in "biu" or dtype.name.startswith(("int", "uint")):  # Types like int4 have no kind of their own.
        return dtype
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)
