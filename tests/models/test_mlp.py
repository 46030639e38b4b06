"""Multi-layer perceptrons, and the network of XOR, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.models import mlp, xor_net
from tests import oracles


def draw(model):
    """Parameters of the model's shapes, from N(0, 1)."""
    random = np.random.RandomState(1)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(np.float32), shapes)


@pytest.mark.parametrize(
    ("activation", "in_numpy"), [(jax.nn.relu, oracles.relu), (jnp.tanh, np.tanh)], ids=["relu", "tanh"]
)
def test_the_activation_stands_between_layers_and_not_after_the_last(activation, in_numpy):
    model = mlp((6, 5, 4, 3), activation=activation)
    params = draw(model)
    x = np.random.RandomState(0).normal(size=(7, 2, 3)).astype(np.float32)
    expected = oracles.mlp(oracles.in_float64(params), x, in_numpy)
    np.testing.assert_allclose(jax.jit(model.apply)(params, x), expected, rtol=1e-4, atol=1e-4)
    assert expected.min() < 0


def test_two_sizes_make_one_layer():
    params = draw(mlp((3, 2)))
    assert jax.tree.map(np.shape, params) == {"dense1": {"w": (3, 2), "b": (2,)}}


@pytest.mark.parametrize("sizes", [(), (784,), (784, 0, 10), (784, -1)], ids=str)
def test_sizes_that_make_no_network_are_refused_with_what_was_found(sizes):
    with pytest.raises(ValueError, match=r"Expected at least two sizes of 1 or more, found \(") as refused:
        mlp(sizes)
    assert str(sizes) in str(refused.value)


def test_the_network_of_xor_has_a_sigmoid_in_the_middle_and_ends_at_the_logit():
    model = xor_net()
    params = draw(model)
    exact = oracles.in_float64(params)
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    hidden = oracles.sigmoid(x @ exact["hidden"]["w"] + exact["hidden"]["b"])
    expected = hidden @ exact["output"]["w"] + exact["output"]["b"]
    np.testing.assert_allclose(jax.jit(model.apply)(params, x), expected, rtol=1e-5, atol=1e-6)
