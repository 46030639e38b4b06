"""Losses against closed forms, NumPy in float64, and PyTorch's own numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets import nn
from tests import oracles

softmax_cross_entropy = jax.jit(nn.softmax_cross_entropy)  # Compiling once is quicker than op by op.
sigmoid_binary_cross_entropy = jax.jit(nn.sigmoid_binary_cross_entropy)
binary_cross_entropy = jax.jit(nn.binary_cross_entropy)

GOLDEN = oracles.PYTORCH["losses"]


@pytest.fixture
def scores():
    """Logits, labels and predictions, as `tests/golden/pytorch.py` draws them."""
    random = np.random.RandomState(5)
    return random.normal(0, 3, (6, 4)), random.randint(0, 4, 6), random.normal(0, 1, (3, 2))


def test_softmax_cross_entropy_is_pytorchs_and_numpys(scores):
    logits, labels, _ = scores
    found = softmax_cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(found, oracles.cross_entropy(logits, labels), rtol=1e-5)
    np.testing.assert_allclose(found, GOLDEN["softmax_cross_entropy"], rtol=1e-5)


def test_the_gradient_of_softmax_cross_entropy_is_probability_less_truth_over_the_batch(scores):
    logits, labels, _ = scores
    found = jax.jit(jax.grad(lambda z: softmax_cross_entropy(z, jnp.asarray(labels)).mean()))(jnp.asarray(logits))
    np.testing.assert_allclose(found, (oracles.softmax(logits) - np.eye(4)[labels]) / 6, atol=1e-7)
    np.testing.assert_allclose(found, GOLDEN["softmax_cross_entropy_gradient"], atol=1e-7)


@pytest.mark.parametrize("classes", [1, 10, 1000])
def test_equal_logits_cost_the_logarithm_of_the_number_of_classes(classes):
    found = softmax_cross_entropy(np.full((3, classes), 7.0), np.array([0, classes // 2, classes - 1]))
    np.testing.assert_allclose(found, np.log(classes), rtol=1e-6, atol=1e-7)


def test_softmax_cross_entropy_does_not_change_when_a_row_is_shifted(scores):
    logits, labels, _ = scores
    rows = jnp.asarray(logits, jnp.float32).round(2)
    shifts = jnp.asarray([[0.0], [8], [-8], [64], [-64], [1]])
    np.testing.assert_allclose(
        softmax_cross_entropy(rows + shifts, jnp.asarray(labels)),
        softmax_cross_entropy(rows, jnp.asarray(labels)),
        atol=2e-5,
    )


def test_the_softmax_of_a_row_knows_nothing_of_the_other_rows(scores):
    logits, labels, _ = map(jnp.asarray, scores)
    together = softmax_cross_entropy(logits, labels)
    one_by_one = [softmax_cross_entropy(logits[i : i + 1], labels[i : i + 1])[0] for i in range(6)]
    np.testing.assert_allclose(together, one_by_one, rtol=1e-6)


def test_softmax_cross_entropy_and_its_gradient_stay_finite_and_exact_at_ten_thousand():
    logits, labels = jnp.array([[1e4, -1e4], [1e4, 0.0], [-1e4, 1e4]]), jnp.array([1, 0, 1])
    np.testing.assert_array_equal(softmax_cross_entropy(logits, labels), [2e4, 0, 0])
    gradient = jax.jit(jax.grad(lambda z: softmax_cross_entropy(z, labels).sum()))(logits)
    np.testing.assert_array_equal(gradient, [[1, -1], [0, 0], [0, 0]])


def test_sigmoid_binary_cross_entropy_is_pytorchs(scores):
    logits, labels, _ = scores
    found = sigmoid_binary_cross_entropy(jnp.asarray(logits[:, 0]), jnp.asarray(labels % 2))
    np.testing.assert_allclose(found, GOLDEN["sigmoid_binary_cross_entropy"], rtol=1e-5)


def test_sigmoid_binary_cross_entropy_and_its_gradient_stay_finite_and_exact_at_ten_thousand():
    logits, labels = jnp.array([1e4, 1e4, -1e4, -1e4, 0.0]), jnp.array([1, 0, 1, 0, 1])
    found = sigmoid_binary_cross_entropy(logits, labels)
    np.testing.assert_allclose(found, [0, 1e4, 1e4, 0, np.log(2)], rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda z: sigmoid_binary_cross_entropy(z, labels).sum()))(logits)
    np.testing.assert_array_equal(gradient, [0, 1, -1, 0, -0.5])


def test_binary_cross_entropy_of_probabilities_ends_at_100_as_pytorchs():
    probabilities = jnp.array([0.0, 0.0, 1.0, 1.0, 0.3, 0.8])
    found = binary_cross_entropy(probabilities, jnp.array([0, 1, 0, 1, 1, 0]))
    np.testing.assert_allclose(found, GOLDEN["binary_cross_entropy"], rtol=1e-6)


def test_the_gradient_of_binary_cross_entropy_is_finite_even_for_probabilities_of_0_and_1():
    labels = jnp.array([0.0, 1, 0, 1, 1, 0])
    probabilities = jnp.array([0.0, 0.0, 1.0, 1.0, 0.25, 0.75])
    gradient = jax.jit(jax.grad(lambda p: binary_cross_entropy(p, labels).sum()))(probabilities)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[4:], [-4, 4], rtol=1e-6)


def test_the_two_binary_cross_entropies_agree_on_a_sigmoid():
    logits, labels = jnp.linspace(-6, 6, 13), jnp.arange(13) % 2
    np.testing.assert_allclose(
        binary_cross_entropy(jax.nn.sigmoid(logits), labels),
        sigmoid_binary_cross_entropy(logits, labels),
        rtol=1e-4,
    )


def test_the_mean_of_the_squared_errors_is_pytorchs(scores):
    predictions = jnp.asarray(scores[2])
    np.testing.assert_allclose(
        nn.squared_error(predictions, jnp.ones((3, 2))).mean(), GOLDEN["mean_squared_error"], rtol=1e-6
    )


def first_features(params, x):
    """A model whose logits are its inputs, scaled."""
    return params * x


def test_a_classification_loss_is_the_mean_over_the_batch_of_the_models_logits(scores):
    logits, labels, _ = scores
    found = nn.classification_loss(first_features)(jnp.asarray(2.0), jnp.asarray(logits), labels)
    np.testing.assert_allclose(found, oracles.cross_entropy(2 * logits, labels).mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("made", "truth"),
    [
        (nn.classification_loss, np.array([1, 0])),
        (nn.binary_cross_entropy_loss, np.array([1, 0])),
        (nn.mean_squared_error_loss, np.array([[1.0, 0], [0, 1]], np.float32)),
    ],
)
def test_losses_of_a_model_scale_uint8_images(made, truth):
    pixels = np.array([[51, 255], [0, 102]], np.uint8)
    loss = jax.jit(made(first_features))
    np.testing.assert_allclose(loss(1.0, pixels, truth), loss(1.0, np.float32(pixels / 255), truth), rtol=1e-6)


def test_a_binary_loss_takes_the_one_logit_of_each_example():
    logits, labels = np.array([[2.0], [-1.0]]), np.array([1, 1])
    found = nn.binary_cross_entropy_loss(first_features)(1.0, jnp.asarray(logits), labels)
    np.testing.assert_allclose(found, np.log1p(np.exp([-2.0, 1.0])).mean(), rtol=1e-6)


def test_a_squared_loss_is_the_mean_over_batch_and_outputs():
    found = nn.mean_squared_error_loss(first_features)(1.0, jnp.array([[1.0, 2], [3, 4]]), jnp.zeros((2, 2)))
    assert float(found) == (1 + 4 + 9 + 16) / 4
