"""A causal self-attention head with its residual connection, and a linear read-out."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import softmax


def loss_fn(params, x, t):
    """Mean squared error; `x` is (batch, time, feature)."""
    h = x @ params["We"]  # @embed
    q = h @ params["Wq"]  # @query
    k = h @ params["Wk"]  # @key
    v = h @ params["Wv"]  # @value
    scores = q @ k.transpose(0, 2, 1) / jnp.sqrt(q.shape[-1])  # @scores
    causal = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))
    masked = jnp.where(causal, scores, -1e9)  # @mask
    p = jax.nn.softmax(masked, axis=-1)  # @softmax
    context = p @ v  # @context
    y = h + context @ params["Wo"]  # @residual
    return jnp.mean((y - t) ** 2)  # @mse


def inputs(rng, n):
    """Five positions, 4 features, width 6, heads of 3."""
    shapes = {"We": (4, 6), "Wq": (6, 3), "Wk": (6, 3), "Wv": (6, 3), "Wo": (3, 6)}
    params = {key: rng.normal(size=shape) / np.sqrt(shape[0]) for key, shape in shapes.items()}
    return params, (1.5 * rng.normal(size=(n, 5, 4)), rng.normal(size=(n, 5, 6)))


def swap(a):
    """The last two axes."""
    return a.transpose(0, 2, 1)


def softmax_back(dp, p):
    """Row by row."""
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))


def grads(params, x, t, softmax_back=softmax_back, causal=True, slip=""):
    """Backward; `slip` says what to get wrong."""
    P = params
    h = x @ P["We"]
    q, k, v = h @ P["Wq"], h @ P["Wk"], h @ P["Wv"]
    root = np.sqrt(q.shape[-1]).astype(x.dtype)
    scores = q @ swap(k) / root
    if causal:
        scores = np.where(np.tril(np.ones((5, 5), bool)), scores, -1e9).astype(x.dtype)
    p = softmax(scores)
    context = p @ v
    dy = 2 * (h + context @ P["Wo"] - t) / t.size
    dcontext = dy @ P["Wo"].T
    dv = (p if slip == "dv" else swap(p)) @ dcontext
    dp = dcontext @ swap(context if slip == "context for v" else v)
    ds = softmax_back(dp, p) / root
    if slip == "root":
        ds = ds * root
    dq = ds @ k
    dk = (ds if slip == "dk" else swap(ds)) @ q
    dh = dq @ P["Wq"].T + dk @ P["Wk"].T + dv @ P["Wv"].T
    if slip == "overwritten":
        dh = dv @ P["Wv"].T
    if slip != "residual":
        dh = dh + dy

    def weight(a, d):
        return np.einsum("nti,nto->io", a, d)

    return {
        "We": weight(x, dh),
        "Wq": weight(h, dq),
        "Wk": weight(h, dk),
        "Wv": weight(h, dv),
        "Wo": weight(context, dy),
    }


net = Network("one_head", loss_fn, inputs, grads, batch=3)


@net.fault("missing_term", "overwritten", at="residual")
def residual_forgotten(params, x, t):
    """The skip connection is in the forward pass only."""
    return grads(params, x, t, slip="residual")


@net.fault("wrong_derivative", "missing_term", at="softmax")
def softmax_as_a_sigmoid(params, x, t):
    """p(1 − p)."""
    return grads(params, x, t, softmax_back=lambda dp, p: dp * p * (1 - p))


@net.fault("wrong_axis", at="softmax")
def softmax_backward_over_the_queries(params, x, t):
    """The inner sum runs over axis 1."""
    return grads(params, x, t, softmax_back=lambda dp, p: p * (dp - (dp * p).sum(axis=1, keepdims=True)))


@net.fault("scale", at="scores", single=True)
def root_of_d_forgotten(params, x, t):
    """No 1/√d on the way back."""
    return grads(params, x, t, slip="root")


@net.fault("transposed", at="scores")
def scores_not_transposed_for_the_keys(params, x, t):
    """dk = ds q for dsᵀ q."""
    return grads(params, x, t, slip="dk")


@net.fault("transposed", at="context", called=True)
def weights_not_transposed_for_the_values(params, x, t):
    """dv = p dcontext."""
    return grads(params, x, t, slip="dv")


@net.fault("overwritten", "missing_term", at=("embed", "query", "key", "value"))
def last_branch_only(params, x, t):
    """dh is assigned three times: what the values give is left."""
    return grads(params, x, t, slip="overwritten")


@net.fault("wrong_mask", at="mask")
def looks_into_the_future(params, x, t):
    """The attention weights of the backward pass are recomputed without the causal mask."""
    return grads(params, x, t, causal=False)


@net.fault("wrong_operand", at="context")
def context_for_values(params, x, t):
    """dp = dcontext contextᵀ."""
    return grads(params, x, t, slip="context for v")


@net.fault("scale", "missing_term", "overwritten", at=("scores", "residual"))
def two_no_root_no_residual(params, x, t):
    """Two slips: 1/√d and the skip connection."""

    def back(dp, p):
        return softmax_back(dp, p) * np.sqrt(3)

    return grads(params, x, t, softmax_back=back, slip="residual")


@net.right(seed=2)
def by_jacobians(params, x, t):
    """diag(p) − p pᵀ for every row."""

    def back(dp, p):
        jac = np.einsum("nqk,kl->nqkl", p, np.eye(5)) - np.einsum("nqk,nql->nqkl", p, p)
        return np.einsum("nqkl,nql->nqk", jac, dp)

    return grads(params, x, t, softmax_back=back)


net.right(single=True, called=True, seed=1)(grads)
