"""Initial weights and biases of a layer."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

Initializer = Callable[[Array, tuple[int, ...]], dict[str, Array]]
"""From a key and the shape of `w`, whose last axis counts the outputs, to `w` and `b`."""


def normal(standard_deviation: float = 0.01) -> Initializer:
    """Returns weights drawn from N(0, standard_deviation²) and biases of zero, as in the book's networks."""

    def init(key: Array, shape: tuple[int, ...]) -> dict[str, Array]:
        return {"w": standard_deviation * jax.random.normal(key, shape), "b": jnp.zeros(shape[-1])}

    return init


def uniform_fan_in() -> Initializer:
    """Returns weights and biases drawn from U(-1/√fan_in, 1/√fan_in): PyTorch's default for its layers.

    `fan_in` is the number of inputs that each output sums over: all axes of `w` but the last.
    """

    def init(key: Array, shape: tuple[int, ...]) -> dict[str, Array]:
        fan_in = 1
        for size in shape[:-1]:
            fan_in *= size
        bound = fan_in**-0.5
        w_key, b_key = jax.random.split(key)
        return {
            "w": jax.random.uniform(w_key, shape, minval=-bound, maxval=bound),
            "b": jax.random.uniform(b_key, shape[-1:], minval=-bound, maxval=bound),
        }

    return init
