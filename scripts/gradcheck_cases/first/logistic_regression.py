"""Logistic regression, and its many-class sister, with the loss written out."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..corpus import Network


class Line(NamedTuple):
    """Weights and bias of one unit."""

    w: Any
    b: Any


def loss_fn(params, x, t):
    """Binary cross-entropy of the sigmoid."""
    z = x @ params.w + params.b  # @linear
    p = 1 / (1 + jnp.exp(-z))  # @sigmoid
    likelihood = t * jnp.log(p) + (1 - t) * jnp.log(1 - p)  # @likelihood
    return -jnp.mean(likelihood)  # @mean


def inputs(rng, n):
    """Four features, labels 0 or 1."""
    params = Line(rng.normal(size=4), rng.normal(size=()))
    return params, (rng.normal(size=(n, 4)), (np.arange(n) % 3 == 0).astype(float))


def sigmoid(z):
    """1 / (1 + e⁻ᶻ)."""
    return 1 / (1 + np.exp(-z))


def grads(params, x, t):
    """Prediction minus target, averaged."""
    p = sigmoid(x @ params.w + params.b)
    dz = (p - t) / len(t)
    return Line(x.T @ dz, dz.sum())


net = Network("logistic_regression", loss_fn, inputs, grads)


@net.fault("wrong_derivative", "wrong_loss", at=("sigmoid", "likelihood"))
def sigmoid_slope_once_too_often(params, x, t):
    """With p − t one is behind the sigmoid already; times p(1 − p) it is the squared error's gradient."""
    p = sigmoid(x @ params.w + params.b)
    dz = (p - t) * p * (1 - p) / len(t)
    return Line(x.T @ dz, dz.sum())


@net.fault("wrong_derivative", at="sigmoid")
def slope_at_the_activation(params, x, t):
    """`sigmoid_prime` wants z and is given a = sigmoid(z)."""

    def sigmoid_prime(z):
        return sigmoid(z) * (1 - sigmoid(z))

    a = sigmoid(x @ params.w + params.b)
    da = (-t / a + (1 - t) / (1 - a)) / len(t)
    dz = da * sigmoid_prime(a)
    return Line(x.T @ dz, dz.sum())


@net.fault("missing_term", "overwritten", at="likelihood", called=True)
def only_the_positive_class(params, x, t):
    """Derives t log p and forgets (1 − t) log(1 − p)."""
    p = sigmoid(x @ params.w + params.b)
    dz = -t * (1 - p) / len(t)
    return Line(x.T @ dz, dz.sum())


@net.fault("sign", at="likelihood")
def sign_of_one_minus_p(params, x, t):
    """The inner derivative of log(1 − p) is −1."""
    a = sigmoid(x @ params.w + params.b)
    da = -(t / a + (1 - t) / (1 - a)) / len(t)
    dz = da * a * (1 - a)
    return Line(x.T @ dz, dz.sum())


@net.fault("sign", at=("mean", "likelihood"), single=True)
def ascent(params, x, t):
    """The textbook's rule climbs the likelihood; the loss is its negative."""
    p = sigmoid(x @ params.w + params.b)
    dz = (t - p) / len(t)
    return Line(x.T @ dz, dz.sum())


@net.fault("permuted", at=None)
def labels_shifted(params, x, t):
    """An off-by-one when the labels were read."""
    t = np.concatenate([t[1:], t[:1]])
    dz = (sigmoid(x @ params.w + params.b) - t) / len(t)
    return Line(x.T @ dz, dz.sum())


@net.fault("wrong_operand", "wrong_loss", "wrong_derivative", at=("sigmoid", "likelihood"))
def decision_instead_of_probability(params, x, t):
    """The error of the thresholded prediction: the perceptron's rule."""
    p = sigmoid(x @ params.w + params.b) > 0.5
    dz = (p - t) / len(t)
    return Line(x.T @ dz, dz.sum())


def _bits(params, x, t):
    p = sigmoid(x @ params.w + params.b)
    return -np.mean(t * np.log2(p) + (1 - t) * np.log2(1 - p))


@net.fault("wrong_loss", at=("likelihood", "mean"), loss=_bits)
def in_bits(params, x, t):
    """Logarithms to base 2, in the loss and in the gradient."""
    p = sigmoid(x @ params.w + params.b)
    dz = (p - t) / len(t) / np.log(2)
    return Line(x.T @ dz, dz.sum())


@net.right()
def by_the_chain(params, x, t):
    """Every step of the chain by itself, nothing cancelled."""
    p = sigmoid(x @ params.w + params.b)
    dp = -(t / p - (1 - t) / (1 - p)) / len(t)
    dz = dp * p * (1 - p)
    return Line(dz @ x, np.sum(dz))


