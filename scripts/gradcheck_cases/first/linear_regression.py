"""Linear regression with the mean squared error: the first gradient that anybody derives."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, x, t):
    """Mean of the squared errors of `x w + b`."""
    y = x @ params["w"]  # @matmul
    y = y + params["b"]  # @bias
    residual = y - t  # @residual
    squared = residual**2  # @square
    return jnp.mean(squared)  # @mean


def inputs(rng, n):
    """Three features, one target."""
    params = {"w": rng.normal(size=3), "b": np.array(0.3)}
    return params, (rng.normal(size=(n, 3)), rng.normal(size=n))


def grads(params, x, t):
    """2/N times the error, back through the line."""
    y = x @ params["w"] + params["b"]
    dy = 2 * (y - t) / len(t)
    return {"w": x.T @ dy, "b": dy.sum()}


net = Network("linear_regression", loss_fn, inputs, grads)


@net.fault("scale", at="mean")
def mean_forgotten(params, x, t):
    """Derives the sum of squares; the loss is their mean."""
    y = x @ params["w"] + params["b"]
    dy = 2 * (y - t)
    return {"w": x.T @ dy, "b": dy.sum()}


@net.fault("scale", at="square", called=True)
def two_forgotten(params, x, t):
    """The 2 of the square cancels only if the loss has a ½, which it has not."""
    error = x @ params["w"] + params["b"] - t
    return {"w": x.T @ error / len(t), "b": np.mean(error)}


@net.fault("sign", at="residual")
def target_minus_prediction(params, x, t):
    """The error as target − prediction, and no minus sign afterwards."""
    error = t - (x @ params["w"] + params["b"])
    return {"w": 2 / len(t) * x.T @ error, "b": 2 / len(t) * error.sum()}


@net.fault("wrong_reduction", "wrong_shape", at="bias")
def bias_not_summed(params, x, t):
    """Every example's share of the bias gradient is returned."""
    y = x @ params["w"] + params["b"]
    dy = 2 * (y - t) / len(t)
    return {"w": x.T @ dy, "b": dy}


@net.fault("wrong_reduction", "scale", at="bias", single=True)
def bias_averaged(params, x, t):
    """The bias gradient is averaged although dy already has the 1/N."""
    y = x @ params["w"] + params["b"]
    dy = 2 * (y - t) / len(t)
    return {"w": x.T @ dy, "b": dy.mean()}


@net.fault("overwritten", "wrong_reduction", at="matmul")
def loop_keeps_the_last_example(params, x, t):
    """A loop over examples in which one += is an =."""
    n = len(t)
    dw, db = np.zeros(3), 0.0
    for i in range(n):
        error = x[i] @ params["w"] + params["b"] - t[i]
        dw = 2 * error * x[i] / n
        db += 2 * error / n
    return {"w": dw, "b": np.array(db)}


@net.fault("wrong_loss", "wrong_derivative", at="square")
def absolute_error(params, x, t):
    """The gradient of the mean absolute error."""
    y = x @ params["w"] + params["b"]
    dy = np.sign(y - t) / len(t)
    return {"w": x.T @ dy, "b": dy.sum()}


def _half_mse(params, x, t):
    y = x @ params["w"] + params["b"]
    return np.sum((y - t) ** 2) / (2 * len(t))


@net.fault("wrong_loss", at=("square", "mean"), loss=_half_mse)
def half_the_mean_square(params, x, t):
    """The course's cost has a ½ for a tidy gradient; this loss has none."""
    error = x @ params["w"] + params["b"] - t
    return {"w": x.T @ error / len(t), "b": error.mean()}


@net.fault("scale", at="mean", n=5)
def one_less_than_n(params, x, t):
    """Divides by N − 1, as for a sample variance."""
    y = x @ params["w"] + params["b"]
    dy = 2 * (y - t) / (len(t) - 1)
    return {"w": x.T @ dy, "b": dy.sum()}


@net.fault("extra_term", at=None)
def weight_decay_that_the_loss_has_not(params, x, t):
    """Ridge regression's term, left from the last exercise."""
    y = x @ params["w"] + params["b"]
    dy = 2 * (y - t) / len(t)
    return {"w": x.T @ dy + 0.1 * params["w"], "b": dy.sum()}


@net.fault("transposed", at="matmul", n=3)
def design_matrix_not_transposed(params, x, t):
    """With as many examples as features nobody notices `x @ dy`."""
    y = x @ params["w"] + params["b"]
    dy = 2 * (y - t) / len(t)
    return {"w": x @ dy, "b": dy.sum()}


@net.right()
def by_normal_equations(params, x, t):
    """XᵀX w − Xᵀt, with the bias as a column of ones."""
    design = np.column_stack([x, np.ones(len(t))])
    weights = np.append(params["w"], params["b"])
    gradient = 2 / len(t) * (design.T @ design @ weights - design.T @ t)
    return {"w": gradient[:3], "b": gradient[3]}


@net.right(called=True)
def by_a_loop(params, x, t):
    """One example after another."""
    dw, db = np.zeros(3), 0.0
    for example, target in zip(x, t, strict=True):
        error = example @ params["w"] + params["b"] - target
        dw += 2 * error * example / len(t)
        db += 2 * error / len(t)
    return {"b": np.array(db), "w": dw}
