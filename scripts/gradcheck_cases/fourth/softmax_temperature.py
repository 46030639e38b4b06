"""Softmax regression with a learnt temperature and smoothed labels."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

EPS = 0.15


def loss_fn(params, x, labels):
    """Mean cross-entropy against the smoothed labels."""
    logits = x @ params["W"] + params["b"]  # @logits
    scaled = logits / params["T"]  # @temperature
    log_p = jax.nn.log_softmax(scaled, axis=1)  # @softmax
    one_hot = jax.nn.one_hot(labels, 4, dtype=log_p.dtype)  # @onehot
    target = (1 - EPS) * one_hot + EPS / 4  # @smooth
    entropy = -jnp.sum(target * log_p, axis=1)  # @entropy
    return jnp.mean(entropy)  # @loss


def inputs(rng, n):
    """Five features, four classes, a temperature of 2.5."""
    params = {"W": rng.normal(size=(5, 4)), "b": rng.normal(size=4), "T": np.array(2.5)}
    return params, (rng.normal(size=(n, 5)), rng.integers(0, 4, size=n))


def softmax(z, axis=1):
    """Stable."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def grads(params, x, labels):
    """P − target through the temperature."""
    n, T = len(x), params["T"]
    logits = x @ params["W"] + params["b"]
    target = (1 - EPS) * np.eye(4)[labels] + EPS / 4
    dscaled = (softmax(logits / T) - target) / n
    dlogits = dscaled / T
    dT = -np.sum(dscaled * logits) / T**2
    return {"W": x.T @ dlogits, "b": dlogits.sum(axis=0), "T": dT}


net = Network("softmax_temperature", loss_fn, inputs, grads, batch=7)


@net.fault("scale", "wrong_operand", at="temperature")
def temperature_not_chained(params, x, labels):
    """The logits' gradient is p − t without 1/T."""
    n, T = len(x), params["T"]
    logits = x @ params["W"] + params["b"]
    target = (1 - EPS) * np.eye(4)[labels] + EPS / 4
    d = (softmax(logits / T) - target) / n
    return {"W": x.T @ d, "b": d.sum(axis=0), "T": -np.sum(d * logits) / T**2}


@net.fault("sign", at="temperature", n=1, seed=3)
def sign_of_the_quotient_rule(params, x, labels):
    """d(z/T)/dT taken as +z/T²."""
    n, T = len(x), params["T"]
    logits = x @ params["W"] + params["b"]
    target = (1 - EPS) * np.eye(4)[labels] + EPS / 4
    d = (softmax(logits / T) - target) / n
    return {"W": x.T @ d / T, "b": d.sum(axis=0) / T, "T": np.sum(d * logits) / T**2}


@net.fault("wrong_loss", "missing_term", "wrong_operand", at=("smooth", "entropy"))
def hard_labels_in_backward(params, x, labels):
    """The gradient's one-hot labels are not smoothed."""
    n, T = len(x), params["T"]
    logits = x @ params["W"] + params["b"]
    dscaled = softmax(logits / T)
    dscaled[np.arange(n), labels] -= 1
    dscaled /= n
    return {"W": x.T @ dscaled / T, "b": dscaled.sum(axis=0) / T, "T": -np.sum(dscaled * logits) / T**2}


@net.fault("wrong_axis", at="softmax", single=True)
def softmax_down_the_batch(params, x, labels):
    """`np.exp(z) / np.exp(z).sum(axis=0)`."""
    n, T = len(x), params["T"]
    logits = x @ params["W"] + params["b"]
    target = (1 - EPS) * np.eye(4)[labels] + EPS / 4
    dscaled = (softmax(logits / T, axis=0) - target) / n
    return {"W": x.T @ dscaled / T, "b": dscaled.sum(axis=0) / T, "T": -np.sum(dscaled * logits) / T**2}


@net.fault("wrong_derivative", "missing_term", at="softmax")
def softmax_like_a_sigmoid(params, x, labels):
    """P (1 − p) is only the diagonal of the softmax's Jacobian."""
    n, T = len(x), params["T"]
    logits = x @ params["W"] + params["b"]
    target = (1 - EPS) * np.eye(4)[labels] + EPS / 4
    p = softmax(logits / T)
    dp = -target / p / n
    dscaled = dp * p * (1 - p)
    return {"W": x.T @ dscaled / T, "b": dscaled.sum(axis=0) / T, "T": -np.sum(dscaled * logits) / T**2}


@net.fault("permuted", at=("onehot", "smooth", "entropy"))
def labels_counted_from_one(params, x, labels):
    """`labels - 1` is left from MATLAB."""
    n, T = len(x), params["T"]
    logits = x @ params["W"] + params["b"]
    target = (1 - EPS) * np.eye(4)[labels - 1] + EPS / 4
    dscaled = (softmax(logits / T) - target) / n
    return {"W": x.T @ dscaled / T, "b": dscaled.sum(axis=0) / T, "T": -np.sum(dscaled * logits) / T**2}


def _summed(params, x, labels):
    p = softmax((x @ params["W"] + params["b"]) / params["T"])
    target = (1 - EPS) * np.eye(4)[labels] + EPS / 4
    return -np.sum(target * np.log(p))


@net.fault("wrong_loss", "scale", at="loss", loss=_summed)
def sum_over_the_batch(params, x, labels):
    """Loss and gradient are sums, no mean is taken anywhere."""
    T = params["T"]
    logits = x @ params["W"] + params["b"]
    target = (1 - EPS) * np.eye(4)[labels] + EPS / 4
    dscaled = softmax(logits / T) - target
    return {"W": x.T @ dscaled / T, "b": dscaled.sum(axis=0) / T, "T": -np.sum(dscaled * logits) / T**2}


@net.right()
def full_jacobian(params, x, labels):
    """diag(p) − ppᵀ, example by example."""
    result = {"W": np.zeros_like(params["W"]), "b": np.zeros_like(params["b"]), "T": 0.0}
    T = params["T"]
    for xi, label in zip(x, labels, strict=True):
        z = xi @ params["W"] + params["b"]
        p = np.exp(z / T) / np.exp(z / T).sum()
        target = np.full(4, EPS / 4)
        target[label] += 1 - EPS
        ds = (np.diag(p) - np.outer(p, p)) @ (-target / p) / len(x)
        result["W"] += np.outer(xi, ds / T)
        result["b"] += ds / T
        result["T"] -= ds @ z / T**2
    return result


@net.right(n=2, seed=9)
def with_scaled_logits(params, x, labels):
    """DT from the scaled logits and 1/T; every label is 2 examples' worth."""
    T = params["T"]
    scaled = (x @ params["W"] + params["b"]) / T
    d = (softmax(scaled) - (1 - EPS) * np.eye(4)[labels] - EPS / 4) / len(x)
    return {"W": x.T @ d / T, "b": d.sum(axis=0) / T, "T": -np.sum(d * scaled) / T}
