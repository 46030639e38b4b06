"""Dense layers, flattening and the scaling of pixels, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.nn import dense, flatten, scale_pixels


def random_dense(batch: int, inputs: int, outputs: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    random = np.random.RandomState(0)
    params = {"w": random.normal(size=(inputs, outputs)), "b": random.normal(size=outputs)}
    x = random.normal(size=(batch, inputs)).astype(np.float32)
    return {name: value.astype(np.float32) for name, value in params.items()}, x


@pytest.mark.parametrize("shape", [(5, 3, 4), (1, 1, 1), (0, 3, 4)], ids=str)
def test_dense_is_x_w_plus_b(shape):
    params, x = random_dense(*shape)
    found = dense(jax.tree.map(jnp.asarray, params), jnp.asarray(x))
    expected = x.astype(np.float64) @ params["w"] + params["b"]
    assert found.shape == (shape[0], shape[2])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_dense_with_bfloat16_rounds_the_factors_and_sums_in_float32():
    params, x = random_dense(5, 300, 4)
    found = dense(jax.tree.map(jnp.asarray, params), jnp.asarray(x), product_dtype=jnp.bfloat16)
    rounded_x, rounded_w = (np.asarray(a, jnp.bfloat16).astype(np.float64) for a in (x, params["w"]))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, rounded_x @ rounded_w + params["b"], rtol=1e-5, atol=1e-5)
    assert not np.allclose(found, x @ params["w"] + params["b"], rtol=1e-5, atol=1e-5)


def test_flatten_makes_one_row_of_each_example_in_the_order_of_its_pixels():
    x = np.arange(24).reshape(2, 3, 4, 1)
    np.testing.assert_array_equal(flatten(jnp.asarray(x)), [range(12), range(12, 24)])


def test_uint8_pixels_become_0_to_1_and_other_types_stay():
    scaled = scale_pixels(jnp.asarray([0, 51, 255], jnp.uint8))
    assert scaled.dtype == jnp.float32
    np.testing.assert_allclose(scaled, [0, 0.2, 1], rtol=1e-7)
    for unscaled in (jnp.asarray([0.0, 51.0]), jnp.asarray([0, 51], jnp.int32)):
        assert scale_pixels(unscaled) is unscaled


def test_flatten_keeps_the_features_of_an_empty_batch():
    assert flatten(jnp.zeros((0, 28, 28, 1))).shape == (0, 784)
