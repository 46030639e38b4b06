"""A binary classifier with the numerically stable cross-entropy of logits; parameters are nested tuples."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, x, y):
    """max(z, 0) − z y + log(1 + exp(−|z|)), averaged."""
    (w1, b1), (w2, b2) = params
    s = x @ w1 + b1  # @hidden
    h = jnp.maximum(s, 0)  # @relu
    z = h @ w2 + b2  # @logit
    losses = jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))  # @bce
    return losses.mean()  # @mean


def inputs(rng, n):
    """Four features, five units, one logit, labels of 0 and 1."""
    params = ((rng.normal(size=(4, 5)), rng.normal(size=5)), (rng.normal(size=5), rng.normal()))
    return params, (rng.normal(size=(n, 4)), (np.arange(n) % 3 == 0).astype(float))


def sigmoid(z):
    """Without overflow."""
    return np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), 1 - 1 / (1 + np.exp(-np.abs(z))))


def forward(params, x):
    """s, h, z."""
    (w1, b1), (w2, b2) = params
    s = x @ w1 + b1
    h = np.maximum(s, 0)
    return s, h, h @ w2 + b2


def finish(params, x, s, h, dz):
    """From the logits' gradient on."""
    w2 = params[1][0]
    ds = np.outer(dz, w2) * (s > 0)
    return (x.T @ ds, ds.sum(0)), (h.T @ dz, dz.sum())


def grads(params, x, y):
    """σ(z) − y."""
    s, h, z = forward(params, x)
    return finish(params, x, s, h, (sigmoid(z) - y) / len(y))


net = Network("bce_logits", loss_fn, inputs, grads, batch=7)


@net.fault("wrong_derivative", "missing_term", at="bce")
def sigmoid_forgotten(params, x, y):
    """The logits themselves minus the labels."""
    s, h, z = forward(params, x)
    return finish(params, x, s, h, (z - y) / len(y))


@net.fault("wrong_derivative", "wrong_loss", at="bce")
def slope_of_the_sigmoid_once_more(params, x, y):
    """(p − y) p (1 − p): the slope that cross-entropy cancels is multiplied in."""
    s, h, z = forward(params, x)
    p = sigmoid(z)
    return finish(params, x, s, h, (p - y) * p * (1 - p) / len(y))


@net.fault("sign", "wrong_derivative", "missing_term", at="bce")
def sign_of_the_absolute_value(params, x, y):
    """d|z| taken as 1 for negative z too."""
    s, h, z = forward(params, x)
    tail = np.exp(-np.abs(z))
    return finish(params, x, s, h, ((z > 0) - y - tail / (1 + tail)) / len(y))


@net.fault("wrong_mask", at="bce")
def max_taken_as_z(params, x, y):
    """max(z, 0) differentiated as z: 1 for every logit."""
    s, h, z = forward(params, x)
    tail = np.exp(-np.abs(z))
    return finish(params, x, s, h, (1 - y - np.sign(z) * tail / (1 + tail)) / len(y))


@net.fault("wrong_operand", at="bce")
def labels_of_plus_and_minus_one(params, x, y):
    """Labels were mapped to ±1 for the hinge loss and not back."""
    s, h, z = forward(params, x)
    return finish(params, x, s, h, (sigmoid(z) - (2 * y - 1)) / len(y))


def _every_label(params, x, y):
    z = forward(params, x)[2][:, None]
    return np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))


@net.fault("wrong_loss", "wrong_operand", "wrong_reduction", at=("bce", "mean"), loss=_every_label)
def logits_of_n_by_1_against_labels_of_n(params, x, y):
    """(n, 1) − (n,) is (n, n): every prediction against every label."""
    s, h, z = forward(params, x)
    d = (sigmoid(z)[:, None] - y) / len(y) ** 2
    return finish(params, x, s, h, d.sum(axis=1))


@net.fault("wrong_operand", at="logit", called=True)
def h_for_w2(params, x, y):
    """dz times h where it should go back through w2."""
    s, h, z = forward(params, x)
    dz = (sigmoid(z) - y) / len(y)
    ds = dz[:, None] * h * (s > 0)
    return (x.T @ ds, ds.sum(0)), (h.T @ dz, dz.sum())


@net.fault("permuted", "stale", at=None)
def labels_shuffled_alone(params, x, y):
    """The epoch's shuffle permutes X, and y with another permutation."""
    return grads(params, x, np.roll(y, 2))


@net.fault("wrong_mask", "sign", at=("relu", "bce", "mean"))
def mask_inverted_and_y_minus_p(params, x, y):
    """Two slips: y − p, and the ReLU's mask the wrong way round."""
    s, h, z = forward(params, x)
    dz = (y - sigmoid(z)) / len(y)
    ds = np.outer(dz, params[1][0])
    ds[s > 0] = 0
    return (x.T @ ds, ds.sum(axis=0)), (h.T @ dz, dz.sum())


@net.right(seed=6)
def piece_by_piece(params, x, y):
    """Every summand of the stable formula on its own."""
    s, h, z = forward(params, x)
    tail = np.exp(-np.abs(z))
    return finish(params, x, s, h, ((z > 0) - y - np.sign(z) * tail / (1 + tail)) / len(y))


@net.right(single=True, n=1)
def by_tanh(params, x, y):
    """σ(z) = (1 + tanh(z/2)) / 2."""
    s, h, z = forward(params, x)
    return finish(params, x, s, h, 0.5 + 0.5 * np.tanh(z / 2) - y)
