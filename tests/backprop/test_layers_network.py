"""The loss and the networks: gradients of the loss that they compute, and what notebook 002 looked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.backprop.layers import (
    Affine,
    BatchNorm,
    Convolution,
    Dropout,
    Pooling,
    Relu,
    Sequential,
    SoftmaxWithLoss,
    TwoLayerNet,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def jax_loss(scores, t):
    return -jnp.sum(t * jax.nn.log_softmax(scores)) / max(1, scores.size // scores.shape[-1])


# ------ the loss


@pytest.mark.parametrize("shape", [(4, 3), (1, 3), (4, 1), (3,), (0, 3), (2, 5, 3)])
@pytest.mark.parametrize("dout", [1.0, -2.5])
def test_the_loss_has_the_gradient_of_its_own_value_scaled_from_above(shape, dout, rng):
    x, t = rng.normal(size=shape), rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])
    layer = SoftmaxWithLoss()
    loss = layer.forward(x, t)
    if x.size:
        value, gradient = jax.jit(jax.value_and_grad(jax_loss))(x, t)
        assert loss == pytest.approx(float(value), rel=1e-13)
        np.testing.assert_allclose(layer.backward(dout), dout * gradient, rtol=1e-12, atol=1e-15)
    assert layer.backward(dout).shape == shape


def test_the_softmax_runs_over_each_row(rng):
    layer = SoftmaxWithLoss()
    layer.forward(rng.normal(size=(4, 3)), np.eye(3)[[0, 1, 2, 0]])
    np.testing.assert_allclose(layer.y.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(layer.backward(), (layer.y - layer.t) / 4, rtol=1e-12, atol=1e-15)


def test_a_network_that_knows_nothing_starts_at_the_logarithm_of_the_classes():
    assert SoftmaxWithLoss().forward(np.zeros((7, 10)), np.arange(7)) == pytest.approx(np.log(10), rel=1e-15)


def test_the_loss_is_that_of_the_softmax_however_large_the_scores():
    layer = SoftmaxWithLoss()
    assert layer.forward(np.array([[1e4, 0.0], [0.0, 1e4]]), np.array([1, 1])) == 5e3
    np.testing.assert_array_equal(layer.backward(), [[0.5, -0.5], [0, 0]])


def test_the_number_of_the_class_stands_for_its_row(rng):
    x, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
    one, other = SoftmaxWithLoss(), SoftmaxWithLoss()
    assert one.forward(x, labels) == other.forward(x, np.eye(3)[labels])
    np.testing.assert_array_equal(one.backward(), other.backward())


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (np.array([0, 3]), "expected classes 0 to 2, found 0 to 3"),
        (np.array([0, -1]), "expected classes 0 to 2, found -1 to 0"),
        (
            np.eye(2),
            r"expected targets of shape \(2, 3\), or integers of shape \(2,\), found float64",
        ),
        (np.array([0.0, 1.0]), "found float64 of shape"),
    ],
)
def test_targets_that_do_not_fit_are_an_error(t, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxWithLoss().forward(np.zeros((2, 3)), t)


# ------ networks


@pytest.fixture
def two_layers(rng):
    network = TwoLayerNet(6, 5, 3, weight_init_std=0.5, rng=rng)
    network.params["b1"] += 0.1
    return network


def test_the_initial_weights_come_from_the_generator():
    given, again = (TwoLayerNet(6, 5, 3, rng=np.random.default_rng(7)) for _ in range(2))
    without = TwoLayerNet(6, 5, 3)
    np.testing.assert_array_equal(given.params["w1"], again.params["w1"])
    assert np.all(given.params["w1"] != without.params["w1"])
    assert without.params["w1"].std() == pytest.approx(0.01, rel=0.5)
    assert {key: value.shape for key, value in without.params.items()} == {
        "w1": (6, 5), "b1": (5,), "w2": (5, 3), "b2": (3,)
    }  # fmt: skip


def test_the_network_has_the_gradient_of_jax(two_layers, rng):
    x, t = rng.normal(size=(4, 6)), np.eye(3)[[0, 2, 1, 1]]

    def loss(p):
        return jax_loss(jax.nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"], t)

    value, expected = jax.jit(jax.value_and_grad(loss))(two_layers.params)
    assert two_layers.loss(x, t) == pytest.approx(float(value), rel=1e-13)
    gradient = two_layers.gradient(x, t)
    assert list(gradient) == ["w1", "b1", "w2", "b2"]
    for key in gradient:
        np.testing.assert_allclose(gradient[key], expected[key], rtol=1e-12, atol=1e-13)


def test_numerical_and_backpropagated_gradients_agree_as_notebook_002_hoped(two_layers, rng):
    x, t = rng.normal(size=(3, 6)), np.eye(3)[[0, 2, 1]]
    before = {key: value.copy() for key, value in two_layers.params.items()}
    numerical, ours = two_layers.numerical_gradient(x, t), two_layers.gradient(x, t)
    for key in before:
        assert np.average(np.abs(numerical[key] - ours[key])) < 1e-9  # The notebook has 0.067 for b2.
        np.testing.assert_array_equal(two_layers.params[key], before[key])


def test_the_layers_take_their_parameters_from_params(two_layers, rng):
    x, t = rng.normal(size=(4, 6)), np.array([0, 2, 1, 1])
    before = two_layers.loss(x, t)
    two_layers.params["w1"] = two_layers.params["w1"] * 2  # Another array, not the same one changed.
    assert two_layers.loss(x, t) != before
    assert two_layers.layers["Affine1"].w is two_layers.params["w1"]


def test_the_accuracy_is_the_share_of_right_answers(two_layers, rng):
    x = rng.normal(size=(8, 6))
    labels = np.argmax(two_layers.predict(x), axis=1)
    labels[:2] = (labels[:2] + 1) % 3
    assert two_layers.accuracy(x, labels) == 0.75
    assert two_layers.accuracy(x, np.eye(3)[labels]) == 0.75


def test_the_network_learns(two_layers, rng):
    x = rng.normal(size=(30, 6))
    t = np.argmax(x[:, :3], axis=1)
    for _ in range(300):
        for key, gradient in two_layers.gradient(x, t).items():
            two_layers.params[key] -= 0.5 * gradient
    assert two_layers.loss(x, t) < 0.05
    assert two_layers.accuracy(x, t) == 1.0


@pytest.fixture
def convolutional(rng):
    return Sequential(
        {
            "Conv1": Convolution(rng.normal(size=(3, 3, 1, 4)), rng.normal(size=4), pad=1),
            "Norm1": BatchNorm(rng.normal(size=4), rng.normal(size=4)),
            "Relu1": Relu(),
            "Pool1": Pooling(2, 2),
            "Dropout1": Dropout(0.5, rng),
            "Affine1": Affine(rng.normal(size=(36, 3)), rng.normal(size=3)),
        }
    )


def test_layers_of_all_kinds_make_a_network(convolutional, rng):
    x, t = rng.normal(size=(5, 6, 6, 1)), np.array([0, 2, 1, 1, 0])
    assert list(convolutional.params) == ["w1", "b1", "gamma2", "beta2", "w3", "b3"]
    convolutional.layers["Dropout1"].ratio = 0.0  # Differences need the same function every time.
    numerical, ours = convolutional.numerical_gradient(x, t), convolutional.gradient(x, t)
    for key in ours:
        np.testing.assert_allclose(ours[key], numerical[key], rtol=1e-5, atol=1e-8)


def test_prediction_is_not_training(convolutional, rng):
    x, t = rng.normal(size=(5, 6, 6, 1)), np.array([0, 2, 1, 1, 0])
    convolutional.loss(x, t)
    statistics = convolutional.layers["Norm1"].running_mean.copy()
    assert np.all(statistics != 0)  # The loss is a step of training.
    np.testing.assert_array_equal(convolutional.predict(x), convolutional.predict(x))
    np.testing.assert_array_equal(convolutional.layers["Norm1"].running_mean, statistics)
    np.testing.assert_allclose(convolutional.predict(x[:1]), convolutional.predict(x)[:1], rtol=1e-12)
