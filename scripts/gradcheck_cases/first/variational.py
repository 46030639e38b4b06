"""A variational autoencoder's loss: reparametrised sample, Gaussian KL divergence, Bernoulli likelihood."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import sigmoid


def loss_fn(params, x, noise):
    """Minus the evidence lower bound, averaged over examples."""
    encoder, decoder = params["encoder"], params["decoder"]
    mu = x @ encoder["mu"]  # @mu
    log_var = x @ encoder["log_var"]  # @log_var
    std = jnp.exp(0.5 * log_var)  # @std
    z = mu + std * noise  # @sample
    logits = z @ decoder["w"] + decoder["b"]  # @decode
    nll = jax.nn.softplus(logits) - x * logits  # @likelihood
    reconstruction = jnp.sum(nll, axis=1)  # @reconstruction
    kl = -0.5 * jnp.sum(1 + log_var - mu**2 - jnp.exp(log_var), axis=1)  # @kl
    return jnp.mean(reconstruction + kl)  # @elbo


def inputs(rng, n):
    """Five pixels, two latent dimensions, the noise given."""
    encoder = {"mu": rng.normal(size=(5, 2)), "log_var": 0.5 * rng.normal(size=(5, 2))}
    params = {"encoder": encoder, "decoder": {"w": rng.normal(size=(2, 5)), "b": rng.normal(size=5)}}
    return params, (rng.uniform(size=(n, 5)), rng.normal(size=(n, 2)))


def grads(params, x, noise, kl=1.0, dmu_kl=lambda mu: mu, dlog_var_kl=None, dstd=None, sampled=(1, 1)):
    """Backward; the keywords are what one gets wrong."""
    n = len(x)
    encoder, decoder = params["encoder"], params["decoder"]
    mu, log_var = x @ encoder["mu"], x @ encoder["log_var"]
    std = np.exp(0.5 * log_var)
    z = mu + std * noise
    dlogits = (sigmoid(z @ decoder["w"] + decoder["b"]) - x) / n
    dz = dlogits @ decoder["w"].T
    slope = 0.5 * std if dstd is None else dstd(log_var)
    variance = 0.5 * (np.exp(log_var) - 1) if dlog_var_kl is None else dlog_var_kl(log_var)
    dmu = sampled[0] * dz + kl * dmu_kl(mu) / n
    dlog_var = sampled[1] * dz * noise * slope + kl * variance / n
    encoder = {"mu": x.T @ dmu, "log_var": x.T @ dlog_var}
    return {"encoder": encoder, "decoder": {"w": z.T @ dlogits, "b": dlogits.sum(axis=0)}}


net = Network("variational", loss_fn, inputs, grads)


@net.fault("sign", at="kl")
def divergence_subtracted(params, x, noise):
    """The sign of the KL term, as it stands in the lower bound."""
    return grads(params, x, noise, kl=-1.0)


@net.fault("missing_term", at=("elbo", "kl"), called=True)
def divergence_forgotten(params, x, noise):
    """A plain autoencoder's gradient."""
    return grads(params, x, noise, kl=0.0)


@net.fault("scale", at="kl")
def divergence_without_its_half(params, x, noise):
    """The ½ of the formula is lost."""
    return grads(params, x, noise, kl=2.0)


@net.fault("wrong_derivative", "scale", at="std")
def half_of_the_exponent_lost(params, x, noise):
    """The derivative of exp(½ v) is ½ exp(½ v)."""
    return grads(params, x, noise, dstd=lambda v: np.exp(0.5 * v))


@net.fault("wrong_derivative", at="std")
def variance_for_deviation(params, x, noise):
    """½ exp(v): the variance where the deviation belongs."""
    return grads(params, x, noise, dstd=lambda v: 0.5 * np.exp(v))


@net.fault("missing_term", at=("sample", "std"))
def sample_does_not_depend_on_the_variance(params, x, noise):
    """Reconstruction teaches the mean only."""
    return grads(params, x, noise, sampled=(1, 0))


@net.fault("missing_term", at=("sample", "decode"))
def sample_detached(params, x, noise):
    """No gradient through the sample: the reparametrisation trick not used."""
    return grads(params, x, noise, sampled=(0, 0))


@net.fault("missing_term", at="kl")
def one_in_the_divergence_missing(params, x, noise):
    """½ exp(v): the derivative of the v in 1 + v − μ² − eᵛ is left out."""
    return grads(params, x, noise, dlog_var_kl=lambda v: 0.5 * np.exp(v))


@net.fault("extra_term", "wrong_loss", at=None)
def prior_on_the_decoder(params, x, noise):
    """A Gaussian prior on the decoder's weights, of which the loss knows nothing."""
    right = grads(params, x, noise)
    right["decoder"]["w"] += params["decoder"]["w"] / len(x)
    return right


@net.fault("wrong_reduction", "scale", "wrong_loss", at="kl", single=True)
def divergence_averaged_over_dimensions(params, x, noise):
    """np.mean over latent dimensions for np.sum."""
    return grads(params, x, noise, kl=1 / noise.shape[1])
