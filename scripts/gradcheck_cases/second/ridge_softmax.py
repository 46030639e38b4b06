"""Softmax regression as scikit-learn has it: a row of coefficients a class, sample weights, an L2 penalty."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

ALPHA = 0.3


def loss_fn(params, X, y, sample_weight):
    """Weighted mean of the negative log-likelihood plus half alpha times the squared coefficients."""
    raw = X @ params["coef"].T + params["intercept"]  # @raw
    log_p = raw - jax.scipy.special.logsumexp(raw, axis=1, keepdims=True)  # @softmax
    nll = -log_p[jnp.arange(X.shape[0]), y]  # @nll
    data = jnp.sum(sample_weight * nll) / jnp.sum(sample_weight)  # @data
    penalty = 0.5 * ALPHA * jnp.sum(params["coef"] ** 2)  # @penalty
    return data + penalty  # @total


def inputs(rng, n):
    """Four features, three classes."""
    params = {"coef": rng.normal(size=(3, 4)), "intercept": rng.normal(size=3)}
    return params, (rng.normal(size=(n, 4)), np.arange(n) % 3, rng.uniform(0.2, 2, size=n))


def predict_proba(params, X, axis=1):
    """Softmax of the raw scores."""
    raw = X @ params["coef"].T + params["intercept"]
    e = np.exp(raw - raw.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def grads(params, X, y, sample_weight):
    """Probabilities less one at the label, weighted, and the penalty's own gradient."""
    p = predict_proba(params, X)
    p[np.arange(len(y)), y] -= 1
    d = sample_weight[:, None] * p / sample_weight.sum()
    return {"coef": d.T @ X + ALPHA * params["coef"], "intercept": d.sum(axis=0)}


net = Network("ridge_softmax", loss_fn, inputs, grads, batch=7)


@net.fault("missing_term", at=("penalty", "total"))
def penalty_forgotten(params, X, y, sample_weight):
    """The regulariser is in the loss only."""
    p = predict_proba(params, X)
    p[np.arange(len(y)), y] -= 1
    d = sample_weight[:, None] * p / sample_weight.sum()
    return {"coef": d.T @ X, "intercept": d.sum(axis=0)}


@net.fault("extra_term", at=("penalty", "raw"), called=True)
def intercept_penalised(params, X, y, sample_weight):
    """`for k in params: grad[k] += alpha * params[k]`: the intercept is decayed, too."""
    grad = grads(params, X, y, sample_weight)
    grad["intercept"] = grad["intercept"] + ALPHA * params["intercept"]
    return grad


@net.fault("sign", at=("penalty", "total"))
def penalty_subtracted(params, X, y, sample_weight):
    """In the update rule it is subtracted; here, too."""
    p = predict_proba(params, X)
    p[np.arange(len(y)), y] -= 1
    d = sample_weight[:, None] * p / sample_weight.sum()
    return {"coef": d.T @ X - ALPHA * params["coef"], "intercept": d.sum(axis=0)}


@net.fault("scale", at="penalty", single=True)
def penalty_over_n(params, X, y, sample_weight):
    """λ/m as in the course's cost function, which this one isn't."""
    p = predict_proba(params, X)
    p[np.arange(len(y)), y] -= 1
    d = sample_weight[:, None] * p / sample_weight.sum()
    return {"coef": d.T @ X + ALPHA / len(y) * params["coef"], "intercept": d.sum(axis=0)}


@net.fault("missing_term", "wrong_operand", "wrong_loss", at="data")
def sample_weight_ignored(params, X, y, sample_weight):
    """`sample_weight` is accepted by `fit` and never used in the gradient."""
    p = predict_proba(params, X)
    p[np.arange(len(y)), y] -= 1
    d = p / len(y)
    return {"coef": d.T @ X + ALPHA * params["coef"], "intercept": d.sum(axis=0)}


@net.fault("transposed", "wrong_shape", at="raw")
def coefficients_by_column(params, X, y, sample_weight):
    """X.T @ d: (features, classes)."""
    p = predict_proba(params, X)
    p[np.arange(len(y)), y] -= 1
    d = sample_weight[:, None] * p / sample_weight.sum()
    return {"coef": X.T @ d + ALPHA * params["coef"].T, "intercept": d.sum(axis=0)}


@net.fault("permuted", at="nll")
def labels_start_at_one(params, X, y, sample_weight):
    """`y - 1`: the code came from a data set with classes 1 … C."""
    p = predict_proba(params, X)
    p[np.arange(len(y)), y - 1] -= 1
    d = sample_weight[:, None] * p / sample_weight.sum()
    return {"coef": d.T @ X + ALPHA * params["coef"], "intercept": d.sum(axis=0)}


@net.fault("wrong_axis", at="softmax", seed=3)
def softmax_down_the_columns(params, X, y, sample_weight):
    """`axis=0` in predict_proba."""
    p = predict_proba(params, X, axis=0)
    p[np.arange(len(y)), y] -= 1
    d = sample_weight[:, None] * p / sample_weight.sum()
    return {"coef": d.T @ X + ALPHA * params["coef"], "intercept": d.sum(axis=0)}


@net.fault("scale", "missing_term", "wrong_loss", "wrong_reduction", at=("data", "penalty", "total"))
def neither_divided_nor_penalised(params, X, y, sample_weight):
    """Two mistakes: no division by the sum of the weights, no penalty."""
    p = predict_proba(params, X)
    p[np.arange(len(y)), y] -= 1
    d = sample_weight[:, None] * p
    return {"coef": d.T @ X, "intercept": d.sum(axis=0)}


def _data_loss(params, X, y, sample_weight):
    p = predict_proba(params, X)
    return -np.average(np.log(p[np.arange(len(y)), y]), weights=sample_weight)


@net.fault("wrong_loss", "missing_term", at=("penalty", "total"), loss=_data_loss)
def printed_loss_without_penalty(params, X, y, sample_weight):
    """The gradient is right; the loss that is printed lacks the penalty."""
    return grads(params, X, y, sample_weight)


@net.right()
def with_one_hot_labels(params, X, y, sample_weight):
    """(P − Y) with a label binariser and a diagonal matrix of weights."""
    Y = np.eye(3)[y]
    w = np.diag(sample_weight / np.sum(sample_weight))
    d = w @ (predict_proba(params, X) - Y)
    return {"intercept": np.ones(len(y)) @ d, "coef": d.T @ X + ALPHA * params["coef"]}


@net.right(single=True, called=True)
def in_single_precision(params, X, y, sample_weight):
    """The same in float32."""
    return grads(params, X, y, sample_weight)


@net.right(seed=5, n=1)
def one_sample(params, X, y, sample_weight):
    """A sample at a time; here there is only one, and its weight cancels."""
    p = predict_proba(params, X)[0]
    p[y[0]] -= 1
    return {"coef": np.outer(p, X[0]) + ALPHA * params["coef"], "intercept": p}
