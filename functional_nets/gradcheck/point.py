"""A loss at the parameters where it is checked, and what a further witness says of it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from functional_nets.equations import HERE, JAX, Location, user_line
from functional_nets.gradcheck.comparison import compare, given_leaves, leaf_paths
from functional_nets.gradcheck.numpy_code.source import definition
from functional_nets.gradcheck.precision import SAFETY, sensitivity
from functional_nets.gradcheck.program import active_nodes, gradient, is_real, rerun, walk
from functional_nets.gradcheck.report import Cause, Leaf
from functional_nets.gradcheck.trace import to_float64, trace
from functional_nets.gradcheck.witnesses import random_direction

MOST_DIRECTIONS = 8  # Of more leaves, several move together.

Leaves = Sequence[Any]


class Testimony(NamedTuple):
    """What a further witness says.

    Attributes:
        witness: Its name.
        leaves: What it has compared.
        causes: What is wrong, in a sentence.
        notes: What it could not tell.
    """

    witness: str
    leaves: tuple[Leaf, ...] = ()
    causes: tuple[Cause, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float | None:
        """Its largest relative error: infinite when JAX refused, None when nothing was compared."""
        if any(not cause.leaves for cause in self.causes):
            return float("inf")
        return max((leaf.relative_error for leaf in self.leaves), default=None)


class Rule(NamedTuple):
    """A function with a derivative rule of its own: its name, and the line that calls it."""

    name: str
    kind: str
    where: Location | None


class Point:
    """A loss, its gradient under test and its walk, as functions of the parameters' leaves of real or complex floats.

    Args:
        loss_fn: The loss.
        params: Where.
        args: What else it takes.
        manual: The gradient under test as a function, `jax.grad` if it is none.
        paths: Names of the leaves, if the parameters' own are not to be used.
        where: The line of a rule that the loss calls from this package.
    """

    def __init__(
        self,
        loss_fn: Callable[..., Any],
        params: Any,
        args: Sequence[Any] = (),
        manual: Any = None,
        paths: Sequence[str] | None = None,
        where: Location | None = None,
    ):
        self.loss_fn, self.manual, self.where = loss_fn, manual if callable(manual) else None, where
        whole, self.args = to_float64((params, tuple(args)))
        self._whole, self.structure = jax.tree.flatten(whole)
        self.places = [place for place, leaf in enumerate(self._whole) if is_real(leaf)]
        names = leaf_paths(params) if paths is None else paths
        self.paths = [names[place] for place in self.places]
        self.leaves = [self._whole[place] for place in self.places]
        self.program = trace(loss_fn, params, *args)
        self.active = active_nodes(self.program, self.program.leaves)
        self.rounding = self.program.epsilon * SAFETY

    def params(self, leaves: Leaves) -> Any:
        """The parameters with other floats."""
        whole = list(self._whole)
        for place, leaf in zip(self.places, leaves, strict=True):
            whole[place] = leaf
        return jax.tree.unflatten(self.structure, whole)

    def loss(self, leaves: Leaves) -> Any:
        """The loss, for JAX to transform."""
        return self.loss_fn(self.params(leaves), *self.args)

    def grad(self, leaves: Leaves) -> list[Any]:
        """`jax.grad` of the loss."""
        return jax.grad(self.loss)(list(leaves))

    def given(self, leaves: Leaves) -> list[Any]:
        """The gradient by the function under test."""
        assert self.manual is not None, "there is no function under test"
        tree = self.manual(self.params(leaves), *self.args)
        found = dict(zip(leaf_paths(tree), jax.tree.leaves(tree), strict=True))
        return [found[path] for path in self.paths]

    def arrays(self, leaves: Leaves) -> list[Any]:
        """The gradient by the function under test, called with copies: NumPy code may change what it is given."""
        params = self.params([np.array(leaf) for leaf in leaves])
        found = given_leaves(self.manual(params, *self.args), params)  # type: ignore[misc]
        return [np.array(found[place]) for place in self.places]

    def walked(self, leaves: Leaves) -> list[Any]:
        """The gradient of the walk, along the branches that the loss takes at the point itself."""
        numbers = (self.program.leaves[place] for place in self.places)
        values = rerun(self.program, dict(zip(numbers, leaves, strict=True)))
        found = gradient(self.program, walk(self.program, self.active, values=values))
        return [np.asarray(found[place]) for place in self.places]

    @cached_property
    def traceable(self) -> bool:
        """Whether JAX can trace the function under test: NumPy's cannot be."""
        try:
            # As it is called by its transformations: with every leaf an array that moves.
            jax.make_jaxpr(self.given)([jnp.asarray(leaf) for leaf in self.leaves])
        except Exception:  # Whatever the user's code raises when it is given tracers.
            return False
        return True

    @cached_property
    def reference(self) -> list[Any]:
        """The gradient of the walk at the point."""
        return self.walked(self.leaves)

    @cached_property
    def sensitivities(self) -> list[float]:
        """By leaf, how far the gradient moves with a relative rounding error of 1 everywhere."""
        whole = gradient(self.program, walk(self.program, self.active))
        found = sensitivity(self.program, self.active, whole)
        return [found[place] for place in self.places]

    @cached_property
    def directions(self) -> list[list[Any]]:
        """Random directions, of one leaf each as long as these are few."""
        random = np.random.default_rng(5)
        count = min(len(self.leaves), MOST_DIRECTIONS)
        normal = [random_direction(random, leaf) for leaf in self.leaves]
        return [
            [part if number % count == group else np.zeros_like(part) for number, part in enumerate(normal)]
            for group in range(count)
        ]

    @cached_property
    def rules(self) -> list[Rule]:
        """The functions with derivative rules of their own that the loss calls, JAX's own functions aside."""
        found = dict.fromkeys(_rules(jax.make_jaxpr(self.loss)(self.leaves).jaxpr, None))
        return [
            rule._replace(where=self.where) if rule.where and rule.where.file.startswith(HERE) else rule
            for rule in found
        ]

    @property
    def itself(self) -> list[Rule]:
        """The function under test."""
        name = getattr(self.manual, "__name__", type(self.manual).__name__)
        return [Rule(name, "the function given", definition(self.manual))]


