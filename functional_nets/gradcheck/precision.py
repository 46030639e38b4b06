"""How far rounding alone may move a gradient: a tolerance that is derived, not tuned.

Every intermediate value and cotangent is moved by a random relative amount of a known size, as if each operation
had rounded to a narrower type. The response of the gradient, divided by that size, says how strongly it depends
on rounding, leaf by leaf, cancellation included.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from functional_nets.gradcheck.program import (
    Cotangents,
    Program,
    Values,
    compute,
    cotangent,
    entries,
    gradient,
    is_real,
)

PROBE = 1e-9  # Large against float64's own rounding, small against the functions' curvature.
SAFETY = 32.0  # Sums of many terms, rounded in any order, stray further than one rounding of each term.
TRIALS = 2
PIECEWISE_LINEAR = {
    "relu", "relu6", "abs", "max", "min", "clamp", "reduce_max", "reduce_min", "reduce_window_max",
    "reduce_window_min", "cummax", "cummin", "sort", "top_k", "sign",
}  # fmt: skip


def sensitivity(program: Program, active: Sequence[int], reference: Sequence[Any]) -> list[float]:
    """Returns, per leaf, the largest change of its gradient for a relative rounding error of 1 everywhere."""
    random = np.random.default_rng(0)
    found = [float(np.max(np.abs(leaf), initial=0.0)) for leaf in reference]
    for _ in range(TRIALS):
        moved = gradient(*perturbed(program, active, random))
        for number, (leaf, other) in enumerate(zip(reference, moved, strict=True)):
            change = np.abs(np.asarray(other) - leaf)
            found[number] = max(found[number], float(np.nanmax(change, initial=0.0)) / PROBE)
    return found


def reach(program: Program, active: Sequence[int], rounding: float) -> dict[int, float]:
    """Returns, per value, how far a relative rounding error everywhere may move its elements."""
    random = np.random.default_rng(0)
    found: dict[int, float] = {}
    for _ in range(TRIALS):
        values = _moved(program, active, random)
        for position in active:
            for number in program.nodes[position].outputs:
                if is_real(values[number]):
                    change = np.abs(values[number] - program.values[number])
                    size = float(np.max(change[np.isfinite(change)], initial=0.0))
                    found[number] = max(found.get(number, 0.0), rounding * size / PROBE)
    return found


def _jitter(value: Any, random: np.random.Generator) -> Any:
    return value * (1 + PROBE * random.uniform(-1, 1, np.shape(value)))


def _moved(program: Program, active: Sequence[int], random: np.random.Generator) -> Values:
    """Returns the values as they are after rounding errors of PROBE; masks and indices stay as they are."""
    values = list(program.values)
    with np.errstate(all="ignore"):
        for position in active:
            node = program.nodes[position]
            found = compute(node, [values[number] for number in node.inputs])
            for number, value in zip(node.outputs, found, strict=True):
                if is_real(value):
                    values[number] = _jitter(value, random)
    return values


def perturbed(program: Program, active: Sequence[int], random: np.random.Generator) -> tuple[Program, Cotangents]:
    """Returns the program and its cotangents as they are after rounding errors of PROBE."""
    values = _moved(program, active, random)
    cotangents: Cotangents = {program.result: np.ones_like(values[program.result])}
    with np.errstate(all="ignore"):
        for position in reversed(active):
            node = program.nodes[position]
            g = cotangent(node, cotangents, values)
            if g is None:
                continue
            # On which side of a kink a value is must not change: that is no rounding error but another slope.
            kinked = node.op in PIECEWISE_LINEAR and values[node.inputs[0]].dtype.kind != "c"
            known = program.values if kinked else values
            for number, entry in zip(node.inputs, entries(node, g, known), strict=True):
                if entry is not None:
                    entry = _jitter(entry, random)
                    cotangents[number] = cotangents[number] + entry if number in cotangents else entry
    return program._replace(values=values), cotangents


def epsilon(*trees: Any) -> float:
    """Returns the relative rounding error of the narrowest type among the arrays."""
    widest = 2.0**-53
    for tree in trees:
        for leaf in tree:
            dtype = getattr(leaf, "dtype", None)
            if dtype is not None and jnp.issubdtype(dtype, jnp.inexact):
                widest = max(widest, float(jnp.finfo(dtype).eps) / 2)
    return widest
