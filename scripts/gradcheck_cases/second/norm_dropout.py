"""Batch normalisation, ReLU and inverted dropout, then a logistic unit."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

EPS = 1e-5
RATE = 0.4


def loss_fn(params, x, t, keep):
    """Mean binary cross-entropy; `keep` is dropout's mask."""
    z = x @ params["w1"]  # @dense
    mu = jnp.mean(z, axis=0)  # @mean
    var = jnp.mean((z - mu) ** 2, axis=0)  # @variance
    zhat = (z - mu) / jnp.sqrt(var + EPS)  # @normalise
    bn = params["gamma"] * zhat + params["beta"]  # @affine
    a = jax.nn.relu(bn)  # @relu
    dropped = a * keep / (1 - RATE)  # @dropout
    logit = dropped @ params["w2"] + params["b2"]  # @logit
    p = jax.nn.sigmoid(logit)  # @sigmoid
    return -jnp.mean(t * jnp.log(p) + (1 - t) * jnp.log(1 - p))  # @loss


def inputs(rng, n):
    """Four features, five units, one output; the last bias is a number."""
    params = {
        "w1": rng.normal(size=(4, 5)),
        "gamma": rng.uniform(0.5, 2, size=5),
        "beta": rng.normal(size=5),
        "w2": rng.normal(size=5),
        "b2": rng.normal(),
    }
    return params, (rng.normal(size=(n, 4)), 1.0 * (np.arange(n) % 2), rng.uniform(size=(n, 5)) > RATE)


def forward(params, x, keep):
    """1/σ, the normalised units, the activations and the probability."""
    z = x @ params["w1"]
    inv = 1 / np.sqrt(z.var(axis=0) + EPS)
    zhat = (z - z.mean(axis=0)) * inv
    bn = params["gamma"] * zhat + params["beta"]
    dropped = np.maximum(bn, 0) * keep / (1 - RATE)
    return inv, zhat, bn, dropped, 1 / (1 + np.exp(-(dropped @ params["w2"] + params["b2"])))


def norm_backward(dzhat, zhat, inv):
    """The compact formula."""
    return inv * (dzhat - dzhat.mean(axis=0) - zhat * (dzhat * zhat).mean(axis=0))


def relu_dropout_backward(dout, zhat, bn, keep):
    """Both masks and dropout's scale."""
    return dout * keep / (1 - RATE) * (bn > 0)


def grads(params, x, t, keep, norm_back=norm_backward, act_back=relu_dropout_backward, dlogit=None):
    """Backward; the normalisation's and the activation's parts as given."""
    inv, zhat, bn, dropped, p = forward(params, x, keep)
    dlogit = (p - t) / len(t) if dlogit is None else dlogit(p)
    dbn = act_back(dlogit[:, None] * params["w2"], zhat, bn, keep)
    dz = norm_back(dbn * params["gamma"], zhat, inv)
    norm = {"gamma": (dbn * zhat).sum(axis=0), "beta": dbn.sum(axis=0)}
    return {"w1": x.T @ dz, **norm, "w2": dropped.T @ dlogit, "b2": dlogit.sum()}


net = Network("norm_dropout", loss_fn, inputs, grads, batch=8)


@net.fault("missing_term", at=("mean", "variance", "normalise"))
def statistics_as_constants(params, x, t, keep):
    """Dz = dẑ/σ: evaluation mode's backward."""
    return grads(params, x, t, keep, norm_back=lambda dzhat, zhat, inv: dzhat * inv)


def staged(dzhat, zhat, inv, half=0.5):
    """Node by node as in the well-known blog post: variance, mean, input."""
    n = len(dzhat)
    centred = zhat / inv
    dvar = (dzhat * centred).sum(axis=0) * -half * inv**3
    dmu = -(dzhat * inv).sum(axis=0)
    return dzhat * inv + dvar * 2 * centred / n + dmu / n


