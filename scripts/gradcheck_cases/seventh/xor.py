"""The XOR network of every first course: sigmoid, sigmoid, mean squared error; biases are rows."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, X, y):
    """Mean squared error of the truth table."""
    z1 = jnp.dot(X, params["W1"]) + params["b1"]  # @hidden
    a1 = 1 / (1 + jnp.exp(-z1))  # @sigmoid1
    z2 = jnp.dot(a1, params["W2"]) + params["b2"]  # @output
    a2 = 1 / (1 + jnp.exp(-z2))  # @sigmoid2
    return jnp.mean((y - a2) ** 2)  # @loss


def inputs(rng, n):
    """The table, over and over if more than four rows are asked for; three hidden units."""
    table = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    X = table[np.arange(n) % 4]
    params = {
        "W1": rng.normal(size=(2, 3)),
        "b1": rng.normal(size=(1, 3)),
        "W2": rng.normal(size=(3, 1)),
        "b2": rng.normal(size=(1, 1)),
    }
    return params, (X, (X[:, :1] != X[:, 1:]).astype(float))


def sigmoid(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def forward(params, X):
    """All that backward wants."""
    z1 = X.dot(params["W1"]) + params["b1"]
    a1 = sigmoid(z1)
    return z1, a1, sigmoid(a1.dot(params["W2"]) + params["b2"])


def grads(params, X, y):
    """By the delta rule."""
    _, a1, a2 = forward(params, X)
    delta2 = 2 * (a2 - y) / y.size * a2 * (1 - a2)
    delta1 = delta2.dot(params["W2"].T) * a1 * (1 - a1)
    return pack(X, a1, delta1, delta2)


def pack(X, a1, delta1, delta2):
    """Weights and biases from the deltas."""
    return {
        "W1": X.T.dot(delta1),
        "b1": np.sum(delta1, axis=0, keepdims=True),
        "W2": a1.T.dot(delta2),
        "b2": np.sum(delta2, axis=0, keepdims=True),
    }


net = Network("xor", loss_fn, inputs, grads, batch=4)


@net.fault("wrong_derivative", at=("sigmoid1", "sigmoid2"))
def sigmoid_prime_of_the_activation(params, X, y):
    """sigmoid_prime(z) = sigmoid(z)(1 − sigmoid(z)), but it is given the activations."""

    def sigmoid_prime(z):
        return sigmoid(z) * (1 - sigmoid(z))

    _, a1, a2 = forward(params, X)
    delta2 = 2 * (a2 - y) / len(X) * sigmoid_prime(a2)
    delta1 = delta2.dot(params["W2"].T) * sigmoid_prime(a1)
    return pack(X, a1, delta1, delta2)


@net.fault("wrong_derivative", "missing_term", at="sigmoid2", called=True)
def output_delta_without_slope(params, X, y):
    """The output's error is passed on as it is, without the sigmoid's slope."""
    _, a1, a2 = forward(params, X)
    delta2 = 2 * (a2 - y) / len(X)
    delta1 = delta2.dot(params["W2"].T) * a1 * (1 - a1)
    return pack(X, a1, delta1, delta2)


@net.fault("sign", at="loss")
def error_is_target_minus_output(params, X, y):
    """The famous eleven lines: what is to be added to the weights, not subtracted."""
    _, a1, a2 = forward(params, X)
    delta2 = 2 * (y - a2) / len(X) * a2 * (1 - a2)
    delta1 = delta2.dot(params["W2"].T) * a1 * (1 - a1)
    return pack(X, a1, delta1, delta2)


@net.fault("scale", at="loss")
def two_forgotten(params, X, y):
    """The derivative of the square without its 2."""
    _, a1, a2 = forward(params, X)
    delta2 = (a2 - y) / len(X) * a2 * (1 - a2)
    delta1 = delta2.dot(params["W2"].T) * a1 * (1 - a1)
    return pack(X, a1, delta1, delta2)


def _half_sum(params, X, y):
    return 0.5 * np.sum((y - forward(params, X)[2]) ** 2)


@net.fault("wrong_loss", "scale", at="loss", loss=_half_sum)
def half_the_sum_of_squares(params, X, y):
    """The textbook's E = ½ Σ (y − a)² in loss and gradient."""
    _, a1, a2 = forward(params, X)
    delta2 = (a2 - y) * a2 * (1 - a2)
    delta1 = delta2.dot(params["W2"].T) * a1 * (1 - a1)
    return pack(X, a1, delta1, delta2)


