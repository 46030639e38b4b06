"""Losses: of predictions, one value per example; and of a model, one scalar to be differentiated.

A model's loss hands on to it what is passed by name, such as the `key` of a model with dropout.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int

from functional_nets.nn.layers import scale_pixels

Params = Any
Apply = Callable[..., Array]
Loss = Callable[..., Float[Array, ""]]


def softmax_cross_entropy(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """Returns -log of the probability that the softmax of each row gives its label, in nats, at least 0.

    The softmax runs over each row: normalised over the whole batch instead, rows would not sum to 1 and
    training would diverge (notebook `002`).
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def sigmoid_binary_cross_entropy(logits: Float[Array, "..."], labels: Array) -> Float[Array, "..."]:
    """Returns the binary cross-entropy of sigmoid(logits), in nats, stable for logits of any size."""
    return optax.sigmoid_binary_cross_entropy(logits, labels)


def binary_cross_entropy(probabilities: Float[Array, "..."], labels: Array) -> Float[Array, "..."]:
    """Returns -t log p - (1 - t) log(1 - p), in nats, each logarithm at least -100 as in PyTorch's `BCELoss`.

    At probabilities of 0 and 1 the logarithm that is cut off has a gradient of 0. Kept for the comparison
    with notebook `000`; on logits, `sigmoid_binary_cross_entropy` loses no digits.
    """
    # The logarithms never see 0, whose infinite derivative times the cut's 0 would be NaN.
    never, always = probabilities <= 0, probabilities >= 1
    log_p = jnp.where(never, -100.0, jnp.maximum(jnp.log(jnp.where(never, 1.0, probabilities)), -100.0))
    log_not_p = jnp.where(always, -100.0, jnp.log1p(-jnp.where(always, 0.0, probabilities)))
    return -(labels * log_p + (1 - labels) * log_not_p)


def squared_error(predictions: Float[Array, "..."], targets: Array) -> Float[Array, "..."]:
    """Returns the squared differences; their mean is PyTorch's `MSELoss`."""
    return optax.squared_error(predictions, targets)


def classification_loss(apply: Apply) -> Loss:
    """Returns `loss(params, x, labels)`: the mean softmax cross-entropy of a batch, in nats.

    A network that knows nothing of C classes starts near log C.
    """

    def loss(params: Params, x: Array, labels: Int[Array, " batch"], **options: Any) -> Float[Array, ""]:
        return softmax_cross_entropy(apply(params, scale_pixels(x), **options), labels).mean()

    return loss


def binary_cross_entropy_loss(apply: Apply) -> Loss:
    """Returns `loss(params, x, labels)`: the mean binary cross-entropy of a model of one logit an example."""

    def loss(params: Params, x: Array, labels: Array, **options: Any) -> Float[Array, ""]:
        return sigmoid_binary_cross_entropy(apply(params, scale_pixels(x), **options)[:, 0], labels).mean()

    return loss


def mean_squared_error_loss(apply: Apply) -> Loss:
    """Returns `loss(params, x, targets)`: the squared error's mean over the batch and its outputs."""

    def loss(params: Params, x: Array, targets: Array, **options: Any) -> Float[Array, ""]:
        return squared_error(apply(params, scale_pixels(x), **options), targets).mean()

    return loss
