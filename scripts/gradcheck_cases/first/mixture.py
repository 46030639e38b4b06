"""A mixture density network: log-sum-exp over Gaussian components."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import softmax


def loss_fn(params, x, t):
    """Mean negative log-likelihood of a one-dimensional target."""
    log_pi = jax.nn.log_softmax(x @ params["pi"])  # @pi
    mu = x @ params["mu"]  # @mu
    log_sigma = x @ params["sigma"]  # @log_sigma
    sigma = jnp.exp(log_sigma)  # @sigma
    z = (t[:, None] - mu) / sigma  # @standardise
    log_normal = -0.5 * z**2 - log_sigma - 0.5 * jnp.log(2 * jnp.pi)  # @normal
    likelihood = jax.nn.logsumexp(log_pi + log_normal, axis=1)  # @logsumexp
    return -jnp.mean(likelihood)  # @mean


def inputs(rng, n):
    """Three features, three components."""
    params = {name: 0.7 * rng.normal(size=(3, 3)) for name in ("pi", "mu", "sigma")}
    return params, (rng.normal(size=(n, 3)), rng.normal(size=n))


def forward(params, x, t):
    """Mixing weights, standardised targets, deviations and responsibilities."""
    pi = softmax(x @ params["pi"])
    sigma = np.exp(x @ params["sigma"])
    z = (t[:, None] - x @ params["mu"]) / sigma
    joint = pi * np.exp(-0.5 * z**2) / sigma / np.sqrt(2 * np.pi)
    return pi, z, sigma, joint, joint / joint.sum(axis=1, keepdims=True)


def back(x, dpi, dmu, dlog_sigma):
    """To the three weight matrices."""
    n = len(x)
    return {"pi": x.T @ dpi / n, "mu": x.T @ dmu / n, "sigma": x.T @ dlog_sigma / n}


def grads(params, x, t):
    """Bishop's formulas: everything is weighted by the responsibilities."""
    pi, z, sigma, _, r = forward(params, x, t)
    return back(x, pi - r, -r * z / sigma, r * (1 - z**2))


net = Network("mixture", loss_fn, inputs, grads)


@net.fault("wrong_derivative", "wrong_operand", at="logsumexp")
def prior_for_posterior(params, x, t):
    """Mixing weights where responsibilities belong, in the components' gradients."""
    pi, z, sigma, _, r = forward(params, x, t)
    return back(x, pi - r, -pi * z / sigma, pi * (1 - z**2))


@net.fault("wrong_derivative", at="logsumexp", called=True)
def hard_assignment(params, x, t):
    """The most responsible component takes all, as in k-means."""
    pi, z, sigma, joint, _ = forward(params, x, t)
    r = np.eye(3)[joint.argmax(axis=1)]
    return back(x, pi - r, -r * z / sigma, r * (1 - z**2))


@net.fault("wrong_axis", at="logsumexp")
def responsibilities_over_examples(params, x, t):
    """Normalised down the batch."""
    pi, z, sigma, joint, _ = forward(params, x, t)
    r = joint / joint.sum(axis=0)
    dlog_pi = -r
    dpi = dlog_pi - pi * dlog_pi.sum(axis=1, keepdims=True)
    return back(x, dpi, -r * z / sigma, r * (1 - z**2))


@net.fault("wrong_derivative", "missing_term", at=("logsumexp", "mean"))
def not_normalised(params, x, t):
    """The joint density for the responsibility: the logarithm's 1/Σ is missing."""
    pi, z, sigma, joint, _ = forward(params, x, t)
    dpi = pi * joint.sum(axis=1, keepdims=True) - joint
    return back(x, dpi, -joint * z / sigma, joint * (1 - z**2))


@net.fault("missing_term", "overwritten", at="normal")
def normalising_constant_forgotten(params, x, t):
    """The −log σ of the density is not derived."""
    pi, z, sigma, _, r = forward(params, x, t)
    return back(x, pi - r, -r * z / sigma, -r * z**2)


@net.fault("sign", at="standardise")
def sign_of_the_mean(params, x, t):
    """The inner derivative of t − μ."""
    pi, z, sigma, _, r = forward(params, x, t)
    return back(x, pi - r, r * z / sigma, r * (1 - z**2))


@net.fault("missing_term", "wrong_operand", "wrong_derivative", at="standardise")
def deviation_forgotten_in_the_mean(params, x, t):
    """Just z for z/σ."""
    pi, z, _, _, r = forward(params, x, t)
    return back(x, pi - r, -r * z, r * (1 - z**2))


@net.fault("wrong_derivative", "missing_term", at="sigma")
def by_sigma_instead_of_its_logarithm(params, x, t):
    """The derivative by σ, not by log σ: the factor σ of the exponential is missing in the −½ z² part."""
    pi, z, sigma, _, r = forward(params, x, t)
    return back(x, pi - r, -r * z / sigma, r * (1 - z**2 / sigma))


@net.fault("missing_term", "wrong_derivative", at="pi")
def mixing_weights_without_their_softmax(params, x, t):
    """−r: the softmax's normalisation is taken as constant."""
    _, z, sigma, _, r = forward(params, x, t)
    return back(x, -r, -r * z / sigma, r * (1 - z**2))


@net.right()
def component_by_component(params, x, t):
    """The chain written out for each component."""
    pi, z, sigma, joint, _ = forward(params, x, t)
    total = joint.sum(axis=1)
    dmu, dlog_sigma = np.empty_like(z), np.empty_like(z)
    for k in range(3):
        dmu[:, k] = -joint[:, k] / total * z[:, k] / sigma[:, k]
        dlog_sigma[:, k] = joint[:, k] / total * (1 - z[:, k] ** 2)
    dpi = pi - joint / total[:, None]
    return back(x, dpi, dmu, dlog_sigma)
