"""One head of self-attention with padding, a residual connection and layer norm (post-norm), squared error."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

EPS = 1e-5


def loss_fn(params, x, target, valid):
    """Mean squared error; `valid` is (batch, time), false where a token is padding."""
    e = x @ params["embed"]  # @embed
    q = e @ params["q"]  # @query
    k = e @ params["k"]  # @key
    v = e @ params["v"]  # @value
    scores = q @ k.transpose(0, 2, 1) / jnp.sqrt(q.shape[-1])  # @scores
    scores = jnp.where(valid[:, None, :], scores, -1e9)  # @padding
    weights = jax.nn.softmax(scores, axis=-1)  # @softmax
    mixed = weights @ v  # @mix
    r = e + mixed @ params["o"]  # @residual
    centred = r - r.mean(axis=-1, keepdims=True)  # @centre
    normal = centred / jnp.sqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + EPS)  # @normalise
    y = normal * params["gain"] + params["shift"]  # @affine
    return jnp.mean((y - target) ** 2)  # @loss


def inputs(rng, n):
    """Sequences of 3 tokens, 5 features, a model of 4; the first sequence ends in padding."""
    params = {key: rng.normal(size=(4, 4)) / 2 for key in ("q", "k", "v", "o")}
    params |= {"embed": rng.normal(size=(5, 4)), "gain": rng.uniform(0.5, 2, size=4), "shift": rng.normal(size=4)}
    valid = np.ones((n, 3), bool)
    valid[0, 2] = False
    return params, (rng.normal(size=(n, 3, 5)), rng.normal(size=(n, 3, 4)), valid)


def forward(params, x, valid):
    """Everything, in a dictionary."""
    e = x @ params["embed"]
    q, k, v = (e @ params[key] for key in "qkv")
    scores = np.where(valid[:, None, :], q @ k.transpose(0, 2, 1) / 2, -1e9)
    a = np.exp(scores - scores.max(axis=-1, keepdims=True))
    a /= a.sum(axis=-1, keepdims=True)
    mixed = a @ v
    r = e + mixed @ params["o"]
    inv = 1 / np.sqrt(r.var(axis=-1, keepdims=True) + EPS)
    normal = (r - r.mean(axis=-1, keepdims=True)) * inv
    return {"e": e, "q": q, "k": k, "v": v, "a": a, "mixed": mixed, "inv": inv, "normal": normal}


def norm_backward(dn, normal, inv):
    """Over the features."""
    mean, share = dn.mean(axis=-1, keepdims=True), (dn * normal).mean(axis=-1, keepdims=True)
    return inv * (dn - mean - normal * share)


def softmax_backward(da, a):
    """A (da − Σ a da)."""
    return a * (da - (a * da).sum(axis=-1, keepdims=True))


def scores_backward(ds, q, k):
    """Divided by √4."""
    return ds @ k / 2, ds.transpose(0, 2, 1) @ q / 2


def to_embedding(dr, dq, dk, dv, params):
    """The embedding is used four times."""
    return dr + dq @ params["q"].T + dk @ params["k"].T + dv @ params["v"].T


def outer(x, d):
    """Weights of a layer applied to each token."""
    return np.einsum("nti,ntj->ij", x, d)


def grads(
    params, x, target, valid, norm=norm_backward, soft=softmax_backward, score=scores_backward, sum_up=to_embedding
):
    """Backward, with the pieces as given."""
    c = forward(params, x, valid)
    dy = 2 * (c["normal"] * params["gain"] + params["shift"] - target) / target.size
    dr = norm(dy * params["gain"], c["normal"], c["inv"])
    dmixed = dr @ params["o"].T
    dv = c["a"].transpose(0, 2, 1) @ dmixed
    dq, dk = score(soft(dmixed @ c["v"].transpose(0, 2, 1), c["a"]), c["q"], c["k"])
    return {
        "embed": outer(x, sum_up(dr, dq, dk, dv, params)),
        "q": outer(c["e"], dq),
        "k": outer(c["e"], dk),
        "v": outer(c["e"], dv),
        "o": outer(c["mixed"], dr),
        "gain": (dy * c["normal"]).sum(axis=(0, 1)),
        "shift": dy.sum(axis=(0, 1)),
    }


net = Network("attention_block", loss_fn, inputs, grads, batch=2)


@net.fault("missing_term", at="residual", n=1)
def residual_without_the_skip(params, x, target, valid):
    """The gradient comes back through attention only."""

    def sum_up(dr, dq, dk, dv, params):
        return dq @ params["q"].T + dk @ params["k"].T + dv @ params["v"].T

    return grads(params, x, target, valid, sum_up=sum_up)


@net.fault("overwritten", "missing_term", at=("residual", "query", "key"))
def embedding_overwritten(params, x, target, valid):
    """`de = …` four times instead of `de += …`: the values' remains."""

    def sum_up(dr, dq, dk, dv, params):
        de = dr
        de = dq @ params["q"].T
        de = dk @ params["k"].T
        de = dv @ params["v"].T
        return de

    return grads(params, x, target, valid, sum_up=sum_up)


