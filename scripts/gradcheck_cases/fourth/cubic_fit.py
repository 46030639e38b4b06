"""The cubic polynomial of the PyTorch tutorial, by hand: four scalars."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, x, y):
    """The sum of squared errors."""
    square = x * x  # @square
    cube = square * x  # @cube
    bent = params["c"] * square + params["d"] * cube  # @bent
    predicted = params["a"] + params["b"] * x + bent  # @predict
    error = predicted - y  # @error
    return jnp.sum(error**2)  # @loss


def inputs(rng, n):
    """Points of the sine."""
    x = np.sort(rng.uniform(-2, 2, size=n))
    return {key: np.array(rng.normal()) for key in "abcd"}, (x, np.sin(x))


def predict(params, x):
    """A + bx + cx² + dx³."""
    return params["a"] + params["b"] * x + params["c"] * x**2 + params["d"] * x**3


def grads(params, x, y):
    """As in the tutorial."""
    grad_y = 2.0 * (predict(params, x) - y)
    return {
        "a": grad_y.sum(),
        "b": (grad_y * x).sum(),
        "c": (grad_y * x**2).sum(),
        "d": (grad_y * x**3).sum(),
    }


net = Network("cubic_fit", loss_fn, inputs, grads, batch=9)


@net.fault("scale", at="loss", called=True)
def two_forgotten(params, x, y):
    """grad_y = y_pred − y."""
    e = predict(params, x) - y
    return {"a": e.sum(), "b": (e * x).sum(), "c": (e * x**2).sum(), "d": (e * x**3).sum()}


@net.fault("wrong_operand", "wrong_derivative", at=("predict", "bent"))
def derivative_by_x(params, x, y):
    """The powers are differentiated: 1, 2x, 3x² for x, x², x³."""
    e = 2 * (predict(params, x) - y)
    return {"a": e.sum(), "b": e.sum(), "c": (e * 2 * x).sum(), "d": (e * 3 * x**2).sum()}


@net.fault("wrong_operand", at="bent")
def copied_line_not_changed(params, x, y):
    """grad_d is the copied line of grad_c, still with x²."""
    grad_y = 2 * (predict(params, x) - y)
    grad_a = grad_y.sum()
    grad_b = (grad_y * x).sum()
    grad_c = (grad_y * x**2).sum()
    grad_d = (grad_y * x**2).sum()
    return {"a": grad_a, "b": grad_b, "c": grad_c, "d": grad_d}


@net.fault("wrong_shape", "wrong_reduction", at=("predict", "bent"))
def sums_forgotten(params, x, y):
    """One gradient for every point."""
    e = 2 * (predict(params, x) - y)
    return {"a": e, "b": e * x, "c": e * x**2, "d": e * x**3}


def _mean(params, x, y):
    return np.mean((predict(params, x) - y) ** 2)


@net.fault("wrong_loss", "scale", at="loss", loss=_mean)
def mean_in_loss_and_gradient(params, x, y):
    """np.mean for both."""
    e = 2 * (predict(params, x) - y)
    return {"a": e.mean(), "b": (e * x).mean(), "c": (e * x**2).mean(), "d": (e * x**3).mean()}


@net.fault("accumulated", "scale", at=None)
def gradients_not_reset(params, x, y):
    """`+=` in the loop over epochs, never set to zero (and the parameters not yet updated)."""
    total = dict.fromkeys("abcd", 0.0)
    for _ in range(3):
        e = 2 * (predict(params, x) - y)
        for power, key in enumerate("abcd"):
            total[key] += (e * x**power).sum()
    return total


@net.fault("sign", at=("error", "loss"), n=1, seed=1)
def target_minus_prediction(params, x, y):
    """2 (y − y_pred)."""
    e = 2 * (y - predict(params, x))
    return {"a": e.sum(), "b": (e * x).sum(), "c": (e * x**2).sum(), "d": (e * x**3).sum()}


@net.right()
def by_vandermonde(params, x, y):
    """A design matrix."""
    A = np.vander(x, 4, increasing=True)
    g = 2 * A.T @ (A @ np.array([params[key] for key in "abcd"]) - y)
    return dict(zip("abcd", g, strict=True))


@net.right(single=True, n=1)
def python_floats(params, x, y):
    """One point, in float32."""
    return {key: float(value) for key, value in grads(params, x, y).items()}
