"""Right gradients: every network again in other circumstances."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .corpus import CONTROLS, Control, Network

# A division by 0, or all ties.
NOT_AT_ZERO = ("contrastive", "triplets", "clip", "bilinear_pooling", "wavenet", "infonce")


def add(name: str, loss_fn: Callable, params: Any, args: tuple, gradient: Callable, **options: Any) -> None:
    """Register a control, unless its network came with one of that name."""
    if any(control.id == name for control in CONTROLS):
        return
    CONTROLS.append(Control(name, loss_fn, params, args, gradient, **options))


def tree_map(function: Callable, tree: Any) -> Any:
    """NumPy leaves stay NumPy."""
    return jax.tree.map(lambda leaf: np.asarray(function(leaf)), tree)


def scaled(network: Network, factor: float) -> tuple[Callable, Callable]:
    """Loss and gradient times a factor."""

    @functools.wraps(network.loss_fn)
    def loss_fn(params, *args):
        return factor * network.loss_fn(params, *args)

    def gradient(params, *args):
        return tree_map(lambda leaf: factor * leaf, network.grads(params, *args))

    return loss_fn, gradient


def again(network: Network) -> dict[str, Callable[[], None]]:
    """The circumstances in which a network is checked once more, by name."""
    name, loss_fn, grads = network.name, network.loss_fn, network.grads

    def single(params, *args):
        return tree_map(lambda leaf: leaf.astype(np.float32), grads(params, *args))

    def of_zeros():
        params, args = network.example(3)
        zeros = tuple(np.zeros_like(a) if a is args[0] and a.dtype.kind == "f" else a for a in args)
        add(f"{name}/inputs_all_zero", loss_fn, params, zeros, grads)

    def as_jax_arrays():
        def gradient(params, *args):
            with jax.enable_x64(True):
                return jax.tree.map(jnp.asarray, grads(params, *args))

        add(f"{name}/as_jax_arrays", loss_fn, *network.example(6), gradient)

    def reversed_order():
        def gradient(params, *args):
            return _reversed(grads(params, *args))

        add(f"{name}/dictionaries_reversed", loss_fn, *network.example(7), gradient, called=True)

    def with_loss():
        def loss(params, *args):
            with jax.enable_x64(True):
                return float(loss_fn(params, *args))

        add(f"{name}/with_its_loss", loss_fn, *network.example(8), grads, loss=loss)

    def small_parameters():
        params, args = network.example(9)
        add(f"{name}/small_parameters", loss_fn, tree_map(lambda p: 1e-3 * p, params), args, grads)

    return {
        "other_seed": lambda: add(f"{name}/other_seed", loss_fn, *network.example(1), grads, called=True),
        "float32": lambda: add(f"{name}/float32", loss_fn, *network.example(2, dtype=np.float32), grads),
        "rounded": lambda: add(f"{name}/rounded_to_float32", loss_fn, *network.example(4), single),
        "batch_of_one": lambda: add(f"{name}/batch_of_one", loss_fn, *network.example(5, 1), grads),
        "million": lambda: add(f"{name}/times_1e6", *_scaled_case(network, 1e6)),
        "millionth": lambda: add(f"{name}/times_1e-6", *_scaled_case(network, 1e-6)),
        "zeros": of_zeros,
        "jax": as_jax_arrays,
        "order": reversed_order,
        "loss": with_loss,
        "small": small_parameters,
    }


def _scaled_case(network: Network, factor: float) -> tuple:
    loss_fn, gradient = scaled(network, factor)
    return loss_fn, *network.example(3), gradient


def _reversed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _reversed(tree[key]) for key in reversed(tree)}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*map(_reversed, tree))
    return type(tree)(map(_reversed, tree)) if isinstance(tree, (tuple, list)) else tree


ALWAYS = ("other_seed", "float32", "rounded")


def register_again(networks: tuple[Network, ...]) -> None:
    """Some circumstances for every network, the rest for a third of them each."""
    for network in networks:
        circumstances = again(network)
        if network.name in NOT_AT_ZERO:
            circumstances.pop("zeros")
        for number, (title, register) in enumerate(circumstances.items()):
            chosen = hashlib.sha256(f"{network.name}{number}".encode()).digest()[0] % 3 == 0
            if title in ALWAYS or chosen:
                register()
