"""Quantile regression of several quantiles at once, with a penalty where they cross."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import sigmoid

CROSS = 0.8


def loss_fn(params, x, y, tau):
    """Pinball loss summed over quantiles, mean over examples, plus squared crossings."""
    h = jax.nn.softplus(x @ params["w"] + params["b"])  # @hidden
    q = h @ params["v"] + params["c"]  # @quantiles
    err = y[:, None] - q  # @error
    pinball = jnp.where(err > 0, tau * err, (tau - 1) * err)  # @pinball
    fit = jnp.sum(pinball) / y.shape[0]  # @fit
    gap = jax.nn.relu(q[:, :-1] - q[:, 1:])  # @gap
    crossing = jnp.sum(gap**2) / y.shape[0]  # @crossing
    return fit + CROSS * crossing  # @total


def inputs(rng, n):
    """Four features, five hidden units, the quantiles 10, 50 and 75 %."""
    params = {"w": rng.normal(size=(4, 5)), "b": rng.normal(size=5)}
    params |= {"v": rng.normal(size=(5, 3)), "c": rng.normal(size=3)}
    return params, (rng.normal(size=(n, 4)), rng.normal(size=n), np.array([0.1, 0.5, 0.75]))


def forward(params, x, y):
    """Input of the hidden layer, its output, quantiles, errors."""
    a = x @ params["w"] + params["b"]
    h = np.log1p(np.exp(a))
    q = h @ params["v"] + params["c"]
    return a, h, q, y[:, None] - q


def layers(params, x, a, h, dq):
    """From dq to the parameters."""
    da = dq @ params["v"].T * sigmoid(a)
    return {"w": x.T @ da, "b": da.sum(axis=0), "v": h.T @ dq, "c": dq.sum(axis=0)}


def grads(params, x, y, tau):
    """1[err ≤ 0] - τ, and the two quantiles of each crossing."""
    a, h, q, err = forward(params, x, y)
    dq = np.where(err > 0, -tau, 1 - tau) / len(y)
    dgap = 2 * CROSS * np.maximum(q[:, :-1] - q[:, 1:], 0) / len(y)
    dq[:, :-1] += dgap
    dq[:, 1:] -= dgap
    return layers(params, x, a, h, dq)


net = Network("pinball_bands", loss_fn, inputs, grads, batch=6)


@net.fault("wrong_mask", at="pinball")
def over_and_under_exchanged(params, x, y, tau):
    """τ - 1 where the quantile is too low: np.where has its branches the wrong way round."""
    a, h, q, err = forward(params, x, y)
    dq = np.where(err < 0, -tau, 1 - tau) / len(y)
    dgap = 2 * CROSS * np.maximum(q[:, :-1] - q[:, 1:], 0) / len(y)
    dq[:, :-1] += dgap
    dq[:, 1:] -= dgap
    return layers(params, x, a, h, dq)


@net.fault("missing_term", at="gap", called=True)
def only_the_lower_quantile_is_pulled(params, x, y, tau):
    """The crossing's gradient for q[:, 1:] is forgotten."""
    a, h, q, err = forward(params, x, y)
    dq = np.where(err > 0, -tau, 1 - tau) / len(y)
    dq[:, :-1] += 2 * CROSS * np.maximum(0, q[:, :-1] - q[:, 1:]) / len(y)
    return layers(params, x, a, h, dq)


@net.fault("sign", "wrong_shape", at=("error", "quantiles"))
def derivative_of_the_error_and_a_row(params, x, y, tau):
    """Two mistakes: d err is taken for d q, and the bias keeps its row."""
    a, h, q, err = forward(params, x, y)
    dq = np.where(err > 0, tau, tau - 1) / len(y)
    dgap = 2 * CROSS * np.maximum(q[:, :-1] - q[:, 1:], 0) / len(y)
    dq[:, :-1] += dgap
    dq[:, 1:] -= dgap
    result = layers(params, x, a, h, dq)
    return {**result, "c": dq.sum(axis=0, keepdims=True)}


@net.fault("permuted", at="pinball", single=True)
def quantiles_in_descending_order(params, x, y, tau):
    """tau is reversed where the gradient is taken: 75, 50, 10 %."""
    return grads(params, x, y, tau[::-1])


@net.right(called=True)
def by_sign_and_half(params, x, y, tau):
    """½ - τ - ½ sign(err) is the same off the kink."""
    a, h, q, err = forward(params, x, y)
    dq = (0.5 - tau - 0.5 * np.sign(err)) / len(y)
    crossed = q[:, :-1] > q[:, 1:]
    dgap = crossed * (q[:, :-1] - q[:, 1:]) * (2 * CROSS / len(y))
    dq += np.pad(dgap, ((0, 0), (0, 1))) - np.pad(dgap, ((0, 0), (1, 0)))
    return layers(params, x, a, h, dq)


@net.right(n=1, seed=3)
def one_observation(params, x, y, tau):
    """A batch of one."""
    return grads(params, x, y, tau)
