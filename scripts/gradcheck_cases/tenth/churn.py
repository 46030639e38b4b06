"""Logistic regression with class weights, an intercept in the last place of w, and an L2 penalty."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

C = 0.5


def loss_fn(w, X, y, class_weight):
    """Weighted log loss, summed, and a ridge on all but the intercept: as scikit-learn's solver writes it."""
    coef, intercept = w[:-1], w[-1]  # @split
    z = X @ coef + intercept  # @z
    yz = y * z  # @margin
    log_loss = jnp.logaddexp(0.0, -yz)  # @log_loss
    weight = jnp.where(y > 0, class_weight[1], class_weight[0])  # @weight
    data = jnp.sum(weight * log_loss)  # @sum
    ridge = 0.5 * jnp.dot(coef, coef) / C  # @ridge
    return data + ridge  # @total


def inputs(rng, n):
    """Four features and an intercept; labels −1 and 1, the positives dear."""
    y = np.where(np.arange(n) % 3 == 0, 1.0, -1.0)
    return rng.normal(size=5), (rng.normal(size=(n, 4)), y, np.array([0.6, 2.5]))


def sigmoid(z):
    """Logistic function."""
    return 1 / (1 + np.exp(-z))


def weights(y, class_weight):
    """One for each example."""
    return np.where(y > 0, class_weight[1], class_weight[0])


def grads(w, X, y, class_weight):
    """As scikit-learn had it: z0 = weight · (σ(yz) − 1) · y."""
    z0 = weights(y, class_weight) * (sigmoid(y * (X @ w[:-1] + w[-1])) - 1) * y
    grad = np.empty_like(w)
    grad[:-1] = X.T @ z0 + w[:-1] / C
    grad[-1] = z0.sum()
    return grad


net = Network("churn", loss_fn, inputs, grads, batch=8)


@net.fault("extra_term", at=("ridge", "split"))
def intercept_penalised(w, X, y, class_weight):
    """w / C for all of w."""
    z0 = weights(y, class_weight) * (sigmoid(y * (X @ w[:-1] + w[-1])) - 1) * y
    return np.append(X, np.ones((len(y), 1)), axis=1).T @ z0 + w / C


def _unweighted(w, X, y, class_weight):
    return np.sum(np.log1p(np.exp(-y * (X @ w[:-1] + w[-1])))) + 0.5 * w[:-1] @ w[:-1] / C


@net.fault("missing_term", "wrong_operand", "wrong_loss", at=("weight", "sum"), loss=_unweighted)
def class_weights_forgotten(w, X, y, class_weight):
    """Every example counts one."""
    z0 = (sigmoid(y * (X @ w[:-1] + w[-1])) - 1) * y
    return np.append(X.T @ z0 + w[:-1] / C, z0.sum())


@net.fault("wrong_operand", at="margin", called=True)
def labels_factor_forgotten(w, X, y, class_weight):
    """The inner derivative y of yz is left out."""
    z0 = weights(y, class_weight) * (sigmoid(y * (X @ w[:-1] + w[-1])) - 1)
    return np.append(X.T @ z0 + w[:-1] / C, z0.sum())


@net.fault("permuted", "wrong_operand", at=("weight", "sum"))
def weights_of_the_other_class(w, X, y, class_weight):
    """The two class weights are exchanged."""
    z0 = weights(y, class_weight[::-1]) * (sigmoid(y * (X @ w[:-1] + w[-1])) - 1) * y
    return np.append(X.T @ z0 + w[:-1] / C, z0.sum())


@net.fault("scale", "wrong_reduction", "wrong_loss", at="sum")
def data_term_averaged(w, X, y, class_weight):
    """Divided by n, the ridge not: the mean loss of another library."""
    z0 = weights(y, class_weight) * (sigmoid(y * (X @ w[:-1] + w[-1])) - 1) * y
    return np.append(X.T @ z0 / len(y) + w[:-1] / C, z0.sum() / len(y))


@net.fault("scale", "wrong_operand", at="ridge", single=True)
def multiplied_by_c(w, X, y, class_weight):
    """C taken for the strength of the penalty, it is the inverse."""
    z0 = weights(y, class_weight) * (sigmoid(y * (X @ w[:-1] + w[-1])) - 1) * y
    return np.append(X.T @ z0 + w[:-1] * C, z0.sum()).astype(w.dtype)


@net.fault("permuted", at=("split", "z"))
def intercept_first(w, X, y, class_weight):
    """The gradient is put together with the intercept in front."""
    right = grads(w, X, y, class_weight)
    return np.concatenate([right[-1:], right[:-1]])


@net.fault("wrong_derivative", at="log_loss")
def sigmoid_of_the_positive_margin(w, X, y, class_weight):
    """The derivative of log(1 + exp(−yz)) as −σ(yz): it is −σ(−yz)."""
    z0 = -weights(y, class_weight) * sigmoid(y * (X @ w[:-1] + w[-1])) * y
    return np.append(X.T @ z0 + w[:-1] / C, z0.sum())


@net.fault("wrong_shape", at="split")
def a_column_came_back(w, X, y, class_weight):
    """A column vector (5, 1), as the course's notebook has all vectors."""
    return grads(w, X, y, class_weight).reshape(-1, 1)


@net.fault("missing_term", "wrong_reduction", "scale", at=("ridge", "z"), seed=2)
def no_ridge_and_mean_intercept(w, X, y, class_weight):
    """Two slips: the penalty is not in the gradient, and the intercept's is a mean."""
    z0 = weights(y, class_weight) * (sigmoid(y * (X @ w[:-1] + w[-1])) - 1) * y
    return np.append(X.T @ z0, z0.mean())


@net.fault("missing_term", "sign", at=("weight", "sum", "ridge"), n=5)
def unweighted_and_ridge_subtracted(w, X, y, class_weight):
    """Two slips: no class weights, and the ridge with a minus, as in the ascent of a log-likelihood."""
    z0 = (sigmoid(y * (X @ w[:-1] + w[-1])) - 1) * y
    return np.append(X.T @ z0 - w[:-1] / C, z0.sum())


@net.right(seed=6, called=True)
def with_labels_zero_and_one(w, X, y, class_weight):
    """σ(z) − t with t in {0, 1}, and a column of ones."""
    ones = np.append(X, np.ones((len(y), 1)), axis=1)
    d = weights(y, class_weight) * (sigmoid(ones @ w) - (y > 0))
    return ones.T @ d + np.append(w[:-1], 0) / C


@net.right(n=1, single=True)
def one_example_in_float32(w, X, y, class_weight):
    """n = 1 in single precision."""
    return grads(w, X, y, class_weight)
