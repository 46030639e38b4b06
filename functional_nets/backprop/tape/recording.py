"""Arrays that plain NumPy code makes for itself, as variables: so that what fills them is recorded."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from functional_nets.backprop.tape.dispatch import loses_gradient, plain
from functional_nets.backprop.tape.graph import is_inside
from functional_nets.backprop.tape.variable import Variable, constant


def fillable(make: Callable[..., Any]) -> Callable[..., Any]:
    """`np.zeros` and its like: of floating-point numbers, a constant variable that can be written into."""

    def made(*args: Any, **options: Any) -> Any:
        array = make(*plain(args), **plain(options))
        if array.dtype.kind != "f":
            return array
        variable = Variable.of(constant(array))
        if loses_gradient((args, options)):  # The number that `np.full` is given.
            variable[...] = options["fill_value"] if "fill_value" in options else args[1]
        return variable

    return made


def kept(convert: Callable[..., Any]) -> Callable[..., Any]:
    """`np.array` and its like: of variables, a variable; a list of them is stacked."""

    def converted(x: Any, *args: Any, **options: Any) -> Any:
        if not loses_gradient(x):
            return convert(x, *args, **options)
        if isinstance(x, Variable):
            return x.copy() if convert is np.array else x
        return np.stack([converted(part) for part in x])

    return converted


MAKERS = dict.fromkeys(("zeros", "ones", "empty", "full"), fillable)
CONVERTERS = dict.fromkeys(("array", "asarray", "asanyarray", "ascontiguousarray"), kept)


@contextmanager
def recording() -> Iterator[None]:
    """While it lasts, arrays that code makes by `np.zeros` and fills with variables are recorded.

    Without it, `col = np.zeros(…); col[i] = variable` is an error: a plain array cannot remember where its
    elements came from, and NumPy lets no one take the place of `np.zeros`. So the functions of the module
    `numpy` that make and convert arrays are exchanged meanwhile, for all threads; calls by NumPy itself and
    by this package still get plain arrays.
    """
    originals = {name: getattr(np, name) for name in (*MAKERS, *CONVERTERS)}
    try:
        for name, change in (MAKERS | CONVERTERS).items():
            setattr(np, name, unless_inside(originals[name], change(originals[name])))
        yield
    finally:
        for name, original in originals.items():
            setattr(np, name, original)


def unless_inside(original: Callable[..., Any], changed: Callable[..., Any]) -> Callable[..., Any]:
    """A function that behaves as ever where NumPy or this package calls it."""

    @functools.wraps(original)
    def call(*args: Any, **options: Any) -> Any:
        inside = is_inside(sys._getframe(1).f_code.co_filename)
        return (original if inside else changed)(*args, **options)

    return call
