"""Modules of Flax NNX as a `Model`: taken apart into a graph and parameters, and put together for each call."""

import inspect
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

    if not given:
        _check_maker(module)
    shaped = module if given else nnx.eval_shape(lambda: make(jax.random.key(0)))  # Draws nothing, compiles nothing.
    if not isinstance(shaped, nnx.Module):
        raise ValueError(f"Expected what makes an NNX module, found that {_name(module)} gives {_name(type(shaped))}.")
    parts: tuple[Any, ...] = nnx.split(shaped, nnx.Param, nnx.RngState, ...)
    graph, shapes, randomness, rest = parts
    if jax.tree.leaves(rest):
        kept = list(nnx.to_flat_state(rest))
        names = ", ".join("/".join(map(str, path)) for path, _ in kept)
        refuse_state(names, averages=any(issubclass(each.type, nnx.BatchStat) for _, each in kept))

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


def _check_maker(maker: Any) -> None:
    """Raises ValueError for what cannot be called with `rngs`."""
    try:
        inspect.signature(maker).bind(rngs=None)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected a module, or what makes one by {_name(maker)}(rngs=…), found: {error}. For a function of "
            "parameters and a batch, give Model(init, apply)."
        ) from None


def _name(thing: Any) -> str:
    return getattr(thing, "__name__", type(thing).__name__)


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
