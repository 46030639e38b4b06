"""How a call of NumPy that has a variable among its arguments finds what records it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from functional_nets.backprop.tape.graph import Node
from functional_nets.backprop.tape.methods import ArrayMethods

# What runs in place of a function of NumPy. The tables of this package fill it; a ufunc's methods, such as
# `np.add.reduce`, are keys of their own.
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}

# What messages call a function, where it is none of NumPy's.
LABELS: dict[Callable[..., Any], str] = {}

# Functions whose results have no gradient: places, truths, shapes. They run on the arrays and return arrays.
PLAIN: set[Callable[..., Any]] = set()


class DoesNotFitError(ValueError, IndexError):
    """Arrays, axes or indices that do not fit each other, said with the operation and the shapes found."""

    def __init__(self, operation: str, expected: str, shapes: str, reason: str) -> None:
        super().__init__(f"{operation}: expected {expected}, found {shapes} ({reason}).")
        self.reason = reason


def call(function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run what records `function`, or the function itself if it loses no gradient.

    Raises:
        DoesNotFitError: The shapes, axes or indices do not fit each other.
        TypeError: The tape cannot record this function, one of its arguments, or where its result is to go.
    """
    out = options.pop("out", None)
    out = out[0] if isinstance(out, tuple) else out
    handler = FUNCTIONS.get(function)
    if handler is None:
        if function not in PLAIN and loses_gradient((args, options)):
            raise TypeError(
                f"{label(function)}: expected a function that the tape can record, found one that it cannot. "
                "Write it with others, or hand it `.data` where no gradient is to flow."
            )
        handler, (args, options) = function, plain((args, options))
    try:
        result = handler(*args, **options)
        return result if out is None else store(function, out, result)
    except (ValueError, IndexError) as error:
        reason = getattr(error, "reason", str(error).strip())  # What the innermost function said.
        raise DoesNotFitError(label(function), wish(error), found(args), reason) from None
    except TypeError as error:
        if handler is not function and not takes(handler, args, options):
            raise TypeError(
                f"{label(function)}: expected arguments {inspect.signature(handler)}, that the tape records, "
                f"found {found(args)}{', '.join(['', *options])} ({error})."
            ) from None
        raise


def store(function: Callable[..., Any], out: Any, result: Any) -> Any:
    """Write a result where the caller wants it, if the tape can record that."""
    if not isinstance(out, ArrayMethods):
        raise TypeError(
            f"{label(function)}: expected a variable to write the result into, found a plain array of shape "
            f"{np.shape(out)}. Write `a = a + b` for `a += b`, or let np.zeros_like(variable) make the array."
        )
    return out.assign(result)


def plain(x: Any) -> Any:
    """The same argument with arrays in place of the variables, also within tuples, lists and dicts."""
    if isinstance(x, ArrayMethods | Node):
        return x.data
    if isinstance(x, tuple | list):
        return type(x)(map(plain, x)) if not hasattr(x, "_fields") else type(x)(*map(plain, x))
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    return x


def loses_gradient(x: Any) -> bool:
    """Whether a variable that needs a gradient is among the arguments."""
    if isinstance(x, ArrayMethods):
        return x.needs_gradient
    if isinstance(x, Mapping):
        return any(map(loses_gradient, x.values()))
    return isinstance(x, tuple | list) and any(map(loses_gradient, x))


def takes(handler: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether a function has the parameters for such a call."""
    try:
        inspect.signature(handler).bind(*args, **options)
    except TypeError:
        return False
    return True


def wish(error: Exception) -> str:
    """What would have fitted."""
    if isinstance(error, np.exceptions.AxisError):
        return "an axis of the array"
    index = isinstance(error, IndexError) and not isinstance(error, ValueError)
    return "an index within the array" if index else "shapes that fit"


def found(args: Any) -> str:
    """The shapes among the arguments."""
    arrays = [x for arg in args for x in (arg if isinstance(arg, tuple | list) else [arg])]
    shapes = [str(x.shape) for x in arrays if hasattr(x, "shape")]
    return f"shape{'s' * (len(shapes) != 1)} {', '.join(shapes)}"


def label(function: Callable[..., Any]) -> str:
    """What the user wrote, such as `np.linalg.norm` or `np.add.at`."""
    if function in LABELS:
        return LABELS[function]
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        return f"np.{owner.__name__}.{function.__name__}"
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{function.__name__}"
