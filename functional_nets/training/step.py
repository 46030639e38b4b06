"""One step of gradient descent, as a pure function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Bool, Float, Int

from functional_nets.nn import scale_pixels

Loss = Callable[..., Float[Array, ""]]
Batch = tuple[Array, ...]
BatchLoss = Callable[[Any, Batch, Array], Float[Array, ""]]


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


def make_batch_loss(loss_fn: Loss, *, stochastic: bool = False) -> BatchLoss:
    """Returns `batch_loss(params, batch, key)`: the loss as training takes it.

    Args:
        loss_fn: `loss_fn(params, *batch)`, a scalar. The batch's first array, if it is uint8, reaches it scaled to
            [0, 1].
        stochastic: Whether the loss draws random numbers, for dropout say: it is then called as
            `loss_fn(params, *batch, key=key)`.
    """

    def batch_loss(params: Any, batch: Batch, key: Array) -> Float[Array, ""]:
        randomness = {"key": key} if stochastic else {}
        return loss_fn(params, scale_pixels(batch[0]), *batch[1:], **randomness)  # Labels may be uint8, too.

    return batch_loss


def make_train_step(
    loss_fn: Loss, optimizer: optax.GradientTransformation, *, stochastic: bool = False
) -> Callable[[TrainState, Batch, Array], tuple[TrainState, Float[Array, ""]]]:
    """Returns `train_step(state, batch, key) -> (state, loss)`, pure and not yet compiled.

    Args:
        loss_fn: As `make_batch_loss` takes it.
        optimizer: What turns gradients into updates.
        stochastic: Whether the loss draws random numbers.
    """
    batch_loss = make_batch_loss(loss_fn, stochastic=stochastic)

    def train_step(state: TrainState, batch: Batch, key: Array) -> tuple[TrainState, Float[Array, ""]]:
        loss, grads = jax.value_and_grad(batch_loss)(state.params, batch, key)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        return TrainState(optax.apply_updates(state.params, updates), opt_state, state.step + 1), loss

    return train_step


def skip_non_finite(train_step: Callable[[TrainState, Batch, Array], Any]) -> Callable[[TrainState, Batch, Array], Any]:
    """Returns the step that leaves parameters and the optimizer's memory as they are if they would not stay finite.

    The step is counted and its loss returned, as NaN where it was the parameters that were not finite.
    """

    def skipping_step(state: TrainState, batch: Batch, key: Array) -> tuple[TrainState, Float[Array, ""]]:
        after, loss = train_step(state, batch, key)
        fine = jnp.isfinite(loss) & stays_finite(state, after)
        kept = jax.tree.map(lambda new, old: jnp.where(fine, new, old), after, state)
        return kept._replace(step=after.step), jnp.where(fine, loss, jnp.nan)

    return skipping_step


def stays_finite(before: Any, after: Any) -> Bool[Array, ""]:
    """Returns whether each number of a tree that was finite before is so after.

    What was infinite before is meant to be: some optimizers begin so.
    """
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    fine = [
        jnp.all(jnp.isfinite(new) | ~jnp.isfinite(old)) for old, new in pairs if jnp.issubdtype(new.dtype, jnp.inexact)
    ]
    return jnp.all(jnp.stack(fine)) if fine else jnp.asarray(True)
