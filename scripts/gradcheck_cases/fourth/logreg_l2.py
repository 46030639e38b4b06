"""Logistic regression with the intercept in the first column and a ridge penalty on the rest, as in exercise 2."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

LAM = 1.5


def loss_fn(theta, X, y):
    """J(θ) with the regulariser λ/2m."""
    m = len(y)
    h = jax.nn.sigmoid(X @ theta)  # @hypothesis
    cost = -y * jnp.log(h) - (1 - y) * jnp.log(1 - h)  # @cost
    data = jnp.sum(cost) / m  # @data
    penalty = LAM / (2 * m) * jnp.sum(theta[1:] ** 2)  # @penalty
    return data + penalty  # @total


def inputs(rng, n):
    """A column of ones and four features."""
    X = np.hstack([np.ones((n, 1)), rng.normal(size=(n, 4))])
    return rng.normal(size=5), (X, (np.arange(n) % 3 == 0).astype(float))


def sigmoid(z):
    """As in the exercise."""
    return 1 / (1 + np.exp(-z))


def grads(theta, X, y):
    """1/m Xᵀ(h − y) + λ/m θ, without θ₀."""
    m = len(y)
    h = sigmoid(X @ theta)
    grad = X.T @ (h - y) / m
    grad[1:] += LAM / m * theta[1:]
    return grad


net = Network("logreg_l2", loss_fn, inputs, grads, batch=8)


@net.fault("missing_term", at=("penalty", "total"))
def regulariser_forgotten(theta, X, y):
    """CostFunction's gradient is used in costFunctionReg."""
    return X.T @ (sigmoid(X @ theta) - y) / len(y)


@net.fault("extra_term", at="penalty")
def intercept_regularised(theta, X, y):
    """θ₀ is regularised as well."""
    m = len(y)
    return X.T @ (sigmoid(X @ theta) - y) / m + LAM / m * theta


@net.fault("scale", at="penalty", called=True)
def penalty_not_divided_by_m(theta, X, y):
    """λ θ for λ/m θ."""
    grad = X.T @ (sigmoid(X @ theta) - y) / len(y)
    grad[1:] += LAM * theta[1:]
    return grad


@net.fault("wrong_loss", "wrong_derivative", at=("cost", "hypothesis"))
def slope_of_the_sigmoid_once_more(theta, X, y):
    """(h − y) h (1 − h), which belongs to the squared error."""
    m = len(y)
    h = sigmoid(X @ theta)
    grad = X.T @ ((h - y) * h * (1 - h)) / m
    grad[1:] += LAM / m * theta[1:]
    return grad


@net.fault("sign", at=("cost", "data"))
def label_minus_hypothesis(theta, X, y):
    """Y − h, while the penalty is added as it should be."""
    m = len(y)
    grad = X.T @ (y - sigmoid(X @ theta)) / m
    grad[1:] += LAM / m * theta[1:]
    return grad


@net.fault("sign", "scale", at=("penalty", "data"))
def penalty_subtracted_and_m_forgotten(theta, X, y):
    """Two slips: the data's part lacks 1/m and the penalty is subtracted."""
    m = len(y)
    grad = X.T @ (sigmoid(X @ theta) - y)
    grad[1:] -= LAM / m * theta[1:]
    return grad


def _without_penalty(theta, X, y):
    h = sigmoid(X @ theta)
    return np.mean(-y * np.log(h) - (1 - y) * np.log(1 - h))


@net.fault("wrong_loss", "missing_term", at=("penalty", "total"), loss=_without_penalty)
def penalty_only_in_the_gradient(theta, X, y):
    """The cost that is plotted has no penalty, the gradient has it."""
    return grads(theta, X, y)


@net.right()
def in_a_loop(theta, X, y):
    """Example by example and feature by feature."""
    m = len(y)
    grad = np.zeros_like(theta)
    for i in range(m):
        error = sigmoid(X[i] @ theta) - y[i]
        for j in range(len(theta)):
            grad[j] += error * X[i, j] / m
    for j in range(1, len(theta)):
        grad[j] += LAM * theta[j] / m
    return grad


@net.right(n=3, called=True)
def with_a_masked_theta(theta, X, y):
    """θ with its first entry zeroed for the penalty."""
    reg = theta.copy()
    reg[0] = 0
    return (X.T @ (sigmoid(X @ theta) - y) + LAM * reg) / len(y)
