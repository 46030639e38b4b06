"""CS231n: a two-layer network with the multiclass SVM loss and L2 regularisation."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, X, y, reg):
    """Mean hinge loss with margin 1, plus reg times the squared weights."""
    rows = jnp.arange(X.shape[0])
    hidden = jnp.maximum(0, X @ params["W1"] + params["b1"])  # @relu
    scores = hidden @ params["W2"] + params["b2"]  # @scores
    correct = scores[rows, y][:, None]  # @correct
    margins = jnp.maximum(0, scores - correct + 1)  # @margins
    margins = margins.at[rows, y].set(0)  # @clear
    data_loss = jnp.sum(margins) / X.shape[0]  # @mean
    reg_loss = jnp.sum(params["W1"] ** 2) + jnp.sum(params["W2"] ** 2)  # @penalty
    return data_loss + reg * reg_loss  # @total


def inputs(rng, n):
    """Four features, seven hidden units, five classes."""
    params = {
        "W1": rng.normal(size=(4, 7)),
        "b1": rng.normal(size=7),
        "W2": rng.normal(size=(7, 5)),
        "b2": rng.normal(size=5),
    }
    return params, (rng.normal(size=(n, 4)), rng.integers(0, 5, size=n), np.array(0.1))


def forward(params, X, y):
    """Hidden units and margins, those of the right class 0."""
    hidden = np.maximum(0, X @ params["W1"] + params["b1"])
    scores = hidden @ params["W2"] + params["b2"]
    margins = np.maximum(0, scores - scores[np.arange(len(y)), y][:, None] + 1)
    margins[np.arange(len(y)), y] = 0
    return hidden, scores, margins


def hinge_backward(margins, y):
    """One for each violated margin, minus their number for the right class."""
    dscores = (margins > 0).astype(margins.dtype)
    dscores[np.arange(len(y)), y] = -dscores.sum(axis=1)
    return dscores / len(y)


def backward(params, X, hidden, dscores, reg, on=None):
    """From the scores to the weights."""
    on = hidden > 0 if on is None else on
    dhidden = dscores @ params["W2"].T * on
    return {
        "W1": X.T @ dhidden + 2 * reg * params["W1"],
        "b1": dhidden.sum(axis=0),
        "W2": hidden.T @ dscores + 2 * reg * params["W2"],
        "b2": dscores.sum(axis=0),
    }


def grads(params, X, y, reg):
    """As in assignment 1."""
    hidden, _, margins = forward(params, X, y)
    return backward(params, X, hidden, hinge_backward(margins, y), reg)


net = Network("svm_net", loss_fn, inputs, grads, batch=6)


@net.fault("missing_term", at="correct")
def right_class_forgotten(params, X, y, reg):
    """Only the columns of the wrong classes get a gradient."""
    hidden, _, margins = forward(params, X, y)
    dscores = (margins > 0) / len(y)
    return backward(params, X, hidden, dscores, reg)


@net.fault("wrong_reduction", "scale", at="correct")
def right_class_counted_once(params, X, y, reg):
    """Minus one, not minus the number of violated margins."""
    hidden, _, margins = forward(params, X, y)
    dscores = (margins > 0).astype(float)
    dscores[np.arange(len(y)), y] = -1 * (dscores.sum(axis=1) > 0)
    return backward(params, X, hidden, dscores / len(y), reg)


@net.fault("wrong_derivative", "wrong_loss", "wrong_mask", at="margins")
def margins_for_indicators(params, X, y, reg):
    """`margins[margins > 0] = 1` is forgotten: the margins themselves go back."""
    hidden, _, margins = forward(params, X, y)
    dscores = margins.copy()
    dscores[np.arange(len(y)), y] = -dscores.sum(axis=1)
    return backward(params, X, hidden, dscores / len(y), reg)


@net.fault("wrong_mask", at="margins", seed=3)
def delta_forgotten_in_the_mask(params, X, y, reg):
    """Where the score is above the right one, without the margin of one."""
    hidden, scores, _ = forward(params, X, y)
    wrong = (scores > scores[np.arange(len(y)), y][:, None]).astype(float)
    wrong[np.arange(len(y)), y] = -wrong.sum(axis=1)
    return backward(params, X, hidden, wrong / len(y), reg)


@net.fault("wrong_mask", at="relu", called=True)
def relu_mask_that_never_fires(params, X, y, reg):
    """`dhidden[hidden < 0] = 0` after the ReLU has left nothing below zero."""
    hidden, _, margins = forward(params, X, y)
    return backward(params, X, hidden, hinge_backward(margins, y), reg, on=~(hidden < 0))


@net.fault("extra_term", at=("penalty", "total"))
def biases_regularised_too(params, X, y, reg):
    """The loop over all parameters adds 2 reg θ."""
    right = grads(params, X, y, reg)
    for key in ("b1", "b2"):
        right[key] += 2 * reg * params[key]
    return right


@net.fault("accumulated", "scale", at=("penalty", "total"))
def penalty_inside_the_loop(params, X, y, reg):
    """The naive loop over examples adds the penalty's gradient for each of them."""
    total = {key: np.zeros_like(value) for key, value in params.items()}
    for i in range(len(y)):
        hidden, _, margins = forward(params, X[i : i + 1], y[i : i + 1])
        one = backward(params, X[i : i + 1], hidden, hinge_backward(margins, y[i : i + 1]) / len(y), reg)
        for key in total:
            total[key] += one[key]
    return total


