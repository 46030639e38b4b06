"""Right gradients where a check cries wolf: at kinks and ties, where all cancels, of trees of any shape."""

import jax
import jax.numpy as jnp
import numpy as np

from ..controls import add
from ..corpus import cast


def kink_loss_fn(params, x):
    """One ReLU layer, summed."""
    a = x @ params["w"]  # @kink
    return jnp.sum(jax.nn.relu(a))  # @relu


def kink_gradient(at_zero):
    """With a slope at zero that any textbook may choose."""

    def gradient(params, x):
        a = x @ params["w"]
        return {"w": x.T @ np.where(a > 0, 1.0, np.where(a == 0, at_zero, 0.0))}

    return gradient


on_the_kink = {"w": np.array([[1.0, -1.0, 0.5], [-1.0, 2.0, 0.5]])}
rows = np.array([[1.0, 1.0], [2.0, 1.0], [1.0, -3.0]])
for slope in (0.0, 0.5, 1.0):
    add(f"kink/slope_{slope}", kink_loss_fn, on_the_kink, (rows,), kink_gradient(slope))
add("kink/zero_input", kink_loss_fn, on_the_kink, (0 * rows,), kink_gradient(0.0))
near = {"w": on_the_kink["w"] + 1e-9}
add("kink/within_the_step", kink_loss_fn, near, (rows,), kink_gradient(0.0))
add("kink/within_the_step_float32", kink_loss_fn, cast(near, np.float32), (rows,), kink_gradient(0.0))
dead = {"w": -np.abs(on_the_kink["w"])}
add("kink/all_units_dead", kink_loss_fn, dead, (np.abs(rows),), kink_gradient(0.0))


def tie_loss_fn(params):
    """The largest of a list."""
    return jnp.max(params) * 3.0  # @max


def to_one(place):
    """The whole gradient to one of the tied."""
    return lambda params: 3.0 * np.eye(len(params))[place]


tied = np.array([1.0, 2.0, 2.0, 0.0])
add("tie/shared", tie_loss_fn, tied, (), lambda params: np.array([0, 1.5, 1.5, 0]))
add("tie/to_the_first", tie_loss_fn, tied, (), to_one(1))
add("tie/to_the_last", tie_loss_fn, tied, (), to_one(2))


def lasso_loss_fn(w, x, t):
    """Least squares and the sum of absolute weights."""
    fit = jnp.mean((x @ w - t) ** 2)
    return fit + 0.1 * jnp.sum(jnp.abs(w))


def lasso_gradient(w, x, t):
    """np.sign(0) is 0."""
    return 2 * x.T @ (x @ w - t) / len(t) + 0.1 * np.sign(w)


rng = np.random.default_rng(11)
features, targets = rng.normal(size=(20, 3)), rng.normal(size=20)
add("lasso/one_weight_is_zero", lasso_loss_fn, np.array([0.5, 0.0, -1.0]), (features, targets), lasso_gradient)
add("lasso/all_weights_zero", lasso_loss_fn, np.zeros(3), (features, targets), lasso_gradient)


def least_squares(params, x, t):
    """A bare array of parameters."""
    return jnp.mean((x @ params - t) ** 2)


def least_squares_gradient(params, x, t):
    """2/N Xᵀ(Xw − t)."""
    return 2 * x.T @ (x @ params - t) / len(t)


best = np.linalg.lstsq(features, targets, rcond=None)[0]
add("least_squares/at_the_optimum", least_squares, best, (features, targets), least_squares_gradient)
add("least_squares/perfect_fit", least_squares, best, (features, features @ best), least_squares_gradient)
add(
    "least_squares/optimum_float32",
    least_squares,
    *cast((best, (features, targets)), np.float32),
    least_squares_gradient,
)
many = cast((np.ones(3), (rng.normal(size=(5000, 3)) + 10, rng.normal(size=5000))), np.float32)
add("least_squares/many_rows_float32", least_squares, *many, least_squares_gradient)
add(
    "least_squares/columns_of_any_size",
    least_squares,
    np.ones(3),
    (features * np.array([1e-6, 1, 1e6]), targets),
    least_squares_gradient,
)
add(
    "least_squares/bfloat16_gradient",
    least_squares,
    np.ones(3),
    (features, targets),
    lambda *args: jnp.asarray(least_squares_gradient(*args), jnp.bfloat16),
)


def corners(params, x):
    """A parameter without use, one without elements, one with no axis."""
    return jnp.sum(params["empty"]) + params["scalar"] * jnp.sum(x)


add(
    "tree/unused_empty_and_scalar",
    corners,
    {"unused": np.ones(2), "empty": np.zeros((0, 3)), "scalar": np.array(2.0)},
    (np.arange(3.0),),
    lambda params, x: {"unused": np.zeros(2), "empty": np.zeros((0, 3)), "scalar": x.sum()},
)
add("tree/a_number", lambda p, x: jnp.sum(p * x), 2.0, (np.arange(3.0),), lambda p, x: 3.0)
add("constant/no_dependence", lambda p: jnp.sum(0.0 * p), np.ones(3), (), np.zeros_like)


def saturated(params, x, labels):
    """Cross-entropy of a network that is very sure, and right."""
    return -jnp.mean(jax.nn.log_softmax(x @ params)[jnp.arange(len(labels)), labels])


def saturated_gradient(params, x, labels):
    """Probabilities minus labels: differences of almost equal numbers."""
    z = x @ params
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return x.T @ (p - np.eye(3)[labels]) / len(labels)


add("saturated/sure_and_right", saturated, 30 * np.eye(3), (np.eye(3), np.arange(3)), saturated_gradient)
add(
    "saturated/sure_and_wrong",
    saturated,
    30 * np.eye(3),
    (np.eye(3), np.array([1, 2, 0])),
    saturated_gradient,
)
