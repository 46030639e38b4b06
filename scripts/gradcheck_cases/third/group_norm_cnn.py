"""Convolution, group norm, ReLU, global average pooling and a linear layer."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..corpus import Network
from .tools import softmax

EPS = 1e-3


def loss_fn(params, x, labels):
    """Mean cross-entropy; four channels in two groups."""
    out = lax.conv_general_dilated(x, params["w"], (1, 1), "VALID")  # @conv
    grouped = out.reshape(len(x), 2, -1)  # @group
    mu = grouped.mean(axis=2, keepdims=True)  # @mu
    var = grouped.var(axis=2, keepdims=True)  # @var
    normed = ((grouped - mu) / jnp.sqrt(var + EPS)).reshape(out.shape)  # @normalise
    y = normed * params["gamma"][:, None, None] + params["beta"][:, None, None]  # @affine
    a = jax.nn.relu(y)  # @relu
    pooled = a.mean(axis=(2, 3))  # @pool
    logits = pooled @ params["head"] + params["bias"]  # @head
    log_p = jax.nn.log_softmax(logits, axis=1)  # @softmax
    return -jnp.mean(log_p[jnp.arange(len(x)), labels])  # @loss


def inputs(rng, n):
    """Images of 5 × 4 in two channels, four filters, three classes."""
    params = {
        "w": rng.normal(size=(4, 2, 3, 3)) * np.array([0.3, 1, 2, 0.5])[:, None, None, None],
        "gamma": rng.uniform(0.5, 2, size=4),
        "beta": rng.normal(size=4) / 2,
        "head": rng.normal(size=(4, 3)),
        "bias": rng.normal(size=3),
    }
    return params, (rng.normal(size=(n, 2, 5, 4)), rng.integers(0, 3, size=n))


def conv(x, w):
    """All windows times the filters."""
    view = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", view, w), view


def group_norm_backward(dn, xhat, std):
    """Of the normalisation of (batch, group, all the rest)."""
    return (dn - dn.mean(axis=2, keepdims=True) - xhat * (dn * xhat).mean(axis=2, keepdims=True)) / std


def per_channel(x):
    """Statistics of each channel: instance norm."""
    return x.reshape(len(x), 4, -1)


def per_group(x):
    """Statistics of two channels together."""
    return x.reshape(len(x), 2, -1)


def grads(params, x, labels, group=per_group, back=group_norm_backward, mask=None, area=None, ddof=0):
    """Forward and backward."""
    out, view = conv(x, params["w"])
    grouped = group(out)
    std = np.sqrt(grouped.var(axis=2, keepdims=True, ddof=ddof) + EPS)
    xhat = (grouped - grouped.mean(axis=2, keepdims=True)) / std
    normed = xhat.reshape(out.shape)
    y = normed * params["gamma"][:, None, None] + params["beta"][:, None, None]
    a = np.maximum(y, 0)
    pooled = a.mean(axis=(2, 3))
    d = softmax(pooled @ params["head"] + params["bias"])
    d[np.arange(len(x)), labels] -= 1
    d /= len(x)
    da = np.broadcast_to((d @ params["head"].T)[:, :, None, None], a.shape) / (area or a[0, 0].size)
    dy = da * (mask(out, normed, y) if mask else y > 0)
    dn = group(dy * params["gamma"][:, None, None])
    dout = back(dn, xhat, std).reshape(out.shape)
    return {
        "w": np.einsum("nchwij,nohw->ocij", view, dout),
        "gamma": (dy * normed).sum(axis=(0, 2, 3)),
        "beta": dy.sum(axis=(0, 2, 3)),
        "head": pooled.T @ d,
        "bias": d.sum(axis=0),
    }


net = Network("group_norm_cnn", loss_fn, inputs, grads, batch=4)


@net.fault("wrong_axis", "wrong_reduction", at=("mu", "var", "normalise", "group"))
def instance_norm_in_both_directions(params, x, labels):
    """Each channel alone: as many groups as channels."""
    return grads(params, x, labels, group=per_channel)


@net.fault("wrong_axis", at=("mu", "var", "normalise"), called=True)
def batch_norm_formula_on_the_way_back(params, x, labels):
    """The means of the backward formula are taken over the batch as well."""

    def back(dn, xhat, std):
        share = (dn * xhat).mean(axis=(0, 2), keepdims=True)
        return (dn - dn.mean(axis=(0, 2), keepdims=True) - xhat * share) / std

    return grads(params, x, labels, back=back)


@net.fault("mutated", "wrong_operand", at=("normalise", "var"))
def centred_array_divided_in_place(params, x, labels):
    """`xhat = xmu; xhat /= std`: the staged backward pass then finds xhat where it expects x − mu."""

    def back(dn, xhat, std):
        xmu = xhat
        dstd = -(dn * xmu / std**2).sum(axis=2, keepdims=True)
        dvar = 0.5 * dstd / std
        dxmu = dn / std + 2 * xmu * dvar / xhat.shape[2]
        return dxmu - dxmu.mean(axis=2, keepdims=True)

    return grads(params, x, labels, back=back)


@net.fault("wrong_derivative", at=("normalise", "var"))
def power_of_the_variance(params, x, labels):
    """−½ (var + ε)^(−½) where the power is −3/2."""

    def back(dn, xhat, std):
        xmu, m = xhat * std, xhat.shape[2]
        dvar = (dn * xmu * -0.5 * std**-1).sum(axis=2, keepdims=True)
        dmu = (-dn / std).sum(axis=2, keepdims=True)
        return dn / std + dvar * 2 * xmu / m + dmu / m

    return grads(params, x, labels, back=back)


@net.fault("scale", "wrong_loss", at="var")
def unbiased_variance(params, x, labels):
    """`x.var(ddof=1)`, torch.var's default, in the hand-written forward pass."""
    return grads(params, x, labels, ddof=1)


