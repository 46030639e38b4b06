"""Causal multi-head self-attention with learned positions and a residual connection."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

HEADS = 2


def loss_fn(params, tokens, target):
    """Mean squared error at every position."""
    x = tokens + params["pos"]  # @positions
    n, t, d = x.shape

    def heads(z):
        return z.reshape(n, t, HEADS, d // HEADS).transpose(0, 2, 1, 3)  # @split

    q = heads(x @ params["wq"])  # @query
    k = heads(x @ params["wk"])  # @key
    v = heads(x @ params["wv"])  # @value
    scores = q @ k.swapaxes(-1, -2) / jnp.sqrt(d // HEADS)  # @scores
    scores = jnp.where(jnp.tril(jnp.ones((t, t), bool)), scores, -1e9)  # @causal
    attn = jax.nn.softmax(scores, axis=-1)  # @softmax
    mixed = attn @ v  # @mix
    merged = mixed.transpose(0, 2, 1, 3).reshape(n, t, d)  # @merge
    y = x + merged @ params["wo"]  # @residual
    return jnp.mean((y - target) ** 2)  # @loss


def inputs(rng, n):
    """Sequences of four tokens of width six, two heads of three."""
    params = {name: rng.normal(size=(6, 6)) * 0.5 for name in ("wq", "wk", "wv", "wo")}
    params["pos"] = rng.normal(size=(4, 6)) * 0.5
    return params, (rng.normal(size=(n, 4, 6)), rng.normal(size=(n, 4, 6)))


def split(z):
    """(n, t, d) to (n, head, t, d/heads)."""
    n, t, d = z.shape
    return z.reshape(n, t, HEADS, d // HEADS).transpose(0, 2, 1, 3)


def merge(z):
    """Back again."""
    n, h, t, d = z.shape
    return z.transpose(0, 2, 1, 3).reshape(n, t, h * d)


def softmax(s, axis=-1):
    """Of scores."""
    e = np.exp(s - s.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_back(da, a):
    """Row by row: a (da - a·da)."""
    return a * (da - (da * a).sum(axis=-1, keepdims=True))


def outer(x, d):
    """Gradient of a matrix applied to the last axis."""
    return np.einsum("nti,nto->io", x, d)


def grads(p, tokens, target, mask=None, dim=3, soft_axis=-1, soft_back=softmax_back, unmerge=split, slip=""):
    """Forward, then backward."""
    x = tokens + p["pos"]
    t = x.shape[1]
    mask = np.tril(np.ones((t, t), bool)) if mask is None else mask
    q, k, v = split(x @ p["wq"]), split(x @ p["wk"]), split(x @ p["wv"])
    scores = np.where(mask, q @ k.swapaxes(-1, -2) / np.sqrt(dim), -1e9).astype(x.dtype)
    a = softmax(scores, soft_axis)
    merged = merge(a @ v)
    y = x + merged @ p["wo"]

    dy = 2 * (y - target) / target.size
    dmerged = dy @ (p["wo"] if slip == "wo" else p["wo"].T)
    dmixed = unmerge(dmerged)
    dv = (a if slip == "attn" else a.swapaxes(-1, -2)) @ dmixed
    da = dmixed @ v.swapaxes(-1, -2)
    ds = soft_back(da, a)
    if slip != "no scale":
        ds = ds / np.sqrt(np.asarray(dim, x.dtype))
    dq = ds @ k
    dk = (ds if slip == "dk" else ds.swapaxes(-1, -2)) @ q
    dq, dk, dv = merge(dq), merge(dk), merge(dv)
    dx = dq @ p["wq"].T + dk @ p["wk"].T + dv @ p["wv"].T
    if slip == "last":
        dx = dv @ p["wv"].T
    if slip != "no residual":
        dx = dx + dy
    dpos = {"mean": dx.mean(0), "unsummed": dx}.get(slip, dx.sum(0))
    return {"wq": outer(x, dq), "wk": outer(x, dk), "wv": outer(x, dv), "wo": outer(merged, dy), "pos": dpos}


net = Network("causal_attention", loss_fn, inputs, grads, batch=3)


@net.fault("scale", "missing_term", at="scores")
def root_d_forgotten_in_backward(params, tokens, target):
    """The scores are divided by √d, their gradient is not."""
    return grads(params, tokens, target, slip="no scale")


@net.fault("scale", at="scores", called=True)
def root_of_the_model_width(params, tokens, target):
    """√6 for √3: the width before the split, forward and backward."""
    return grads(params, tokens, target, dim=6)


@net.fault("wrong_mask", at="causal")
def future_not_masked(params, tokens, target):
    """No causal mask in the hand-written forward pass."""
    t = tokens.shape[1]
    return grads(params, tokens, target, mask=np.ones((t, t), bool))


@net.fault("wrong_mask", "transposed", at="causal")
def upper_triangle(params, tokens, target):
    """triu for tril."""
    t = tokens.shape[1]
    return grads(params, tokens, target, mask=np.triu(np.ones((t, t), bool)))


@net.fault("wrong_axis", at="softmax")
def normalised_over_queries(params, tokens, target):
    """softmax(axis=-2), its backward along the same axis."""

    def back(da, a):
        return a * (da - (da * a).sum(axis=-2, keepdims=True))

    return grads(params, tokens, target, soft_axis=-2, soft_back=back)


@net.fault("wrong_axis", at="softmax")
def backward_sum_over_queries(params, tokens, target):
    """The forward pass is right, the sum of the softmax's backward is over the other axis."""
    return grads(params, tokens, target, soft_back=lambda da, a: a * (da - (da * a).sum(axis=-2, keepdims=True)))


