"""Gradients of the same loss by ways that share no code with the backward walk: `jax.grad` and differences."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nets.gradcheck.trace import to_float64

QUICKLY = {"xla_backend_optimization_level": 0}
"""The gradient is computed once: compiling it takes longer than running it."""


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
    return jax_value_and_gradient(loss_fn, params, *args)[1]


def jax_value_and_gradient(loss_fn: Callable[..., Any], params: Any, *args: Any) -> tuple[float, list[Any]]:
    """Returns the loss and `jax.grad` of it in float64, leaf by leaf; zeros for a leaf of integers."""
    with jax.enable_x64(True):
        params, args = to_float64((params, args))
        # A function of its own, lest JAX find the trace of an earlier call: a loss may change from call to call.
        compiled = jax.jit(
            lambda *inputs: jax.value_and_grad(loss_fn, allow_int=True)(*inputs), compiler_options=QUICKLY
        )
        value, grads = compiled(params, *args)
        found = [
            np.zeros(np.shape(leaf)) if leaf.dtype == jax.dtypes.float0 else np.asarray(leaf)
            for leaf in jax.tree.leaves(grads)
        ]
    return float(value), found


def random_direction(random: np.random.Generator, leaf: Any) -> np.ndarray:
    """Returns normal numbers of an array's shape and size; for complex numbers, real and imaginary parts."""
    size = float(np.max(np.abs(leaf), initial=0.0)) or 1.0
    direction = random.standard_normal(np.shape(leaf)) * size
    if np.asarray(leaf).dtype.kind == "c":
        return direction + 1j * random.standard_normal(np.shape(leaf)) * size
    return direction


def difference(loss_fn: Callable[..., Any], grads: list[Any], params: Any, *args: Any, seed: int = 0) -> Difference:
    """Returns the loss's slope along a random direction, from a few evaluations whatever the number of parameters.

    The error is estimated from how the slope changes with the step, the smallest change of several being taken.
    """
    with jax.enable_x64(True):
        params, args = to_float64((params, args))
        leaves, structure = jax.tree.flatten(params)
        random = np.random.default_rng(seed)
        direction = [
            random_direction(random, leaf) if np.asarray(leaf).dtype.kind in "fc" else np.zeros(np.shape(leaf))
            for leaf in leaves
        ]
        compiled = jax.jit(
            lambda leaves: loss_fn(jax.tree.unflatten(structure, leaves), *args), compiler_options=QUICKLY
        )

        def along(step: float) -> float:
            moved = [
                leaf + step * part if np.asarray(leaf).dtype.kind in "fc" else leaf
                for leaf, part in zip(leaves, direction, strict=True)
            ]
            return float(compiled(moved))

        slopes = []
        value = abs(along(0.0))
        for step in (1e-3, 1e-4, 1e-5, 1e-6):
            slopes.append(((along(step) - along(-step)) / (2 * step), value * 4e-16 / step))
    slope = float(sum(np.sum(g * part).real for g, part in zip(grads, direction, strict=True)))
    estimates = [(abs(a - b) + noise, b) for (a, _), (b, noise) in pairwise(slopes)]
    error, measured = min(estimates)
    return Difference(slope, measured, error)
