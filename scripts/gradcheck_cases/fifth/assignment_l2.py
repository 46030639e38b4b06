"""CS231n, assignment 1: TwoLayerNet with L2 regularisation."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import softmax


def loss_fn(params, X, y, reg):
    """Softmax loss plus reg times the squared weights."""
    N = X.shape[0]
    fc1 = jnp.dot(X, params["W1"]) + params["b1"]  # @fc1
    hidden = fc1 * (fc1 > 0)  # @relu
    scores = jnp.dot(hidden, params["W2"]) + params["b2"]  # @scores
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_norm = jnp.log(jnp.sum(jnp.exp(shifted), axis=1))  # @lognorm
    data_loss = jnp.sum(log_norm - shifted[jnp.arange(N), y]) / N  # @data
    reg_loss = reg * (jnp.sum(params["W1"] ** 2) + jnp.sum(params["W2"] ** 2))  # @reg
    return data_loss + reg_loss  # @total


def inputs(rng, n):
    """Five features, four hidden units, four classes (a square W2)."""
    params = {
        "W1": rng.normal(size=(5, 4)),
        "b1": rng.normal(size=4),
        "W2": rng.normal(size=(4, 4)),
        "b2": rng.normal(size=4),
    }
    return params, (rng.normal(size=(n, 5)), rng.integers(0, 4, size=n), np.array(0.15))


def forward(params, X):
    """Hidden layer and probabilities."""
    hidden = np.maximum(0, X.dot(params["W1"]) + params["b1"])
    return hidden, softmax(hidden.dot(params["W2"]) + params["b2"])


def grads(params, X, y, reg):
    """As one hands it in."""
    N = X.shape[0]
    hidden, dscores = forward(params, X)
    dscores[range(N), y] -= 1
    dscores /= N
    dhidden = dscores.dot(params["W2"].T)
    dhidden[hidden <= 0] = 0
    return {
        "W2": hidden.T.dot(dscores) + 2 * reg * params["W2"],
        "b2": dscores.sum(axis=0),
        "W1": X.T.dot(dhidden) + 2 * reg * params["W1"],
        "b1": dhidden.sum(axis=0),
    }


net = Network("assignment_l2", loss_fn, inputs, grads, batch=7)


@net.fault("scale", at="reg")
def regulariser_as_if_halved(params, X, y, reg):
    """dW += reg * W: the gradient of 0.5 reg W², the loss is without the half."""
    N = X.shape[0]
    hidden, dscores = forward(params, X)
    dscores[range(N), y] -= 1
    dscores /= N
    dhidden = dscores.dot(params["W2"].T)
    dhidden[hidden <= 0] = 0
    grads = {"W2": hidden.T.dot(dscores), "b2": dscores.sum(axis=0)}
    grads["W1"], grads["b1"] = X.T.dot(dhidden), dhidden.sum(axis=0)
    grads["W2"] += reg * params["W2"]
    grads["W1"] += reg * params["W1"]
    return grads


@net.fault("missing_term", at="reg", called=True)
def second_layer_not_regularised(params, X, y, reg):
    """Only W1 gets its share of the regulariser."""
    result = grads(params, X, y, reg)
    result["W2"] -= 2 * reg * params["W2"]
    return result


@net.fault("extra_term", at="reg")
def biases_regularised(params, X, y, reg):
    """A loop over all of `params`, biases included."""
    result = grads(params, X, y, 0.0)
    for name in result:
        result[name] += 2 * reg * params[name]
    return result


@net.fault("wrong_mask", at="relu")
def mask_of_the_rectified(params, X, y, reg):
    """dhidden[hidden < 0] = 0, but hidden is never negative."""
    N = X.shape[0]
    hidden, dscores = forward(params, X)
    dscores[range(N), y] -= 1
    dscores /= N
    dhidden = dscores.dot(params["W2"].T)
    dhidden[hidden < 0] = 0
    return {
        "W2": hidden.T.dot(dscores) + 2 * reg * params["W2"],
        "b2": dscores.sum(axis=0),
        "W1": X.T.dot(dhidden) + 2 * reg * params["W1"],
        "b1": dhidden.sum(axis=0),
    }


@net.fault("scale", at="reg")
def regulariser_divided_by_n_as_well(params, X, y, reg):
    """dW /= N comes after the regulariser was added."""
    N = X.shape[0]
    hidden, dscores = forward(params, X)
    dscores[np.arange(N), y] -= 1
    dW2 = hidden.T.dot(dscores) + 2 * reg * params["W2"]
    dhidden = dscores.dot(params["W2"].T) * (hidden > 0)
    dW1 = X.T.dot(dhidden) + 2 * reg * params["W1"]
    return {"W1": dW1 / N, "b1": dhidden.sum(0) / N, "W2": dW2 / N, "b2": dscores.sum(0) / N}


@net.fault("missing_term", at="data")
def label_not_subtracted(params, X, y, reg):
    """dscores are the probabilities: the -1 at the correct class was forgotten."""
    N = X.shape[0]
    hidden, probs = forward(params, X)
    dscores = probs / N
    dhidden = dscores.dot(params["W2"].T) * (hidden > 0)
    grads = {"W2": hidden.T.dot(dscores), "b2": np.sum(dscores, axis=0)}
    grads["W1"], grads["b1"] = X.T.dot(dhidden), np.sum(dhidden, axis=0)
    grads["W1"] += 2 * reg * params["W1"]
    grads["W2"] += 2 * reg * params["W2"]
    return grads


@net.fault("extra_term", "wrong_operand", "wrong_mask", at=("data", "lognorm"))
def one_subtracted_from_every_row(params, X, y, reg):
    """dscores[:, y] -= 1 takes one from all examples at every class of the batch."""
    N = X.shape[0]
    hidden, dscores = forward(params, X)
    dscores[:, y] -= 1
    dscores /= N
    dhidden = dscores.dot(params["W2"].T)
    dhidden[hidden <= 0] = 0
    return {
        "W2": hidden.T.dot(dscores) + 2 * reg * params["W2"],
        "b2": dscores.sum(axis=0),
        "W1": X.T.dot(dhidden) + 2 * reg * params["W1"],
        "b1": dhidden.sum(axis=0),
    }


@net.fault("transposed", at="scores", single=True)
def hidden_gradient_not_transposed(params, X, y, reg):
    """dscores.dot(W2): no complaint from NumPy, as many classes as hidden units."""
    hidden, probs = forward(params, X)
    dscores = (probs - np.eye(4, dtype=X.dtype)[y]) / X.shape[0]
    dhidden = dscores.dot(params["W2"])
    dhidden[hidden <= 0] = 0
    right = grads(params, X, y, reg)
    return {**right, "W1": X.T.dot(dhidden) + 2 * reg * params["W1"], "b1": dhidden.sum(axis=0)}


@net.fault("mutated", at=("reg", "scores"))
def weights_scaled_in_place(params, X, y, reg):
    """`dW2 = W2; dW2 *= 2 * reg` writes into the weights that are needed a line below."""
    N = X.shape[0]
    hidden, dscores = forward(params, X)
    dscores[range(N), y] -= 1
    dscores /= N
    dW2 = params["W2"]
    dW2 *= 2 * reg
    dW2 += hidden.T.dot(dscores)
    dhidden = dscores.dot(params["W2"].T) * (hidden > 0)
    dW1 = X.T.dot(dhidden) + 2 * reg * params["W1"]
    return {"W1": dW1, "b1": dhidden.sum(axis=0), "W2": dW2, "b2": dscores.sum(axis=0)}


@net.fault("scale", "missing_term", at=("data", "reg"))
def no_mean_and_no_regulariser(params, X, y, reg):
    """Two mistakes: neither the division by N nor the regulariser made it into the gradient."""
    hidden, dscores = forward(params, X)
    dscores[range(len(y)), y] -= 1
    dhidden = dscores.dot(params["W2"].T)
    dhidden[hidden <= 0] = 0
    return {"W2": hidden.T.dot(dscores), "b2": dscores.sum(0), "W1": X.T.dot(dhidden), "b1": dhidden.sum(0)}


def _halved(params, X, y, reg):
    _, probs = forward(params, X)
    data = -np.mean(np.log(probs[np.arange(len(y)), y]))
    return data + 0.5 * reg * (np.sum(params["W1"] ** 2) + np.sum(params["W2"] ** 2))


@net.fault("scale", "wrong_loss", at="reg", loss=_halved)
def half_of_the_regulariser_in_the_loss_only(params, X, y, reg):
    """The gradient is right; the loss that came with it has 0.5 reg, as in an older version of the assignment."""
    return grads(params, X, y, reg)


@net.right()
def regulariser_afterwards(params, X, y, reg):
    """Data gradient first, then the regulariser in place."""
    hidden, probs = forward(params, X)
    d = (probs - np.eye(4)[y]) / len(y)
    dh = (hidden > 0) * (d @ params["W2"].T)
    result = {"b1": np.ones(len(y)) @ dh, "W1": X.T @ dh, "W2": hidden.T @ d, "b2": np.ones(len(y)) @ d}
    for name in ("W1", "W2"):
        result[name] += 2 * reg * params[name]
    return result


@net.right(n=1, called=True, seed=2)
def a_single_image(params, X, y, reg):
    """One example and no mean to take."""
    hidden, probs = forward(params, X)
    probs[0, y[0]] -= 1
    dh = (probs @ params["W2"].T)[0] * (hidden[0] > 0)
    W2 = np.outer(hidden[0], probs[0]) + 2 * reg * params["W2"]
    return {"W1": np.outer(X[0], dh) + 2 * reg * params["W1"], "b1": dh, "W2": W2, "b2": probs[0]}
