"""Gradients of the same loss by ways that share no code with the backward walk: `jax.grad` and differences."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nets.gradcheck.trace import to_float64


class Difference(NamedTuple):
    """The slope of the loss along one random direction.

    Attributes:
        slope: The gradient's, by inner product.
        measured: The loss's, by central differences.
        error: How far `measured` may be off.
    """

    slope: float
    measured: float
    error: float


def jax_gradient(loss_fn: Callable[..., Any], params: Any, *args: Any) -> list[Any]:
    """Returns `jax.grad` of the loss in float64, leaf by leaf."""
    with jax.enable_x64(True):
        params, args = to_float64((params, args))
        grads = jax.grad(loss_fn, allow_int=True)(params, *args)
        return [
            np.asarray(leaf, np.float64) if np.asarray(leaf).dtype.kind == "f" else np.zeros(np.shape(leaf))
            if leaf.dtype == jax.dtypes.float0 else np.asarray(leaf)
            for leaf in jax.tree.leaves(grads)
        ]  # fmt: skip


def difference(loss_fn: Callable[..., Any], grads: list[Any], params: Any, *args: Any, seed: int = 0) -> Difference:
    """Returns the loss's slope along a random direction, from a few evaluations whatever the number of parameters.

    The error is estimated from how the slope changes with the step, the smallest change of several being taken.
    """
    with jax.enable_x64(True):
        params, args = to_float64((params, args))
        leaves, structure = jax.tree.flatten(params)
        random = np.random.default_rng(seed)
        direction = [
            random.standard_normal(np.shape(leaf)) * (np.max(np.abs(leaf), initial=0.0) or 1.0)
            if np.asarray(leaf).dtype.kind == "f" else np.zeros(np.shape(leaf))
            for leaf in leaves
        ]  # fmt: skip
        compiled = jax.jit(lambda leaves: loss_fn(jax.tree.unflatten(structure, leaves), *args))

        def along(step: float) -> float:
            moved = [
                leaf + step * part if np.asarray(leaf).dtype.kind == "f" else leaf
                for leaf, part in zip(leaves, direction, strict=True)
            ]
            return float(compiled(moved))

        slopes = []
        value = abs(along(0.0))
        for step in (1e-3, 1e-4, 1e-5, 1e-6):
            slopes.append(((along(step) - along(-step)) / (2 * step), value * 4e-16 / step))
    slope = float(sum(np.vdot(g, part).real for g, part in zip(grads, direction, strict=True)))
    estimates = [
        (abs(a - b) + noise, b) for (a, _), (b, noise) in zip(slopes, slopes[1:], strict=False)
    ]
    error, measured = min(estimates)
    return Difference(slope, measured, error)
