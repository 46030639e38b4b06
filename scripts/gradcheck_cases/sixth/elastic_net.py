"""Linear regression with the elastic net's penalty as scikit-learn defines it; the intercept is free."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, X, y, alpha, l1_ratio):
    """1/(2n) ‖y − Xw − b‖² + α ρ ‖w‖₁ + α (1 − ρ)/2 ‖w‖²."""
    w, b = params
    residual = X @ w + b - y  # @residual
    fit = jnp.sum(residual**2) / (2 * X.shape[0])  # @fit
    l1 = alpha * l1_ratio * jnp.sum(jnp.abs(w))  # @l1
    l2 = 0.5 * alpha * (1 - l1_ratio) * jnp.sum(w**2)  # @l2
    return fit + l1 + l2  # @total


def inputs(rng, n):
    """Five features, the third irrelevant and its coefficient small."""
    X = rng.normal(size=(n, 5)) * np.array([1.0, 3.0, 1.0, 0.5, 2.0]) + 0.5
    w = rng.normal(size=5)
    w[2] = 0.02
    y = X @ np.array([1.0, -2.0, 0.0, 3.0, 0.5]) + 1.5 + 0.3 * rng.normal(size=n)
    return (w, np.array(0.4)), (X, y, np.array(0.8), np.array(0.3))


def grads(params, X, y, alpha, l1_ratio):
    """With the subgradient 0 at 0."""
    w, b = params
    r = X @ w + b - y
    return X.T @ r / len(X) + alpha * l1_ratio * np.sign(w) + alpha * (1 - l1_ratio) * w, r.mean()


net = Network("elastic_net", loss_fn, inputs, grads, batch=12)


@net.fault("scale", at="fit")
def two_over_n(params, X, y, alpha, l1_ratio):
    """2/n, as for the plain mean of squares."""
    w, b = params
    r = X @ w + b - y
    dw = 2 / len(X) * X.T @ r + alpha * l1_ratio * np.sign(w) + alpha * (1 - l1_ratio) * w
    return dw, 2 * r.mean()


@net.fault("sign", at=("residual", "fit"), n=1)
def target_minus_prediction(params, X, y, alpha, l1_ratio):
    """The residual is y − ŷ and the minus in front of it is missing."""
    w, b = params
    r = y - (X @ w + b)
    return X.T @ r / len(X) + alpha * l1_ratio * np.sign(w) + alpha * (1 - l1_ratio) * w, r.mean()


@net.fault("extra_term", at="l2", called=True)
def intercept_penalised(params, X, y, alpha, l1_ratio):
    """The ridge part of the penalty is on the intercept as well."""
    dw, db = grads(params, X, y, alpha, l1_ratio)
    return dw, db + alpha * (1 - l1_ratio) * params[1]


@net.fault("wrong_derivative", at="l1")
def lasso_like_ridge(params, X, y, alpha, l1_ratio):
    """|w| differentiated to w."""
    w, b = params
    r = X @ w + b - y
    return X.T @ r / len(X) + alpha * l1_ratio * w + alpha * (1 - l1_ratio) * w, r.mean()


@net.fault("wrong_operand", "scale", at="l2")
def ratio_for_one_minus_ratio(params, X, y, alpha, l1_ratio):
    """Both parts of the penalty are weighted by the l1 ratio."""
    w, b = params
    r = X @ w + b - y
    return X.T @ r / len(X) + alpha * l1_ratio * (np.sign(w) + w), r.mean()


@net.fault("wrong_shape", "wrong_reduction", at="residual")
def column_minus_row(params, X, y, alpha, l1_ratio):
    """The prediction is (n, 1), y is (n,): the residual is n × n and so is nobody's gradient."""
    w, b = params
    w = w.reshape(-1, 1)
    r = X @ w + b - y
    dw = X.T @ r / len(X) + alpha * l1_ratio * np.sign(w) + alpha * (1 - l1_ratio) * w
    return dw, r.mean()


@net.fault("stale", at=None)
def one_step_behind(params, X, y, alpha, l1_ratio):
    """The gradient is that of the parameters after the update."""
    dw, db = grads(params, X, y, alpha, l1_ratio)
    return grads((params[0] - 0.05 * dw, params[1] - 0.05 * db), X, y, alpha, l1_ratio)


def _root(params, X, y, alpha, l1_ratio):
    w, b = params
    penalty = alpha * (l1_ratio * np.abs(w).sum() + 0.5 * (1 - l1_ratio) * (w**2).sum())
    return np.sqrt(np.mean((X @ w + b - y) ** 2)) + penalty


@net.fault("wrong_loss", at="fit", loss=_root)
def root_mean_square(params, X, y, alpha, l1_ratio):
    """RMSE for the fit."""
    w, b = params
    r = X @ w + b - y
    dr = r / len(X) / np.sqrt(np.mean(r**2))
    return X.T @ dr + alpha * l1_ratio * np.sign(w) + alpha * (1 - l1_ratio) * w, dr.sum()


@net.fault("missing_term", "scale", at=("l1", "fit"))
def two_no_lasso_and_not_averaged(params, X, y, alpha, l1_ratio):
    """Two slips: a plain ridge, and no 1/n."""
    w, b = params
    r = X @ w + b - y
    return X.T @ r + alpha * (1 - l1_ratio) * w, r.sum()


@net.right(seed=9)
def by_the_gram_matrix(params, X, y, alpha, l1_ratio):
    """XᵀX with a column of ones."""
    ones = np.hstack([X, np.ones((len(X), 1))])
    theta = np.append(params[0], params[1])
    d = (ones.T @ ones @ theta - ones.T @ y) / len(X)
    return d[:-1] + alpha * (l1_ratio * np.sign(params[0]) + (1 - l1_ratio) * params[0]), d[-1]


net.right(n=1)(grads)
