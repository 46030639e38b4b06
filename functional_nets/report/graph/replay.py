"""The program once more by JAX, operation by operation, so that `jax.grad` can be asked about every edge."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from functional_nets.gradcheck.program import Program
from functional_nets.gradcheck.trace import to_float64
from functional_nets.gradcheck.witnesses import QUICKLY
from functional_nets.report.graph.units import Place, Unit

APART = QUICKLY | {"xla_disable_hlo_passes": "fusion"}
"""Hundreds of operations in a row, fused into one, take a minute to compile."""

REFUSALS = (TypeError, ValueError, NotImplementedError)
"""What JAX raises where it has no gradient, as of a while loop."""


def by_jax(
    program: Program, units: Sequence[Unit], rules: Mapping[Place, Any], fn: Callable[..., Any], args: Sequence[Any]
) -> tuple[dict[Place, Any], list[Any], list[str]]:
    """Returns `jax.grad` by edge, that of the function itself by leaf, and notes of what JAX cannot tell.

    Args:
        program: The traced function.
        units: Its operations.
        rules: The gradient by rule, which has the shapes.
        fn: The function.
        args: Its arguments.
    """
    with jax.enable_x64(True):
        nudges = {key: np.zeros(np.shape(rule), np.asarray(rule).dtype) for key, rule in rules.items()}
        leaves, structure = jax.tree.flatten(to_float64(tuple(args)))
        inner = jax.grad(_nudged(program, units))
        outer = jax.grad(lambda leaves: fn(*jax.tree.unflatten(structure, leaves)), allow_int=True)
        notes = []
        try:
            # One program: compiling takes longer than running.
            compiled = jax.jit(lambda nudges, leaves: (inner(nudges), outer(leaves)), compiler_options=APART)
            edges, whole = compiled(nudges, leaves)
        except REFUSALS as error:
            notes.append(f"jax.grad refuses the function itself: {_first_line(error)}")
            whole = [None] * len(leaves)
            try:
                edges = jax.jit(inner, compiler_options=APART)(nudges)
            except REFUSALS as error:
                notes.append(f"jax.grad refuses the edges, too: {_first_line(error)}")
                edges = {}
        edges = {key: np.asarray(grad) for key, grad in edges.items()}
        whole = [None if g is None or g.dtype == jax.dtypes.float0 else np.asarray(g) for g in whole]
    return edges, whole, notes


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _nudged(program: Program, units: Sequence[Unit]) -> Callable[[dict[Place, Any]], Any]:
    """Returns the result as a function of a summand, zero, that each operand gets: its gradient is the edge's."""
    evaluators = [_evaluator(unit) for unit in units]

    def result(nudges: dict[Place, Any]) -> Any:
        known: dict[int, Any] = {}
        for number, unit in enumerate(units):
            places = {unit.taken(place): place for place in unit.places}
            operands = []
            for position, value in enumerate(unit.operands):
                place = places[value] if unit.custom else position
                x = known[value] if value in known else program.values[value]
                operands.append(x + nudges[number, place] if (number, place) in nudges else x)
            known.update(zip(unit.outputs, evaluators[number](*operands), strict=True))
        return jnp.asarray(known.get(program.result, program.values[program.result]), jnp.float64)

    return result


def _evaluator(unit: Unit) -> Callable[..., Sequence[Any]]:
    """Returns what JAX evaluates for an operation, with JAX's own rule of differentiation."""
    if unit.equation is None:
        if unit.op == "stack":
            return lambda *rows: [jnp.stack(rows, axis=unit.params["axis"])]
        return lambda x: [x[unit.params["index"]]]
    takes = [core.Var(atom.aval) for atom in unit.equation.invars]
    gives = [core.Var(atom.aval) for atom in unit.equation.outvars]
    alone = unit.equation.replace(invars=takes, outvars=gives)
    about = core.DebugInfo("gradient_graph", unit.op, None, None)
    jaxpr = core.Jaxpr([], takes, gives, [alone], alone.effects, about)
    evaluate = core.jaxpr_as_fun(core.ClosedJaxpr(jaxpr, []))

    def of_its_types(*operands: Any) -> Sequence[Any]:
        return evaluate(*(_as(x, atom.aval) for x, atom in zip(operands, takes, strict=True)))

    return of_its_types


def _as(x: Any, wanted: Any) -> Any:
    """Returns an operand in the type that the function computes in, which may be narrower than float64."""
    return x if jnp.result_type(x) == wanted.dtype else jnp.asarray(x, wanted.dtype)
