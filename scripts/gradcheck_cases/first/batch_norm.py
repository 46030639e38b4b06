"""Batch normalisation between a linear layer and a tanh: a backward pass that everybody derives once."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

EPS = 1e-5


def loss_fn(params, x, t):
    """Squared error of a normalised, squashed linear layer."""
    h = x @ params["w"]  # @linear
    mean = jnp.mean(h, axis=0)  # @mean
    centred = h - mean  # @centre
    var = jnp.mean(centred**2, axis=0)  # @var
    inv_std = 1 / jnp.sqrt(var + EPS)  # @inv_std
    normal = centred * inv_std  # @normalise
    y = params["gamma"] * normal + params["beta"]  # @affine
    a = jnp.tanh(y)  # @tanh
    return jnp.sum((a - t) ** 2) / len(x)  # @loss


def inputs(rng, n):
    """Three features, four units."""
    params = {"w": rng.normal(size=(3, 4)), "gamma": rng.uniform(0.5, 2, size=4), "beta": rng.normal(size=4)}
    return params, (rng.normal(size=(n, 3)) + 0.5, rng.uniform(-1, 1, size=(n, 4)))


def forward(params, x, t, eps=EPS):
    """What backward needs: the normalised units, 1/σ, the centred units and the gradient of y."""
    h = x @ params["w"]
    centred = h - h.mean(axis=0)
    inv_std = 1 / np.sqrt((centred**2).mean(axis=0) + eps)
    normal = centred * inv_std
    a = np.tanh(params["gamma"] * normal + params["beta"])
    return normal, inv_std, centred, 2 * (a - t) / len(x) * (1 - a**2)


def grads(params, x, t):
    """The short formula."""
    normal, inv_std, _, dy = forward(params, x, t)
    dn = dy * params["gamma"]
    dh = inv_std * (dn - dn.mean(axis=0) - normal * (dn * normal).mean(axis=0))
    return {"w": x.T @ dh, "gamma": (dy * normal).sum(axis=0), "beta": dy.sum(axis=0)}


net = Network("batch_norm", loss_fn, inputs, grads, batch=7)


def with_dh(params, x, t, dh):
    """The right gradients of gamma and beta, and the weight's from `dh`."""
    return {**grads(params, x, t), "w": x.T @ dh}


@net.fault("missing_term", at=("mean", "centre", "var"))
def statistics_as_constants(params, x, t):
    """Mean and variance taken as constants, as at test time."""
    _, inv_std, _, dy = forward(params, x, t)
    return with_dh(params, x, t, dy * params["gamma"] * inv_std)


@net.fault("missing_term", at=("mean", "centre"))
def mean_as_a_constant(params, x, t):
    """The variance is derived, the mean is not."""
    normal, inv_std, _, dy = forward(params, x, t)
    dn = dy * params["gamma"]
    return with_dh(params, x, t, inv_std * (dn - normal * (dn * normal).mean(axis=0)))


@net.fault("missing_term", at=("var", "inv_std", "normalise"), called=True)
def variance_as_a_constant(params, x, t):
    """The mean is derived, the variance is not."""
    _, inv_std, _, dy = forward(params, x, t)
    dn = dy * params["gamma"]
    return with_dh(params, x, t, inv_std * (dn - dn.mean(axis=0)))


@net.fault("wrong_derivative", at="inv_std")
def wrong_power_of_the_variance(params, x, t):
    """−½ (σ² + ε)^(−½) where the power is −3/2."""
    _, inv_std, centred, dy = forward(params, x, t)
    dn = dy * params["gamma"]
    dvar = np.sum(dn * centred, axis=0) * -0.5 * inv_std
    dcentred = dn * inv_std + dvar * 2 * centred / len(x)
    return with_dh(params, x, t, dcentred - dcentred.mean(axis=0))


@net.fault("sign", at="inv_std")
def sign_of_the_variance(params, x, t):
    """The minus of −½ (σ² + ε)^(−3/2) is lost."""
    _, inv_std, centred, dy = forward(params, x, t)
    dn = dy * params["gamma"]
    dvar = np.sum(dn * centred, axis=0) * 0.5 * inv_std**3
    dcentred = dn * inv_std + dvar * 2 * centred / len(x)
    return with_dh(params, x, t, dcentred - dcentred.mean(axis=0))


