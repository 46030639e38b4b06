"""Cases of NumPy layer objects, whole networks in the book's style, and functions with a `jax.custom_vjp`."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class ObjectCase(NamedTuple):
    """Something that has a backward rule of its own, right (no mistakes) or wrong.

    `make()` returns what to check and the arguments to check it with; `blamed` are the functions in which the
    reported line may lie.
    """

    id: str
    kind: str
    make: Callable[[], tuple[Any, tuple]]
    mistakes: frozenset[str] = frozenset()
    blamed: tuple[Callable, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether the check should find something."""
        return bool(self.mistakes)

    def lines(self) -> set[tuple[str, int]]:
        """The files and lines that count as right."""
        found = set()
        for function in self.blamed:
            lines, first = inspect.getsourcelines(function)
            found |= {(inspect.getfile(function), first + i) for i in range(len(lines))}
        return found

    def report(self, gradcheck: Any) -> Any:
        """What the check says."""
        subject, args = self.make()
        return getattr(gradcheck, f"check_{self.kind}")(subject, *args)


OBJECTS: list[ObjectCase] = []


def layer(
    *mistakes: str,
    inputs: Callable,
    init: Callable | None = None,
    blame: tuple = ("backward",),
    before: Callable | None = None,
) -> Callable:
    """Register the class below as a layer, wrong if it has mistakes.

    Args:
        mistakes: the ids that a teacher would accept; none if the layer is right.
        inputs: from a generator to the arguments of `forward`.
        init: from a generator to the arguments of the class.
        blame: the methods, or functions, in which the reported line may lie.
        before: what happens to the layer before it is checked.
    """

    def register(cls: type) -> type:
        def make() -> tuple[Any, tuple]:
            rng = np.random.default_rng(0)
            subject = cls(*init(rng)) if init is not None else cls()
            if before is not None:
                before(subject, rng)
            return subject, inputs(rng)

        blamed = tuple(getattr(cls, each) if isinstance(each, str) else each for each in blame if mistakes)
        OBJECTS.append(ObjectCase(f"layer/{cls.__name__}", "layer", make, frozenset(mistakes), blamed))
        return cls

    return register


def network(*mistakes: str, blame: tuple = ()) -> Callable:
    """Register the function below, which returns a network and its batch."""

    def register(function: Callable) -> Callable:
        def make() -> tuple[Any, tuple]:
            subject, x, t = function(np.random.default_rng(0))
            return subject, (x, t)

        name = f"network/{function.__name__}"
        OBJECTS.append(ObjectCase(name, "network", make, frozenset(mistakes), blame))
        return function

    return register


def rule(f: Callable, *args: Any, mistakes: tuple[str, ...] = (), blame: tuple = ()) -> None:
    """Register a function with a `jax.custom_vjp`."""
    name = f"vjp/{f.__name__}"
    OBJECTS.append(ObjectCase(name, "vjp", lambda: (f, args), frozenset(mistakes), blame))