def _rules(jaxpr: core.Jaxpr, caller: Location | None) -> Sequence[Rule]:
    found: list[Rule] = []
    for equation in jaxpr.eqns:
        where = user_line(equation, caller)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if not _is_jaxpr(inner):
                continue
            body: Any = getattr(inner, "jaxpr", inner)
            if equation.primitive.name.startswith(("custom_jvp_call", "custom_vjp_call")):
                about = body.debug_info
                if JAX in str(about.func_src_info):
                    break  # One of JAX's own functions, such as relu.
                found.append(Rule(about.func_name, equation.primitive.name[:10], where))
            found += _rules(body, where)
    return found


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


def row(path: str, witness: str, given: Any, expected: Any, tolerance: float) -> Leaf:
    """Returns the comparison of two arrays; no relative error where both are rounding errors of 0, ∞ for a NaN."""
    (leaf,) = compare([f"{path} ({witness})"], [given], [np.asarray(expected)], [tolerance])
    size = max(float(np.max(np.abs(each), initial=0.0)) for each in (given, expected))
    if leaf.relative_error != leaf.relative_error:
        return leaf._replace(relative_error=float("inf"))
    return leaf._replace(relative_error=0.0) if leaf.ok and size <= tolerance else leaf


def worst(rows: Sequence[Leaf]) -> Leaf:
    """Returns the row with the largest error, one that is wrong before any that is right."""
    return max(rows, key=lambda leaf: (not leaf.ok, leaf.relative_error))


def cause(
    witness: str, kind: str, blamed: Sequence[Rule], leaves: Sequence[Leaf], message: str, advice: str
) -> tuple[Cause, ...]:
    """Returns what is wrong, at the first of the functions to blame.

    Args:
        witness: Who has seen it.
        kind: The mistake's identifier.
        blamed: The functions with derivatives of their own; there may be none.
        leaves: What has been compared.
        message: What has been seen.
        advice: What is to be done, or why it is so; `{culprit}` stands for the functions.
    """
    first = blamed[0] if blamed else Rule("process", "", None)
    file, line = (first.where.file, first.where.line) if first.where else (None, None)
    names = " or ".join(f"{rule.name} ({rule.kind})" for rule in blamed) or "the loss"
    text = f"{witness}: {message}: {advice.format(culprit=names)}"
    wrong = tuple(dict.fromkeys(leaf.path for leaf in leaves if not leaf.ok))
    return (Cause(kind, first.name, file, line, wrong, 0.0, text, witness),)


def named(rows: Sequence[Leaf], witness: str) -> str:
    """Returns the leaves of some rows."""
    return ", ".join(dict.fromkeys(leaf.path.removesuffix(f" ({witness})") for leaf in rows))


def first_line(error: Exception) -> str:
    """Returns an exception's kind and the first line of what it says."""
    said = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {said}"[:300].rstrip(".")
