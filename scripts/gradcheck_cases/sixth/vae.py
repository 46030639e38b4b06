"""A variational autoencoder: the negative ELBO of binary data."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import sigmoid


def loss_fn(params, x, eps):
    """Reconstruction plus KL, both summed over units and averaged over examples."""
    h = jnp.tanh(x @ params["We"] + params["be"])  # @encoder
    mu = h @ params["Wm"]  # @mu
    logvar = h @ params["Wv"]  # @logvar
    std = jnp.exp(0.5 * logvar)  # @std
    z = mu + std * eps  # @sample
    logits = z @ params["Wd"] + params["bd"]  # @decoder
    bce = jax.nn.softplus(logits) - x * logits  # @bce
    recon = jnp.sum(bce) / x.shape[0]  # @recon
    kl = -0.5 * jnp.sum(1 + logvar - mu**2 - jnp.exp(logvar)) / x.shape[0]  # @kl
    return recon + kl  # @elbo


def inputs(rng, n):
    """Six pixels, four units, two latent dimensions."""
    params = {
        "We": 0.7 * rng.normal(size=(6, 4)),
        "be": 0.1 * rng.normal(size=4),
        "Wm": 0.7 * rng.normal(size=(4, 2)),
        "Wv": 0.7 * rng.normal(size=(4, 2)),
        "Wd": rng.normal(size=(2, 6)),
        "bd": 0.1 * rng.normal(size=6),
    }
    return params, (rng.integers(0, 2, size=(n, 6)).astype(float), rng.normal(size=(n, 2)))


def kl_back(mu, logvar):
    """By mu and by logvar, not yet averaged."""
    return mu, 0.5 * (np.exp(logvar) - 1)


def sample_back(dz, logvar, eps):
    """By logvar through the reparameterisation."""
    return dz * eps * 0.5 * np.exp(0.5 * logvar)


def grads(params, x, eps, kl_back=kl_back, sample_back=sample_back, backward_eps=None, one_head=False):
    """Backward."""
    n = len(x)
    h = np.tanh(x @ params["We"] + params["be"])
    mu, logvar = h @ params["Wm"], h @ params["Wv"]
    z = mu + np.exp(0.5 * logvar) * eps
    dlogits = (sigmoid(z @ params["Wd"] + params["bd"]) - x) / n
    dz = dlogits @ params["Wd"].T
    kl_mu, kl_logvar = kl_back(mu, logvar)
    dmu = dz + kl_mu / n
    dlogvar = sample_back(dz, logvar, eps if backward_eps is None else backward_eps) + kl_logvar / n
    dh = dlogvar @ params["Wv"].T if one_head else dmu @ params["Wm"].T + dlogvar @ params["Wv"].T
    da = dh * (1 - h**2)
    return {
        "We": x.T @ da,
        "be": da.sum(axis=0),
        "Wm": h.T @ dmu,
        "Wv": h.T @ dlogvar,
        "Wd": z.T @ dlogits,
        "bd": dlogits.sum(axis=0),
    }


net = Network("vae", loss_fn, inputs, grads, batch=7)


@net.fault("scale", "wrong_derivative", at="std")
def half_in_the_exponent_forgotten(params, x, eps):
    """The slope of exp(½ log σ²) without the ½."""
    return grads(params, x, eps, sample_back=lambda dz, logvar, eps: dz * eps * np.exp(0.5 * logvar))


@net.fault("sign", at=("kl", "elbo"))
def divergence_subtracted(params, x, eps):
    """The ELBO's sign for the KL term in a loss that is minimised."""
    return grads(params, x, eps, kl_back=lambda mu, logvar: (-mu, -0.5 * (np.exp(logvar) - 1)))


@net.fault("missing_term", at="kl")
def kl_without_its_mean(params, x, eps):
    """Only log σ² gets the KL's gradient."""
    return grads(params, x, eps, kl_back=lambda mu, logvar: (0, 0.5 * (np.exp(logvar) - 1)))


@net.fault("stale", "wrong_operand", at=("sample", "std"), called=True)
def noise_drawn_again(params, x, eps):
    """The backward pass draws noise of its own."""
    return grads(params, x, eps, backward_eps=np.random.default_rng(12).normal(size=eps.shape))


@net.fault("missing_term", "wrong_operand", at="sample", n=1)
def noise_left_out(params, x, eps):
    """∂z/∂σ is taken as 1."""
    return grads(params, x, eps, sample_back=lambda dz, logvar, eps: dz * 0.5 * np.exp(0.5 * logvar))


@net.fault("overwritten", "missing_term", at=("mu", "logvar", "encoder"))
def encoder_hears_one_head(params, x, eps):
    """`dh =` for each head: the second one stays."""
    return grads(params, x, eps, one_head=True)


def _mean_kl(params, x, eps):
    h = np.tanh(x @ params["We"] + params["be"])
    mu, logvar = h @ params["Wm"], h @ params["Wv"]
    logits = (mu + np.exp(0.5 * logvar) * eps) @ params["Wd"] + params["bd"]
    kl = -0.5 * np.mean(1 + logvar - mu**2 - np.exp(logvar))
    return np.sum(np.logaddexp(0, logits) - x * logits) / len(x) + kl


@net.fault("wrong_loss", "scale", "wrong_reduction", at="kl", loss=_mean_kl)
def kl_averaged_over_the_latents(params, x, eps):
    """`torch.mean` over everything for the KL, in the loss and in the gradient."""
    return grads(params, x, eps, kl_back=lambda mu, logvar: (mu / 2, 0.25 * (np.exp(logvar) - 1)))


@net.fault("wrong_derivative", at="kl", single=True)
def kl_exponential_not_kept(params, x, eps):
    """The derivative of exp(log σ²) is written as 1/σ²… of the other parameterisation: σ − 1/σ."""

    def wrong(mu, logvar):
        std = np.exp(0.5 * logvar)
        return mu, std - 1 / std

    return grads(params, x, eps, kl_back=wrong)


@net.right(seed=3)
def by_sigma(params, x, eps):
    """By σ first, then by log σ²."""

    def to_logvar(dz, logvar, eps):
        std = np.exp(logvar / 2)
        return (dz * eps + (std - 1 / std) / len(dz)) * std / 2

    return grads(params, x, eps, kl_back=lambda mu, logvar: (mu, 0), sample_back=to_logvar)


net.right(single=True)(grads)
