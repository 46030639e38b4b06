"""One head of attention over embedded tokens, padding masked, with a residual connection."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import softmax

SCALE = 1 / math.sqrt(3)


def loss_fn(params, tokens, keep, target):
    """Half the squared error per sequence; `keep` is 0 at padding."""
    x = params["emb"][tokens] + params["pos"]  # @embed
    q = x @ params["wq"]  # @query
    k = x @ params["wk"]  # @key
    v = x @ params["wv"]  # @value
    scores = jnp.einsum("nqd,nkd->nqk", q, k) * SCALE  # @scores
    scores = jnp.where(keep[:, None, :] > 0, scores, -1e9)  # @mask
    attn = jax.nn.softmax(scores, axis=-1)  # @softmax
    mixed = jnp.einsum("nqk,nkd->nqd", attn, v)  # @mix
    y = x + mixed @ params["wo"]  # @residual
    return 0.5 * jnp.sum((y - target) ** 2) / tokens.shape[0]  # @loss


def inputs(rng, n):
    """Six tokens, five of them in a sequence, model size 4, head size 3; up to two are padding."""
    params = {"emb": rng.normal(size=(6, 4)), "pos": rng.normal(size=(5, 4)) / 2}
    params |= {key: rng.normal(size=(4, 3)) for key in ("wq", "wk", "wv")}
    params["wo"] = rng.normal(size=(3, 4))
    keep = (np.arange(5) < 5 - np.arange(n)[:, None] % 3).astype(float)
    return params, (rng.integers(0, 6, size=(n, 5)), keep, rng.normal(size=(n, 5, 4)))


def forward(params, tokens, keep, scale=SCALE):
    """x, q, k, v, the attention and what it mixes."""
    x = params["emb"][tokens] + params["pos"]
    q, k, v = x @ params["wq"], x @ params["wk"], x @ params["wv"]
    scores = np.where(keep[:, None, :] > 0, q @ k.transpose(0, 2, 1) * scale, -1e9)
    attn = softmax(scores)
    return x, q, k, v, attn, attn @ v


def softmax_backward(attn, dattn):
    """a (da - Σ a da), row by row."""
    return attn * (dattn - (attn * dattn).sum(axis=-1, keepdims=True))


def finish(params, tokens, x, mixed, dy, dq, dk, dv, dx=None):
    """From the gradients of query, key and value to those of the parameters."""
    if dx is None:
        dx = dy + dq @ params["wq"].T + dk @ params["wk"].T + dv @ params["wv"].T
    demb = np.zeros_like(params["emb"])
    np.add.at(demb, tokens, dx)
    result = {"emb": demb, "pos": dx.sum(axis=0), "wo": np.einsum("nqd,nqm->dm", mixed, dy)}
    for key, d in zip(("wq", "wk", "wv"), (dq, dk, dv), strict=True):
        result[key] = np.einsum("ntm,ntd->md", x, d)
    return result


def grads(params, tokens, keep, target, fwd_scale=SCALE, scale=SCALE, inner=softmax_backward):
    """Backward; the scale and the softmax as given."""
    x, q, k, v, attn, mixed = forward(params, tokens, keep, fwd_scale)
    dy = (x + mixed @ params["wo"] - target) / len(tokens)
    dmixed = dy @ params["wo"].T
    ds = inner(attn, dmixed @ v.transpose(0, 2, 1)) * scale
    dv = attn.transpose(0, 2, 1) @ dmixed
    return finish(params, tokens, x, mixed, dy, ds @ k, ds.transpose(0, 2, 1) @ q, dv)


net = Network("masked_head", loss_fn, inputs, grads, batch=3)


@net.fault("scale", at="scores")
def scale_forgotten_on_the_way_back(params, tokens, keep, target):
    """The scores were divided by √d, their gradient is not."""
    return grads(params, tokens, keep, target, scale=1.0)


@net.fault("scale", "wrong_operand", at="scores")
def scaled_by_the_model_size(params, tokens, keep, target):
    """1/√4 of the model's size, in both passes; the head's size is 3."""
    return grads(params, tokens, keep, target, fwd_scale=0.5, scale=0.5)


@net.fault("wrong_axis", at="softmax")
def softmax_backward_over_queries(params, tokens, keep, target):
    """The inner sum of the softmax's backward has axis=1 for axis=-1."""

    def inner(attn, dattn):
        return attn * (dattn - np.sum(attn * dattn, axis=1, keepdims=True))

    return grads(params, tokens, keep, target, inner=inner)


@net.fault("wrong_derivative", at="softmax", called=True)
def softmax_like_a_sigmoid(params, tokens, keep, target):
    """Only the diagonal of the Jacobian: a (1 - a)."""
    return grads(params, tokens, keep, target, inner=lambda a, da: a * (1 - a) * da)


