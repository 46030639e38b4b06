"""CS231n's first assignment: multiclass hinge loss of a linear classifier, elastic net penalty."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

REG = 0.05
L1 = 0.1


def loss_fn(W, X, y):
    """svm_loss_vectorized."""
    rows = jnp.arange(len(y))
    scores = X @ W  # @scores
    correct = scores[rows, y][:, None]  # @correct
    margins = jnp.maximum(0, scores - correct + 1.0)  # @margins
    others = margins.at[rows, y].set(0)  # @others
    loss = jnp.sum(others) / len(y)  # @mean
    loss = loss + REG * jnp.sum(W * W)  # @l2
    return loss + L1 * jnp.sum(jnp.abs(W))  # @l1


def inputs(rng, n):
    """Five features (the last is the bias trick's one), four classes."""
    X = np.hstack([rng.normal(size=(n, 4)), np.ones((n, 1))])
    return rng.normal(size=(5, 4)), (X, np.arange(n) % 4)


def positive(W, X, y, delta=1.0):
    """Which margins count, as zeros and ones; none of the own class."""
    scores = X @ W
    margins = np.maximum(0, scores - scores[np.arange(len(y)), y][:, None] + delta)
    margins[np.arange(len(y)), y] = 0
    return (margins > 0).astype(W.dtype)


def penalty(W):
    """Of both terms."""
    return 2 * REG * W + L1 * np.sign(W)


def grads(W, X, y):
    """The counts of positive margins go to the own class with a minus."""
    mask = positive(W, X, y)
    mask[np.arange(len(y)), y] = -mask.sum(axis=1)
    return X.T @ mask / len(y) + penalty(W)


net = Network("cs231n_svm", loss_fn, inputs, grads, batch=7)


@net.fault("missing_term", at="correct")
def own_class_forgotten(W, X, y):
    """Only the wrong classes get a gradient."""
    return X.T @ positive(W, X, y) / len(y) + penalty(W)


@net.fault("wrong_mask", at="margins")
def margin_without_delta(W, X, y):
    """The mask is that of misclassified examples: s_j > s_y, without the 1."""
    mask = positive(W, X, y, delta=0.0)
    mask[np.arange(len(y)), y] = -mask.sum(axis=1)
    return X.T @ mask / len(y) + penalty(W)


@net.fault("wrong_derivative", "wrong_loss", "wrong_mask", at="margins")
def margins_not_binarised(W, X, y):
    """The margins themselves are multiplied by X: `margins[margins > 0] = 1` is missing."""
    scores = X @ W
    margins = np.maximum(0, scores - scores[np.arange(len(y)), y][:, None] + 1)
    margins[np.arange(len(y)), y] = 0
    margins[np.arange(len(y)), y] = -margins.sum(axis=1)
    return X.T @ margins / len(y) + penalty(W)


@net.fault("extra_term", "wrong_mask", at="others", called=True)
def own_class_counted(W, X, y):
    """The own class's margin, which is 1, is not set to zero before the margins are counted."""
    scores = X @ W
    mask = (scores - scores[np.arange(len(y)), y][:, None] + 1 > 0).astype(W.dtype)
    mask[np.arange(len(y)), y] = -mask.sum(axis=1)
    return X.T @ mask / len(y) + penalty(W)


@net.fault("scale", at="l2")
def two_of_the_penalty(W, X, y):
    """reg · W; the loss has no half."""
    return grads(W, X, y) - REG * W


@net.fault("wrong_derivative", at="l1")
def absolute_value_as_a_square(W, X, y):
    """W where it should be sign(W)."""
    return grads(W, X, y) + L1 * (W - np.sign(W))


@net.fault("scale", at=("l2", "l1"))
def divided_after_the_penalty(W, X, y):
    """`dW /= num_train` comes after the penalties were added."""
    mask = positive(W, X, y)
    mask[np.arange(len(y)), y] = -mask.sum(axis=1)
    dW = X.T @ mask
    dW += penalty(W)
    dW /= len(y)
    return dW


@net.fault("overwritten", "wrong_reduction", at=("scores", "correct"))
def columns_assigned_in_the_loop(W, X, y):
    """The naive version says `dW[:, j] = X[i]` for `+=`."""
    dW, mask = np.zeros_like(W), positive(W, X, y)
    for i, j in zip(*np.nonzero(mask), strict=True):
        dW[:, j] = X[i]
        dW[:, y[i]] = -X[i]
    return dW / len(y) + penalty(W)


def _with_own_class(W, X, y):
    scores = X @ W
    margins = np.maximum(0, scores - scores[np.arange(len(y)), y][:, None] + 1)
    return margins.sum() / len(y) + REG * np.sum(W * W) + L1 * np.sum(np.abs(W))


@net.fault("wrong_loss", "extra_term", "wrong_mask", at=("others", "margins"), loss=_with_own_class)
def printed_loss_counts_the_own_class(W, X, y):
    """The gradient is right; the loss is too large by exactly 1."""
    return grads(W, X, y)


@net.fault("permuted", "stale", at=None)
def labels_sorted(W, X, y):
    """The labels were sorted (for stratified folds), the images were not."""
    return grads(W, X, np.sort(y))


@net.fault("missing_term", "scale", at=("correct", "l2"))
def own_class_and_two(W, X, y):
    """Two slips: no gradient for the own class, and reg · W."""
    return X.T @ positive(W, X, y) / len(y) + REG * W + L1 * np.sign(W)


@net.right()
def naive_loops(W, X, y):
    """svm_loss_naive."""
    dW = np.zeros_like(W)
    for i in range(len(y)):
        scores = X[i] @ W
        for j in range(W.shape[1]):
            if j != y[i] and scores[j] - scores[y[i]] + 1 > 0:
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    return dW / len(y) + penalty(W)


@net.right(called=True, seed=2)
def own_class_counted_and_taken_off(W, X, y):
    """The own class is counted, and subtracted from what is there: the two cancel."""
    scores = X @ W
    mask = (scores - scores[np.arange(len(y)), y][:, None] + 1 > 0).astype(W.dtype)
    mask[np.arange(len(y)), y] -= mask.sum(axis=1)
    return X.T @ mask / len(y) + penalty(W)
