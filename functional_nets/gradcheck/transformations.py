"""What JAX's other transformations make of a loss: forward mode, and `jax.vmap`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from functional_nets.gradcheck.point import Leaves, Point, Testimony, cause, first_line, named, row, worst
from functional_nets.gradcheck.precision import SAFETY
from functional_nets.gradcheck.report import Leaf
from functional_nets.gradcheck.witnesses import QUICKLY, random_direction

FORWARD, VMAP = "forward mode", "vmap"
DIRECTIONS = 2  # By leaf.
BATCH = 3
NEAR = 1e-2  # How far the members of a batch are from the parameters, relative to these.
OTHER = f"{VMAP}: the function given is not JAX's, and cannot be batched: jax.grad is checked."
REORDERED = 1e-10  # Relative difference of what is computed one by one and together.


def forward_mode(point: Point) -> Testimony:
    """Returns whether `jax.jvp` of the loss gives the slopes of the walk's gradient, leaf by leaf."""
    try:
        rows = tuple(_slopes(point))
    except Exception as error:  # Whatever the rules of the user raise.
        return _no_forward_mode(point, error)
    if all(leaf.ok for leaf in rows):
        return Testimony(FORWARD, rows)
    said = f"jax.jvp of the loss is not the slope of its gradient in {_where(rows, FORWARD)}"
    advice = "correct what {culprit} makes of tangents"
    return Testimony(FORWARD, rows, cause(FORWARD, "wrong_derivative", point.rules, rows, said, advice))


def _slopes(point: Point) -> Iterator[Leaf]:
    random = np.random.default_rng(6)
    zeros = [np.zeros_like(leaf) for leaf in point.leaves]
    slope = jax.jit(lambda v: jax.jvp(point.loss, (list(point.leaves),), (v,))[1], compiler_options=QUICKLY)
    for number, (path, leaf) in enumerate(zip(point.paths, point.leaves, strict=True)):
        directions = [random_direction(random, leaf) for _ in range(DIRECTIONS)]
        found = np.array([float(slope([*zeros[:number], v, *zeros[number + 1 :]])) for v in directions])
        expected = np.array([np.sum(point.reference[number] * v).real for v in directions])
        farthest = max(float(np.sum(np.abs(v))) for v in directions)
        yield row(path, FORWARD, found, expected, point.rounding * point.sensitivities[number] * farthest)


def _no_forward_mode(point: Point, error: Exception) -> Testimony:
    if "custom_vjp" in str(error):
        names = ", ".join(rule.name for rule in point.rules if rule.kind == "custom_vjp") or "a function"
        note = f"{FORWARD}: not checked, since {names} has a custom_vjp only, and with that JAX has no forward mode."
        return Testimony(FORWARD, notes=(note,))
    said, advice = f"jax.jvp of the loss raises {first_line(error)}", "give {culprit} a rule for tangents"
    return Testimony(FORWARD, causes=cause(FORWARD, "wrong_derivative", point.rules, (), said, advice))


def batched(point: Point) -> Testimony:
    """Returns whether the loss and its gradient under `jax.vmap` are what they are one by one."""
    ours = point.manual is not None and point.traceable
    gradient, blamed = (point.given, point.itself) if ours else (point.grad, point.rules)
    notes = (OTHER,) if point.manual is not None and not ours else ()
    try:
        rows = tuple(_members(point, gradient))
    except Exception as error:  # Whatever the rules of the user raise.
        said, advice = f"jax.vmap of the gradient raises {first_line(error)}", "write {culprit} for batches"
        return Testimony(VMAP, (), cause(VMAP, "wrong_axis", blamed, (), said, advice), notes)
    if all(leaf.ok for leaf in rows):
        return Testimony(VMAP, rows, (), notes)
    said = f"jax.vmap of the gradient differs from a loop over the batch in {_where(rows, VMAP)}"
    advice = "{culprit} takes the batch for one array, as a callback of a wrong vmap_method does"
    return Testimony(VMAP, rows, cause(VMAP, "wrong_axis", blamed, rows, said, advice), notes)


def _members(point: Point, gradient: Callable[[Leaves], list[Any]]) -> Iterator[Leaf]:
    random = np.random.default_rng(7)
    near = [[leaf + NEAR * random_direction(random, leaf) for leaf in point.leaves] for _ in range(BATCH)]

    def both(leaves: Leaves) -> list[Any]:
        return [point.loss(leaves), *gradient(leaves)]

    batch = [np.stack(leaves) for leaves in zip(*near, strict=True)]
    together = jax.jit(jax.vmap(both), compiler_options=QUICKLY)(batch)
    alone = jax.jit(both, compiler_options=QUICKLY)
    one_by_one = zip(*(alone(leaves) for leaves in near), strict=True)
    steepest = sum(s * float(np.sum(np.abs(x))) for s, x in zip(point.sensitivities, point.leaves, strict=True))
    sizes = [steepest, *point.sensitivities]
    for path, found, expected, size in zip(["value", *point.paths], together, one_by_one, sizes, strict=True):
        yield _member(path, np.asarray(found), np.stack(expected), SAFETY * point.rounding * size)


def _member(path: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> Leaf:
    """Numbers that are finite neither way are outside of where the loss is defined: they say nothing."""
    undefined = ~np.isfinite(found) & ~np.isfinite(expected)
    found, expected = np.where(undefined, 0, found), np.where(undefined, 0, expected)
    return row(path, VMAP, found, expected, tolerance + REORDERED * float(np.max(np.abs(expected), initial=0.0)))


def _where(rows: Sequence[Leaf], witness: str) -> str:
    wrong = [leaf for leaf in rows if not leaf.ok]
    return f"{named(wrong, witness)}, off by {worst(wrong).relative_error:.2g} of its size"