@net.fault("transposed", at="scores")
def keys_get_untransposed_scores(params, tokens, keep, target):
    """dk = ds @ q fits, ds being square."""
    x, q, k, v, attn, mixed = forward(params, tokens, keep)
    dy = (x + mixed @ params["wo"] - target) / len(tokens)
    dmixed = dy @ params["wo"].T
    ds = softmax_backward(attn, dmixed @ v.transpose(0, 2, 1)) * SCALE
    dv = np.einsum("nqk,nqd->nkd", attn, dmixed)
    return finish(params, tokens, x, mixed, dy, dq=ds @ k, dk=ds @ q, dv=dv)


@net.fault("transposed", at="mix", single=True)
def values_get_untransposed_attention(params, tokens, keep, target):
    """dv = attn @ dmixed."""
    x, q, k, v, attn, mixed = forward(params, tokens, keep)
    dy = (x + mixed @ params["wo"] - target) / len(tokens)
    dmixed = dy @ params["wo"].T
    ds = softmax_backward(attn, dmixed @ v.transpose(0, 2, 1)) * SCALE
    dk = ds.transpose(0, 2, 1) @ q
    return finish(params, tokens, x, mixed, dy, dq=ds @ k, dk=dk, dv=attn @ dmixed)


@net.fault("wrong_mask", at="mask")
def padding_attended_to(params, tokens, keep, target):
    """The hand-written forward has no mask."""
    return grads(params, tokens, np.ones_like(keep), target)


@net.fault("missing_term", at="residual")
def skip_connection_forgotten(params, tokens, keep, target):
    """dx collects query, key and value but not the residual."""
    x, q, k, v, attn, mixed = forward(params, tokens, keep)
    dy = (x + mixed @ params["wo"] - target) / len(tokens)
    dmixed = dy @ params["wo"].T
    ds = softmax_backward(attn, dmixed @ v.transpose(0, 2, 1)) * SCALE
    dq, dk, dv = ds @ k, ds.transpose(0, 2, 1) @ q, attn.transpose(0, 2, 1) @ dmixed
    dx = dq @ params["wq"].T + dk @ params["wk"].T + dv @ params["wv"].T
    return finish(params, tokens, x, mixed, dy, dq, dk, dv, dx)


@net.fault("overwritten", "missing_term", at=("embed", "query", "key"))
def x_used_three_times(params, tokens, keep, target):
    """dx = for query, key and value in turn: the last one stays."""
    x, q, k, v, attn, mixed = forward(params, tokens, keep)
    dy = (x + mixed @ params["wo"] - target) / len(tokens)
    dmixed = dy @ params["wo"].T
    ds = softmax_backward(attn, dmixed @ v.transpose(0, 2, 1)) * SCALE
    dq, dk, dv = ds @ k, ds.transpose(0, 2, 1) @ q, attn.transpose(0, 2, 1) @ dmixed
    for w, d in ((params["wq"], dq), (params["wk"], dk), (params["wv"], dv)):
        dx = d @ w.T
    return finish(params, tokens, x, mixed, dy, dq, dk, dv, dx + dy)


@net.fault("mutated", at=("mix", "softmax"))
def attention_reused_as_a_buffer(params, tokens, keep, target):
    """The softmax's backward multiplies into attn, and then dv is taken from it."""
    x, q, k, v, attn, mixed = forward(params, tokens, keep)
    dy = (x + mixed @ params["wo"] - target) / len(tokens)
    dmixed = dy @ params["wo"].T
    dattn = dmixed @ v.transpose(0, 2, 1)
    dattn -= (attn * dattn).sum(axis=-1, keepdims=True)
    attn *= dattn
    ds = attn * SCALE
    dv = attn.transpose(0, 2, 1) @ dmixed
    return finish(params, tokens, x, mixed, dy, ds @ k, ds.transpose(0, 2, 1) @ q, dv)


@net.fault("wrong_reduction", "missing_term", at="embed")
def positions_of_the_first_sequence(params, tokens, keep, target):
    """dpos = dx[0]: the broadcast over the batch is not summed."""
    result = grads(params, tokens, keep, target)
    alone = grads(params, tokens[:1], keep[:1], target[:1])
    return {**result, "pos": alone["pos"] / len(tokens)}


@net.right()
def softmax_by_its_jacobian(params, tokens, keep, target):
    """The full matrix diag(a) - a aᵀ."""

    def inner(attn, dattn):
        jacobian = np.einsum("nqk,kl->nqkl", attn, np.eye(5)) - np.einsum("nqk,nql->nqkl", attn, attn)
        return np.einsum("nqkl,nql->nqk", jacobian, dattn)

    return grads(params, tokens, keep, target, inner=inner)


@net.right(single=True, seed=2, n=4)
def in_single_precision(params, tokens, keep, target):
    """float32, four sequences."""
    return grads(params, tokens, keep, target)
