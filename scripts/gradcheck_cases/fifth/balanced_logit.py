"""Logistic regression of rare positives: class weights and a ridge."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import sigmoid


def loss_fn(params, X, y, class_weight, lam):
    """Weighted log-loss; `class_weight` is (of the zeros, of the ones)."""
    z = X @ params["w"] + params["b"]  # @score
    p = jax.nn.sigmoid(z)  # @sigmoid
    nll = -(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))  # @nll
    weight = jnp.where(y == 1, class_weight[1], class_weight[0])  # @weight
    data = jnp.sum(weight * nll) / X.shape[0]  # @data
    ridge = 0.5 * lam * jnp.sum(params["w"] ** 2)  # @ridge
    return data + ridge  # @total


def inputs(rng, n):
    """Six features, every third example is positive."""
    params = {"w": rng.normal(size=6), "b": rng.normal()}
    y = (np.arange(n) % 3 == 0).astype(float)
    return params, (rng.normal(size=(n, 6)), y, np.array([0.6, 3.0]), np.array(0.3))


def error(params, X, y, class_weight):
    """Weight times (p - y), per example."""
    p = sigmoid(X @ params["w"] + params["b"])
    return np.where(y == 1, class_weight[1], class_weight[0]) * (p - y)


def grads(params, X, y, class_weight, lam):
    """X.T @ error."""
    err = error(params, X, y, class_weight) / len(y)
    return {"w": X.T @ err + lam * params["w"], "b": err.sum()}


net = Network("balanced_logit", loss_fn, inputs, grads, batch=9)


@net.fault("missing_term", "wrong_operand", "wrong_loss", at=("weight", "data"))
def class_weights_only_in_the_loss(params, X, y, class_weight, lam):
    """The textbook's gradient, written before the weights were introduced."""
    p = sigmoid(X @ params["w"] + params["b"])
    return {"w": X.T @ (p - y) / len(y) + lam * params["w"], "b": np.mean(p - y)}


@net.fault("permuted", at="weight")
def class_weights_the_other_way_round(params, X, y, class_weight, lam):
    """The weight of the ones is given to the zeros."""
    return grads(params, X, y, class_weight[::-1], lam)


@net.fault("extra_term", at="ridge", called=True)
def intercept_shrunk_too(params, X, y, class_weight, lam):
    """The ridge includes the intercept."""
    right = grads(params, X, y, class_weight, lam)
    return {"w": right["w"], "b": right["b"] + lam * params["b"]}


@net.fault("wrong_loss", "extra_term", "wrong_derivative", at=("nll", "sigmoid"))
def slope_of_the_sigmoid_twice(params, X, y, class_weight, lam):
    """(p - y) p (1 - p), the delta of the squared error."""
    p = sigmoid(X @ params["w"] + params["b"])
    delta = error(params, X, y, class_weight) * p * (1 - p) / len(y)
    return {"w": X.T @ delta + lam * params["w"], "b": delta.sum()}


@net.fault("scale", at="ridge")
def ridge_divided_by_m(params, X, y, class_weight, lam):
    """λ/m w as in Andrew Ng's course, where the loss has λ/2m."""
    m = len(y)
    err = error(params, X, y, class_weight)
    return {"w": (X.T @ err + lam * params["w"]) / m, "b": np.sum(err) / m}


@net.fault("scale", "wrong_loss", at="data")
def divided_by_the_sum_of_the_weights(params, X, y, class_weight, lam):
    """A weighted average; scikit-learn and the loss here divide by n."""
    err = error(params, X, y, class_weight) / np.sum(np.where(y == 1, class_weight[1], class_weight[0]))
    return {"w": X.T @ err + lam * params["w"], "b": err.sum()}


@net.fault("wrong_reduction", "scale", at="score")
def intercept_averaged_twice(params, X, y, class_weight, lam):
    """np.mean of an error that is divided by n already."""
    err = error(params, X, y, class_weight) / len(y)
    return {"w": X.T @ err + lam * params["w"], "b": np.mean(err)}


@net.fault("accumulated", at=None)
def velocity_instead_of_the_gradient(params, X, y, class_weight, lam):
    """After two calls the buffer that the momentum adds up in is handed out: 1.9 g."""
    velocity = {"w": np.zeros_like(params["w"]), "b": 0.0}
    for _ in range(2):
        step = grads(params, X, y, class_weight, lam)
        velocity = {key: 0.9 * velocity[key] + step[key] for key in step}
    return velocity


@net.fault("sign", at="ridge", n=5)
def ridge_with_the_sign_of_the_likelihood(params, X, y, class_weight, lam):
    """Both terms of the log-posterior are negated, the prior once more."""
    right = grads(params, X, y, class_weight, 0.0)
    return {"w": right["w"] - lam * params["w"], "b": right["b"]}


@net.fault("wrong_shape", at="score")
def column_vector(params, X, y, class_weight, lam):
    """Everything as columns, (6, 1) and (1, 1), never flattened again."""
    err = error(params, X, y, class_weight)[:, np.newaxis] / len(y)
    dw = X.T @ err + lam * params["w"][:, np.newaxis]
    return {"w": dw, "b": err.sum(axis=0, keepdims=True)}


@net.right(called=True)
def split_by_class(params, X, y, class_weight, lam):
    """Ones and zeros in turn."""
    p = sigmoid(X @ params["w"] + params["b"])
    ones, zeros = y == 1, y == 0
    dw = class_weight[1] * (p[ones] - 1) @ X[ones] + class_weight[0] * p[zeros] @ X[zeros]
    db = class_weight[1] * np.sum(p[ones] - 1) + class_weight[0] * np.sum(p[zeros])
    return {"b": db / len(y), "w": dw / len(y) + lam * params["w"]}


@net.right(seed=6)
def design_matrix_with_a_column_of_ones(params, X, y, class_weight, lam):
    """The intercept as the last weight."""
    ones = np.hstack([X, np.ones((len(y), 1))])
    theta = ones.T @ error(params, X, y, class_weight) / len(y)
    theta[:-1] += lam * params["w"]
    return {"w": theta[:-1], "b": theta[-1]}


@net.right(n=1, single=True)
def one_positive(params, X, y, class_weight, lam):
    """One example only, in float32."""
    return grads(params, X, y, class_weight, lam)
