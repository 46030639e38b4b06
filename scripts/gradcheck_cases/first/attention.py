"""Causal self-attention with one head: the embedded input is used three times."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import softmax


def loss_fn(params, x, t):
    """Mean squared error of masked, scaled dot-product attention."""
    h = x @ params["embed"]  # @embed
    q = h @ params["attention"]["q"]  # @query
    k = h @ params["attention"]["k"]  # @key
    v = h @ params["attention"]["v"]  # @value
    scores = q @ jnp.swapaxes(k, -1, -2)  # @scores
    scaled = scores / jnp.sqrt(q.shape[-1])  # @scale
    causal = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    masked = jnp.where(causal, scaled, -1e9)  # @mask
    weights = jax.nn.softmax(masked, axis=-1)  # @softmax
    mixed = weights @ v  # @mix
    y = mixed @ params["out"]  # @out
    return jnp.mean((y - t) ** 2)  # @loss


def inputs(rng, n):
    """Sequences of 4, 3 features, width 4."""
    square = {name: rng.normal(size=(4, 4)) for name in "qkv"}
    params = {"embed": rng.normal(size=(3, 4)), "attention": square, "out": rng.normal(size=(4, 2))}
    return params, (rng.normal(size=(n, 4, 3)), rng.normal(size=(n, 4, 2)))


def softmax_backward(dweights, weights):
    """The Jacobian diag(p) − p pᵀ of each row."""
    return weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))


def forward(params, x, causal=True):
    """Embedded input, queries, keys, values, weights."""
    h = x @ params["embed"]
    q, k, v = (h @ params["attention"][name] for name in "qkv")
    scaled = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if causal:
        scaled = np.where(np.tril(np.ones((4, 4), bool)), scaled, -1e9)
    return h, q, k, v, softmax(scaled)


def back(params, x, dy, mixed, h, dq, dk, dv):
    """The linear maps, once the gradients of queries, keys and values are known."""
    attention = params["attention"]
    dh = sum(d @ attention[name].T for name, d in zip("qkv", (dq, dk, dv), strict=True))
    pairs = {name: np.einsum("nti,nto->io", h, d) for name, d in zip("qkv", (dq, dk, dv), strict=True)}
    embed = np.einsum("nti,nto->io", x, dh)
    return {"embed": embed, "attention": pairs, "out": np.einsum("nti,nto->io", mixed, dy)}


def grads(params, x, t, softmax_back=softmax_backward, root=2.0, causal=True):
    """Backward through mixing, softmax, scaling and the three projections."""
    h, q, k, v, weights = forward(params, x, causal)
    mixed = weights @ v
    dy = 2 * (mixed @ params["out"] - t) / t.size
    dmixed = dy @ params["out"].T
    dv = weights.swapaxes(-1, -2) @ dmixed
    dscores = softmax_back(dmixed @ v.swapaxes(-1, -2), weights) / root
    dq, dk = dscores @ k, dscores.swapaxes(-1, -2) @ q
    return back(params, x, dy, mixed, h, dq, dk, dv)


net = Network("attention", loss_fn, inputs, grads, batch=3)


@net.fault("scale", at="scale")
def root_forgotten(params, x, t):
    """1/√d is missing on the way back."""
    return grads(params, x, t, root=1.0)


@net.fault("scale", at="scale", single=True)
def divided_by_d(params, x, t):
    """Divided by d, not by √d."""
    return grads(params, x, t, root=4.0)


@net.fault("missing_term", "wrong_derivative", at="softmax")
def softmax_without_the_sum(params, x, t):
    """Only p ⊙ g, without − p Σ p g."""
    return grads(params, x, t, softmax_back=lambda g, p: g * p)


@net.fault("wrong_derivative", "missing_term", at="softmax", called=True)
def softmax_as_p_one_minus_p(params, x, t):
    """The sigmoid's slope."""
    return grads(params, x, t, softmax_back=lambda g, p: g * p * (1 - p))


