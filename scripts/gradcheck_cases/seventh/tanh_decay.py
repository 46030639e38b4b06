"""Regression with a tanh layer and weight decay on the weights, not on the biases."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

LAM = 0.3


def loss_fn(theta, X, Y):
    """Half the mean of the squared errors plus λ/2 times the squared weights."""
    (W1, W2), (b1, b2) = theta["weights"], theta["biases"]
    z = jnp.einsum("ij,jk->ik", X, W1) + b1  # @hidden
    a = jnp.tanh(z)  # @tanh
    out = jnp.einsum("ij,jk->ik", a, W2) + b2  # @output
    data = jnp.sum((out - Y) ** 2) / (2 * X.shape[0])  # @data
    decay = 0.5 * LAM * (jnp.sum(W1**2) + jnp.sum(W2**2))  # @decay
    return data + decay  # @total


def inputs(rng, n):
    """Three inputs, five units, two targets."""
    theta = {
        "weights": [rng.normal(size=(3, 5)), rng.normal(size=(5, 2))],
        "biases": [rng.normal(size=5), rng.normal(size=2)],
    }
    return theta, (rng.normal(size=(n, 3)), 2 * rng.normal(size=(n, 2)))


def grads(theta, X, Y, slope=lambda z: 1 - np.tanh(z) ** 2, penalty=lambda w: LAM * w):
    """With the slope of tanh and the decay's gradient as given."""
    (W1, W2), (b1, b2) = theta["weights"], theta["biases"]
    z = X @ W1 + b1
    a = np.tanh(z)
    e = (a @ W2 + b2 - Y) / len(X)
    dz = e @ W2.T * slope(z)
    weights = [X.T @ dz + penalty(W1), a.T @ e + penalty(W2)]
    return {"weights": weights, "biases": [dz.sum(0), e.sum(0)]}


net = Network("tanh_decay", loss_fn, inputs, grads, batch=6)


@net.fault("missing_term", at=("decay", "total"))
def decay_forgotten(theta, X, Y):
    """The data's gradient only."""
    return grads(theta, X, Y, penalty=lambda w: 0)


@net.fault("scale", at="decay")
def half_forgotten(theta, X, Y):
    """2 λ W, as for λ‖W‖²."""
    return grads(theta, X, Y, penalty=lambda w: 2 * LAM * w)


@net.fault("scale", at="decay")
def decay_divided_by_the_batch_too(theta, X, Y):
    """(Xᵀδ + λW) / m with the bracket closed too late."""
    return grads(theta, X, Y, penalty=lambda w: LAM * w / len(X))


@net.fault("extra_term", at="decay", called=True)
def biases_decayed_too(theta, X, Y):
    """All parameters in one loop."""
    right = grads(theta, X, Y)
    for grad, b in zip(right["biases"], theta["biases"], strict=True):
        grad += LAM * b
    return right


def _l1(theta, X, Y):
    (W1, W2), (b1, b2) = theta["weights"], theta["biases"]
    out = np.tanh(X @ W1 + b1) @ W2 + b2
    return np.sum((out - Y) ** 2) / (2 * len(X)) + LAM * (np.abs(W1).sum() + np.abs(W2).sum())


@net.fault("wrong_loss", at="decay", loss=_l1)
def lasso_for_ridge(theta, X, Y):
    """λ|W| in the printed loss and its sign in the gradient."""
    return grads(theta, X, Y, penalty=lambda w: LAM * np.sign(w))


@net.fault("wrong_derivative", at="tanh")
def tanh_applied_twice(theta, X, Y):
    """tanh_prime takes z but is given a."""
    return grads(theta, X, Y, slope=lambda z: 1 - np.tanh(np.tanh(z)) ** 2)


@net.fault("wrong_derivative", at="tanh", single=True)
def sigmoid_slope_kept(theta, X, Y):
    """The activation was changed to tanh, a (1 − a) stayed."""
    return grads(theta, X, Y, slope=lambda z: np.tanh(z) * (1 - np.tanh(z)))


@net.fault("upstream", "missing_term", at=("tanh", "output"))
def hidden_delta_is_the_slope(theta, X, Y):
    """delta1 = tanh_prime(z1) / m: what comes from above is not multiplied in."""
    W1, b1 = theta["weights"][0], theta["biases"][0]
    right = grads(theta, X, Y)
    dz = (1 - np.tanh(X @ W1 + b1) ** 2) / len(X)
    right["weights"][0], right["biases"][0] = X.T @ dz + LAM * W1, dz.sum(axis=0)
    return right


@net.fault("missing_term", "wrong_derivative", at=("decay", "total", "tanh"))
def no_decay_and_no_square(theta, X, Y):
    """Two slips: 1 − a for 1 − a², and no weight decay."""
    return grads(theta, X, Y, slope=lambda z: 1 - np.tanh(z), penalty=lambda w: np.zeros_like(w))


@net.right(seed=1)
def slope_by_cosh(theta, X, Y):
    """1 / cosh²."""
    return grads(theta, X, Y, slope=lambda z: np.cosh(z) ** -2.0)


@net.right(n=1, called=True)
def decay_in_place(theta, X, Y):
    """The penalty's gradient is added at the end."""
    result = grads(theta, X, Y, penalty=lambda w: 0 * w)
    for grad, w in zip(result["weights"], theta["weights"], strict=True):
        grad += LAM * w
    return result


@net.right(single=True, seed=7)
def in_single_precision(theta, X, Y):
    """(1 − a)(1 + a)."""
    return grads(theta, X, Y, slope=lambda z: (1 - np.tanh(z)) * (1 + np.tanh(z)))
