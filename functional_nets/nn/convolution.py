"""Convolution and pooling over images [batch, height, width, channels]."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike
from jaxtyping import Float


def conv2d(
    params: Mapping[str, Array],
    x: Float[Array, "batch height width inputs"],
    *,
    product_dtype: DTypeLike | None = None,
) -> Float[Array, "batch new_height new_width outputs"]:
    """Returns the valid cross-correlation of `x` with `w`, plus `b`: sides shrink by the kernel's less 1.

    On CPU the gradients of XLA's own convolution are slow (LeNet: 22 s an epoch against 7 s), so there the
    image's shifted slices are multiplied with the kernel in one matrix product; the two agree in value and
    gradient.

    Args:
        params: `w` [kernel height, kernel width, inputs, outputs] and `b` [outputs].
        x: Images.
        product_dtype: As for `dense`.
    """
    w, b = params["w"], params["b"]
    dtype = product_dtype or w.dtype
    x, kernel = x.astype(dtype), w.astype(dtype)
    product = lax.platform_dependent(x, kernel, cpu=_correlate_slices, default=_correlate_native)
    return product.astype(w.dtype) + b


def _correlate_native(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _correlate_slices(x: Array, kernel: Array) -> Array:
    """The same as a matrix product: row (i, j) of `patches` holds what the kernel sees at (i, j)."""
    kernel_height, kernel_width, _, outputs = kernel.shape
    height, width = x.shape[1] - kernel_height + 1, x.shape[2] - kernel_width + 1
    patches = jnp.concatenate(
        [
            x[:, row : row + height, column : column + width]
            for row in range(kernel_height)
            for column in range(kernel_width)
        ],
        axis=-1,
    )
    # Products of a narrow type are summed in float32 and rounded once, as the native convolution does.
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.matmul(patches, kernel.reshape(-1, outputs), preferred_element_type=wide).astype(x.dtype)


def max_pool2d(x: Float[Array, "batch height width channels"], size: int = 2) -> Float[Array, "..."]:
    """Returns the largest value of each `size` × `size` block; rows and columns that fill no block are cut.

    Written as the maximum of strided slices, whose gradient is several times faster on CPU than that of
    `lax.reduce_window`. Where values of a block tie, the gradient is split between them.
    """
    height, width = x.shape[1] // size * size, x.shape[2] // size * size
    blocks = [x[:, row:height:size, column:width:size] for row in range(size) for column in range(size)]
    return jax.tree.reduce(jnp.maximum, blocks)
