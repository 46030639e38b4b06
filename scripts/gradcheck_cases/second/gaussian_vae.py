"""A variational autoencoder with a Gaussian code and a Gaussian decoder of unit variance."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

BETA = 0.7


def loss_fn(params, x, eps):
    """Negative ELBO, the divergence weighted by BETA; `eps` is the noise of the reparametrisation."""
    enc, dec = params["enc"], params["dec"]
    h = jnp.tanh(x @ enc["w"] + enc["b"])  # @encode
    mu = h @ enc["mu"]  # @mu
    logvar = h @ enc["logvar"]  # @logvar
    std = jnp.exp(0.5 * logvar)  # @std
    z = mu + std * eps  # @sample
    out = z @ dec["w"] + dec["b"]  # @decode
    rec = 0.5 * jnp.sum((out - x) ** 2)  # @reconstruct
    kl = -0.5 * jnp.sum(1 + logvar - mu**2 - jnp.exp(logvar))  # @kl
    return (rec + BETA * kl) / x.shape[0]  # @loss


def inputs(rng, n):
    """Five features, 4 units, a code of 2."""
    enc = {
        "w": rng.normal(size=(5, 4)) / 2,
        "b": rng.normal(size=4),
        "mu": rng.normal(size=(4, 2)),
        "logvar": rng.normal(size=(4, 2)) / 2,
    }
    dec = {"w": rng.normal(size=(2, 5)), "b": rng.normal(size=5)}
    return {"enc": enc, "dec": dec}, (rng.normal(size=(n, 5)), rng.normal(size=(n, 2)))


def forward(params, x, eps):
    """h, mu, logvar, std, z, out."""
    h = np.tanh(x @ params["enc"]["w"] + params["enc"]["b"])
    mu, logvar = h @ params["enc"]["mu"], h @ params["enc"]["logvar"]
    std = np.exp(0.5 * logvar)
    z = mu + std * eps
    return h, mu, logvar, std, z, z @ params["dec"]["w"] + params["dec"]["b"]


def collect(params, x, z, h, dout, dmu, dlogvar, dh=None, slope=None):
    """From the gradients of mu and logvar to those of the parameters."""
    dh = dmu @ params["enc"]["mu"].T + dlogvar @ params["enc"]["logvar"].T if dh is None else dh
    da = dh * (1 - h**2 if slope is None else slope)
    enc = {"w": x.T @ da, "b": da.sum(axis=0), "mu": h.T @ dmu, "logvar": h.T @ dlogvar}
    return {"enc": enc, "dec": {"w": z.T @ dout, "b": dout.sum(axis=0)}}


def grads(params, x, eps):
    """Both ways into mu and logvar: sample and divergence."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = (out - x) / len(x)
    dz = dout @ params["dec"]["w"].T
    dmu = dz + BETA * mu / len(x)
    dlogvar = dz * eps * 0.5 * std + BETA * 0.5 * (std**2 - 1) / len(x)
    return collect(params, x, z, h, dout, dmu, dlogvar)


net = Network("gaussian_vae", loss_fn, inputs, grads, batch=6)


@net.fault("scale", "wrong_derivative", at="std")
def half_in_the_exponent_forgotten(params, x, eps):
    """Dlogvar = dz ε σ."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = (out - x) / len(x)
    dz = dout @ params["dec"]["w"].T
    dmu = dz + BETA * mu / len(x)
    dlogvar = dz * eps * std + BETA * 0.5 * (std**2 - 1) / len(x)
    return collect(params, x, z, h, dout, dmu, dlogvar)


@net.fault("wrong_operand", "missing_term", at="sample", n=1)
def noise_forgotten(params, x, eps):
    """dσ = dz without the factor ε."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = (out - x) / len(x)
    dz = dout @ params["dec"]["w"].T
    dmu = dz + BETA * mu / len(x)
    dlogvar = dz * 0.5 * std + BETA * 0.5 * (std**2 - 1) / len(x)
    return collect(params, x, z, h, dout, dmu, dlogvar)


