"""CS231n, assignment 1: the multiclass hinge loss."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, X, y, reg):
    """svm_loss_vectorized, with a bias of its own."""
    rows = jnp.arange(X.shape[0])
    scores = X @ params["W"] + params["b"]  # @scores
    correct = scores[rows, y][:, None]  # @correct
    margins = jax.nn.relu(scores - correct + 1)  # @margins
    margins = margins.at[rows, y].set(0)  # @zero
    data = jnp.sum(margins) / X.shape[0]  # @data
    return data + reg * jnp.sum(params["W"] ** 2)  # @reg


def inputs(rng, n):
    """Five features, four classes."""
    params = {"W": 0.5 * rng.normal(size=(5, 4)), "b": 0.1 * rng.normal(size=4)}
    return params, (rng.normal(size=(n, 5)), rng.integers(0, 4, size=n), np.array(0.15))


def margin_mask(params, X, y):
    """1 where a class violates the margin."""
    scores = X @ params["W"] + params["b"]
    margins = np.maximum(0, scores - scores[np.arange(len(X)), y][:, None] + 1)
    margins[np.arange(len(X)), y] = 0
    return (margins > 0).astype(X.dtype)


def grads(params, X, y, reg):
    """Counts of violations at the correct class."""
    mask = margin_mask(params, X, y)
    mask[np.arange(len(X)), y] = -mask.sum(axis=1)
    mask /= len(X)
    return {"W": X.T @ mask + 2 * reg * params["W"], "b": mask.sum(axis=0)}


net = Network("svm", loss_fn, inputs, grads, batch=9)


@net.fault("wrong_reduction", "missing_term", "scale", at=("correct", "margins"))
def correct_class_subtracted_once(params, X, y, reg):
    """Subtracts x from the correct class once for an example, not once for each violated margin."""
    mask = margin_mask(params, X, y)
    mask[np.arange(len(X)), y] = -1
    mask /= len(X)
    return {"W": X.T @ mask + 2 * reg * params["W"], "b": mask.sum(axis=0)}


@net.fault("missing_term", at="correct")
def only_the_wrong_classes(params, X, y, reg):
    """The loop has `dW[:, j] += X[i]` and no line for y[i]."""
    n, classes = len(X), params["W"].shape[1]
    dW, db = np.zeros_like(params["W"]), np.zeros_like(params["b"])
    scores = X @ params["W"] + params["b"]
    for i in range(n):
        for j in range(classes):
            if j != y[i] and scores[i, j] - scores[i, y[i]] + 1 > 0:
                dW[:, j] += X[i]
                db[j] += 1
    return {"W": dW / n + 2 * reg * params["W"], "b": db / n}


@net.fault("extra_term", "wrong_mask", at="zero")
def correct_class_counts_itself(params, X, y, reg):
    """The margin of the correct class (always 1) was never zeroed."""
    scores = X @ params["W"] + params["b"]
    mask = (scores - scores[np.arange(len(X)), y][:, None] + 1 > 0).astype(X.dtype)
    mask[np.arange(len(X)), y] = -mask.sum(axis=1)
    mask /= len(X)
    return {"W": X.T @ mask + 2 * reg * params["W"], "b": mask.sum(axis=0)}


@net.fault("scale", at="reg")
def half_of_the_regularisation(params, X, y, reg):
    """Half of λ‖W‖² was differentiated, as in other courses."""
    right = grads(params, X, y, reg)
    right["W"] -= reg * params["W"]
    return right


@net.fault("scale", at="reg", called=True)
def regularisation_divided_by_n_too(params, X, y, reg):
    """The division by N comes after the regulariser was added."""
    mask = margin_mask(params, X, y)
    mask[np.arange(len(X)), y] = -mask.sum(axis=1)
    dW = X.T @ mask
    dW += 2 * reg * params["W"]
    dW /= len(X)
    return {"W": dW, "b": mask.sum(axis=0) / len(X)}


@net.fault("scale", "missing_term", at=("data", "reg"))
def two_not_averaged_not_regularised(params, X, y, reg):
    """Two slips: no division by N, and the regulariser is in the loss only."""
    mask = margin_mask(params, X, y)
    mask[np.arange(len(X)), y] = -mask.sum(axis=1)
    return {"W": X.T @ mask, "b": mask.sum(axis=0)}


@net.fault("wrong_mask", "wrong_operand", at="margins")
def delta_left_out_of_the_mask(params, X, y, reg):
    """A class counts only where its score exceeds that of the correct one: no + 1."""
    scores = X @ params["W"] + params["b"]
    mask = (scores - scores[np.arange(len(X)), y][:, None] > 0).astype(X.dtype)
    mask[np.arange(len(X)), y] = -mask.sum(axis=1)
    mask /= len(X)
    return {"W": X.T @ mask + 2 * reg * params["W"], "b": mask.sum(axis=0)}


@net.right(seed=2)
def by_loops(params, X, y, reg):
    """svm_loss_naive."""
    n = len(X)
    dW, db = np.zeros_like(params["W"]), np.zeros_like(params["b"])
    for i in range(n):
        scores = X[i] @ params["W"] + params["b"]
        for j in range(len(scores)):
            if j != y[i] and scores[j] - scores[y[i]] + 1 > 0:
                dW[:, j] += X[i] / n
                dW[:, y[i]] -= X[i] / n
                db[j] += 1 / n
                db[y[i]] -= 1 / n
    return {"W": dW + 2 * reg * params["W"], "b": db}


net.right(single=True, n=1)(grads)
