"""A variational autoencoder of binary pixels; the noise is an argument."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import sigmoid

BETA = 0.7


def loss_fn(params, x, eps):
    """Negative ELBO, β-weighted, mean over the batch."""
    enc, dec = params["enc"], params["dec"]
    h = jnp.tanh(x @ enc["w"] + enc["b"])  # @hidden
    mu = h @ enc["mu"]  # @mu
    logvar = h @ enc["logvar"]  # @logvar
    std = jnp.exp(0.5 * logvar)  # @std
    z = mu + std * eps  # @sample
    logits = z @ dec["w"] + dec["b"]  # @decode
    recon = jnp.sum(jax.nn.softplus(logits) - x * logits, axis=1)  # @recon
    kl = -0.5 * jnp.sum(1 + logvar - mu**2 - jnp.exp(logvar), axis=1)  # @kl
    return jnp.mean(recon + BETA * kl)  # @elbo


def inputs(rng, n):
    """Seven pixels, four hidden units, two latent ones."""
    enc = {"w": rng.normal(size=(7, 4)) / 2, "b": rng.normal(size=4) / 2}
    enc |= {"mu": rng.normal(size=(4, 2)), "logvar": rng.normal(size=(4, 2))}
    dec = {"w": rng.normal(size=(2, 7)), "b": rng.normal(size=7)}
    return {"enc": enc, "dec": dec}, (rng.integers(0, 2, size=(n, 7)).astype(float), rng.normal(size=(n, 2)))


def forward(params, x, eps):
    """Hidden units, mean, log-variance, sample, and the pixels' probabilities."""
    enc, dec = params["enc"], params["dec"]
    h = np.tanh(x @ enc["w"] + enc["b"])
    mu, logvar = h @ enc["mu"], h @ enc["logvar"]
    z = mu + np.exp(0.5 * logvar) * eps
    return h, mu, logvar, z, sigmoid(z @ dec["w"] + dec["b"])


def backward(params, x, h, z, dlogits, dmu, dlogvar, dh=None):
    """From mean and log-variance to the parameters."""
    enc = params["enc"]
    dh = dmu @ enc["mu"].T + dlogvar @ enc["logvar"].T if dh is None else dh
    dpre = dh * (1 - h**2)
    return {
        "enc": {"w": x.T @ dpre, "b": dpre.sum(axis=0), "mu": h.T @ dmu, "logvar": h.T @ dlogvar},
        "dec": {"w": z.T @ dlogits, "b": dlogits.sum(axis=0)},
    }


def grads(params, x, eps):
    """Decoder, sample, KL, encoder."""
    n = len(x)
    h, mu, logvar, z, p = forward(params, x, eps)
    dlogits = (p - x) / n
    dz = dlogits @ params["dec"]["w"].T
    dmu = dz + BETA * mu / n
    dlogvar = dz * eps * 0.5 * np.exp(0.5 * logvar) + BETA * 0.5 * (np.exp(logvar) - 1) / n
    return backward(params, x, h, z, dlogits, dmu, dlogvar)


net = Network("pixel_vae", loss_fn, inputs, grads, batch=5)


@net.fault("scale", "wrong_derivative", at="std")
def half_of_the_log_variance_lost(params, x, eps):
    """dz · eps · std: the ½ of exp(½ logvar) is gone."""
    h, mu, logvar, z, p = forward(params, x, eps)
    dlogits = (p - x) / len(x)
    dz = dlogits @ params["dec"]["w"].T
    dmu = dz + BETA * mu / len(x)
    dlogvar = dz * eps * np.exp(0.5 * logvar) + 0.5 * BETA * (np.exp(logvar) - 1) / len(x)
    return backward(params, x, h, z, dlogits, dmu, dlogvar)


@net.fault("missing_term", at=("sample", "std"))
def sample_taken_for_the_mean(params, x, eps):
    """The reconstruction's gradient reaches mu only; logvar gets the KL's."""
    h, mu, logvar, z, p = forward(params, x, eps)
    dlogits = (p - x) / len(x)
    dmu = dlogits @ params["dec"]["w"].T + BETA * mu / len(x)
    dlogvar = BETA * 0.5 * (np.exp(logvar) - 1) / len(x)
    return backward(params, x, h, z, dlogits, dmu, dlogvar)


