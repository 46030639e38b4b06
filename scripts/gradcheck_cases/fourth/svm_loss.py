"""The multiclass hinge loss of the course's first assignment; the bias is a column of ones."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

REG = 0.25
DELTA = 1.0


def loss_fn(W, X, y):
    """Mean hinge loss over the batch plus reg ΣW²."""
    n = len(y)
    scores = X @ W  # @scores
    correct = scores[jnp.arange(n), y][:, None]  # @correct
    margins = jnp.maximum(0, scores - correct + DELTA)  # @margins
    others = jnp.arange(W.shape[1]) != y[:, None]  # @others
    data = jnp.sum(jnp.where(others, margins, 0)) / n  # @data
    penalty = REG * jnp.sum(W * W)  # @penalty
    return data + penalty  # @total


def inputs(rng, n):
    """Four features and the ones, five classes."""
    X = np.hstack([rng.normal(size=(n, 4)), np.ones((n, 1))])
    return rng.normal(size=(5, 5)) * 0.6, (X, rng.integers(0, 5, size=n))


def counts(W, X, y):
    """1 for every class in the margin, minus their number for the right one."""
    rows = np.arange(len(y))
    scores = X @ W
    binary = (scores - scores[rows, y][:, None] + DELTA > 0).astype(X.dtype)
    binary[rows, y] = 0
    binary[rows, y] = -binary.sum(axis=1)
    return binary


def grads(W, X, y):
    """Vectorised."""
    return X.T @ counts(W, X, y) / len(y) + 2 * REG * W


net = Network("svm_loss", loss_fn, inputs, grads, batch=6)


@net.fault("missing_term", at="correct")
def correct_class_not_updated(W, X, y):
    """In the loop only `dW[:, j] += X[i]`."""
    dW = np.zeros_like(W)
    for i in range(len(y)):
        scores = X[i] @ W
        for j in range(W.shape[1]):
            if j != y[i] and scores[j] - scores[y[i]] + DELTA > 0:
                dW[:, j] += X[i]
    return dW / len(y) + 2 * REG * W


@net.fault("scale", at="penalty", called=True)
def two_of_the_penalty_forgotten(W, X, y):
    """Reg W."""
    return X.T @ counts(W, X, y) / len(y) + REG * W


@net.fault("scale", at="data")
def n_forgotten(W, X, y):
    """The loss is divided by num_train, dW is not."""
    dW = X.T @ counts(W, X, y)
    dW += 2 * REG * W
    return dW


@net.fault("wrong_mask", at="margins", single=True)
def scores_for_margins(W, X, y):
    """The mask is `scores > 0`."""
    rows = np.arange(len(y))
    d = (X @ W > 0).astype(float)
    d[rows, y] = 0
    d[rows, y] = -d.sum(axis=1)
    return X.T @ d / len(y) + 2 * REG * W


@net.fault("wrong_loss", "wrong_derivative", at=("margins", "data"))
def squared_hinge(W, X, y):
    """The gradient of the L2-SVM: 2 max(0, margin)."""
    rows = np.arange(len(y))
    scores = X @ W
    d = 2 * np.maximum(0, scores - scores[rows, y][:, None] + DELTA)
    d[rows, y] = 0
    d[rows, y] = -d.sum(axis=1)
    return X.T @ d / len(y) + 2 * REG * W


def _own_class_too(W, X, y):
    scores = X @ W
    margins = np.maximum(0, scores - scores[np.arange(len(y)), y][:, None] + DELTA)
    return margins.sum() / len(y) + REG * np.sum(W * W)


@net.fault("wrong_mask", "extra_term", "wrong_loss", at=("others", "data"), loss=_own_class_too)
def own_class_in_the_loss(W, X, y):
    """The loss forgets to leave out the right class and is larger by Δ; the gradient is as it should be."""
    return grads(W, X, y)


@net.fault("stale", at=None)
def weights_of_before_the_step(W, X, y):
    """DW was computed, then W was updated; it is checked at the new W."""
    before = W + 0.3 * np.random.default_rng(5).normal(size=W.shape)
    return grads(before, X, y)


@net.right()
def naive_loops(W, X, y):
    """svm_loss_naive."""
    dW = np.zeros_like(W)
    for i in range(len(y)):
        scores = X[i] @ W
        for j in range(W.shape[1]):
            if j == y[i]:
                continue
            if scores[j] - scores[y[i]] + DELTA > 0:
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    dW /= len(y)
    dW += 2 * REG * W
    return dW


@net.right(single=True, n=1)
def own_class_cancels(W, X, y):
    """The right class is counted in the margin, and taken off again by the count."""
    rows = np.arange(len(y))
    scores = X @ W
    d = (scores - scores[rows, y][:, None] + DELTA > 0).astype(X.dtype)
    d[rows, y] -= d.sum(axis=1)
    return X.T @ d / len(y) + 2 * REG * W
