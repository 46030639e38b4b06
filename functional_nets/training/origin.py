"""Where the first NaN or infinity of a computation is made: it is run once more, operation by operation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend import core

from functional_nets.equations import CALLS, Location, called_jaxpr, user_line

FINITE, INFINITE, NAN = 0, 1, 2


class Origin(NamedTuple):
    """What made the first value that is not finite and reaches the result.

    Attributes:
        value: `"nan"` or `"inf"`, of either sign.
        op: The operation, by its name in JAX; or `"given"`, for an argument that was so from the beginning.
        where: The user's line.
        argument: Which argument was so, None for an operation.
    """

    value: str
    op: str
    where: Location | None
    argument: str | None = None

    def __str__(self) -> str:
        if self.argument is not None:
            return f"{self.value} is in {self.argument} from the beginning"
        line = f" at {self.where.file}:{self.where.line} ({self.where.function})" if self.where else ""
        return f"{self.value} is made first by {self.op}{line}"


def first_non_finite(function: Callable[..., Any], *args: Any, names: Sequence[str] = ()) -> Origin | None:
    """Returns where the first NaN or infinity comes from that reaches a result of `function(*args)`.

    An infinity that the function holds as a constant, such as that of an attention mask, counts as meant as long
    as something else is to blame. None means that all results are finite. `names` are what the arguments are called.
    """
    closed = jax.make_jaxpr(function)(*args)
    for path, leaf in jax.tree_util.tree_leaves_with_path(args):
        if kind := _kind_of(leaf):
            number = path[0].idx
            name = names[number] if names else f"argument {number}"
            return Origin(_name(kind), "given", None, name + jax.tree_util.keystr(path[1:]))
    return _Watched(closed, None).first(jax.tree.leaves(args))


class _Operation(NamedTuple):
    """An equation that has been run; numbers count the values."""

    equation: Any
    where: Location | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class _Watched:
    """A closed jaxpr that can be run with a look at every value."""

    def __init__(self, closed: core.ClosedJaxpr, where: Location | None):
        self._closed, self._where = closed, where
        self._operations: list[_Operation] = []
        self._constants: set[int] = set()
        self._results: list[int] = []
        self._kinds = jax.jit(lambda inputs: [_kind(value) for value in self._run(inputs)])
        self._bodies: dict[int, _Watched] = {}

    def first(self, inputs: Sequence[Any]) -> Origin | None:
        """Returns the origin among the equations, for finite inputs."""
        kinds = [int(kind) for kind in self._kinds(list(inputs))]
        wanted = {number for number in self._results if kinds[number]}
        for operation in reversed(self._operations):
            if not wanted.isdisjoint(operation.outputs):
                wanted.update(number for number in operation.inputs if kinds[number])
        meant = {number for number in self._constants if kinds[number]}
        of_constant = None
        for operation in self._operations:
            made = [number for number in operation.outputs if number in wanted]
            taken = [number for number in operation.inputs if kinds[number]]
            if not made or any(number not in meant for number in taken):
                continue
            kind = max(kinds[number] for number in made)
            here = Origin(_name(kind), operation.equation.primitive.name, operation.where)
            if not taken or kind == NAN:
                return self._inside(operation, inputs) or here
            meant.update(made)
            of_constant = of_constant or here
        return of_constant

    def _run(self, inputs: Sequence[Array]) -> list[Any]:
        """Returns every value, and keeps which equation has made it from which."""
        self._operations, self._constants = [], set()
        values: list[Any] = []
        arguments = [_append(values, value) for value in inputs]
        self._results = self._inline(self._closed.jaxpr, self._closed.consts, arguments, self._where, values)
        return values

    def _inline(
        self, jaxpr: core.Jaxpr, constants: Sequence[Any], arguments: Sequence[int], where: Any, values: list[Any]
    ) -> list[int]:
        def constant(value: Any) -> int:
            number = _append(values, value)
            self._constants.add(number)
            return number

        numbers = dict(zip(jaxpr.constvars, map(constant, constants), strict=True))
        numbers.update(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> int:
            return constant(atom.val) if hasattr(atom, "val") else numbers[atom]

        for equation in jaxpr.eqns:
            inputs = [read(atom) for atom in equation.invars]
            line = user_line(equation, where, tracer=__file__)
            if equation.primitive.name in CALLS:
                inner = called_jaxpr(equation.params)
                inner_constants = getattr(inner, "consts", ())
                outputs = self._inline(getattr(inner, "jaxpr", inner), inner_constants, inputs, line, values)
            else:
                outputs = [_append(values, value) for value in _bind(equation, [values[i] for i in inputs])]
                self._operations.append(_Operation(equation, line, tuple(inputs), tuple(outputs)))
            numbers.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _inside(self, operation: _Operation, inputs: Sequence[Any]) -> Origin | None:
        """Returns the origin within a loop or a branch: its body is run step by step until one is not finite."""
        op = operation.equation.primitive.name
        if op not in _STEPS:
            return None
        taken = jax.jit(lambda inputs: [self._run(inputs)[number] for number in operation.inputs])(list(inputs))
        for body, arguments in _STEPS[op](operation.equation.params, taken, len(operation.outputs)):
            watched = self._bodies.setdefault(id(body), _Watched(body, operation.where))
            if found := watched.first(arguments):
                return found
        return None


def _scan_steps(params: dict[str, Any], taken: Sequence[Any], outputs: int) -> Iterator[tuple[Any, list[Any]]]:
    body = params["jaxpr"]
    stacked = sum(np.ndim(x) > len(aval.shape) for x, aval in zip(taken, body.in_avals, strict=True))
    fixed = len(taken) - stacked
    evaluate = jax.jit(core.jaxpr_as_fun(body))
    # A result that is carried has the shape of the input it replaces; those that are stacked come after it.
    constants = params.get("num_consts", fixed - params.get("num_carry", 0))
    carry = list(taken[constants:fixed])
    order = range(params["length"])
    for step in reversed(order) if params["reverse"] else order:
        arguments = [*taken[:constants], *carry, *(x[step] for x in taken[fixed:])]
        yield body, arguments
        carry = evaluate(*arguments)[: len(carry)]


def _while_steps(params: dict[str, Any], taken: Sequence[Any], outputs: int) -> Iterator[tuple[Any, list[Any]]]:
    tests, bodies = params["cond_nconsts"], params["body_nconsts"]
    state = list(taken[tests + bodies :])
    test, evaluate = (jax.jit(core.jaxpr_as_fun(params[name])) for name in ("cond_jaxpr", "body_jaxpr"))
    while test(*taken[:tests], *state)[0]:
        arguments = [*taken[tests : tests + bodies], *state]
        yield params["body_jaxpr"], arguments
        state = evaluate(*arguments)


def _branch(params: dict[str, Any], taken: Sequence[Any], outputs: int) -> Iterator[tuple[Any, list[Any]]]:
    yield params["branches"][int(taken[0])], list(taken[1:])


_STEPS = {"scan": _scan_steps, "while": _while_steps, "cond": _branch}


def _bind(equation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    found = equation.primitive.bind(*inputs, **equation.params)
    return found if equation.primitive.multiple_results else [found]


def _append(values: list[Any], value: Any) -> int:
    values.append(value)
    return len(values) - 1


def _kind(value: Any) -> Any:
    if not jnp.issubdtype(jnp.result_type(value), jnp.inexact):
        return jnp.asarray(FINITE)
    return jnp.where(jnp.isnan(value).any(), NAN, jnp.where(jnp.isinf(value).any(), INFINITE, FINITE))


def _kind_of(leaf: Any) -> int:
    return int(_kind(leaf))


def _name(kind: int) -> str:
    return "nan" if kind == NAN else "inf"