@net.fault("scale", "missing_term", at=("mean", "penalty", "total"))
def neither_divided_nor_regularised(params, X, y, reg):
    """Two slips: dscores is not divided by N, and no penalty in dW."""
    hidden, _, margins = forward(params, X, y)
    return backward(params, X, hidden, hinge_backward(margins, y) * len(y), 0.0)


def half_penalty_loss(params, X, y, reg):
    """The loss of the lecture notes, with a half."""
    margins = forward(params, X, y)[2]
    return margins.sum() / len(y) + 0.5 * reg * sum(np.sum(params[key] ** 2) for key in ("W1", "W2"))


@net.fault("wrong_loss", "scale", at=("penalty", "total"), loss=half_penalty_loss)
def half_the_penalty_in_both(params, X, y, reg):
    """Loss and gradient both with reg / 2."""
    return grads(params, X, y, reg / 2)


@net.right()
def naive_loops(params, X, y, reg):
    """Two loops, as asked for first."""
    hidden, scores, _ = forward(params, X, y)
    dscores = np.zeros_like(scores)
    for i, j in np.ndindex(scores.shape):
        if j != y[i] and scores[i, j] - scores[i, y[i]] + 1 > 0:
            dscores[i, j] += 1
            dscores[i, y[i]] -= 1
    return backward(params, X, hidden, dscores / len(y), reg)


@net.right(single=True, seed=5)
def in_single_precision(params, X, y, reg):
    """The same in float32."""
    return grads(params, X, y, reg)


@net.right(n=1, called=True)
def of_one_example(params, X, y, reg):
    """A batch of one."""
    return grads(params, X, y, reg)


def blank_inputs(rng, n):
    """A blank first image and biases that start at zero: its hidden units are exactly at the kink."""
    params, (X, y, reg) = inputs(rng, n)
    return {**params, "b1": np.zeros(7), "b2": np.zeros(5)}, (X * (np.arange(n) > 0)[:, None], y, reg)


kinks = Network("svm_net_kinks", loss_fn, blank_inputs, grads, batch=6)


@kinks.right()
def nothing_at_zero(params, X, y, reg):
    """The slope at zero taken as 0 (JAX takes one half for `maximum`)."""
    return grads(params, X, y, reg)


@kinks.right(called=True)
def one_at_zero(params, X, y, reg):
    """`>=` in the ReLU's mask."""
    hidden, _, margins = forward(params, X, y)
    on = X @ params["W1"] + params["b1"] >= 0
    return backward(params, X, hidden, hinge_backward(margins, y), reg, on=on)
