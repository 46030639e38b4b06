"""Linear regression with Huber's loss."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

DELTA = 0.7


def loss_fn(params, x, y):
    """Quadratic up to DELTA, linear beyond it."""
    predicted = x @ params["w"] + params["b"]  # @predict
    r = y - predicted  # @residual
    small = jnp.abs(r) <= DELTA  # @small
    quadratic = 0.5 * r**2  # @quadratic
    linear = DELTA * (jnp.abs(r) - 0.5 * DELTA)  # @linear
    return jnp.mean(jnp.where(small, quadratic, linear))  # @mean


def inputs(rng, n):
    """Three features; about half of the residuals are large."""
    params = {"w": rng.normal(size=3), "b": np.array(rng.normal())}
    x = rng.normal(size=(n, 3))
    y = x @ params["w"] + params["b"] + np.resize([0.3, -1.5, -0.4, 2.0, 0.5, 1.2, -0.6], n) + 0.1 * rng.normal(size=n)
    return params, (x, y)


def residual(params, x, y):
    """Y − ŷ."""
    return y - (x @ params["w"] + params["b"])


def grads(params, x, y):
    """The clipped residual."""
    d = -np.clip(residual(params, x, y), -DELTA, DELTA) / len(y)
    return {"w": x.T @ d, "b": d.sum()}


net = Network("huber_regression", loss_fn, inputs, grads, batch=7)


@net.fault("wrong_loss", "wrong_mask", "wrong_derivative", at=("small", "linear", "mean"))
def outliers_like_the_rest(params, x, y):
    """−r for every residual: the squared error's gradient."""
    d = -residual(params, x, y) / len(y)
    return {"w": x.T @ d, "b": d.sum()}


@net.fault("sign", "wrong_derivative", at="linear", called=True)
def linear_part_without_sign(params, x, y):
    """−δ for all large residuals, be they positive or negative."""
    r = residual(params, x, y)
    d = np.where(np.abs(r) <= DELTA, -r, -DELTA) / len(y)
    return {"w": x.T @ d, "b": d.sum()}


@net.fault("sign", at=("residual", "predict"), n=1)
def sign_of_the_residual(params, x, y):
    """R is y − ŷ here; the gradient is of ŷ − y."""
    r = residual(params, x, y)
    d = np.clip(r, -DELTA, DELTA) / len(y)
    return {"w": x.T @ d, "b": d.sum()}


@net.fault("wrong_mask", at="small")
def absolute_value_forgotten(params, x, y):
    """`r <= delta`: large negative residuals count as small."""
    r = residual(params, x, y)
    d = np.where(r <= DELTA, -r, -DELTA * np.sign(r)) / len(y)
    return {"w": x.T @ d, "b": d.sum()}


@net.fault("wrong_shape", "wrong_reduction", at="predict")
def bias_for_each_example(params, x, y):
    """Db is the vector of errors: the sum is missing."""
    d = -np.clip(residual(params, x, y), -DELTA, DELTA) / len(y)
    return {"w": x.T @ d, "b": d}


@net.fault("scale", at="quadratic")
def half_forgotten_in_the_square(params, x, y):
    """−2r for the small residuals."""
    r = residual(params, x, y)
    d = np.where(np.abs(r) <= DELTA, -2 * r, -DELTA * np.sign(r)) / len(y)
    return {"w": x.T @ d, "b": d.sum()}


@net.fault("wrong_reduction", "wrong_mask", at=("predict", "small", "linear", "mean"))
def mean_bias_and_clip_forgotten(params, x, y):
    """Two slips: no clipping, and the bias' errors are averaged once more."""
    d = -residual(params, x, y) / len(y)
    return {"w": x.T @ d, "b": d.mean()}


@net.right()
def by_cases(params, x, y):
    """A loop with if and else."""
    dw, db = np.zeros_like(params["w"]), 0.0
    for xi, yi in zip(x, y, strict=True):
        r = yi - (xi @ params["w"] + params["b"])
        d = -r if abs(r) <= DELTA else (-DELTA if r > 0 else DELTA)
        dw += d * xi / len(y)
        db += d / len(y)
    return {"w": dw, "b": db}


@net.right(n=40, seed=5)
def more_examples(params, x, y):
    """Forty examples, with `<` for `<=`."""
    r = residual(params, x, y)
    d = np.where(np.abs(r) < DELTA, -r, -DELTA * np.sign(r)) / len(y)
    return {"w": d @ x, "b": np.sum(d)}