@net.fault("scale", at="var")
def variance_not_averaged(params, x, t):
    """1/N missing in the variance's share."""
    _, inv_std, centred, dy = forward(params, x, t)
    dn = dy * params["gamma"]
    dvar = np.sum(dn * centred, axis=0) * -0.5 * inv_std**3
    dcentred = dn * inv_std + dvar * 2 * centred
    return with_dh(params, x, t, dcentred - dcentred.mean(axis=0))


@net.fault("scale", at=("mean", "centre"))
def mean_not_averaged(params, x, t):
    """1/N missing in the mean's share."""
    normal, inv_std, _, dy = forward(params, x, t)
    dn = dy * params["gamma"]
    dcentred = inv_std * (dn - normal * (dn * normal).mean(axis=0))
    return with_dh(params, x, t, dcentred - dcentred.sum(axis=0))


@net.fault("wrong_operand", "missing_term", at="affine")
def gamma_forgotten(params, x, t):
    """The gradient goes into the normalised units without the factor gamma."""
    normal, inv_std, _, dy = forward(params, x, t)
    dh = inv_std * (dy - dy.mean(axis=0) - normal * (dy * normal).mean(axis=0))
    return with_dh(params, x, t, dh)


@net.fault("wrong_operand", at="affine", single=True)
def gamma_gradient_of_the_raw_units(params, x, t):
    """`dgamma` wants the normalised units, not the units."""
    right = grads(params, x, t)
    dy = forward(params, x, t)[3]
    return {**right, "gamma": (dy * (x @ params["w"])).sum(axis=0)}


@net.fault("mutated", "wrong_operand", at="affine")
def gamma_multiplied_in_place(params, x, t):
    """`dn = dy; dn *= gamma` has changed dy when gamma's own gradient is taken."""
    normal, inv_std, _, dy = forward(params, x, t)
    dbeta = dy.sum(axis=0)
    dn = dy
    dn *= params["gamma"]
    dgamma = (dy * normal).sum(axis=0)
    dh = inv_std * (dn - dn.mean(axis=0) - normal * (dn * normal).mean(axis=0))
    return {"w": x.T @ dh, "gamma": dgamma, "beta": dbeta}


@net.fault("wrong_loss", at=("inv_std", "var"))
def another_epsilon(params, x, t):
    """ε is 1e-3 in backward."""
    normal, inv_std, _, dy = forward(params, x, t, eps=1e-3)
    dn = dy * params["gamma"]
    dh = inv_std * (dn - dn.mean(axis=0) - normal * (dn * normal).mean(axis=0))
    return {"w": x.T @ dh, "gamma": (dy * normal).sum(axis=0), "beta": dy.sum(axis=0)}


@net.fault("wrong_loss", "scale", at="var")
def unbiased_variance(params, x, t):
    """`np.var(h, axis=0, ddof=1)`: divides by N − 1 throughout."""
    h = x @ params["w"]
    inv_std = 1 / np.sqrt(h.var(axis=0, ddof=1) + EPS)
    normal = (h - h.mean(axis=0)) * inv_std
    a = np.tanh(params["gamma"] * normal + params["beta"])
    dy = 2 * (a - t) / len(x) * (1 - a**2)
    dn = dy * params["gamma"]
    share = (dn * normal).sum(axis=0) / (len(x) - 1)
    dh = inv_std * (dn - dn.mean(axis=0) - normal * share)
    return {"w": x.T @ dh, "gamma": (dy * normal).sum(axis=0), "beta": dy.sum(axis=0)}


@net.right(called=True)
def step_by_step(params, x, t):
    """Kratzert's staged backward pass."""
    _, inv_std, centred, dy = forward(params, x, t)
    n = len(x)
    dn = dy * params["gamma"]
    dinv = np.sum(dn * centred, axis=0)
    dvar = dinv * -0.5 * inv_std**3
    dcentred = dn * inv_std + 2 * centred * np.ones_like(dn) / n * dvar
    dh = dcentred - np.ones_like(dn) / n * dcentred.sum(axis=0)
    return {"w": x.T @ dh, "gamma": (dy * centred * inv_std).sum(axis=0), "beta": dy.sum(axis=0)}
