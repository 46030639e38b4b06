"""Convolution and pooling: against loops in NumPy, and their gradients against XLA's own operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from functional_nets.nn import conv2d, conv_relu_pool2d, max_pool2d
from tests import oracles

SHAPES = {
    "several channels": ((2, 6, 7, 3), (3, 2, 3, 4)),
    "a kernel of one pixel": ((2, 3, 3, 2), (1, 1, 2, 5)),
    "a kernel as large as the image": ((2, 4, 3, 1), (4, 3, 1, 2)),
    "no images": ((0, 4, 4, 1), (3, 3, 1, 2)),
}


def draw(image_shape, kernel_shape):
    random = np.random.RandomState(1)
    params = {"w": random.normal(size=kernel_shape), "b": random.normal(size=kernel_shape[-1])}
    x = random.normal(size=image_shape)
    return jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), (params, x))


def native(params, x):
    convolved = lax.conv_general_dilated(x, params["w"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return convolved + params["b"]


def pulled_back(function, *args):
    """The value, and the gradients for a random cotangent that is the same for all functions."""

    @jax.jit
    def both(*args):
        y, pull = jax.vjp(function, *args)
        return y, pull(jnp.asarray(np.random.RandomState(2).normal(size=y.shape), y.dtype))

    return both(*args)


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_convolution_is_what_a_loop_over_the_pixels_gives(shapes):
    params, x = draw(*shapes)
    expected = oracles.correlate(*(np.asarray(a, np.float64) for a in (x, params["w"], params["b"])))
    np.testing.assert_allclose(jax.jit(conv2d)(params, x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shapes", list(SHAPES.values())[:3], ids=list(SHAPES)[:3])
def test_convolution_by_slices_has_the_value_and_the_gradients_of_the_native_one(shapes):
    params, x = draw(*shapes)
    found, expected = pulled_back(conv2d, params, x), pulled_back(native, params, x)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_convolution_with_bfloat16_rounds_factors_and_products_as_the_native_one_does():
    params, x = draw((2, 6, 6, 8), (3, 3, 8, 4))
    found = conv2d(params, x, product_dtype=jnp.bfloat16)
    expected = lax.conv_general_dilated(
        x.astype(jnp.bfloat16), params["w"].astype(jnp.bfloat16), (1, 1), "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    ).astype(jnp.float32)  # fmt: skip
    assert found.dtype == jnp.float32
    # One rounding to bfloat16's eight bits is the most by which sums in another order may differ.
    np.testing.assert_allclose(found - params["b"], expected, rtol=2**-7, atol=1e-5)
    assert not np.allclose(found, conv2d(params, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("side", "size"), [(6, 2), (13, 2), (9, 3), (2, 2), (3, 1)])
def test_pooling_takes_the_largest_of_each_whole_block(side, size):
    x = np.random.RandomState(3).normal(size=(2, side, side + 1, 3)).astype(np.float32)
    np.testing.assert_array_equal(max_pool2d(jnp.asarray(x), size), oracles.max_pool(x, size))


def test_pooling_has_the_gradient_of_a_window_reduction_where_nothing_ties():
    x = jnp.asarray(np.random.RandomState(4).permutation(2 * 13 * 13 * 3).reshape(2, 13, 13, 3), jnp.float32)

    def windows(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    for a, b in zip(pulled_back(max_pool2d, x), pulled_back(windows, x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_pooling_splits_the_gradient_of_a_tie_among_the_tied():
    x = jnp.asarray([[2.0, 2.0], [0.0, 2.0]]).reshape(1, 2, 2, 1)
    gradient = jax.grad(lambda x: max_pool2d(x).sum())(x)[0, :, :, 0]
    assert float(gradient.sum()) == 1.0
    np.testing.assert_array_equal(gradient > 0, [[True, True], [False, True]])


@pytest.mark.parametrize(
    ("size", "kernels"), [(2, [(3, 3, 3, 4), (2, 3, 4, 2)]), (3, [(2, 1, 3, 2)]), (1, [(3, 3, 3, 1), (2, 2, 1, 2)])]
)
def test_layers_in_one_function_have_the_value_and_the_gradients_of_the_native_operations(size, kernels):
    layers = [draw((1, 9, 10, 3), kernel)[0] for kernel in kernels]
    x = draw((5, 9, 10, 3), kernels[0])[1]

    def one_by_one(layers, x):
        for params in layers:
            y = jax.nn.relu(native(params, x))
            x = lax.reduce_window(y, -jnp.inf, lax.max, (1, size, size, 1), (1, size, size, 1), "VALID")
        return x

    def together(layers, x):
        return conv_relu_pool2d(layers, x, size=size)

    found, expected = pulled_back(together, layers, x), pulled_back(one_by_one, layers, x)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_in_one_function_a_tie_shares_the_gradient_and_no_images_give_no_images():
    layers = [{"w": jnp.ones((1, 1, 1, 1)), "b": jnp.zeros(1)}]
    tied = jnp.asarray([[2.0, 2.0], [0.0, 2.0]]).reshape(1, 2, 2, 1)
    gradient = jax.grad(lambda x: conv_relu_pool2d(layers, x).sum())(tied)[0, :, :, 0]
    np.testing.assert_allclose(gradient, [[1 / 3, 1 / 3], [0, 1 / 3]], rtol=1e-6)
    assert conv_relu_pool2d(layers, tied[:0]).shape == (0, 1, 1, 1)


def test_in_one_function_bfloat16_rounds_as_one_by_one():
    params, x = draw((4, 6, 6, 8), (3, 3, 8, 4))
    found = conv_relu_pool2d([params], x, product_dtype=jnp.bfloat16)
    expected = max_pool2d(jax.nn.relu(conv2d(params, x, product_dtype=jnp.bfloat16)))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=2**-7, atol=1e-2)