@net.fault("stale", "mutated", at="output")
def output_weights_updated_first(params, X, y):
    """W2 takes its (too large) step: it is updated before the hidden delta is computed."""
    _, a1, a2 = forward(params, X)
    delta2 = 2 * (a2 - y) / len(X) * a2 * (1 - a2)
    W2_grad = a1.T.dot(delta2)
    params["W2"] -= 5.0 * W2_grad
    delta1 = delta2.dot(params["W2"].T) * a1 * (1 - a1)
    return pack(X, a1, delta1, delta2)


@net.fault("wrong_shape", at=("hidden", "output"))
def bias_rows_flat(params, X, y):
    """No `keepdims`: (3,) and (1,) for (1, 3) and (1, 1)."""
    _, a1, a2 = forward(params, X)
    delta2 = 2 * (a2 - y) / len(X) * a2 * (1 - a2)
    delta1 = delta2.dot(params["W2"].T) * a1 * (1 - a1)
    return {**pack(X, a1, delta1, delta2), "b1": delta1.sum(axis=0), "b2": delta2.sum(axis=0)}


@net.fault("wrong_axis", "wrong_reduction", at="hidden", single=True)
def hidden_bias_over_the_units(params, X, y):
    """`axis=1`: a number per example, not per unit."""
    _, a1, a2 = forward(params, X)
    delta2 = 2 * (a2 - y) / len(X) * a2 * (1 - a2)
    delta1 = delta2.dot(params["W2"].T) * a1 * (1 - a1)
    return {**pack(X, a1, delta1, delta2), "b1": np.sum(delta1, axis=1, keepdims=True)}


@net.fault("wrong_derivative", "missing_term", "wrong_reduction", "scale", at=("sigmoid1", "output"))
def no_hidden_slope_and_a_mean_bias(params, X, y):
    """Two slips: no slope of the hidden sigmoid, and the output bias averaged where it is summed."""
    _, a1, a2 = forward(params, X)
    delta2 = 2 * (a2 - y) / len(X) * a2 * (1 - a2)
    delta1 = delta2.dot(params["W2"].T)
    return {**pack(X, a1, delta1, delta2), "b2": np.mean(delta2, axis=0, keepdims=True)}


@net.right(seed=3)
def example_by_example(params, X, y):
    """Outer products in a loop."""
    total = {key: np.zeros_like(value) for key, value in params.items()}
    for row, target in zip(X, y, strict=True):
        _, a1, a2 = forward(params, row[None])
        delta2 = -2 * (target - a2) * a2 * (1 - a2)
        delta1 = (params["W2"] @ delta2).T * (a1 - a1**2)
        for key, part in pack(row[None], a1, delta1, delta2).items():
            total[key] += part / len(X)
    return total


@net.right(single=True, n=8)
def slopes_by_exponentials(params, X, y):
    """σ' = e⁻ᶻ / (1 + e⁻ᶻ)², the table twice."""
    z1, a1, a2 = forward(params, X)
    z2 = a1 @ params["W2"] + params["b2"]
    delta2 = (2 / len(X)) * (a2 - y) * np.exp(-z2) / (1 + np.exp(-z2)) ** 2
    delta1 = delta2 @ params["W2"].T * np.exp(-z1) / (1 + np.exp(-z1)) ** 2
    return pack(X, a1, delta1.astype(X.dtype), delta2.astype(X.dtype))
