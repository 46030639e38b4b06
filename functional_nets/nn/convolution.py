"""Convolution and pooling over images [batch, height, width, channels]."""

from collections.abc import Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike
from jaxtyping import Float

Layers = Sequence[Mapping[str, Array]]


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
    patches = jnp.concatenate(_shifted(x, kernel_height, kernel_width), axis=-1)
    # Products of a narrow type are summed in float32 and rounded once, as the native convolution does.
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.matmul(patches, kernel.reshape(-1, outputs), preferred_element_type=wide).astype(x.dtype)


def _shifted(x: Array, kernel_height: int, kernel_width: int) -> list[Array]:
    """What each place of the kernel sees, row by row: the images, whose sides are axes 1 and 2, shifted and cut."""
    height, width = x.shape[1] - kernel_height + 1, x.shape[2] - kernel_width + 1
    return [
        x[:, row : row + height, column : column + width]
        for row in range(kernel_height)
        for column in range(kernel_width)
    ]


def max_pool2d(x: Float[Array, "batch height width channels"], size: int = 2) -> Float[Array, "..."]:
    """Returns the largest value of each `size` × `size` block; rows and columns that fill no block are cut.

    Written as the maximum of strided slices, whose gradient is several times faster on CPU than that of
    `lax.reduce_window`. Where values of a block tie, the gradient is split between them.
    """
    height, width = x.shape[1] // size * size, x.shape[2] // size * size
    blocks = [x[:, row:height:size, column:width:size] for row in range(size) for column in range(size)]
    return jax.tree.reduce(jnp.maximum, blocks)


def conv_relu_pool2d(
    layers: Layers,
    x: Float[Array, "batch height width inputs"],
    *,
    padding: int = 0,
    size: int = 2,
    product_dtype: DTypeLike | None = None,
) -> Float[Array, "batch new_height new_width outputs"]:
    """Returns what layer after layer of `max_pool2d(relu(conv2d(params, x)), size)` makes of the images.

    All layers in one function, since on CPU they are fastest with the images along the last axis, where vector
    instructions run over them (LeNet: less than half the time), and turning the arrays between the layers would
    cost what that gains. Elsewhere they are XLA's own operations. The two agree in value and gradient where
    nothing ties; of a tie each largest value has an equal share.

    Args:
        layers: Of each layer, `w` and `b` as for `conv2d`.
        x: Images.
        padding: Rows and columns of zeros that are laid around the images first.
        size: As for `max_pool2d`.
        product_dtype: As for `dense`.
    """
    images_last = partial(_layers_images_last, padding=padding, size=size, product_dtype=product_dtype)
    native = partial(_layers_native, padding=padding, size=size, product_dtype=product_dtype)
    return lax.platform_dependent([dict(params) for params in layers], x, cpu=images_last, default=native)


def _layers_native(layers: Layers, x: Array, *, padding: int, size: int, product_dtype: DTypeLike | None) -> Array:
    x = _padded(x, padding)
    for params in layers:
        dtype = product_dtype or params["w"].dtype
        product = _correlate_native(x.astype(dtype), params["w"].astype(dtype)).astype(params["w"].dtype)
        x = max_pool2d(jax.nn.relu(product + params["b"]), size)
    return x


def _layers_images_last(layers: Layers, x: Array, *, padding: int, size: int, product_dtype: DTypeLike | None) -> Array:
    # Padded after it is turned: else XLA has each of the slices turn the images for itself.
    x = _padded(x.transpose(3, 1, 2, 0), padding)
    for params in layers:
        x = _pool_images_last(jax.nn.relu(_correlate_images_last(params, x, product_dtype)), size)
    return x.transpose(3, 1, 2, 0)


def _padded(x: Array, padding: int) -> Array:
    return jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))


def _correlate_images_last(params: Mapping[str, Array], x: Array, product_dtype: DTypeLike | None) -> Array:
    """`conv2d` of [inputs, height, width, batch]: the kernel times all that it sees, one column a place."""
    w, b = params["w"], params["b"]
    kernel_height, kernel_width, inputs, outputs = w.shape
    x = x.astype(product_dtype or w.dtype)
    height, width, batch = x.shape[1] - kernel_height + 1, x.shape[2] - kernel_width + 1, x.shape[3]
    seen = jnp.concatenate(_shifted(x, kernel_height, kernel_width))
    if jax.sharding.get_abstract_mesh().empty:  # Devices that share the images could not, in an axis with others.
        seen = seen.reshape(kernel_height * kernel_width * inputs, height * width * batch)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    product = jnp.tensordot(w.astype(x.dtype).reshape(-1, outputs).T, seen, 1, preferred_element_type=wide)
    return product.astype(x.dtype).astype(w.dtype).reshape(outputs, height, width, batch) + b[:, None, None, None]


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _pool_images_last(x: Array, size: int) -> Array:
    return _blocks(x, size).max(axis=(2, 4))


@_pool_images_last.defjvp
def _pool_derivative(size: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """As JAX's own, but that ties are counted by adding slices: on CPU the sum over two axes takes three times as long.

    Backwards, the sum is a broadcast.
    """
    largest = _pool_images_last(*primals, size)
    is_largest = _blocks(*primals, size) == largest[:, :, None, :, None]
    ties = sum(is_largest[:, :, i, :, j].astype(largest.dtype) for i in range(size) for j in range(size))
    return largest, jnp.where(is_largest, _blocks(*tangents, size), 0).sum(axis=(2, 4)) / ties


def _blocks(x: Array, size: int) -> Array:
    """The images of [channels, height, width, batch] cut into blocks, whose rows and columns are axes 2 and 4."""
    channels, height, width, batch = x.shape
    rows, columns = height // size, width // size
    return x[:, : rows * size, : columns * size].reshape(channels, rows, size, columns, size, batch)