@net.fault("wrong_mask", at="relu")
def mask_of_the_convolution(params, x, labels):
    """`out > 0` was kept before the normalisation."""
    return grads(params, x, labels, mask=lambda out, normed, y: out > 0)


@net.fault("scale", "wrong_pooling", at="pool", single=True)
def average_pooling_not_divided(params, x, labels):
    """The gradient is spread over the image, not divided by its size."""
    return grads(params, x, labels, area=1)


@net.fault("wrong_reduction", at="affine")
def beta_summed_over_pixels_of_one_image(params, x, labels):
    """`dy[0].sum(axis=(1, 2))`: written for a single image and never changed."""
    first = grads(params, x[:1], labels[:1])
    return {**grads(params, x, labels), "beta": first["beta"] / len(x)}


@net.fault("wrong_shape", at="affine")
def gamma_with_its_broadcast_axes(params, x, labels):
    """`keepdims` as in the forward pass: (1, C, 1, 1)."""
    right = grads(params, x, labels)
    return {**right, "gamma": right["gamma"].reshape(1, -1, 1, 1), "beta": right["beta"].reshape(1, -1, 1, 1)}


@net.fault("scale", "wrong_pooling", "wrong_mask", at=("pool", "relu"))
def not_divided_and_mask_of_the_normalised(params, x, labels):
    """Two slips: pooling's gradient is not divided, the ReLU's mask is taken before gamma and beta."""
    return grads(params, x, labels, area=1, mask=lambda out, normed, y: normed > 0)


@net.right(called=True)
def staged(params, x, labels):
    """The staged backward pass, written properly."""

    def back(dn, xhat, std):
        xmu, m = xhat * std, xhat.shape[2]
        dvar = (dn * xmu * -0.5 * std**-3).sum(axis=2, keepdims=True)
        dxmu = dn / std + 2 * xmu * dvar / m
        return dxmu - dxmu.sum(axis=2, keepdims=True) / m

    return grads(params, x, labels, back=back)


@net.right(n=1, seed=3)
def one_image(params, x, labels):
    """Group norm does not mind a batch of one."""
    return grads(params, x, labels)
