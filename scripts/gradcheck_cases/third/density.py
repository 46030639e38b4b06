"""A mixture density network: three Gaussians whose weights, means and widths a tanh layer gives."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .tools import softmax


def loss_fn(params, x, t):
    """Mean negative log-likelihood of scalar targets."""
    h = jnp.tanh(x @ params["w"] + params["b"])  # @hidden
    log_pi = jax.nn.log_softmax(h @ params["w_pi"], axis=1)  # @weights
    mu = h @ params["w_mu"] + params["b_mu"]  # @means
    sigma = jnp.exp(h @ params["w_sigma"])  # @widths
    z = (t[:, None] - mu) / sigma  # @z
    log_n = -0.5 * z**2 - jnp.log(sigma) - 0.5 * jnp.log(2 * jnp.pi)  # @density
    return -jnp.mean(jax.nn.logsumexp(log_pi + log_n, axis=1))  # @nll


def inputs(rng, n):
    """Two features, 5 units, 3 components."""
    params = {
        "w": rng.normal(size=(2, 5)),
        "b": rng.normal(size=5),
        "w_pi": rng.normal(size=(5, 3)) / 2,
        "w_mu": rng.normal(size=(5, 3)),
        "b_mu": rng.normal(size=3),
        "w_sigma": rng.normal(size=(5, 3)) / 3,
    }
    return params, (rng.normal(size=(n, 2)), rng.normal(size=n))


def forward(params, x, t):
    """Hidden units, weights, widths, z and log densities."""
    h = np.tanh(x @ params["w"] + params["b"])
    pi = softmax(h @ params["w_pi"])
    sigma = np.exp(h @ params["w_sigma"])
    z = (t[:, None] - h @ params["w_mu"] - params["b_mu"]) / sigma
    return h, pi, sigma, z, -0.5 * z**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)


def backward(params, x, h, d_pi, d_mu, d_sigma, slope=None, dh=None):
    """From the three heads."""
    if dh is None:
        dh = d_pi @ params["w_pi"].T + d_mu @ params["w_mu"].T + d_sigma @ params["w_sigma"].T
    da = dh * (1 - h**2 if slope is None else slope)
    return {
        "w": x.T @ da,
        "b": da.sum(axis=0),
        "w_pi": h.T @ d_pi,
        "w_mu": h.T @ d_mu,
        "b_mu": d_mu.sum(axis=0),
        "w_sigma": h.T @ d_sigma,
    }


def heads(params, x, t, gamma=None):
    """Bishop's formulas (for the exponents of the widths)."""
    h, pi, sigma, z, log_n = forward(params, x, t)
    gamma = softmax(np.log(pi) + log_n) if gamma is None else gamma
    n = len(x)
    return h, (pi - gamma) / n, -gamma * z / sigma / n, gamma * (1 - z**2) / n


def grads(params, x, t):
    """Responsibilities and back."""
    return backward(params, x, *heads(params, x, t))


net = Network("density", loss_fn, inputs, grads, batch=6)


@net.fault("sign", at=("z", "means"))
def mean_pushed_away(params, x, t):
    """γ (t − μ)/σ² for γ (μ − t)/σ²."""
    h, d_pi, d_mu, d_sigma = heads(params, x, t)
    return backward(params, x, h, d_pi, -d_mu, d_sigma)


@net.fault("missing_term", at="density")
def log_sigma_not_derived(params, x, t):
    """−γ z²: the −log σ of the density gives nothing."""
    h, d_pi, d_mu, _ = heads(params, x, t)
    _, pi, _, z, log_n = forward(params, x, t)
    return backward(params, x, h, d_pi, d_mu, -softmax(np.log(pi) + log_n) * z**2 / len(x))


@net.fault("wrong_derivative", "upstream", at="widths", called=True)
def exponential_forgotten(params, x, t):
    """The derivative by σ is used as that by log σ."""
    h, d_pi, d_mu, d_sigma = heads(params, x, t)
    return backward(params, x, h, d_pi, d_mu, d_sigma / forward(params, x, t)[2])


def loss_of_each_component(params, x, t):
    """The sum over the components outside of the logarithm."""
    _, pi, _, _, log_n = forward(params, x, t)
    return -(np.log(pi) + log_n).sum(axis=1).mean()


@net.fault("wrong_loss", at="nll", loss=loss_of_each_component)
def sum_of_logs(params, x, t):
    """Log Σ became Σ log, in the loss and in the gradient."""
    h, _, d_mu, d_sigma = heads(params, x, t, gamma=np.ones((len(x), 3)))
    pi = forward(params, x, t)[1]
    return backward(params, x, h, (3 * pi - 1) / len(x), d_mu, d_sigma)


@net.fault("wrong_axis", at="nll")
def responsibilities_over_the_batch(params, x, t):
    """Normalised down the columns."""
    _, pi, _, _, log_n = forward(params, x, t)
    return backward(params, x, *heads(params, x, t, gamma=softmax(np.log(pi) + log_n, axis=0)))


@net.fault("missing_term", at=("widths", "hidden"))
def hidden_layer_without_the_widths(params, x, t):
    """Dh has two of the three heads."""
    h, d_pi, d_mu, d_sigma = heads(params, x, t)
    dh = d_pi @ params["w_pi"].T + d_mu @ params["w_mu"].T
    return backward(params, x, h, d_pi, d_mu, d_sigma, dh=dh)


@net.fault("wrong_derivative", "sign", at=("hidden", "z", "means"), seed=1)
def sigmoid_slope_and_sign_of_the_mean(params, x, t):
    """Two slips: h (1 − h) for tanh, and the sign of the means' gradient."""
    h, d_pi, d_mu, d_sigma = heads(params, x, t)
    return backward(params, x, h, d_pi, -d_mu, d_sigma, slope=h * (1 - h))


@net.fault("mutated", "wrong_operand", at=("hidden", "weights", "means", "widths"))
def hidden_units_squared_in_place(params, x, t):
    """`h **= 2` on the way to 1 − h²; the heads' weight gradients are taken afterwards."""
    h, d_pi, d_mu, d_sigma = heads(params, x, t)
    slope = 1 - h**2
    return backward(params, x, h**2, d_pi, d_mu, d_sigma, slope=slope)


@net.right()
def through_the_densities(params, x, t):
    """With likelihoods and no logarithms."""
    h, pi, sigma, z, log_n = forward(params, x, t)
    joint = pi * np.exp(log_n)
    gamma = joint / joint.sum(axis=1, keepdims=True)
    d_log_n = -gamma / len(x)
    d_pi = d_log_n - pi * d_log_n.sum(axis=1, keepdims=True)
    return backward(params, x, h, d_pi, d_log_n * z / sigma, d_log_n * (z**2 - 1))


@net.right(single=True)
def float32(params, x, t):
    """The same in float32."""
    return grads(params, x, t)


@net.right(n=1, seed=6, called=True)
def one_target(params, x, t):
    """One example."""
    return grads(params, x, t)
