"""Arrays that plain NumPy code makes for itself, as variables: so that what fills them is recorded."""

import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from functional_nets.backprop.tape.dispatch import loses_gradient, plain
from functional_nets.backprop.tape.graph import is_inside
from functional_nets.backprop.tape.variable import Variable, constant

_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


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


class Columns:
    """`np.c_`: arrays side by side."""

    def __getitem__(self, arrays: Any) -> Any:
        return np.column_stack(arrays) if loses_gradient(arrays) else np.c_[arrays]


CHANGED: dict[str, Any] = {
    **{name: fillable(getattr(np, name)) for name in ("zeros", "ones", "empty", "full")},
    **{name: kept(getattr(np, name)) for name in ("array", "asarray", "asanyarray", "ascontiguousarray")},
    "c_": Columns(),
}


@contextmanager
def recording(*code: Any) -> Iterator[None]:
    """While it lasts, arrays that code makes by `np.zeros` and fills with variables are recorded.

    Without it, `col = np.zeros(…); col[i] = variable` is an error: a plain array cannot remember where its
    elements came from, and NumPy lets no one take the place of `np.zeros`. So in the modules of the user, not
    in those of libraries, the name `np` stands for a twin of NumPy meanwhile, whose `zeros`, `array` and the
    like know variables. In other threads, too: they get variables that are constants.

    Args:
        code: Functions or objects that were not defined in a module, but in a namespace of their own.
    """
    twin = ModuleType("numpy", np.__doc__)
    vars(twin).update(vars(np), **CHANGED, __getattr__=lambda name: getattr(np, name))
    replaced = {id(np): twin} | {id(getattr(np, name)): change for name, change in CHANGED.items()}
    exchanged = []
    try:
        for namespace in namespaces(code):
            for name, value in list(namespace.items()):
                if id(value) in replaced:
                    exchanged.append((namespace, name, value))
                    namespace[name] = replaced[id(value)]
        yield
    finally:
        for namespace, name, value in reversed(exchanged):
            namespace[name] = value


def namespaces(code: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The global names of the user's modules, and of functions and objects."""
    found = [vars(module) for module in list(sys.modules.values()) if is_users(module)]
    for x in code:
        kind = x if inspect.isroutine(x) or isinstance(x, type) else type(x)
        functions = [kind] if inspect.isroutine(kind) else [f for c in kind.__mro__ for f in vars(c).values()]
        found += [f.__globals__ for f in functions if hasattr(f, "__globals__")]
    return found


def is_users(module: Any) -> bool:
    """Whether a module is written in Python by the user: the program itself, or no part of a library."""
    if not isinstance(module, ModuleType):
        return False
    file = vars(module).get("__file__")  # Not asked for by name: that may load what is to be loaded later.
    if vars(module).get("__name__") == "__main__":
        return True
    if not isinstance(file, str) or not file.endswith(".py"):
        return False
    return not (is_inside(file) or file.startswith(_LIBRARIES))
