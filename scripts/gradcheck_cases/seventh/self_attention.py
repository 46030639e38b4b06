"""Single-head self-attention over embedded tokens, mean pooling, a linear classifier."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, x, labels):
    """Mean cross-entropy; `x` is (batch, time, feature)."""
    wq, wk, wv = params["attn"]
    e = x @ params["embed"]  # @embed
    q, k, v = e @ wq, e @ wk, e @ wv  # @qkv
    scores = jnp.einsum("btd,bsd->bts", q, k)  # @scores
    scaled = scores / jnp.sqrt(q.shape[-1])  # @scaled
    weights = jax.nn.softmax(scaled, axis=-1)  # @softmax
    ctx = jnp.einsum("bts,bsd->btd", weights, v)  # @context
    pooled = ctx.mean(axis=1)  # @pool
    logits = pooled @ params["out"]["w"] + params["out"]["b"]  # @logits
    logp = jax.nn.log_softmax(logits)  # @logsoftmax
    return -logp[jnp.arange(labels.shape[0]), labels].mean()  # @loss


def inputs(rng, n):
    """Four tokens of two features, width five, heads of width three, three classes."""
    params = {
        "attn": [rng.normal(size=(5, 3)) for _ in range(3)],
        "embed": rng.normal(size=(2, 5)),
        "out": {"w": rng.normal(size=(3, 3)), "b": rng.normal(size=3)},
    }
    return params, (rng.normal(size=(n, 4, 2)), np.arange(n) % 3)


def softmax(z, axis=-1):
    """Shifted by the maximum."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_back(dw, w):
    """w (dw − Σ w dw)."""
    return w * (dw - (w * dw).sum(axis=-1, keepdims=True))


def outer(a, b):
    """aᵀ b summed over batch and time."""
    return np.einsum("bti,btj->ij", a, b)


def grads(params, x, labels, back=softmax_back, slip=""):
    """Backward; `slip` names the line that goes wrong."""
    wq, wk, wv = params["attn"]
    e = x @ params["embed"]
    q, k, v = e @ wq, e @ wk, e @ wv
    n, t, d = q.shape
    a = softmax(q @ k.transpose(0, 2, 1) / d**0.5)
    pooled = (a @ v).mean(axis=1)
    dlogits = softmax(pooled @ params["out"]["w"] + params["out"]["b"])
    dlogits[np.arange(n), labels] -= 1
    dlogits /= n
    dpooled = dlogits @ params["out"]["w"].T
    dctx = np.repeat(dpooled[:, None], t, axis=1) / (1 if slip == "pool" else t)
    if slip == "first token":
        dctx = np.zeros_like(v)
        dctx[:, 0] = dpooled
    dv = (a if slip == "v" else a.transpose(0, 2, 1)) @ dctx
    ds = back(dctx @ v.transpose(0, 2, 1), a) / (1 if slip == "root" else d**0.5)
    dq = ds @ k
    dk = (ds if slip == "k" else ds.transpose(0, 2, 1)) @ q
    if slip == "q and k":
        dq, dk = ds @ q, ds.transpose(0, 2, 1) @ k
    de = dq @ wq.T + dk @ wk.T + dv @ wv.T
    if slip == "only v":
        de = dv @ wv.T
    return {
        "attn": [outer(e, dq), outer(e, dk), outer(e, dv)],
        "embed": outer(x, de),
        "out": {"w": pooled.T @ dlogits, "b": dlogits.sum(axis=0)},
    }


net = Network("self_attention", loss_fn, inputs, grads, batch=4)


@net.fault("scale", at="scaled")
def root_of_the_width_missing(params, x, labels):
    """Forward divides by √d, backward does not."""
    return grads(params, x, labels, slip="root")


@net.fault("missing_term", "wrong_derivative", at="softmax")
def softmax_diagonal_only(params, x, labels):
    """w (1 − w)."""
    return grads(params, x, labels, back=lambda dw, w: dw * w * (1 - w))


@net.fault("wrong_axis", at="softmax")
def softmax_sum_over_queries(params, x, labels):
    """The sum in the softmax's backward runs over axis 1."""
    return grads(params, x, labels, back=lambda dw, w: w * (dw - (w * dw).sum(axis=1, keepdims=True)))


@net.fault("transposed", at="scores", n=1, seed=1)
def key_gradient_without_transpose(params, x, labels):
    """dk = ds @ q: the scores are square, nobody complains."""
    return grads(params, x, labels, slip="k")


@net.fault("transposed", at="context")
def value_gradient_without_transpose(params, x, labels):
    """dv = weights @ dctx."""
    return grads(params, x, labels, slip="v")


@net.fault("wrong_operand", at="scores", called=True, seed=2)
def queries_and_keys_confused(params, x, labels):
    """dq is made of q and dk of k."""
    return grads(params, x, labels, slip="q and k")


@net.fault("overwritten", "missing_term", at="qkv")
def embedding_from_the_values_only(params, x, labels):
    """de = … three times, the last one stays."""
    return grads(params, x, labels, slip="only v")


@net.fault("scale", "wrong_reduction", at="pool")
def mean_over_tokens_not_divided(params, x, labels):
    """Broadcast back without 1/T."""
    return grads(params, x, labels, slip="pool")


@net.fault("wrong_reduction", "wrong_pooling", at="pool", single=True)
def gradient_to_the_first_token(params, x, labels):
    """As with a [CLS] token; the forward pass takes the mean."""
    return grads(params, x, labels, slip="first token")


@net.fault("transposed", "missing_term", "wrong_derivative", at=("softmax", "scores"))
def two_slips_in_the_scores(params, x, labels):
    """Two slips: the diagonal softmax Jacobian and dk without its transpose."""
    return grads(params, x, labels, back=lambda dw, w: dw * w * (1 - w), slip="k")


@net.right(n=1)
def softmax_by_jacobian(params, x, labels):
    """One sequence, a Jacobian for every row."""

    def back(dw, w):
        jacobian = np.einsum("bts,su->btsu", w, np.eye(w.shape[-1])) - np.einsum("bts,btu->btsu", w, w)
        return np.einsum("btsu,btu->bts", jacobian, dw)

    return grads(params, x, labels, back=back)


@net.right(single=True, seed=3)
def float32_sequences(params, x, labels):
    """w dw − w Σ."""

    def back(dw, w):
        g = w * dw
        return g - w * g.sum(axis=-1, keepdims=True)

    return grads(params, x, labels, back=back)
