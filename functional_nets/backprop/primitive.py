"""Functions of the rule table that NumPy lacks, callable on arrays and on values that record.

NumPy hands its own functions over to an operand of another type (`__array_ufunc__`, `__array_function__`).
The functions of this package do the same, through `__primitive__`. So a rule, written once, runs on arrays in
a backward pass, and on a tape that records this pass for a second derivative.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Recorder(Protocol):
    """A value that records what is computed from it.

    `data` is its array. `__primitive__` is called in place of a primitive that has a recorder among its
    inputs; `RULES` and `VALUES` hold the primitive under `name`, and all of `params` are constants.
    """

    data: Any

    @classmethod
    def __primitive__(cls, name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Evaluate the primitive on the inputs' arrays, record it and return a recorder."""


def primitive(function: F) -> F:
    """Hand `function(*inputs, **params)` over to the first input that is a `Recorder`, if there is one."""

    @functools.wraps(function)
    def call(*inputs: Any, **params: Any) -> Any:
        for x in inputs:
            record = getattr(type(x), "__primitive__", None)
            if record is not None:
                return record(function.__name__, inputs, params)
        return function(*inputs, **params)

    return cast(F, call)


def plain(x: Any) -> Any:
    """Return the array itself, for what has no derivative: an order, a position, the place of a maximum."""
    return x.data if hasattr(type(x), "__primitive__") else x
