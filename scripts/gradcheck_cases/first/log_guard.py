"""The book's cross-entropy with its guard `log(y + 1e-7)`, of which the book's backward knows nothing."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import softmax

GUARD = 1e-7


def loss_fn(params, x, t):
    """Guarded cross-entropy of softmax regression."""
    a = x @ params["W"] + params["b"]  # @affine
    exp = jnp.exp(a - a.max(axis=1, keepdims=True))  # @exp
    y = exp / exp.sum(axis=1, keepdims=True)  # @softmax
    return -jnp.sum(t * jnp.log(y + GUARD)) / len(x)  # @log


def inputs(rng, n):
    """Large weights, so that some probabilities are small."""
    params = {"W": 3 * rng.normal(size=(4, 3)), "b": rng.normal(size=3)}
    return params, (rng.normal(size=(n, 4)), np.eye(3)[np.arange(n) % 3])


def back(x, dy, y):
    """Through softmax and affine."""
    da = y * (dy - np.sum(dy * y, axis=1, keepdims=True))
    return {"W": x.T @ da, "b": da.sum(axis=0)}


def grads(params, x, t):
    """With the guard."""
    y = softmax(x @ params["W"] + params["b"])
    return back(x, -t / (y + GUARD) / len(x), y)


net = Network("log_guard", loss_fn, inputs, grads)


@net.fault("wrong_loss", at="log")
def guard_forgotten(params, x, t):
    """Here y − t is the gradient of log y."""
    da = (softmax(x @ params["W"] + params["b"]) - t) / len(x)
    return {"W": x.T @ da, "b": da.sum(axis=0)}


@net.fault("wrong_loss", at="log", seed=1)
def another_guard(params, x, t):
    """1e-4 in backward, 1e-7 in forward."""
    y = softmax(x @ params["W"] + params["b"])
    return back(x, -t / (y + 1e-4) / len(x), y)
