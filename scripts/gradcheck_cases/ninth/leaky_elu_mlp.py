"""Three layers: leaky ReLU, ELU, inverted dropout after both; squared error."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

KEEP = 0.8
SLOPE = 0.1
ALPHA = 1.5


def loss_fn(params, x, t, m1, m2):
    """Mean squared error over examples and outputs."""
    h1 = x @ params["W1"] + params["b1"]  # @h1
    a1 = jnp.where(h1 > 0, h1, SLOPE * h1)  # @leaky
    d1 = a1 * m1 / KEEP  # @dropout1
    h2 = d1 @ params["W2"] + params["b2"]  # @h2
    a2 = jnp.where(h2 > 0, h2, ALPHA * (jnp.exp(h2) - 1))  # @elu
    d2 = a2 * m2 / KEEP  # @dropout2
    y = d2 @ params["W3"] + params["b3"]  # @y
    return jnp.mean((y - t) ** 2)  # @mse


def inputs(rng, n):
    """Three features, five units, five units, two outputs; the masks of dropout are given."""
    params = {
        "W1": rng.normal(size=(3, 5)),
        "b1": rng.normal(size=5),
        "W2": rng.normal(size=(5, 5)) / 2,
        "b2": rng.normal(size=5),
        "W3": rng.normal(size=(5, 2)),
        "b3": rng.normal(size=2),
    }
    m1, m2 = ((rng.uniform(size=(n, 5)) < KEEP).astype(float) for _ in range(2))
    return params, (rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), m1, m2)


def leaky_slope(h1, a1):
    """By the sign of the input."""
    return np.where(h1 > 0, 1.0, SLOPE)


def elu_slope(h2, a2):
    """1, or α exp(h)."""
    return np.where(h2 > 0, 1.0, ALPHA * np.exp(np.minimum(h2, 0)))


def grads(params, x, t, m1, m2, leaky=leaky_slope, elu=elu_slope, drop1=None, drop2=None, error=None):
    """Backward, with the slopes, the factors of dropout and the error as given."""
    h1 = x @ params["W1"] + params["b1"]
    a1 = np.where(h1 > 0, h1, SLOPE * h1)
    d1 = a1 * m1 / KEEP
    h2 = d1 @ params["W2"] + params["b2"]
    a2 = np.where(h2 > 0, h2, ALPHA * (np.exp(np.minimum(h2, 0)) - 1))
    d2 = a2 * m2 / KEEP
    y = d2 @ params["W3"] + params["b3"]
    dy = 2 * (y - t) / t.size if error is None else error(y, t)
    dh2 = dy @ params["W3"].T * (m2 / KEEP if drop2 is None else drop2) * elu(h2, a2)
    dh1 = dh2 @ params["W2"].T * (m1 / KEEP if drop1 is None else drop1) * leaky(h1, a1)
    weights = {"W1": x.T @ dh1, "W2": d1.T @ dh2, "W3": d2.T @ dy}
    return {**weights, "b1": dh1.sum(axis=0), "b2": dh2.sum(axis=0), "b3": dy.sum(axis=0)}


net = Network("leaky_elu_mlp", loss_fn, inputs, grads, batch=6)


@net.fault("wrong_derivative", "wrong_mask", at="leaky")
def leak_forgotten(params, x, t, m1, m2):
    """The plain ReLU's mask."""
    return grads(params, x, t, m1, m2, leaky=lambda h, a: h > 0)


@net.fault("wrong_derivative", at="elu", called=True, seed=1)
def elu_without_alpha(params, x, t, m1, m2):
    """exp(h) for α exp(h)."""
    return grads(params, x, t, m1, m2, elu=lambda h, a: np.where(h > 0, 1.0, np.exp(h)))


@net.fault("mutated", "wrong_derivative", at="elu", seed=1)
def elu_in_place(params, x, t, m1, m2):
    """h2 was overwritten by its activation; α exp(·) is then taken of the output."""
    return grads(params, x, t, m1, m2, elu=lambda h, a: np.where(a > 0, 1.0, ALPHA * np.exp(a)))


@net.fault("wrong_mask", "missing_term", at="dropout1")
def dropout_forgotten(params, x, t, m1, m2):
    """Dropout has no backward in the first layer."""
    return grads(params, x, t, m1, m2, drop1=1.0)


@net.fault("scale", at="dropout2")
def inverted_dropout_not_scaled(params, x, t, m1, m2):
    """The mask without 1/keep."""
    return grads(params, x, t, m1, m2, drop2=m2)


@net.fault("wrong_mask", "stale", at="dropout1", single=True)
def mask_drawn_again(params, x, t, m1, m2):
    """A new mask in the backward pass."""
    again = np.random.default_rng(5).uniform(size=m1.shape) < KEEP
    return grads(params, x, t, m1, m2, drop1=again / KEEP)


def _mse_of_rows(params, x, t, m1, m2):
    h1 = x @ params["W1"] + params["b1"]
    h2 = np.where(h1 > 0, h1, SLOPE * h1) * m1 / KEEP @ params["W2"] + params["b2"]
    a2 = np.where(h2 > 0, h2, ALPHA * (np.exp(np.minimum(h2, 0)) - 1))
    return np.sum((a2 * m2 / KEEP @ params["W3"] + params["b3"] - t) ** 2) / len(t)


@net.fault("wrong_loss", "scale", "wrong_reduction", at="mse", loss=_mse_of_rows)
def mean_over_rows_only(params, x, t, m1, m2):
    """Loss and gradient divide by the number of examples, not of all numbers."""
    return grads(params, x, t, m1, m2, error=lambda y, t: 2 * (y - t) / len(t))


@net.fault("mutated", "stale", at="h2")
def step_taken_before_it_is_passed_on(params, x, t, m1, m2):
    """The loop over layers updates W2 in place and then uses it for the layer below."""
    right = grads(params, x, t, m1, m2)
    h1 = x @ params["W1"] + params["b1"]
    h2 = np.where(h1 > 0, h1, SLOPE * h1) * m1 / KEEP @ params["W2"] + params["b2"]
    a2 = np.where(h2 > 0, h2, ALPHA * (np.exp(np.minimum(h2, 0)) - 1))
    dy = 2 * (a2 * m2 / KEEP @ params["W3"] + params["b3"] - t) / t.size
    dh2 = dy @ params["W3"].T * m2 / KEEP * elu_slope(h2, a2)
    params["W2"] -= 0.5 * right["W2"]
    dh1 = dh2 @ params["W2"].T * m1 / KEEP * leaky_slope(h1, None)
    return {**right, "W1": x.T @ dh1, "b1": dh1.sum(axis=0)}


@net.fault("scale", "wrong_derivative", "wrong_mask", at=("mse", "leaky"))
def two_and_leak(params, x, t, m1, m2):
    """Two slips: the square's 2 is lost and the leak as well."""
    return grads(params, x, t, m1, m2, leaky=lambda h, a: h > 0, error=lambda y, t: (y - t) / t.size)


@net.right()
def elu_slope_by_its_output(params, x, t, m1, m2):
    """a + α for α exp(h), the leak by the output's sign."""
    return grads(
        params, x, t, m1, m2, lambda h, a: np.where(a > 0, 1, SLOPE), lambda h, a: np.where(h > 0, 1, a + ALPHA)
    )


@net.right(called=True, single=True, n=1, seed=1)
def one_example_in_float32(params, x, t, m1, m2):
    """n = 1."""
    return grads(params, x, t, m1, m2)
