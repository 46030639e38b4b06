"""One step of gradient descent, as a pure function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int

from functional_nets.nn import scale_pixels

Loss = Callable[..., Float[Array, ""]]
Batch = tuple[Array, ...]


class TrainState(NamedTuple):
    """All that changes from step to step.

    Attributes:
        params: The model's parameters.
        opt_state: The optimizer's memory, such as its momenta.
        step: How many steps have been taken.
    """

    params: Any
    opt_state: Any
    step: Int[Array, ""]


def init_state(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """Returns the state before the first step, in arrays of its own: `params` stay the caller's."""
    own = jax.device_put(params, may_alias=False)
    return TrainState(own, optimizer.init(own), jnp.zeros((), jnp.int32))


def make_train_step(
    loss_fn: Loss, optimizer: optax.GradientTransformation, *, stochastic: bool = False
) -> Callable[[TrainState, Batch, Array], tuple[TrainState, Float[Array, ""]]]:
    """Returns `train_step(state, batch, key) -> (state, loss)`, pure and not yet compiled.

    Args:
        loss_fn: `loss_fn(params, *batch)`, a scalar. The batch's first array, if it is uint8, reaches it scaled to
            [0, 1].
        optimizer: What turns gradients into updates.
        stochastic: Whether the loss draws random numbers, for dropout say: it is then called as
            `loss_fn(params, *batch, key=key)`.
    """

    def train_step(state: TrainState, batch: Batch, key: Array) -> tuple[TrainState, Float[Array, ""]]:
        batch = (scale_pixels(batch[0]), *batch[1:])  # Labels may be uint8, too, and are no pixels.
        randomness = {"key": key} if stochastic else {}
        loss, grads = jax.value_and_grad(loss_fn)(state.params, *batch, **randomness)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        return TrainState(optax.apply_updates(state.params, updates), opt_state, state.step + 1), loss

    return train_step
