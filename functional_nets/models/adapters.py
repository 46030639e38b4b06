"""Modules of other libraries as a `Model`."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from functional_nets.models.model import Model
from functional_nets.nn import scale_pixels


def from_flax(module: Any, example: Array) -> Model:
    """Returns a Flax Linen module as a `Model`; its collection `params` is the tree that is trained.

    Args:
        module: A `flax.linen.Module` without mutable state, called as `module.apply({"params": …}, x)`.
        example: A batch of the shape that the module takes, to find the shapes of its parameters.
    """
    example = jnp.asarray(example)

    def init(key: Array) -> Any:
        return module.init(key, scale_pixels(example))["params"]

    def apply(params: Any, x: Array) -> Array:
        return module.apply({"params": params}, scale_pixels(x))

    return Model(init, apply)