@net.fault("scale", at=("kl", "elbo"))
def divergence_summed_over_the_batch(params, x, eps):
    """KL's gradient without 1/n, the reconstruction's with it."""
    h, mu, logvar, z, p = forward(params, x, eps)
    dlogits = (p - x) / len(x)
    dz = dlogits @ params["dec"]["w"].T
    dmu = dz + BETA * mu
    dlogvar = dz * eps * 0.5 * np.exp(0.5 * logvar) + BETA * 0.5 * (np.exp(logvar) - 1)
    return backward(params, x, h, z, dlogits, dmu, dlogvar)


@net.fault("sign", at="kl", single=True)
def divergence_of_the_log_variance_upside_down(params, x, eps):
    """½(1 - exp(logvar)): the minus in front of the ½ was dropped."""
    h, mu, logvar, z, p = forward(params, x, eps)
    dlogits = (p - x) / len(x)
    dz = dlogits @ params["dec"]["w"].T
    dmu = dz + BETA * mu / len(x)
    dlogvar = dz * eps * 0.5 * np.exp(0.5 * logvar) + BETA * 0.5 * (1 - np.exp(logvar)) / len(x)
    return backward(params, x, h, z, dlogits, dmu, dlogvar)


@net.fault("overwritten", "missing_term", at=("mu", "hidden"))
def second_head_replaces_the_first(params, x, eps):
    """dh = of the mean, then dh = of the log-variance."""
    h, mu, logvar, z, p = forward(params, x, eps)
    dlogits = (p - x) / len(x)
    dz = dlogits @ params["dec"]["w"].T
    dmu = dz + BETA * mu / len(x)
    dh = dmu @ params["enc"]["mu"].T
    dlogvar = dz * eps * 0.5 * np.exp(0.5 * logvar) + BETA * 0.5 * (np.exp(logvar) - 1) / len(x)
    dh = dlogvar @ params["enc"]["logvar"].T
    return backward(params, x, h, z, dlogits, dmu, dlogvar, dh)


@net.fault("stale", "wrong_operand", at="sample")
def noise_drawn_again(params, x, eps):
    """backward() samples its own noise."""
    fresh = np.random.default_rng(99).normal(size=eps.shape)
    h, mu, logvar, z, p = forward(params, x, eps)
    dlogits = (p - x) / len(x)
    dz = dlogits @ params["dec"]["w"].T
    dlogvar = dz * fresh * 0.5 * np.exp(0.5 * logvar) + BETA * 0.5 * (np.exp(logvar) - 1) / len(x)
    return backward(params, x, h, z, dlogits, dz + BETA * mu / len(x), dlogvar)


def _elbo_of_beta_one(params, x, eps):
    _, mu, logvar, _, p = forward(params, x, eps)
    recon = -np.sum(x * np.log(p) + (1 - x) * np.log(1 - p))
    return (recon - 0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar))) / len(x)


@net.fault("scale", "missing_term", "wrong_loss", at=("elbo", "kl"), loss=_elbo_of_beta_one)
def beta_forgotten(params, x, eps):
    """The plain VAE's loss and gradient: β = 1."""
    h, mu, logvar, z, p = forward(params, x, eps)
    dlogits = (p - x) / len(x)
    dz = dlogits @ params["dec"]["w"].T
    dlogvar = dz * eps * 0.5 * np.exp(0.5 * logvar) + 0.5 * (np.exp(logvar) - 1) / len(x)
    return backward(params, x, h, z, dlogits, dz + mu / len(x), dlogvar)


@net.fault("sign", "scale", at=("kl", "std"))
def minus_mu_and_no_half(params, x, eps):
    """Two mistakes: the KL pulls mu away from 0, and the ½ of the standard deviation is missing."""
    h, mu, logvar, z, p = forward(params, x, eps)
    dlogits = (p - x) / len(x)
    dz = dlogits @ params["dec"]["w"].T
    dmu = dz - BETA * mu / len(x)
    dlogvar = dz * eps * np.exp(0.5 * logvar) + BETA * 0.5 * (np.exp(logvar) - 1) / len(x)
    return backward(params, x, h, z, dlogits, dmu, dlogvar)


@net.right()
def through_the_standard_deviation(params, x, eps):
    """dstd first, then dlogvar = ½ std dstd."""
    h, mu, logvar, z, p = forward(params, x, eps)
    std = np.sqrt(np.exp(logvar))
    dlogits = (p - x) / len(x)
    dz = dlogits @ params["dec"]["w"].T
    dstd = dz * eps + BETA / len(x) * (std - 1 / std)
    return backward(params, x, h, z, dlogits, dz + BETA / len(x) * mu, 0.5 * std * dstd)


@net.right(called=True, single=True, seed=11)
def single_precision(params, x, eps):
    """Given as a function, in float32."""
    return grads(params, x, eps)
