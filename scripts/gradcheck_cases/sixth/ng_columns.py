"""Deep learning specialisation, course 1 and 2: examples in columns, m of them, L2 regularisation."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import sigmoid


def loss_fn(params, X, Y, lambd):
    """compute_cost_with_regularization."""
    m = X.shape[1]
    Z1 = params["W1"] @ X + params["b1"]  # @Z1
    A1 = jnp.tanh(Z1)  # @A1
    Z2 = params["W2"] @ A1 + params["b2"]  # @Z2
    A2 = jax.nn.sigmoid(Z2)  # @A2
    logprobs = Y * jnp.log(A2) + (1 - Y) * jnp.log(1 - A2)  # @logprobs
    cost = -jnp.sum(logprobs) / m  # @cost
    penalty = lambd / (2 * m) * (jnp.sum(params["W1"] ** 2) + jnp.sum(params["W2"] ** 2))  # @penalty
    return cost + penalty  # @total


def inputs(rng, n):
    """Four features, four units, one output."""
    params = {
        "W1": 0.6 * rng.normal(size=(4, 4)),
        "b1": 0.1 * rng.normal(size=(4, 1)),
        "W2": rng.normal(size=(1, 4)),
        "b2": np.zeros((1, 1)),
    }
    X = rng.normal(size=(4, n))
    return params, (X, (np.arange(n) % 3 == 0).astype(float)[None], np.array(0.7))


def forward(params, X):
    """Z1, A1, A2."""
    Z1 = params["W1"] @ X + params["b1"]
    A1 = np.tanh(Z1)
    return Z1, A1, sigmoid(params["W2"] @ A1 + params["b2"])


def grads(params, X, Y, lambd):
    """backward_propagation_with_regularization."""
    m = X.shape[1]
    W1, W2 = params["W1"], params["W2"]
    Z1, A1, A2 = forward(params, X)
    dZ2 = A2 - Y
    dW2 = dZ2 @ A1.T / m + lambd / m * W2
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    dW1 = dZ1 @ X.T / m + lambd / m * W1
    db1, db2 = dZ1.sum(axis=1, keepdims=True) / m, dZ2.sum(axis=1, keepdims=True) / m
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


net = Network("ng_columns", loss_fn, inputs, grads, batch=10)


@net.fault("transposed", at="Z1")
def product_the_other_way_round(params, X, Y, lambd):
    """X dZ1ᵀ, which has the right shape since there are as many units as features."""
    m = X.shape[1]
    _, A1, A2 = forward(params, X)
    right = grads(params, X, Y, lambd)
    dZ1 = params["W2"].T @ (A2 - Y) * (1 - A1**2)
    right["W1"] = X @ dZ1.T / m + lambd / m * params["W1"]
    return right


@net.fault("scale", at=("cost", "penalty"))
def m_is_the_number_of_features(params, X, Y, lambd):
    """`m = X.shape[0]`."""
    m = X.shape[0]
    W1, W2 = params["W1"], params["W2"]
    Z1, A1, A2 = forward(params, X)
    dZ2 = A2 - Y
    dW2 = dZ2 @ A1.T / m + lambd / m * W2
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    dW1 = dZ1 @ X.T / m + lambd / m * W1
    db1, db2 = dZ1.sum(axis=1, keepdims=True) / m, dZ2.sum(axis=1, keepdims=True) / m
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


@net.fault("wrong_shape", at="Z1")
def keepdims_forgotten(params, X, Y, lambd):
    """db1 is a vector of rank one."""
    right = grads(params, X, Y, lambd)
    right["b1"] = right["b1"][:, 0]
    return right


@net.fault("wrong_derivative", at="A1", single=True)
def tanh_taken_for_a_sigmoid(params, X, Y, lambd):
    """A1(1 − A1), from last week's exercise."""
    m = X.shape[1]
    right = grads(params, X, Y, lambd)
    _, A1, A2 = forward(params, X)
    dZ1 = params["W2"].T @ (A2 - Y) * A1 * (1 - A1)
    right["W1"] = dZ1 @ X.T / m + lambd / m * params["W1"]
    right["b1"] = dZ1.sum(axis=1, keepdims=True) / m
    return right


@net.fault("missing_term", at="penalty")
def first_layer_not_regularised(params, X, Y, lambd):
    """λ/m W is added to dW2 only."""
    right = grads(params, X, Y, lambd)
    right["W1"] -= lambd / X.shape[1] * params["W1"]
    return right


@net.fault("scale", at="penalty", called=True)
def penalty_not_divided_by_m(params, X, Y, lambd):
    """λ W."""
    right = grads(params, X, Y, lambd)
    m = X.shape[1]
    for key in ("W1", "W2"):
        right[key] += (lambd - lambd / m) * params[key]
    return right


@net.fault("permuted", "stale", at=None)
def columns_shuffled_without_their_labels(params, X, Y, lambd):
    """random_mini_batches permutes X and not Y."""
    permutation = np.random.default_rng(1).permutation(X.shape[1])
    return grads(params, X[:, permutation], Y, lambd)


def _halved_squares(params, X, Y, lambd):
    m = X.shape[1]
    A2 = forward(params, X)[-1]
    penalty = lambd / (2 * m) * (np.sum(params["W1"] ** 2) + np.sum(params["W2"] ** 2))
    return np.sum((A2 - Y) ** 2) / (2 * m) + penalty


@net.fault("wrong_loss", at=("logprobs", "cost"), loss=_halved_squares)
def squared_error_instead(params, X, Y, lambd):
    """The gradient and the cost of half the squared error."""
    m = X.shape[1]
    W1, W2 = params["W1"], params["W2"]
    _, A1, A2 = forward(params, X)
    dZ2 = (A2 - Y) * A2 * (1 - A2)
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    return {
        "W1": dZ1 @ X.T / m + lambd / m * W1,
        "b1": dZ1.sum(axis=1, keepdims=True) / m,
        "W2": dZ2 @ A1.T / m + lambd / m * W2,
        "b2": dZ2.sum(axis=1, keepdims=True) / m,
    }


@net.right(seed=6, n=3)
def by_dA(params, X, Y, lambd):
    """dA2, dZ2, dA1, dZ1, in the course's order."""
    m = X.shape[1]
    Z1, A1, A2 = forward(params, X)
    dA2 = -(np.divide(Y, A2) - np.divide(1 - Y, 1 - A2))
    dZ2 = dA2 * A2 * (1 - A2)
    dA1 = np.dot(params["W2"].T, dZ2)
    dZ1 = dA1 * (1 - np.power(np.tanh(Z1), 2))
    return {
        "W1": 1 / m * np.dot(dZ1, X.T) + lambd * params["W1"] / m,
        "b1": 1 / m * np.sum(dZ1, axis=1, keepdims=True),
        "W2": 1 / m * np.dot(dZ2, A1.T) + lambd * params["W2"] / m,
        "b2": 1 / m * np.sum(dZ2, axis=1, keepdims=True),
    }
