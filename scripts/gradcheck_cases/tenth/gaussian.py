"""A regression with a Gaussian likelihood: tanh features, a mean and a log standard deviation."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, x, y):
    """Mean negative log-likelihood, constants included."""
    h = jnp.tanh(x @ params["W"] + params["c"])  # @hidden
    mu = h @ params["w_mu"] + params["b_mu"]  # @mu
    log_sigma = h @ params["w_ls"] + params["b_ls"]  # @log_sigma
    sigma = jnp.exp(log_sigma)  # @sigma
    z = (y - mu) / sigma  # @z
    nll = 0.5 * z**2 + log_sigma + 0.5 * jnp.log(2 * jnp.pi)  # @nll
    return jnp.mean(nll)  # @loss


def inputs(rng, n):
    """Three features, five units, one output with its noise."""
    params = {
        "W": rng.normal(size=(3, 5)),
        "c": rng.normal(size=5),
        "w_mu": rng.normal(size=5),
        "b_mu": rng.normal(),
        "w_ls": 0.3 * rng.normal(size=5),
        "b_ls": 0.3 * rng.normal(),
    }
    return params, (rng.normal(size=(n, 3)), rng.normal(size=n))


def forward(params, x):
    """Units, mean and log σ."""
    h = np.tanh(x @ params["W"] + params["c"])
    return h, h @ params["w_mu"] + params["b_mu"], h @ params["w_ls"] + params["b_ls"]


def heads(params, x, h, dmu, dls, slope=None):
    """From the gradients of the two heads down."""
    dh = np.outer(dmu, params["w_mu"]) + np.outer(dls, params["w_ls"])
    da = dh * (1 - h**2 if slope is None else slope)
    return {
        "W": x.T @ da,
        "c": da.sum(axis=0),
        "w_mu": h.T @ dmu,
        "b_mu": dmu.sum(),
        "w_ls": h.T @ dls,
        "b_ls": dls.sum(),
    }


def grads(params, x, y):
    """Backward."""
    h, mu, ls = forward(params, x)
    z = (y - mu) / np.exp(ls)
    return heads(params, x, h, -z / np.exp(ls) / len(y), (1 - z**2) / len(y))


net = Network("gaussian", loss_fn, inputs, grads, batch=9)


def _without_log_sigma(params, x, y):
    _, mu, ls = forward(params, x)
    return np.mean(0.5 * ((y - mu) / np.exp(ls)) ** 2 + 0.5 * np.log(2 * np.pi))


@net.fault("wrong_operand", "wrong_derivative", at="z")
def divided_by_sigma_once(params, x, y):
    """dμ = −z: the second division by σ is forgotten."""
    h, mu, ls = forward(params, x)
    z = (y - mu) / np.exp(ls)
    return heads(params, x, h, -z / len(y), (1 - z**2) / len(y))


@net.fault("wrong_loss", "missing_term", at="nll", loss=_without_log_sigma)
def normaliser_forgotten_in_both(params, x, y):
    """log σ is neither in the printed loss nor in the gradient."""
    h, mu, ls = forward(params, x)
    z = (y - mu) / np.exp(ls)
    return heads(params, x, h, -z / np.exp(ls) / len(y), -(z**2) / len(y))


@net.fault("wrong_derivative", "upstream", at="sigma", called=True)
def gradient_of_sigma_not_of_its_logarithm(params, x, y):
    """1/σ − z²/σ, the derivative by σ, is handed to the head of log σ: the exponential is skipped."""
    h, mu, ls = forward(params, x)
    sigma = np.exp(ls)
    z = (y - mu) / sigma
    return heads(params, x, h, -z / sigma / len(y), (1 - z**2) / sigma / len(y))


@net.fault("sign", at="z")
def sign_of_the_mean(params, x, y):
    """(y − μ)/σ² without the inner derivative −1; the gradient of log σ is right."""
    h, mu, ls = forward(params, x)
    z = (y - mu) / np.exp(ls)
    return heads(params, x, h, z / np.exp(ls) / len(y), (1 - z**2) / len(y))


@net.fault("scale", "wrong_derivative", at="nll")
def square_halved_once_too_often(params, x, y):
    """½ z² gives z² / 2 in the gradient of log σ, and z / 2 in that of the mean."""
    h, mu, ls = forward(params, x)
    z = (y - mu) / np.exp(ls)
    return heads(params, x, h, -0.5 * z / np.exp(ls) / len(y), (1 - 0.5 * z**2) / len(y))


@net.fault("overwritten", "missing_term", at=("mu", "log_sigma", "hidden"))
def units_hear_the_second_head_only(params, x, y):
    """`dh = …` for each head: the mean's share of the units' gradient is lost."""
    h, mu, ls = forward(params, x)
    z = (y - mu) / np.exp(ls)
    right = grads(params, x, y)
    da = np.outer((1 - z**2) / len(y), params["w_ls"]) * (1 - h**2)
    return {**right, "W": x.T @ da, "c": da.sum(axis=0)}


@net.fault("accumulated", "scale", at=None)
def not_zeroed_between_two_calls(params, x, y):
    """Gradients of a first batch, the same one, were still there: `grad += …` without zeroing."""
    store = {key: np.zeros_like(value) for key, value in params.items()}
    for _ in range(2):
        for key, grad in grads(params, x, y).items():
            store[key] = store[key] + grad
    return store


@net.fault("mutated", "wrong_operand", at=("hidden", "mu", "log_sigma"))
def units_squared_in_place(params, x, y):
    """The slope is computed with `h *= h`, and then h is needed for the heads' weights."""
    h, mu, ls = forward(params, x)
    z = (y - mu) / np.exp(ls)
    h *= h
    return heads(params, x, h, -z / np.exp(ls) / len(y), (1 - z**2) / len(y), slope=1 - h)


@net.fault("wrong_derivative", "wrong_reduction", "scale", at=("hidden", "mu"))
def tanh_slope_and_mean_bias(params, x, y):
    """Two slips: h (1 − h) for the tanh, and the mean for the sum in b_mu."""
    h, mu, ls = forward(params, x)
    z = (y - mu) / np.exp(ls)
    result = heads(params, x, h, -z / np.exp(ls) / len(y), (1 - z**2) / len(y), slope=h * (1 - h))
    return {**result, "b_mu": result["b_mu"] / len(y)}


@net.right(seed=7)
def by_precision(params, x, y):
    """With the precision exp(−2 log σ)."""
    h, mu, ls = forward(params, x)
    precision = np.exp(-2 * ls)
    return heads(params, x, h, precision * (mu - y) / len(y), (1 - precision * (mu - y) ** 2) / len(y))


@net.right(n=1)
def a_single_example(params, x, y):
    """n = 1."""
    return grads(params, x, y)
