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
    compute,
    cotangent,
    entries,
    gradient,
    is_real,
)

PROBE = 1e-9  # Large against float64's own rounding, small against the functions' curvature.
SAFETY = 32.0  # Sums of many terms, rounded in any order, stray further than one rounding of each term.
TRIALS = 2


def sensitivity(program: Program, active: Sequence[int], reference: Sequence[Any]) -> list[float]:
    """Returns, per leaf, the largest change of its gradient for a relative rounding error of 1 everywhere."""
    random = np.random.default_rng(0)
    found = [float(np.max(np.abs(leaf), initial=0.0)) for leaf in reference]
    for _ in range(TRIALS):
        moved = gradient(*_perturbed(program, active, random))
        for number, (leaf, other) in enumerate(zip(reference, moved, strict=True)):
            change = np.abs(np.asarray(other) - leaf)
            found[number] = max(found[number], float(np.nanmax(change, initial=0.0)) / PROBE)
    return found


def _perturbed(
    program: Program, active: Sequence[int], random: np.random.Generator
) -> tuple[Program, Cotangents]:
    def jitter(value: Any) -> Any:
        return value * (1 + PROBE * random.uniform(-1, 1, np.shape(value)))

    values = list(program.values)
    cotangents: Cotangents = {program.result: np.ones_like(values[program.result])}
    moving = set(active)
    with np.errstate(all="ignore"):
        for position, node in enumerate(program.nodes):
            if position in moving:
                found = compute(node, [values[number] for number in node.inputs])
                for number, value in zip(node.outputs, found, strict=True):
                    values[number] = jitter(value) if is_real(value) else value
        for position in reversed(active):
            node = program.nodes[position]
            g = cotangent(node, cotangents, values)
            if g is None:
                continue
            for number, entry in zip(node.inputs, entries(node, g, values), strict=True):
                if entry is not None:
                    entry = jitter(entry)
                    cotangents[number] = cotangents[number] + entry if number in cotangents else entry
    return program._replace(values=values), cotangents


def epsilon(*trees: Any) -> float:
    """Returns the relative rounding error of the narrowest real type among the arrays."""
    widest = 2.0**-53
    for tree in trees:
        for leaf in tree:
            dtype = getattr(leaf, "dtype", None)
            if dtype is not None and jnp.issubdtype(dtype, jnp.floating):
                widest = max(widest, float(jnp.finfo(dtype).eps) / 2)
    return widest
