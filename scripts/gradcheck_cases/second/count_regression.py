"""Negative binomial regression of counts with a log link, an exposure and an estimated dispersion."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from scipy.special import digamma

from ..corpus import Network


def loss_fn(params, X, y, exposure):
    """Mean negative log-likelihood."""
    eta = X @ params["beta"] + params["intercept"] + jnp.log(exposure)  # @linear
    mu = jnp.exp(eta)  # @mean
    r = jnp.exp(params["log_r"])  # @dispersion
    count = gammaln(y + r) - gammaln(r) - gammaln(y + 1)  # @count
    rate = r * jnp.log(r) + y * jnp.log(mu) - (r + y) * jnp.log(r + mu)  # @rate
    return -jnp.mean(count + rate)  # @loss


def inputs(rng, n):
    """Three covariates, exposures between ½ and 3."""
    params = {"beta": rng.normal(size=3) / 2, "intercept": np.array(0.4), "log_r": np.array(0.3)}
    return params, (rng.normal(size=(n, 3)), rng.poisson(2.5, size=n).astype(float), rng.uniform(0.5, 3, size=n))


def forward(params, X, exposure):
    """Mean and dispersion."""
    return exposure * np.exp(X @ params["beta"] + params["intercept"]), np.exp(params["log_r"])


def grads(params, X, y, exposure):
    """The score of the negative binomial."""
    mu, r = forward(params, X, exposure)
    d = r * (mu - y) / (r + mu) / len(y)
    dr = digamma(y + r) - digamma(r) + np.log(r) + 1 - np.log(r + mu) - (r + y) / (r + mu)
    return {"beta": X.T @ d, "intercept": d.sum(), "log_r": -r * dr.mean()}


net = Network("count_regression", loss_fn, inputs, grads, batch=9)


@net.fault("wrong_loss", "wrong_derivative", at="rate")
def score_of_the_poisson(params, X, y, exposure):
    """X'(μ − y): the coefficients' gradient is still the Poisson's."""
    mu, r = forward(params, X, exposure)
    d = (mu - y) / len(y)
    dr = digamma(y + r) - digamma(r) + np.log(r) + 1 - np.log(r + mu) - (r + y) / (r + mu)
    return {"beta": X.T @ d, "intercept": d.sum(), "log_r": -r * dr.mean()}


@net.fault("sign", at="loss", called=True)
def gradient_of_the_likelihood(params, X, y, exposure):
    """The score is returned, the loss is minus the log-likelihood."""
    mu, r = forward(params, X, exposure)
    d = r * (y - mu) / (r + mu) / len(y)
    dr = digamma(y + r) - digamma(r) + np.log(r) + 1 - np.log(r + mu) - (r + y) / (r + mu)
    return {"beta": X.T @ d, "intercept": d.sum(), "log_r": r * dr.mean()}


@net.fault("missing_term", "wrong_operand", at="linear")
def exposure_forgotten(params, X, y, exposure):
    """The offset is left out of the mean."""
    return grads(params, X, y, np.ones_like(exposure))


@net.fault("wrong_derivative", "missing_term", "upstream", at="dispersion")
def derivative_by_r_rather_than_its_logarithm(params, X, y, exposure):
    """The chain rule through exp(log_r) is missing."""
    right = grads(params, X, y, exposure)
    return {**right, "log_r": right["log_r"] / np.exp(params["log_r"])}


@net.fault("missing_term", at="count", single=True)
def digammas_forgotten(params, X, y, exposure):
    """The binomial coefficient is taken for a constant."""
    mu, r = forward(params, X, exposure)
    d = r * (mu - y) / (r + mu) / len(y)
    dr = np.log(r) + 1 - np.log(r + mu) - (r + y) / (r + mu)
    return {"beta": X.T @ d, "intercept": d.sum(), "log_r": -r * dr.mean()}


@net.fault("wrong_derivative", "missing_term", at="mean")
def log_link_forgotten(params, X, y, exposure):
    """dL/dμ goes to the coefficients as if μ were linear."""
    mu, r = forward(params, X, exposure)
    d = ((r + y) / (r + mu) - y / mu) / len(y)
    right = grads(params, X, y, exposure)
    return {**right, "beta": X.T @ d, "intercept": d.sum()}


@net.fault("wrong_shape", at="linear")
def coefficients_as_a_column(params, X, y, exposure):
    """`y.reshape(-1, 1)` all the way: (3, 1) comes out."""
    mu, r = forward(params, X, exposure)
    d = (r * (mu - y) / (r + mu) / len(y)).reshape(-1, 1)
    return {**grads(params, X, y, exposure), "beta": X.T @ d}


@net.fault("stale", at=None, seed=4)
def means_of_the_iteration_before(params, X, y, exposure):
    """As in a scoring loop: μ was computed before the coefficients took their last step."""
    old = {**params, "beta": params["beta"] - 0.2, "intercept": params["intercept"] + 0.1}
    return grads(old, X, y, exposure)


@net.right(called=True)
def by_the_chain_rule(params, X, y, exposure):
    """dL/dμ times μ."""
    eta = X @ params["beta"] + params["intercept"] + np.log(exposure)
    mu, r = np.exp(eta), np.exp(params["log_r"])
    d = mu * ((r + y) / (r + mu) - y / mu) / len(y)
    dr = digamma(y + r) - digamma(r) + np.log(r / (r + mu)) + (mu - y) / (r + mu)
    return {"beta": np.sum(X * d[:, None], axis=0), "intercept": np.sum(d), "log_r": -np.mean(r * dr)}


@net.right(seed=3, n=1)
def one_count(params, X, y, exposure):
    """A single observation."""
    return grads(params, X, y, exposure)


@net.right(seed=11, single=True)
def in_single_precision(params, X, y, exposure):
    """The same in float32."""
    return grads(params, X, y, exposure)
