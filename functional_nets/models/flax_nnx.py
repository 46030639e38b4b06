"""Modules of Flax NNX as a `Model`: taken apart into a graph and parameters, and put together for each call."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from functional_nets.models.adapters import refuse_state
from functional_nets.models.model import Model
from functional_nets.nn import scale_pixels


def from_nnx(module: Any, training: Mapping[str, Any], evaluating: Mapping[str, Any], *, given: bool) -> Model:
    """Returns a `Model`, as `from_flax` does.

    Args:
        module: The module, or what makes one when it is called with `rngs`.
        training: Keywords of a call with a key.
        evaluating: Keywords of a call without one.
        given: Whether it is a module.
    """

    def make(key: Array) -> Any:
        return module if given else module(rngs=nnx.Rngs(key))

    shaped = module if given else nnx.eval_shape(lambda: make(jax.random.key(0)))  # Draws nothing, compiles nothing.
    parts: tuple[Any, ...] = nnx.split(shaped, nnx.Param, nnx.RngState, ...)
    graph, shapes, randomness, rest = parts
    if jax.tree.leaves(rest):
        refuse_state(", ".join("/".join(map(str, path)) for path, _ in nnx.to_flat_state(rest)))

    def init(key: Array) -> Any:
        return nnx.to_pure_dict(nnx.state(make(key), nnx.Param))

    def apply(params: Any, x: Array, key: Array | None = None) -> Array:
        state = jax.tree.map(lambda leaf: leaf, shapes)  # The next line writes into it.
        nnx.replace_by_pure_dict(state, params)
        whole = nnx.merge(graph, state, _drawn_from(key, randomness), rest)
        if key is None:
            whole.eval()
        else:
            whole.train()
        return whole(scale_pixels(x), **(evaluating if key is None else training))

    return Model(init, apply)


def _drawn_from(key: Array | None, randomness: Any) -> Any:
    """Returns the state of the module's random streams: each begins, with a key of its own that `key` decides."""
    root = jax.random.key(0) if key is None else key
    leaves, structure = jax.tree.flatten(randomness)
    fresh = [
        jax.random.fold_in(root, number)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else jnp.zeros(leaf.shape, leaf.dtype)
        for number, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, fresh)
