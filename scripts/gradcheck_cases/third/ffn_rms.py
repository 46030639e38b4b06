"""A small language model: tied embedding, RMSNorm, feed-forward with GELU, residual, next-token cross-entropy."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .tools import softmax

EPS = 1e-5
ERF = np.vectorize(math.erf)


def loss_fn(params, tokens):
    """Mean over all positions but the last of the cross-entropy of the next token."""
    x = params["embed"][tokens]  # @lookup
    rms = jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True) + EPS)  # @rms
    normed = x / rms  # @normalise
    u = (normed * params["gain"]) @ params["w1"] + params["b1"]  # @up
    a = jax.nn.gelu(u, approximate=False)  # @gelu
    out = x + a @ params["w2"] + params["b2"]  # @residual
    logits = out @ params["embed"].T  # @logits
    log_p = jax.nn.log_softmax(logits[:, :-1])  # @softmax
    picked = jnp.take_along_axis(log_p, tokens[:, 1:, None], axis=-1)  # @pick
    return -jnp.mean(picked)  # @loss


def inputs(rng, n):
    """Sequences of 5, 7 tokens, width 4, 6 hidden units."""
    params = {
        "embed": rng.normal(size=(7, 4)),
        "gain": rng.uniform(0.5, 2, size=4),
        "w1": rng.normal(size=(4, 6)),
        "b1": rng.normal(size=6),
        "w2": rng.normal(size=(6, 4)),
        "b2": rng.normal(size=4),
    }
    return params, (rng.integers(0, 7, size=(n, 5)),)


def phi(u):
    """The normal distribution function."""
    return (0.5 * (1 + ERF(u / np.sqrt(2)))).astype(u.dtype)


def gelu_slope(u, a):
    """Of u Φ(u)."""
    return phi(u) + u * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)


def norm_backward(dn, normed, rms):
    """Of x / rms(x)."""
    return (dn - normed * (dn * normed).mean(axis=-1, keepdims=True)) / rms


def picked(p, tokens):
    """Probabilities minus one at the next tokens; nothing at the last position."""
    d = p.copy()
    n, t = tokens.shape
    d[np.arange(n)[:, None], np.arange(t - 1), tokens[:, 1:]] -= 1
    d[:, -1] = 0
    return d / (n * (t - 1))


def grads(params, tokens, slope=gelu_slope, back=norm_backward, pick=picked, slip=""):
    """Everything in reverse."""
    x = params["embed"][tokens]
    rms = np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPS)
    normed = x / rms
    u = normed * params["gain"] @ params["w1"] + params["b1"]
    a = u * phi(u)
    out = x + a @ params["w2"] + params["b2"]
    d = pick(softmax(out @ params["embed"].T), tokens)
    dout = d @ params["embed"]
    da = dout @ params["w2"].T
    du = da * slope(u, a)
    dg = du @ params["w1"].T
    dx = dout + back(dg if slip == "gain skipped" else dg * params["gain"], normed, rms)
    embed = np.einsum("ntv,ntd->vd", d, out)
    if slip == "overwritten":
        embed = np.zeros_like(embed)
    if slip == "indexed":
        embed[tokens] += dx
    elif slip != "head only":
        np.add.at(embed, tokens, dx)
    return {
        "embed": embed,
        "gain": (dg * normed).sum(axis=(0, 1)),
        "w1": np.einsum("nti,nto->io", normed * params["gain"], du),
        "b1": du.sum(axis=(0, 1)),
        "w2": np.einsum("nti,nto->io", a, dout),
        "b2": dout.sum(axis=(0, 1)),
    }


net = Network("ffn_rms", loss_fn, inputs, grads, batch=3)


@net.fault("missing_term", at=("rms", "normalise"))
def rms_as_a_constant(params, tokens):
    """Dx = dn / rms."""
    return grads(params, tokens, back=lambda dn, normed, rms: dn / rms)


@net.fault("wrong_reduction", "scale", at="rms")
def mean_of_squares_as_a_sum(params, tokens):
    """The second term of RMSNorm's backward is summed over the features, not averaged."""

    def back(dn, normed, rms):
        return (dn - normed * (dn * normed).sum(axis=-1, keepdims=True)) / rms

    return grads(params, tokens, back=back)


@net.fault("extra_term", at=("rms", "normalise"))
def backward_of_layer_norm(params, tokens):
    """The mean of the gradient is subtracted, as LayerNorm needs and RMSNorm does not."""

    def back(dn, normed, rms):
        return norm_backward(dn, normed, rms) - dn.mean(axis=-1, keepdims=True) / rms

    return grads(params, tokens, back=back)


@net.fault("wrong_derivative", "wrong_mask", at="gelu")
def still_the_relu(params, tokens):
    """The forward pass was changed from ReLU to GELU, the backward pass not."""
    return grads(params, tokens, slope=lambda u, a: (u > 0).astype(float))


@net.fault("overwritten", "wrong_reduction", at="lookup")
def repeated_tokens_overwrite(params, tokens):
    """`dE[tokens] += dx` adds only one of several."""
    return grads(params, tokens, slip="indexed")


@net.fault("overwritten", "missing_term", at=("logits", "lookup"))
def tied_weight_loses_the_head(params, tokens):
    """The embedding's backward makes a new array and forgets what the head had put there."""
    return grads(params, tokens, slip="overwritten")


@net.fault("missing_term", "wrong_operand", "upstream", at="up", single=True)
def gain_skipped_on_the_way_back(params, tokens):
    """Dn = dy: the factor gain is forgotten."""
    return grads(params, tokens, slip="gain skipped")


@net.fault("permuted", at=("pick", "softmax"))
def labels_not_shifted(params, tokens):
    """One is subtracted at the token itself, not at the next one."""

    def pick(p, tokens):
        return picked(p, np.concatenate([tokens[:, :1], tokens[:, :-1]], axis=1))

    return grads(params, tokens, pick=pick)


def loss_of_all_positions(params, tokens):
    """A sum over time, a mean over sequences."""
    return float(loss_fn(params, tokens)) * (tokens.shape[1] - 1)


@net.fault("scale", "wrong_loss", at="loss", loss=loss_of_all_positions)
def divided_by_the_sequences_only(params, tokens):
    """Mean over examples, sum over time."""
    return grads(params, tokens, pick=lambda p, tokens: picked(p, tokens) * (tokens.shape[1] - 1))


@net.fault("missing_term", "wrong_derivative", "wrong_mask", at=("rms", "normalise", "gelu"))
def rms_constant_and_relu(params, tokens):
    """Two slips: rms as a constant, and the slope of ReLU."""
    return grads(params, tokens, slope=lambda u, a: (u > 0).astype(float), back=lambda dn, normed, rms: dn / rms)


@net.right()
def two_uses_added_at_the_end(params, tokens):
    """The head's and the lookup's gradient of the embedding computed apart."""
    head, lookup = grads(params, tokens, slip="head only"), grads(params, tokens, slip="overwritten")
    return {**head, "embed": lookup["embed"] + head["embed"]}


@net.right(seed=7, called=True)
def explicit_jacobian_of_the_norm(params, tokens):
    """(I − n nᵀ / D) / rms for each token."""

    def back(dn, normed, rms):
        jacobian = np.eye(4) - normed[..., :, None] * normed[..., None, :] / 4
        return np.einsum("ntij,ntj->nti", jacobian, dn) / rms

    return grads(params, tokens, back=back)


@net.right(n=1, single=True)
def single_sequence(params, tokens):
    """One sequence in float32."""
    return grads(params, tokens)
