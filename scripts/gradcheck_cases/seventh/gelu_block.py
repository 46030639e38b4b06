"""A transformer's feed-forward block, pre-norm: embedding, layer norm, exact GELU, residual connection."""

from math import erf

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradcheck_cases.corpus import Network

EPS = 1e-5


def loss_fn(p, x, t):
    """Half the squared error per example."""
    h = jnp.einsum("ni,id->nd", x, p["embed"])  # @embed
    mu = jnp.mean(h, axis=-1, keepdims=True)  # @mu
    var = jnp.var(h, axis=-1, keepdims=True)  # @var
    hat = (h - mu) * lax.rsqrt(var + EPS)  # @hat
    normed = hat * p["ln"]["gamma"] + p["ln"]["beta"]  # @affine
    u = jnp.einsum("nd,df->nf", normed, p["up"])  # @up
    a = jax.nn.gelu(u, approximate=False)  # @gelu
    y = jnp.einsum("nf,fd->nd", a, p["down"])  # @down
    out = h + y  # @residual
    return 0.5 * jnp.sum((out - t) ** 2) / x.shape[0]  # @loss


def inputs(rng, n):
    """Three inputs, width four, six hidden units."""
    p = {
        "embed": rng.normal(size=(3, 4)),
        "ln": {"gamma": rng.uniform(0.5, 1.5, size=4), "beta": rng.normal(size=4)},
        "up": rng.normal(size=(4, 6)),
        "down": rng.normal(size=(6, 4)) / 2,
    }
    return p, (rng.normal(size=(n, 3)), rng.normal(size=(n, 4)))


def cdf(u):
    """Φ."""
    return 0.5 * (1 + np.vectorize(erf, otypes=[u.dtype])(u / 2**0.5))


def gelu_prime(u):
    """Φ(u) + u φ(u)."""
    return cdf(u) + u * np.exp(-0.5 * u * u) / (2 * np.pi) ** 0.5


def ln_back(dhat, hat, inv):
    """Layer norm backward in one line."""
    mean = dhat.mean(axis=-1, keepdims=True)
    return inv * (dhat - mean - hat * (dhat * hat).mean(axis=-1, keepdims=True))


def join(dskip, dbranch):
    """Both paths into h."""
    return dskip + dbranch


def grads(p, x, t, prime=gelu_prime, norm=ln_back, both=join, gamma=None, axis=-1, times_gamma=True):
    """Top down."""
    h = x @ p["embed"]
    inv = 1 / np.sqrt(h.var(axis=axis, keepdims=True) + EPS)
    hat = (h - h.mean(axis=axis, keepdims=True)) * inv
    normed = hat * p["ln"]["gamma"] + p["ln"]["beta"]
    u = normed @ p["up"]
    a = u * cdf(u)
    dout = (h + a @ p["down"] - t) / len(x)
    ddown = a.T @ dout
    du = dout @ p["down"].T * prime(u)
    dnormed = du @ p["up"].T
    dgamma = (dnormed * hat).sum(axis=0) if gamma is None else gamma(dnormed, hat, normed)
    dhat = dnormed * p["ln"]["gamma"] if times_gamma else dnormed
    dh = both(dout, norm(dhat, hat, inv))
    ln = {"gamma": dgamma, "beta": dnormed.sum(axis=0)}
    return {"embed": x.T @ dh, "ln": ln, "up": normed.T @ du, "down": ddown}


net = Network("gelu_block", loss_fn, inputs, grads, batch=5)


@net.fault("missing_term", "overwritten", at="residual")
def skip_path_forgotten(p, x, t):
    """dh is assigned by the norm's backward; the shortcut's gradient is lost."""
    return grads(p, x, t, both=lambda dskip, dbranch: dbranch)


@net.fault("accumulated", "extra_term", at="residual")
def skip_path_twice(p, x, t):
    """The branch's backward adds its dout already, and the block adds it again."""
    return grads(p, x, t, both=lambda dskip, dbranch: dskip + (dskip + dbranch))


@net.fault("mutated", at="residual")
def dout_overwritten_in_place(p, x, t):
    """The branch's gradient is written over the array that the shortcut holds (`d = dout; d[:] = …`)."""

    def both(dskip, dbranch):
        d = dskip
        d[:] = dbranch
        return dskip + d

    return grads(p, x, t, both=both)


@net.fault("missing_term", "wrong_derivative", at="gelu", called=True)
def gelu_prime_is_the_cdf(p, x, t):
    """Φ(u) held constant."""
    return grads(p, x, t, prime=cdf)


@net.fault("wrong_operand", at="affine")
def gamma_from_the_output(p, x, t):
    """dgamma = dy · y rather than dy · x̂."""
    return grads(p, x, t, gamma=lambda d, hat, normed: (d * normed).sum(axis=0))


@net.fault("missing_term", "upstream", at="affine", single=True)
def gamma_not_passed_through(p, x, t):
    """The norm's backward gets dnormed, not dnormed · γ."""
    return grads(p, x, t, times_gamma=False)


@net.fault("missing_term", at=("mu", "hat"))
def no_gradient_through_the_mean(p, x, t):
    """The mean is a constant."""

    def norm(dhat, hat, inv):
        return inv * (dhat - hat * (dhat * hat).mean(axis=-1, keepdims=True))

    return grads(p, x, t, norm=norm)


@net.fault("wrong_axis", at=("mu", "var", "hat"))
def batch_norm_by_mistake(p, x, t):
    """axis=0 throughout."""

    def norm(dhat, hat, inv):
        return inv * (dhat - dhat.mean(axis=0) - hat * (dhat * hat).mean(axis=0))

    return grads(p, x, t, norm=norm, axis=0)


@net.fault("missing_term", "overwritten", "wrong_operand", at=("residual", "affine"))
def no_skip_and_gamma_of_the_output(p, x, t):
    """Two slips: the shortcut's gradient lost, dgamma by the output."""
    return grads(p, x, t, both=lambda s, b: b, gamma=lambda d, hat, normed: (d * normed).sum(axis=0))


@net.right(seed=2)
def norm_by_jacobian(p, x, t):
    """The full Jacobian of every row."""

    def norm(dhat, hat, inv):
        d = hat.shape[1]
        rows = [i * (np.eye(d) - 1 / d - np.outer(v, v) / d) @ g for i, v, g in zip(inv, hat, dhat, strict=True)]
        return np.array(rows)

    return grads(p, x, t, norm=norm)


@net.right(single=True)
def in_float32(p, x, t):
    """The formula with sums."""

    def norm(dhat, hat, inv):
        d = hat.shape[1]
        sums = dhat.sum(-1, keepdims=True) + hat * (dhat * hat).sum(-1, keepdims=True)
        return inv / d * (d * dhat - sums)

    return grads(p, x, t, norm=norm)