@net.fault("stale", "wrong_operand", at="sample")
def noise_drawn_again(params, x, eps):
    """Backward calls `randn` for its own ε."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    again = np.random.default_rng(3).normal(size=eps.shape)
    dout = (out - x) / len(x)
    dz = dout @ params["dec"]["w"].T
    dmu = dz + BETA * mu / len(x)
    dlogvar = dz * again * 0.5 * std + BETA * 0.5 * (std**2 - 1) / len(x)
    return collect(params, x, z, h, dout, dmu, dlogvar)


@net.fault("sign", at="kl", called=True)
def variance_part_with_the_wrong_sign(params, x, eps):
    """½ (1 − σ²): the minus before the ½ is lost for logvar."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = (out - x) / len(x)
    dz = dout @ params["dec"]["w"].T
    dmu = dz + BETA * mu / len(x)
    dlogvar = dz * eps * 0.5 * std + BETA * 0.5 * (1 - std**2) / len(x)
    return collect(params, x, z, h, dout, dmu, dlogvar)


@net.fault("scale", "missing_term", at="loss")
def beta_forgotten(params, x, eps):
    """The divergence with weight 1."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = (out - x) / len(x)
    dz = dout @ params["dec"]["w"].T
    dlogvar = dz * eps * 0.5 * std + 0.5 * (std**2 - 1) / len(x)
    return collect(params, x, z, h, dout, dz + mu / len(x), dlogvar)


def _kl_mean(params, x, eps):
    h, mu, logvar, std, z, out = forward(params, x, eps)
    kl = -0.5 * np.mean(1 + logvar - mu**2 - std**2)
    return 0.5 * np.sum((out - x) ** 2) / len(x) + BETA * kl


@net.fault("wrong_loss", "scale", "wrong_reduction", at=("kl", "loss"), loss=_kl_mean)
def divergence_averaged_over_the_code(params, x, eps):
    """`mean` over batch and code in loss and gradient: the divergence is smaller by the code's size."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = (out - x) / len(x)
    dz = dout @ params["dec"]["w"].T
    dlogvar = dz * eps * 0.5 * std + BETA * 0.5 * (std**2 - 1) / mu.size
    return collect(params, x, z, h, dout, dz + BETA * mu / mu.size, dlogvar)


@net.fault("overwritten", "missing_term", at=("mu", "encode"), single=True)
def second_head_overwrites_the_first(params, x, eps):
    """`dh = dmu @ …` and then `dh = dlogvar @ …`."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = (out - x) / len(x)
    dz = dout @ params["dec"]["w"].T
    dmu = dz + BETA * mu / len(x)
    dlogvar = dz * eps * 0.5 * std + BETA * 0.5 * (std**2 - 1) / len(x)
    dh = dmu @ params["enc"]["mu"].T
    dh = dlogvar @ params["enc"]["logvar"].T
    return collect(params, x, z, h, dout, dmu, dlogvar, dh=dh)


@net.fault("wrong_derivative", "sign", at=("encode", "kl"))
def slope_of_the_preactivation_and_a_sign(params, x, eps):
    """Two mistakes: tanh's slope is 1 − a² of what went in, and the mean's divergence is subtracted."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = (out - x) / len(x)
    dz = dout @ params["dec"]["w"].T
    dmu = dz - BETA * mu / len(x)
    dlogvar = dz * eps * 0.5 * std + BETA * 0.5 * (std**2 - 1) / len(x)
    a = x @ params["enc"]["w"] + params["enc"]["b"]
    return collect(params, x, z, h, dout, dmu, dlogvar, slope=1 - a**2)


@net.right()
def by_the_variance(params, x, eps):
    """Via dσ and dσ², divided by N at the end."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = out - x
    dz = dout @ params["dec"]["w"].T
    dvar = 0.5 * BETA * (1 - 1 / np.exp(logvar)) + dz * eps / (2 * std)
    total = collect(params, x, z, h, dout, dz + BETA * mu, dvar * np.exp(logvar))
    return {part: {key: grad / len(x) for key, grad in total[part].items()} for part in total}


@net.right(n=1, seed=9)
def one_example(params, x, eps):
    """Z − μ for σ ε."""
    h, mu, logvar, std, z, out = forward(params, x, eps)
    dout = out - x
    dz = dout @ params["dec"]["w"].T
    return collect(params, x, z, h, dout, dz + BETA * mu, 0.5 * dz * (z - mu) + BETA * (std**2 - 1) / 2)
