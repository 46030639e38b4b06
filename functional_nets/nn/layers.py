"""Layers: pure functions of their parameters and an input."""

import math
from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float, Num


def scale_pixels(x: Num[Array, "..."]) -> Num[Array, "..."]:
    """Returns uint8 pixels as floats between 0 and 1; anything else unchanged.

    Data stay uint8 on the device, a quarter of the memory, and are scaled one batch at a time. The floats
    are JAX's default type, so that a gradient check in float64 is not rounded to float32 here.
    """
    return x.astype(jnp.result_type(float)) / 255 if x.dtype == jnp.uint8 else x


def flatten(x: Num[Array, "batch ..."]) -> Num[Array, "batch features"]:
    """Returns one row of features per example."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))  # With -1, a batch of 0 examples would be refused.


def dense(
    params: Mapping[str, Array], x: Float[Array, "batch inputs"], *, product_dtype: DTypeLike | None = None
) -> Float[Array, "batch outputs"]:
    """Returns `x @ w + b`.

    Args:
        params: `w` [inputs, outputs] and `b` [outputs].
        x: One row of features per example.
        product_dtype: The type in which the factors are multiplied, bfloat16 for speed; sums are always
            taken in the type of `w`. None multiplies in the type of `w`, too.
    """
    w, b = params["w"], params["b"]
    if product_dtype is None:
        return x @ w + b
    return jnp.matmul(x.astype(product_dtype), w.astype(product_dtype), preferred_element_type=w.dtype) + b