@net.fault("missing_term", "wrong_derivative", at="softmax", single=True)
def softmax_by_its_diagonal(params, tokens, target):
    """a (1 - a) as for a sigmoid."""
    return grads(params, tokens, target, soft_back=lambda da, a: da * a * (1 - a))


@net.fault("transposed", at="scores")
def key_gradient_without_transpose(params, tokens, target):
    """dK = dS Q."""
    return grads(params, tokens, target, slip="dk")


@net.fault("transposed", at="mix")
def value_gradient_without_transpose(params, tokens, target):
    """dV = A dO."""
    return grads(params, tokens, target, slip="attn")


@net.fault("transposed", at="residual")
def output_matrix_not_transposed(params, tokens, target):
    """dy @ wo: both are square, nothing complains."""
    return grads(params, tokens, target, slip="wo")


@net.fault("permuted", at=("merge", "split"))
def heads_reshaped_without_transpose(params, tokens, target):
    """The gradient is cut into heads by reshape alone."""

    def unmerge(z):
        n, t, d = z.shape
        return z.reshape(n, HEADS, t, d // HEADS)

    return grads(params, tokens, target, unmerge=unmerge)


@net.fault("missing_term", at="residual")
def skip_connection_forgotten(params, tokens, target):
    """Positions get the attention's path only."""
    return grads(params, tokens, target, slip="no residual")


@net.fault("overwritten", "missing_term", at=("query", "key", "positions"), seed=1)
def only_the_last_of_three_paths(params, tokens, target):
    """`dx =` for queries, keys and values in turn."""
    return grads(params, tokens, target, slip="last")


@net.fault("wrong_reduction", "scale", at="positions")
def positions_averaged_over_the_batch(params, tokens, target):
    """mean(0) for sum(0)."""
    return grads(params, tokens, target, slip="mean")


@net.fault("wrong_shape", "wrong_reduction", at="positions", n=1)
def batch_axis_left_on_positions(params, tokens, target):
    """A batch of one: the values are right, the leading axis is still there."""
    return grads(params, tokens, target, slip="unsummed")


@net.right()
def by_full_jacobian(params, tokens, target):
    """diag(a) - a aᵀ for each row."""

    def back(da, a):
        jacobian = a[..., :, None] * np.eye(a.shape[-1]) - a[..., :, None] * a[..., None, :]
        return np.einsum("nhtij,nhtj->nhti", jacobian, da)

    return grads(params, tokens, target, soft_back=back)


@net.right(single=True, seed=3)
def in_float32(params, tokens, target):
    """Single precision."""
    return grads(params, tokens, target)
