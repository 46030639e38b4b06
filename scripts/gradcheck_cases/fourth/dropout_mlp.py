"""Rows are examples: affine, ReLU, inverted dropout, affine, softmax loss with L2, as in an assignment's fc_net."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

KEEP = 0.6
REG = 0.3


def loss_fn(params, X, y, mask):
    """Data loss plus 0.5 reg ΣW²; params is a list of (W, b)."""
    (W1, b1), (W2, b2) = params
    h = X @ W1 + b1  # @hidden
    a = jax.nn.relu(h)  # @relu
    d = a * mask / KEEP  # @dropout
    scores = d @ W2 + b2  # @scores
    logp = jax.nn.log_softmax(scores, axis=1)  # @softmax
    data = -jnp.mean(logp[jnp.arange(len(y)), y])  # @data
    penalty = 0.5 * REG * (jnp.sum(W1**2) + jnp.sum(W2**2))  # @penalty
    return data + penalty  # @total


def inputs(rng, n):
    """Five features, six units, three classes; n is six too unless told."""
    params = [(rng.normal(size=(5, 6)), rng.normal(size=6)), (rng.normal(size=(6, 3)), rng.normal(size=3))]
    mask = (rng.uniform(size=(n, 6)) < KEEP).astype(float)
    return params, (rng.normal(size=(n, 5)), rng.integers(0, 3, size=n), mask)


def forward(params, X, mask):
    """h, d and the probabilities."""
    (W1, b1), (W2, b2) = params
    h = X @ W1 + b1
    d = np.maximum(h, 0) * mask / KEEP
    e = np.exp(d @ W2 + b2)
    return h, d, e / e.sum(axis=1, keepdims=True)


def grads(params, X, y, mask):
    """Softmax, affine, dropout, ReLU, affine."""
    (W1, _), (W2, _) = params
    h, d, p = forward(params, X, mask)
    n = len(y)
    dscores = p.copy()
    dscores[np.arange(n), y] -= 1
    dscores /= n
    dh = dscores @ W2.T * mask / KEEP * (h > 0)
    return [(X.T @ dh + REG * W1, dh.sum(axis=0)), (d.T @ dscores + REG * W2, dscores.sum(axis=0))]


net = Network("dropout_mlp", loss_fn, inputs, grads, batch=6)


def error(p, y):
    """Gradient of the scores."""
    return (p - np.eye(p.shape[1])[y]) / len(y)


@net.fault("wrong_mask", at="dropout")
def dropout_skipped_in_backward(params, X, y, mask):
    """Dout goes straight to the ReLU."""
    (W1, _), (W2, _) = params
    h, d, p = forward(params, X, mask)
    dscores = error(p, y)
    dh = dscores @ W2.T
    dh[h <= 0] = 0
    return [(X.T @ dh + REG * W1, dh.sum(axis=0)), (d.T @ dscores + REG * W2, dscores.sum(axis=0))]


@net.fault("scale", at="dropout", called=True)
def dropout_not_rescaled(params, X, y, mask):
    """The backward pass multiplies by the mask and forgets 1/p."""
    (W1, _), (W2, _) = params
    h, d, p = forward(params, X, mask)
    dscores = error(p, y)
    dh = dscores @ W2.T * mask * (h > 0)
    return [(X.T @ dh + REG * W1, dh.sum(axis=0)), (d.T @ dscores + REG * W2, dscores.sum(axis=0))]


@net.fault("wrong_operand", "wrong_mask", at=("scores", "dropout"))
def activations_before_dropout(params, X, y, mask):
    """dW2 is made with the ReLU's output, not the dropped one."""
    (W1, _), (W2, _) = params
    h, d, p = forward(params, X, mask)
    dscores = error(p, y)
    dW2 = np.maximum(h, 0).T @ dscores + REG * W2
    dh = dscores @ W2.T * mask / KEEP * (h > 0)
    return [(X.T @ dh + REG * W1, dh.sum(axis=0)), (dW2, dscores.sum(axis=0))]


@net.fault("wrong_reduction", "wrong_axis", at="hidden")
def first_bias_over_the_wrong_axis(params, X, y, mask):
    """`dh.sum(axis=1)`: there are as many examples as units."""
    (W1, _), (W2, _) = params
    h, d, p = forward(params, X, mask)
    dscores = error(p, y)
    dh = dscores @ W2.T * mask / KEEP * (h > 0)
    return [(X.T @ dh + REG * W1, dh.sum(axis=1)), (d.T @ dscores + REG * W2, dscores.sum(axis=0))]


@net.fault("missing_term", at=("penalty", "total"), single=True)
def second_matrix_not_regularised(params, X, y, mask):
    """`grads['W1'] += reg * W1`, and nothing for W2."""
    (W1, _), (W2, _) = params
    h, d, p = forward(params, X, mask)
    dscores = error(p, y)
    dh = dscores @ W2.T * mask / KEEP * (h > 0)
    return [(X.T @ dh + REG * W1, dh.sum(axis=0)), (d.T @ dscores, dscores.sum(axis=0))]


@net.fault("stale", "permuted", at=None)
def labels_of_the_next_batch(params, X, y, mask):
    """The generator shuffled X but not y: the rows of X no longer belong to the labels and the mask."""
    order = np.random.default_rng(3).permutation(len(X))
    return grads(params, X[order], y, mask)


@net.fault("scale", "wrong_mask", at=("data", "relu"))
def no_mean_and_no_relu(params, X, y, mask):
    """Two slips: the error is not divided by N, and the ReLU's mask is missing."""
    (W1, _), (W2, _) = params
    h, d, p = forward(params, X, mask)
    dscores = p.copy()
    dscores[np.arange(len(y)), y] -= 1
    dh = dscores @ W2.T * mask / KEEP
    return [(X.T @ dh + REG * W1, dh.sum(axis=0)), (d.T @ dscores + REG * W2, dscores.sum(axis=0))]


@net.right()
def relu_mask_after_dropout(params, X, y, mask):
    """`d > 0` does for both masks."""
    (W1, _), (W2, _) = params
    h, d, p = forward(params, X, mask)
    dscores = error(p, y)
    dh = np.where(d > 0, dscores @ W2.T / KEEP, 0)
    return [(X.T @ dh + REG * W1, dh.sum(axis=0)), (d.T @ dscores + REG * W2, dscores.sum(axis=0))]


@net.right(n=2, single=True, seed=8)
def biases_by_a_product_with_ones(params, X, y, mask):
    """1ᵀ dscores."""
    (W1, _), (W2, _) = params
    h, d, p = forward(params, X, mask)
    dscores = error(p, y)
    dh = dscores @ W2.T * (mask / KEEP) * (h > 0)
    ones = np.ones(len(X))
    return [(X.T @ dh + REG * W1, ones @ dh), (d.T @ dscores + REG * W2, ones @ dscores)]
