"""One head of causal self-attention as in Karpathy's GPT lecture, output tied to the embedding."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, tokens, targets):
    """Mean cross-entropy of the next token."""
    time = tokens.shape[1]
    x = params["E"][tokens] + params["P"]  # @embed
    q = x @ params["Wq"]  # @q
    k = x @ params["Wk"]  # @k
    v = x @ params["Wv"]  # @v
    scores = q @ k.swapaxes(1, 2) / jnp.sqrt(4.0)  # @scores
    masked = jnp.where(jnp.tril(jnp.ones((time, time), bool)), scores, -1e9)  # @causal
    att = jax.nn.softmax(masked, axis=-1)  # @att
    y = att @ v  # @mix
    out = x + y @ params["Wo"]  # @residual
    logits = out @ params["E"].T  # @logits
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(jnp.take_along_axis(log_p, targets[..., None], axis=-1))  # @loss


def inputs(rng, n):
    """Vocabulary of 6, width 4, five positions."""
    params = {key: rng.normal(size=(4, 4)) / 1.5 for key in ("Wq", "Wk", "Wv", "Wo")}
    params["E"], params["P"] = rng.normal(size=(6, 4)), rng.normal(size=(5, 4)) / 2
    text = rng.integers(0, 6, size=(n, 6))
    return params, (text[:, :-1], text[:, 1:])


def softmax(a, axis=-1):
    """Stable."""
    e = np.exp(a - a.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def grads(params, tokens, targets, wrong="", axis=-1):
    """Forward and backward; `wrong` names the slip."""
    E, Wq, Wk, Wv, Wo = (params[key] for key in ("E", "Wq", "Wk", "Wv", "Wo"))
    n, time = tokens.shape
    x = E[tokens] + params["P"]
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    mask = np.tril(np.ones((time, time), bool))
    att = softmax(np.where(mask, q @ k.swapaxes(1, 2) / 2, -1e9), axis)
    y = att @ v
    out = x + y @ Wo
    dlogits = softmax(out @ E.T)
    dlogits -= np.eye(6)[targets]
    dlogits /= n if wrong == "n only" else n * time
    dE = np.einsum("ntv,ntd->vd", dlogits, out)
    dout = dlogits @ E
    dWo = np.einsum("nti,nto->io", y, dout)
    dy = dout @ Wo.T
    datt = dy @ v.swapaxes(1, 2)
    dv = (att if wrong == "att" else att.swapaxes(1, 2)) @ dy
    if wrong == "diagonal":
        ds = datt * att * (1 - att)
    else:
        sum_axis = 1 if wrong == "sum axis" else axis
        ds = att * (datt - (datt * att).sum(axis=sum_axis, keepdims=True))
    if wrong != "no root":
        ds = ds / 2
    dq = ds @ k
    dk = ds.swapaxes(1, 2) @ q
    parts = [dout, dq @ Wq.T, dk @ Wk.T, dv @ Wv.T]
    if wrong == "no residual":
        parts = parts[1:]
    if wrong == "last path":
        parts = parts[:1] + parts[3:]
    dx = sum(parts)
    if wrong == "tied":
        dE = np.zeros_like(E)
    if wrong == "fancy":
        dE[tokens] += dx
    else:
        np.add.at(dE, tokens, dx)
    weights = {key: np.einsum("nti,nto->io", x, d) for key, d in (("Wq", dq), ("Wk", dk), ("Wv", dv))}
    return {**weights, "Wo": dWo, "E": dE, "P": dx.sum(axis=0)}


net = Network("tied_attention", loss_fn, inputs, grads, batch=3)


@net.fault("scale", "missing_term", at="scores")
def root_of_d_forgotten(params, tokens, targets):
    """ds is not divided by √d."""
    return grads(params, tokens, targets, "no root")


@net.fault("missing_term", "wrong_derivative", at="att", called=True)
def softmax_as_a_sigmoid(params, tokens, targets):
    """Only the Jacobian's diagonal: s (1 − s)."""
    return grads(params, tokens, targets, "diagonal")


@net.fault("wrong_axis", at="att")
def softmax_over_the_queries(params, tokens, targets):
    """`axis=1` in both directions."""
    return grads(params, tokens, targets, axis=1)


@net.fault("wrong_axis", at="att")
def row_sum_over_the_wrong_axis(params, tokens, targets):
    """Forward over keys; the sum in the softmax's backward over queries."""
    return grads(params, tokens, targets, "sum axis")


@net.fault("transposed", at="mix")
def attention_not_transposed(params, tokens, targets):
    """dv = att @ dy."""
    return grads(params, tokens, targets, "att")


@net.fault("missing_term", at="residual")
def residual_forgotten(params, tokens, targets):
    """The skip connection passes nothing back."""
    return grads(params, tokens, targets, "no residual")


@net.fault("overwritten", "missing_term", at=("q", "k"))
def dx_assigned_for_each_projection(params, tokens, targets):
    """`dx =` for each of q, k, v: the value's path is what remains (with the residual)."""
    return grads(params, tokens, targets, "last path")


@net.fault("missing_term", "overwritten", at="logits")
def tied_output_forgotten(params, tokens, targets):
    """The embedding gets no gradient from the output layer that shares it."""
    return grads(params, tokens, targets, "tied")


@net.fault("overwritten", "wrong_reduction", "missing_term", at="embed")
def repeated_tokens_once(params, tokens, targets):
    """`dE[tokens] += dx` adds once for each distinct token."""
    return grads(params, tokens, targets, "fancy")


@net.fault("scale", "wrong_loss", "wrong_reduction", at="loss", single=True)
def divided_by_the_batch_only(params, tokens, targets):
    """The loss is the mean over B · T, the gradient is divided by B."""
    return grads(params, tokens, targets, "n only")


@net.right()
def keys_in_another_order(params, tokens, targets):
    """Copies, in another order of the keys."""
    d = grads(params, tokens, targets)
    return {key: d[key].copy() for key in sorted(d, reverse=True)}


@net.right(single=True, seed=6)
def in_single_precision(params, tokens, targets):
    """float32."""
    return grads(params, tokens, targets)
