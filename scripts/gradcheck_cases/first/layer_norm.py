"""LayerNorm and GELU over a batch of sequences: (batch, time, feature)."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

EPS = 1e-6
C = np.sqrt(2 / np.pi)


def loss_fn(params, x, t):
    """Squared error of GELU(LayerNorm(x w))."""
    norm = params["norm"]
    h = x @ params["dense"]  # @dense
    mu = h.mean(axis=-1, keepdims=True)  # @mu
    var = ((h - mu) ** 2).mean(axis=-1, keepdims=True)  # @var
    normal = (h - mu) / jnp.sqrt(var + EPS)  # @normalise
    y = normal * norm["gain"] + norm["shift"]  # @affine
    a = jax.nn.gelu(y)  # @gelu
    return jnp.mean((a - t) ** 2)  # @loss


def inputs(rng, n):
    """Sequences of 3, 4 features, 5 units."""
    norm = {"gain": rng.uniform(0.5, 2, size=5), "shift": rng.normal(size=5)}
    x, t = rng.normal(size=(n, 3, 4)), rng.normal(size=(n, 3, 5))
    return {"dense": rng.normal(size=(4, 5)), "norm": norm}, (x, t)


def gelu_slope(y):
    """Of the tanh approximation, which is JAX's default."""
    inner = np.tanh(C * (y + 0.044715 * y**3))
    return 0.5 * (1 + inner) + 0.5 * y * (1 - inner**2) * C * (1 + 3 * 0.044715 * y**2)


def normalise(params, x, axis=-1):
    """Normalised units and 1/σ."""
    h = x @ params["dense"]
    inv_std = 1 / np.sqrt(h.var(axis=axis, keepdims=True) + EPS)
    return (h - h.mean(axis=axis, keepdims=True)) * inv_std, inv_std


def norm_backward(dn, normal, inv_std, axis=-1):
    """Through (h − μ)/σ."""
    share = (dn * normal).mean(axis=axis, keepdims=True)
    return inv_std * (dn - dn.mean(axis=axis, keepdims=True) - normal * share)


def grads(params, x, t, slope=gelu_slope, backward=norm_backward, axis=-1):
    """Backward, with the GELU's slope and the normalisation's backward as given."""
    normal, inv_std = normalise(params, x, axis)
    y = normal * params["norm"]["gain"] + params["norm"]["shift"]
    a = 0.5 * y * (1 + np.tanh(C * (y + 0.044715 * y**3)))
    dy = 2 * (a - t) / t.size * slope(y)
    dh = backward(dy * params["norm"]["gain"], normal, inv_std)
    norm = {"gain": (dy * normal).sum(axis=(0, 1)), "shift": dy.sum(axis=(0, 1))}
    return {"dense": np.einsum("nti,nto->io", x, dh), "norm": norm}


net = Network("layer_norm", loss_fn, inputs, grads, batch=4)


@net.fault("missing_term", at=("mu", "var", "normalise"))
def statistics_detached(params, x, t):
    """Mean and variance under `no_grad`."""
    return grads(params, x, t, backward=lambda dn, normal, inv_std: dn * inv_std)


@net.fault("missing_term", at=("var", "normalise"))
def variance_share_missing(params, x, t):
    """Only the mean is subtracted."""

    def backward(dn, normal, inv_std):
        return inv_std * (dn - dn.mean(axis=-1, keepdims=True))

    return grads(params, x, t, backward=backward)


@net.fault("wrong_axis", at=("mu", "var", "normalise"), called=True)
def normalised_over_the_batch(params, x, t):
    """Batch norm's axis, forward and backward."""

    def backward(dn, normal, inv_std):
        return norm_backward(dn, normal, inv_std, axis=0)

    return grads(params, x, t, backward=backward, axis=0)


@net.fault("wrong_axis", at=("mu", "var", "normalise"))
def reduced_over_the_batch_in_backward(params, x, t):
    """Forward over features, the two means of backward over examples."""

    def backward(dn, normal, inv_std):
        return norm_backward(dn, normal, inv_std, axis=0)

    return grads(params, x, t, backward=backward)


@net.fault("missing_term", "wrong_derivative", at="gelu")
def gelu_slope_without_the_product_rule(params, x, t):
    """The slope of y Φ(y) as Φ(y)."""
    return grads(params, x, t, slope=lambda y: 0.5 * (1 + np.tanh(C * (y + 0.044715 * y**3))))


@net.fault("wrong_derivative", at="gelu")
def gelu_inner_derivative_missing(params, x, t):
    """The chain stops at tanh: its argument's derivative is left out."""

    def slope(y):
        inner = np.tanh(C * (y + 0.044715 * y**3))
        return 0.5 * (1 + inner) + 0.5 * y * (1 - inner**2)

    return grads(params, x, t, slope=slope)


@net.fault("wrong_derivative", "wrong_loss", at="gelu", single=True)
def gelu_by_the_logistic(params, x, t):
    """The slope of the other approximation, y σ(1.702 y)."""

    def slope(y):
        s = 1 / (1 + np.exp(-1.702 * y))
        return s + 1.702 * y * s * (1 - s)

    return grads(params, x, t, slope=slope)


@net.fault("wrong_derivative", "wrong_loss", at="gelu")
def gelu_exact_slope(params, x, t):
    """Φ(y) + y φ(y) of the exact GELU; the forward pass has the tanh approximation."""
    from math import erf, pi, sqrt

    def slope(y):
        return 0.5 * (1 + np.vectorize(erf)(y / sqrt(2))) + y * np.exp(-(y**2) / 2) / sqrt(2 * pi)

    return grads(params, x, t, slope=slope)


@net.fault("wrong_reduction", "wrong_shape", at="affine")
def gain_summed_over_the_batch_only(params, x, t):
    """`sum(axis=0)` leaves the time axis."""
    right = grads(params, x, t)
    normal, _ = normalise(params, x)
    y = normal * params["norm"]["gain"] + params["norm"]["shift"]
    a = 0.5 * y * (1 + np.tanh(C * (y + 0.044715 * y**3)))
    dy = 2 * (a - t) / t.size * gelu_slope(y)
    right["norm"]["gain"] = (dy * normal).sum(axis=0)
    return right


@net.fault("wrong_reduction", "scale", at="affine")
def shift_averaged_over_time(params, x, t):
    """Summed over examples, averaged over time steps."""
    right = grads(params, x, t)
    right["norm"]["shift"] = right["norm"]["shift"] / x.shape[1]
    return right


@net.fault("scale", at="loss")
def mean_over_examples_only(params, x, t):
    """Divides by the number of examples, the loss by that of all numbers."""
    right = grads(params, x, t)
    factor = t.size / len(t)
    return {"dense": factor * right["dense"], "norm": {k: factor * g for k, g in right["norm"].items()}}


@net.right()
def by_sums(params, x, t):
    """The formula with sums and the number of features."""

    def backward(dn, normal, inv_std):
        d = dn.shape[-1]
        sums = dn.sum(axis=-1, keepdims=True) + normal * (dn * normal).sum(axis=-1, keepdims=True)
        return inv_std / d * (d * dn - sums)

    return grads(params, x, t, backward=backward)
