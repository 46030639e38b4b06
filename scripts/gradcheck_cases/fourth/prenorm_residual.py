"""A pre-norm residual block with SiLU: stem, layer norm, two matrices, skip connection, head."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

EPS = 1e-5


def loss_fn(params, x, y):
    """Mean over examples of the logistic loss with labels in {0, 1}."""
    h = x @ params["stem"]  # @stem
    mu = h.mean(axis=1, keepdims=True)  # @mu
    var = h.var(axis=1, keepdims=True)  # @var
    hat = (h - mu) / jnp.sqrt(var + EPS)  # @normalise
    u = hat * params["gain"] + params["shift"]  # @affine
    z = u @ params["W1"] + params["b1"]  # @up
    a = z * jax.nn.sigmoid(z)  # @silu
    r = h + a @ params["W2"]  # @residual
    logit = r @ params["head"]  # @head
    return jnp.mean(jnp.logaddexp(0, logit) - y * logit)  # @loss


def inputs(rng, n):
    """Three features, width 4, six hidden units."""
    params = {
        "stem": rng.normal(size=(3, 4)),
        "gain": rng.uniform(0.6, 1.8, size=4),
        "shift": rng.normal(size=4) * 0.5,
        "W1": rng.normal(size=(4, 6)),
        "b1": rng.normal(size=6),
        "W2": rng.normal(size=(6, 4)) * 0.6,
        "head": rng.normal(size=4),
    }
    return params, (rng.normal(size=(n, 3)), (np.arange(n) % 2).astype(float))


def sigmoid(z):
    """Logistic function."""
    return 1 / (1 + np.exp(-z))


def silu_slope(z):
    """σ(z) (1 + z (1 − σ(z)))."""
    s = sigmoid(z)
    return s * (1 + z * (1 - s))


def norm_back(dhat, hat, std):
    """Through the normalisation of each row."""
    return (dhat - dhat.mean(axis=1, keepdims=True) - hat * (dhat * hat).mean(axis=1, keepdims=True)) / std


def forward(params, x, ddof=0):
    """Everything that the backward pass reads."""
    h = x @ params["stem"]
    std = np.sqrt(h.var(axis=1, keepdims=True, ddof=ddof) + EPS)
    hat = (h - h.mean(axis=1, keepdims=True)) / std
    u = hat * params["gain"] + params["shift"]
    z = u @ params["W1"] + params["b1"]
    a = z * sigmoid(z)
    return h, std, hat, u, z, a, h + a @ params["W2"]


def grads(params, x, y, slope=silu_slope, norm=norm_back, skip=1, ddof=0):
    """Backward; `skip` is how often the residual path is counted."""
    h, std, hat, u, z, a, r = forward(params, x, ddof)
    dlogit = (sigmoid(r @ params["head"]) - y) / len(x)
    dr = np.outer(dlogit, params["head"])
    dz = dr @ params["W2"].T * slope(z)
    du = dz @ params["W1"].T
    dh = skip * dr + norm(du * params["gain"], hat, std)
    return {
        "stem": x.T @ dh,
        "gain": (du * hat).sum(axis=0),
        "shift": du.sum(axis=0),
        "W1": u.T @ dz,
        "b1": dz.sum(axis=0),
        "W2": a.T @ dr,
        "head": r.T @ dlogit,
    }


net = Network("prenorm_residual", loss_fn, inputs, grads, batch=5)


@net.fault("missing_term", at="residual")
def skip_connection_forgotten(params, x, y):
    """Dh comes from the branch alone."""
    return grads(params, x, y, skip=0)


@net.fault("accumulated", "extra_term", "scale", at="residual")
def skip_connection_counted_twice(params, x, y):
    """`dh += dr` once in the block's backward and once in the loop over blocks."""
    return grads(params, x, y, skip=2)


@net.fault("wrong_derivative", "missing_term", at="silu", called=True)
def silu_slope_like_a_sigmoid(params, x, y):
    """σ (1 − σ)."""
    return grads(params, x, y, slope=lambda z: sigmoid(z) * (1 - sigmoid(z)))


@net.fault("wrong_derivative", at="silu", single=True)
def silu_slope_at_its_output(params, x, y):
    """The layer cached its output: the slope is taken at z σ(z)."""
    return grads(params, x, y, slope=lambda z: silu_slope(z * sigmoid(z)))


@net.fault("scale", "wrong_loss", at=("var", "normalise"))
def std_of_torch(params, x, y):
    """`h.std()` of PyTorch divides by d − 1."""

    def norm(dhat, hat, std):
        d = hat.shape[1]
        share = (dhat * hat).sum(axis=1, keepdims=True) / (d - 1)
        return (dhat - dhat.mean(axis=1, keepdims=True) - hat * share) / std

    return grads(params, x, y, norm=norm, ddof=1)


@net.fault("wrong_operand", "missing_term", at="affine")
def gain_forgotten_in_backward(params, x, y):
    """The normalisation's backward starts from du, not du · gain."""
    return grads(params, x, y, norm=lambda dhat, hat, std: norm_back(dhat / params["gain"], hat, std))


@net.fault("missing_term", at=("mu", "normalise"), seed=1)
def mean_of_the_gradient_not_subtracted(params, x, y):
    """Only the variance's share, not the mean's (that is RMSNorm's formula)."""
    return grads(params, x, y, norm=lambda d, hat, std: (d - hat * (d * hat).mean(axis=1, keepdims=True)) / std)


@net.right()
def slope_in_another_form(params, x, y):
    """A + σ (1 − a)."""
    return grads(params, x, y, slope=lambda z: z * sigmoid(z) + sigmoid(z) * (1 - z * sigmoid(z)))


@net.right(n=1, called=True)
def norm_by_its_jacobian(params, x, y):
    """The projection (I − 11ᵀ/d − ĥĥᵀ/d)/σ."""

    def norm(dhat, hat, std):
        d = hat.shape[1]
        rows = [(np.eye(d) - 1 / d - np.outer(row, row) / d) @ g for row, g in zip(hat, dhat, strict=True)]
        return np.array(rows) / std

    return grads(params, x, y, norm=norm)