def softmax_loss_fn(params, x, labels):
    """Softmax regression: minus the mean logarithm of the label's probability."""
    w, b = params
    logits = x @ w + b  # @logits
    exp = jnp.exp(logits - jnp.max(logits, axis=1, keepdims=True))  # @exp
    probs = exp / jnp.sum(exp, axis=1, keepdims=True)  # @softmax
    picked = probs[jnp.arange(len(labels)), labels]  # @pick
    return -jnp.mean(jnp.log(picked))  # @log


def softmax_inputs(rng, n):
    """Five features, four classes."""
    params = [rng.normal(size=(5, 4)), rng.normal(size=4)]
    return params, (rng.normal(size=(n, 5)), np.arange(n) * 3 % 4)


def softmax(z):
    """Over the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_grads(params, x, labels):
    """Probabilities minus one-hot labels, averaged."""
    w, b = params
    n = len(labels)
    dz = softmax(x @ w + b)
    dz[np.arange(n), labels] -= 1
    dz /= n
    return [x.T @ dz, dz.sum(axis=0)]


regression = Network("softmax_regression", softmax_loss_fn, softmax_inputs, softmax_grads)


@regression.fault("wrong_axis", at="softmax")
def softmax_of_the_whole_batch(params, x, labels):
    """The notebook's softmax: written for one example, fed with a batch."""
    w, b = params
    z = x @ w + b
    c = np.max(z)
    exp_x = np.exp(z - c)
    sum_exp_x = np.sum(exp_x)
    y = exp_x / sum_exp_x
    dz = (y - np.eye(4)[labels]) / len(labels)
    return [x.T @ dz, dz.sum(axis=0)]


@regression.fault("wrong_axis", at="softmax", called=True)
def softmax_down_the_columns(params, x, labels):
    """axis=0 normalises over the examples."""
    w, b = params
    exp = np.exp(x @ w + b)
    dz = exp / exp.sum(axis=0)
    dz[np.arange(len(labels)), labels] -= 1
    dz /= len(labels)
    return [x.T @ dz, dz.sum(axis=0)]


@regression.fault("missing_term", at=("pick", "softmax"))
def one_not_subtracted(params, x, labels):
    """CS231n's `dscores[range(n), y] -= 1` is missing."""
    w, b = params
    dscores = softmax(x @ w + b)
    dscores /= len(labels)
    return [x.T @ dscores, dscores.sum(axis=0)]


@regression.fault("permuted", "wrong_mask", at="pick")
def one_subtracted_from_rows(params, x, labels):
    """`dz[labels] -= 1` picks whole rows."""
    w, b = params
    dz = softmax(x @ w + b)
    dz[labels] -= 1
    dz /= len(labels)
    return [x.T @ dz, dz.sum(axis=0)]


@regression.fault("wrong_derivative", "missing_term", at="softmax")
def softmax_like_a_sigmoid(params, x, labels):
    """Takes p(1 − p) for the softmax's derivative: the diagonal of its Jacobian only."""
    w, b = params
    p = softmax(x @ w + b)
    rows = np.arange(len(labels))
    dp = np.zeros_like(p)
    dp[rows, labels] = -1 / p[rows, labels] / len(labels)
    dz = dp * p * (1 - p)
    return [x.T @ dz, dz.sum(axis=0)]


@regression.fault("scale", at="log", single=True)
def averaged_over_classes_too(params, x, labels):
    """Divides by the number of entries rather than of rows."""
    w, b = params
    dz = softmax(x @ w + b) - np.eye(4)[labels]
    dz /= dz.size
    return [x.T @ dz, dz.sum(axis=0)]


@regression.fault("permuted", at=None)
def labels_count_from_one(params, x, labels):
    """The file's classes are 1…C, and its last one wraps to the first."""
    w, b = params
    dz = (softmax(x @ w + b) - np.eye(4)[(labels + 1) % 4]) / len(labels)
    return [x.T @ dz, dz.sum(axis=0)]


@regression.fault("wrong_axis", "wrong_reduction", at="logits", n=4)
def bias_summed_over_classes(params, x, labels):
    """axis=1 where the batch is axis 0; with as many examples as classes the shape fits."""
    w, b = params
    dz = (softmax(x @ w + b) - np.eye(4)[labels]) / len(labels)
    return [x.T @ dz, dz.sum(axis=1)]


@regression.right()
def by_the_jacobian(params, x, labels):
    """diag(p) − p pᵀ, one example after another."""
    w, b = params
    dw, db = np.zeros_like(w), np.zeros_like(b)
    for example, label in zip(x, labels, strict=True):
        p = softmax(example @ w + b)
        dp = np.zeros_like(p)
        dp[label] = -1 / p[label] / len(labels)
        dz = (np.diag(p) - np.outer(p, p)) @ dp
        dw += np.outer(example, dz)
        db += dz
    return [dw, db]