@net.fault("wrong_axis", at="softmax")
def softmax_sum_over_queries(params, x, t):
    """The sum in the softmax's backward runs down the queries."""

    def softmax_back(g, p):
        return p * (g - (g * p).sum(axis=-2, keepdims=True))

    return grads(params, x, t, softmax_back=softmax_back)


@net.fault("wrong_mask", at="mask")
def mask_forgotten(params, x, t):
    """Attention looks into the future in the hand-written code."""
    return grads(params, x, t, causal=False)


def variant(params, x, t, kind):
    """The products of attention, one of them wrong."""
    h, q, k, v, weights = forward(params, x)
    mixed = weights @ v
    dy = 2 * (mixed @ params["out"] - t) / t.size
    dmixed = dy @ params["out"].T
    dv = (weights if kind == "dv" else weights.swapaxes(-1, -2)) @ dmixed
    dscores = softmax_backward(dmixed @ v.swapaxes(-1, -2), weights) / 2
    dq, dk = dscores @ k, (dscores if kind == "dk" else dscores.swapaxes(-1, -2)) @ q
    if kind == "swapped":
        dq, dk = dk, dq
    if kind == "dq":
        dq = dscores @ q
    return back(params, x, dy, mixed, h, dq, dk, dv)


@net.fault("transposed", at="mix")
def weights_not_transposed(params, x, t):
    """`dv = weights @ dmixed`."""
    return variant(params, x, t, "dv")


@net.fault("transposed", at="scores")
def scores_not_transposed(params, x, t):
    """`dk = dscores @ q`."""
    return variant(params, x, t, "dk")


@net.fault("wrong_operand", at="scores")
def query_times_itself(params, x, t):
    """`dq = dscores @ q`."""
    return variant(params, x, t, "dq")


@net.fault("wrong_operand", "permuted", at="scores")
def query_and_key_swapped(params, x, t):
    """A tuple returned in another order."""
    return variant(params, x, t, "swapped")


@net.fault("missing_term", "overwritten", at="value")
def value_path_not_added(params, x, t):
    """Queries and keys pass their gradient on to the embedding, values do not."""
    right = grads(params, x, t)
    _, q, k, v, weights = forward(params, x)
    dmixed = 2 * (weights @ v @ params["out"] - t) / t.size @ params["out"].T
    dscores = softmax_backward(dmixed @ v.swapaxes(-1, -2), weights) / 2
    dh = dscores @ k @ params["attention"]["q"].T
    dh += dscores.swapaxes(-1, -2) @ q @ params["attention"]["k"].T
    return {**right, "embed": np.einsum("nti,nto->io", x, dh)}


@net.fault("accumulated", "scale", at="value")
def values_added_twice(params, x, t):
    """The value projection's gradient is added in the head, and again where heads are joined."""
    right = grads(params, x, t)
    right["attention"]["v"] += grads(params, x, t)["attention"]["v"]
    return right


@net.right()
def by_einsum(params, x, t):
    """The same, in index notation."""
    h, q, k, v, weights = forward(params, x)
    mixed = np.einsum("nqk,nkd->nqd", weights, v)
    dy = 2 * (mixed @ params["out"] - t) / t.size
    dmixed = np.einsum("nqo,do->nqd", dy, params["out"])
    jacobian = np.einsum("nqk,kl->nqkl", weights, np.eye(4)) - np.einsum("nqk,nql->nqkl", weights, weights)
    dscores = np.einsum("nqkl,nqd,nld->nqk", jacobian, dmixed, v) / np.sqrt(4)
    dq, dk = np.einsum("nqk,nkd->nqd", dscores, k), np.einsum("nqk,nqd->nkd", dscores, q)
    return back(params, x, dy, mixed, h, dq, dk, np.einsum("nqk,nqd->nkd", weights, dmixed))