@net.fault("sign", at=("variance", "normalise"), called=True)
def variance_term_added(params, x, t, keep):
    """The minus of the exponent −½ is lost."""
    return grads(params, x, t, keep, norm_back=lambda *a: staged(*a, half=-0.5))


@net.fault("missing_term", "wrong_operand", at="affine")
def gamma_forgotten(params, x, t, keep):
    """dẑ = dbn."""
    inv, zhat, bn, dropped, p = forward(params, x, keep)
    dlogit = (p - t) / len(t)
    dbn = np.outer(dlogit, params["w2"]) * keep / (1 - RATE) * (bn > 0)
    dz = norm_backward(dbn, zhat, inv)
    norm = {"gamma": (dbn * zhat).sum(axis=0), "beta": dbn.sum(axis=0)}
    return {"w1": x.T @ dz, **norm, "w2": dropped.T @ dlogit, "b2": dlogit.sum()}


@net.fault("wrong_mask", at="dropout")
def dropout_only_forward(params, x, t, keep):
    """Backward goes through the units that were dropped."""
    return grads(params, x, t, keep, act_back=lambda dout, zhat, bn, keep: dout * (bn > 0))


@net.fault("scale", at="dropout", single=True)
def dropout_not_rescaled(params, x, t, keep):
    """The mask without 1/(1 − rate)."""
    return grads(params, x, t, keep, act_back=lambda dout, zhat, bn, keep: dout * keep * (bn > 0))


@net.fault("wrong_mask", at="relu")
def relu_of_the_normalised_units(params, x, t, keep):
    """The cache holds ẑ, not γẑ + β."""
    return grads(params, x, t, keep, act_back=lambda dout, zhat, bn, keep: dout * keep / (1 - RATE) * (zhat > 0))


@net.fault("wrong_derivative", "extra_term", at=("sigmoid", "loss"))
def sigmoid_slope_once_too_often(params, x, t, keep):
    """(p − t) p (1 − p): the slope had cancelled."""
    return grads(params, x, t, keep, dlogit=lambda p: (p - t) * p * (1 - p) / len(t))


@net.fault("wrong_shape", at="logit")
def scalar_bias_as_an_array(params, x, t, keep):
    """`keepdims=True`: one number in an array of one."""
    right = grads(params, x, t, keep)
    return {**right, "b2": np.reshape(right["b2"], (1,))}


@net.fault("wrong_mask", "scale", at=("dropout", "loss"))
def no_dropout_and_no_batch_size(params, x, t, keep):
    """Two mistakes: dropout's mask isn't applied and nothing is divided by N."""

    def act_back(dout, zhat, bn, keep):
        return dout * (bn > 0)

    return grads(params, x, t, keep, act_back=act_back, dlogit=lambda p: p - t)


@net.right()
def node_by_node(params, x, t, keep):
    """The staged formula; the variance's own share of dμ is zero and left out."""
    return grads(params, x, t, keep, norm_back=staged)


@net.right(called=True, seed=1)
def one_mask_from_the_output(params, x, t, keep):
    """What is positive after dropout was kept and was positive before."""
    inv, zhat, bn, dropped, p = forward(params, x, keep)
    dlogit = (p - t) / len(t)
    dbn = np.outer(dlogit, params["w2"]) / (1 - RATE)
    dbn[dropped <= 0] = 0
    d = dbn * params["gamma"]
    dz = inv / len(t) * (len(t) * d - d.sum(axis=0) - zhat * (d * zhat).sum(axis=0))
    norm = {"gamma": np.einsum("nd,nd->d", dbn, zhat), "beta": dbn.sum(axis=0)}
    return {"w1": x.T @ dz, **norm, "w2": dlogit @ dropped, "b2": np.sum(dlogit)}


@net.right(n=5, seed=6)
def cross_entropy_in_two_steps(params, x, t, keep):
    """dL/dp first, then the sigmoid's slope."""
    return grads(params, x, t, keep, dlogit=lambda p: (-t / p + (1 - t) / (1 - p)) / len(t) * p * (1 - p))
