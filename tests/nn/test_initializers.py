"""How layers start."""

import jax
import numpy as np
import pytest

from functional_nets.nn import normal, uniform_fan_in

KERNEL = (3, 3, 6, 300)  # Each output sums over 54 inputs.
BOUND = 1 / np.sqrt(54)


@pytest.fixture(scope="module")
def layers():
    """Layers of both kinds, by kind and seed."""
    made = {}
    for kind, init, shape in (("normal", normal(0.01), (400, 300)), ("uniform", uniform_fan_in(), KERNEL)):
        drawn = jax.jit(init, static_argnums=1)
        for seed in (0, 1):
            made[kind, seed] = jax.tree.map(np.asarray, drawn(jax.random.key(seed), shape))
        made[kind, "0 again"] = jax.tree.map(np.asarray, drawn(jax.random.key(0), shape))
    return made


def test_normal_draws_weights_of_the_given_deviation_and_biases_of_zero(layers):
    layer = layers["normal", 0]
    # Of 120,000 draws the mean lies within 5 of its own deviations, 0.01/√120,000, and so does the deviation.
    assert abs(layer["w"].mean()) < 5 * 0.01 / 120_000**0.5
    assert abs(layer["w"].std() / 0.01 - 1) < 5 / 240_000**0.5
    np.testing.assert_array_equal(layer["b"], np.zeros(300))


@pytest.mark.parametrize(("leaf", "shape", "margin"), [("w", KERNEL, 0.002), ("b", (300,), 0.1)])
def test_uniform_fills_the_whole_range_of_one_over_the_root_of_fan_in(layers, leaf, shape, margin):
    values = layers["uniform", 0][leaf]
    assert values.shape == shape
    assert -BOUND <= values.min() < -(1 - margin) * BOUND
    assert (1 - margin) * BOUND < values.max() <= BOUND
    assert abs(values.mean()) < 5 * BOUND / (3 * values.size) ** 0.5


def test_weights_and_biases_are_drawn_apart(layers):
    layer = layers["uniform", 0]
    assert not np.isin(layer["b"], layer["w"].reshape(-1, 300)[0]).any()


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_the_same_key_gives_the_same_layer_and_another_key_another(layers, kind):
    first, same, other = (layers[kind, seed]["w"] for seed in (0, "0 again", 1))
    np.testing.assert_array_equal(first, same)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 5 / first.size**0.5
