"""The second derivative: JAX's, or that of the function under test, against differences of the walk's gradient.

A rule can give the right gradient and a wrong Hessian: it hides a dependence (stop_gradient, NumPy, a saved
number) that only the next derivative needs. Along a direction v the Hessian is a gradient's derivative, H v.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nets.gradcheck.point import Leaves, Point, Rule, Testimony, cause, first_line, named, row, worst
from functional_nets.gradcheck.precision import SAFETY, epsilon
from functional_nets.gradcheck.report import Cause, Leaf
from functional_nets.gradcheck.witnesses import QUICKLY

NAME = "second order"
WITNESS = "second derivative"
STEPS = [0.16 * 4.0**-k for k in range(10)]
FINE = 1e-12  # In arithmetic with less rounding error than this the first, large steps are of no use.
CANNOT_TELL = f"{WITNESS}: differences cannot tell in {{}}: they change with the step, as at a kink or with few digits."
ENOUGH = 1e-9  # Relative error at which smaller steps are not tried.
NOISY = 1e-3  # Relative error at which differences cannot tell.
ROOM = 10.0  # An error that is estimated may be larger.

Way = Callable[[Leaves], list["Measured"]]


class Measured(NamedTuple):
    """A derivative along a direction, and how far it may be off."""

    value: Any
    error: float = 0.0


class Outcome(NamedTuple):
    """What one way to take the derivative has given: an exception, or a row for each direction and leaf.

    `unsure` names the leaves in which differences cannot tell.
    """

    rows: list[Leaf]
    unsure: set[str]
    refused: Exception | None = None


def second_order(point: Point) -> Testimony:
    """Returns whether the derivative of the gradient is the Hessian, along random directions of each leaf."""
    expected = [
        differences(point.walked, point.leaves, direction, 2.0**-53, point.sensitivities)
        for direction in point.directions
    ]
    outcomes = {name: _outcome(point, way, expected) for name, way in _ways(point).items()}
    rows = [leaf for outcome in outcomes.values() for leaf in outcome.rows]
    leaves = [worst([leaf for leaf in rows if leaf.path == path]) for path in dict.fromkeys(row.path for row in rows)]
    unsure = sorted(set().union(*(outcome.unsure for outcome in outcomes.values())))
    notes = [CANNOT_TELL.format(", ".join(unsure))] if unsure else []
    refused = {name: outcome.refused for name, outcome in outcomes.items() if outcome.refused is not None}
    if len(refused) == len(outcomes):
        return Testimony(NAME, (), _undifferentiable(point, refused))
    notes += [f"{WITNESS}: {name} cannot be taken ({first_line(error)})." for name, error in refused.items()]
    return Testimony(NAME, tuple(leaves), _wrong(point, outcomes), tuple(notes))


def _outcome(point: Point, way: Way, expected: Sequence[Sequence[Measured]]) -> Outcome:
    rows: list[Leaf] = []
    unsure: set[str] = set()
    for direction, right in zip(point.directions, expected, strict=True):
        try:
            found = way(direction)
        except Exception as error:  # Whatever the rules of the user raise.
            return Outcome([], set(), error)
        for path, a, b, size in zip(point.paths, found, right, point.sensitivities, strict=True):
            scale = float(np.fmax(_size(a.value), _size(b.value)))  # JAX's may be NaN, and then is wrong.
            doubt = a.error + b.error
            if doubt <= NOISY * max(scale, NOISY * size):
                tolerance = ROOM * doubt + point.rounding * (scale + size)
                rows.append(row(path, WITNESS, a.value, b.value, tolerance))
            else:
                unsure.add(path)
    return Outcome(rows, unsure)


def _undifferentiable(point: Point, refused: dict[str, Exception]) -> tuple[Cause, ...]:
    name, error = next(iter(refused.items()))
    said = f"{name} raises {first_line(error)}"
    advice = "write {culprit} so that JAX can differentiate it"
    return cause(WITNESS, "wrong_derivative", _blamed(point), (), said, advice)


def _wrong(point: Point, outcomes: dict[str, Outcome]) -> tuple[Cause, ...]:
    ways = {name: [leaf for leaf in outcome.rows if not leaf.ok] for name, outcome in outcomes.items()}
    rows = [leaf for wrong in ways.values() for leaf in wrong]
    if not rows:
        return ()
    names = " and ".join(name for name, wrong in ways.items() if wrong)
    said = (
        f"{names} is not the derivative of the right gradient in {named(rows, WITNESS)}, off by "
        f"{worst(rows).relative_error:.2g} of its size"
    )
    advice = "look in {culprit} for a stop_gradient, a plain number or a wrong rule within the rule"
    return cause(WITNESS, "wrong_derivative", _blamed(point), rows, said, advice)


def _blamed(point: Point) -> list[Rule]:
    return point.rules if point.manual is None else point.itself


def _ways(point: Point) -> dict[str, Way]:
    """The ways to differentiate the gradient."""
    at = [jnp.asarray(leaf) for leaf in point.leaves]
    if point.manual is None:
        return {
            "jax.jvp of jax.grad": _compiled(lambda v: jax.jvp(point.grad, (at,), (v,))[1]),
            "jax.grad of jax.grad · v": _compiled(lambda v: jax.grad(lambda x: _slope(point.grad(x), v))(at)),
        }
    if point.traceable:
        return {"jax.jvp of the function given": _compiled(lambda v: jax.jvp(point.given, (at,), (v,))[1])}

    def measured(v: Leaves) -> list[Measured]:
        precision = epsilon(point.arrays(point.leaves))
        return differences(point.arrays, point.leaves, v, precision, point.sensitivities)

    return {"the derivative of the function given": measured}


def _slope(gradient: Leaves, direction: Leaves) -> Any:
    return sum(jnp.sum(g * v).real for g, v in zip(gradient, direction, strict=True))


def _compiled(way: Callable[[Any], list[Any]]) -> Way:
    compiled = jax.jit(way, compiler_options=QUICKLY)
    return lambda direction: [Measured(np.asarray(leaf)) for leaf in compiled(list(direction))]


def differences(
    gradient: Callable[[Leaves], list[Any]],
    leaves: Leaves,
    direction: Leaves,
    precision: float,
    sensitivities: Sequence[float],
) -> list[Measured]:
    """Returns the derivative of a gradient along a direction: central differences, extrapolated by Richardson.

    The error is what neighbouring steps differ by, and rounding; of the steps that with the smallest is taken.

    Args:
        gradient: What is differentiated.
        leaves: Where.
        direction: Along what, in the size of the leaves.
        precision: The relative rounding error of the gradient's arithmetic.
        sensitivities: How strongly its leaves depend on rounding.
    """
    slopes: list[list[Any]] = []
    best = [Measured(np.zeros(np.shape(leaf)), np.inf) for leaf in leaves]
    for count, step in enumerate(STEPS[2:] if precision < FINE else STEPS):
        above, below = (
            gradient([leaf + sign * step * v for leaf, v in zip(leaves, direction, strict=True)]) for sign in (1, -1)
        )
        with np.errstate(all="ignore"):  # A step may lead to where the gradient is infinite; it is then not used.
            slopes.append([(a - b) / (2 * step) for a, b in zip(above, below, strict=True)])
        if count < 3:
            continue
        for leaf, size in enumerate(sensitivities):
            found = _extrapolated([each[leaf] for each in slopes[-4:]], SAFETY * precision * size / step)
            if found.error < best[leaf].error:
                best[leaf] = found
        if all(each.error <= ENOUGH * max(_size(each.value), s) for each, s in zip(best, sensitivities, strict=True)):
            break
    return best


def _extrapolated(slopes: Sequence[Any], rounding: float) -> Measured:
    """The middle one of three extrapolations from four steps; its error is what the worse neighbour differs by."""
    with np.errstate(all="ignore"):
        before, value, after = ((16 * finer - coarser) / 15 for coarser, finer in pairwise(slopes))
        return Measured(value, rounding + float(np.maximum(_size(value - before), _size(after - value))))


def _size(array: Any) -> float:
    return float(np.max(np.abs(array), initial=0.0))
