"""Metrics of predictions."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int


def accuracy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Returns the share of rows whose largest logit is the label's, from 0 to 1.

    Of equal logits the first counts, and of a NaN the first: a network that has diverged answers class 0.
    """
    return jnp.mean(jnp.argmax(logits, axis=-1) == labels)