@net.fault("scale", at="scores")
def root_of_the_width_forgotten(params, x, target, valid):
    """The forward pass divides by √d, the backward doesn't."""
    return grads(params, x, target, valid, score=lambda ds, q, k: (ds @ k, ds.transpose(0, 2, 1) @ q))


@net.fault("transposed", at="scores")
def keys_by_untransposed_scores(params, x, target, valid):
    """Dk = ds @ q; ds is square."""
    return grads(params, x, target, valid, score=lambda ds, q, k: (ds @ k / 2, ds @ q / 2))


@net.fault("wrong_operand", at="scores", called=True)
def queries_and_keys_not_swapped(params, x, target, valid):
    """Each gets its own value for a factor."""
    return grads(params, x, target, valid, score=lambda ds, q, k: (ds @ q / 2, ds.transpose(0, 2, 1) @ k / 2))


@net.fault("wrong_derivative", at="softmax")
def softmax_with_a_diagonal_jacobian(params, x, target, valid):
    """A (1 − a), as for a sigmoid."""
    return grads(params, x, target, valid, soft=lambda da, a: da * a * (1 - a))


@net.fault("wrong_axis", at="softmax", single=True)
def softmax_sum_over_the_queries(params, x, target, valid):
    """`axis=1` in the backward pass."""
    return grads(params, x, target, valid, soft=lambda da, a: a * (da - (a * da).sum(axis=1, keepdims=True)))


@net.fault("wrong_mask", at="padding")
def padding_not_masked(params, x, target, valid):
    """Without the mask."""
    return grads(params, x, target, np.ones_like(valid))


@net.fault("wrong_axis", at=("centre", "normalise"))
def norm_sums_over_the_tokens(params, x, target, valid):
    """`axis=1` for the two means of the backward pass."""

    def norm(dn, normal, inv):
        return inv * (dn - dn.mean(axis=1, keepdims=True) - normal * (dn * normal).mean(axis=1, keepdims=True))

    return grads(params, x, target, valid, norm=norm)


@net.fault("wrong_shape", "wrong_reduction", at="affine")
def shift_summed_over_the_batch(params, x, target, valid):
    """`dy.sum(0)` as with two axes: the tokens remain."""
    c = forward(params, x, valid)
    dy = 2 * (c["normal"] * params["gain"] + params["shift"] - target) / target.size
    return {**grads(params, x, target, valid), "shift": dy.sum(0)}


@net.fault("permuted", "wrong_operand", at=("query", "key"))
def query_and_key_exchanged(params, x, target, valid):
    """`return dWk, dWq, …` where the caller unpacks dWq, dWk."""
    right = grads(params, x, target, valid)
    return {**right, "q": right["k"], "k": right["q"]}


@net.fault("scale", "missing_term", at=("scores", "residual"))
def neither_root_nor_skip(params, x, target, valid):
    """Two mistakes: √d and the residual are forgotten."""
    return grads(
        params,
        x,
        target,
        valid,
        score=lambda ds, q, k: (ds @ k, ds.transpose(0, 2, 1) @ q),
        sum_up=lambda dr, dq, dk, dv, params: dq @ params["q"].T + dk @ params["k"].T + dv @ params["v"].T,
    )


@net.right()
def softmax_by_jacobians(params, x, target, valid):
    """diag(a) − a aᵀ for each row."""

    def soft(da, a):
        jacobian = a[..., None] * np.eye(a.shape[-1]) - a[..., None] * a[..., None, :]
        return np.einsum("nij,nijk->nik", da, jacobian)

    return grads(params, x, target, valid, soft=soft)


@net.right(seed=7, single=True, n=1)
def one_sequence_in_single_precision(params, x, target, valid):
    """The division by √d moved to the scores' gradient."""
    return grads(params, x, target, valid, score=lambda ds, q, k: ((ds / 2) @ k, np.swapaxes(ds / 2, 1, 2) @ q))
