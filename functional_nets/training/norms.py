"""How large each layer's gradient and step are: they tell what does not learn from what learns too fast."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from functional_nets.nn import scale_pixels
from functional_nets.training.step import Batch, Loss, TrainState

Norms = dict[str, float]
"""Euclidean norms by layer: by the first name of the parameters' paths."""


class LayerNorms(NamedTuple):
    """Norms at one state, on one batch.

    Attributes:
        gradient: Of the loss's gradient, in the loss's unit per unit of a parameter.
        update: Of the step that the optimizer would take from this state on this batch.
        parameter: Of the parameters themselves. An update of about a thousandth of them is usual.
    """

    gradient: Norms
    update: Norms
    parameter: Norms

    def as_row(self) -> dict[str, float]:
        """Returns all norms under names such as `gradient_norm/dense1`, as a row of metrics holds them."""
        return {f"{kind}_norm/{layer}": norm for kind, norms in self._asdict().items() for layer, norm in norms.items()}


def make_layer_norms(
    loss_fn: Loss, optimizer: optax.GradientTransformation, batch: Batch
) -> Callable[[TrainState], LayerNorms]:
    """Returns `norms(state) -> LayerNorms`, compiled at its first call; the state is left as it is.

    A function of the state alone, since the batch is always the same: rows are comparable, and a resumed run finds
    what the uninterrupted one does.

    Args:
        loss_fn: `loss_fn(params, *batch)`, a scalar without randomness.
        optimizer: What turns gradients into updates.
        batch: Arrays whose first axes count the examples.
    """

    @jax.jit
    def squares(state: TrainState, batch: Batch) -> tuple[dict[str, jax.Array], ...]:
        grads = jax.grad(loss_fn)(state.params, scale_pixels(batch[0]), *batch[1:])
        updates, _ = optimizer.update(grads, state.opt_state, state.params)
        return tuple(map(_squares_by_layer, (grads, updates, state.params)))

    def norms(state: TrainState) -> LayerNorms:
        return LayerNorms(
            *({name: float(square) ** 0.5 for name, square in each.items()} for each in squares(state, batch))
        )

    return norms


def _squares_by_layer(tree: Any) -> dict[str, jax.Array]:
    sums: dict[str, jax.Array] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = str(getattr(path[0], "key", getattr(path[0], "idx", path[0]))) if path else "parameters"
        sums[name] = sums.get(name, jnp.zeros(())) + jnp.sum(jnp.square(leaf))
    return sums
