"""Karpathy's makemore part 4 ("backprop ninja"): embedding, linear, batch norm step by step, tanh, cross-entropy."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, Xb, Yb):
    """The forward pass broken into its atoms."""
    n = len(Xb)
    emb = params["C"][Xb]  # @emb
    embcat = emb.reshape(n, -1)  # @embcat
    hprebn = embcat @ params["W1"]  # @hprebn
    bnmeani = jnp.sum(hprebn, axis=0, keepdims=True) / n  # @bnmeani
    bndiff = hprebn - bnmeani  # @bndiff
    bnvar = jnp.sum(bndiff**2, axis=0, keepdims=True) / (n - 1)  # @bnvar
    bnvar_inv = (bnvar + 1e-5) ** -0.5  # @bnvar_inv
    bnraw = bndiff * bnvar_inv  # @bnraw
    hpreact = params["bngain"] * bnraw + params["bnbias"]  # @hpreact
    h = jnp.tanh(hpreact)  # @h
    logits = h @ params["W2"] + params["b2"]  # @logits
    norm_logits = logits - logits.max(axis=1, keepdims=True)  # @norm_logits
    counts = jnp.exp(norm_logits)  # @counts
    counts_sum = counts.sum(axis=1, keepdims=True)  # @counts_sum
    probs = counts / counts_sum  # @probs
    logprobs = jnp.log(probs)  # @logprobs
    return -jnp.mean(logprobs[jnp.arange(n), Yb])  # @loss


def inputs(rng, n):
    """Six characters, blocks of 3, embedded in 2 dimensions; 5 hidden units."""
    shapes = {"C": (6, 2), "W1": (6, 5), "bnbias": (1, 5), "W2": (5, 6), "b2": (6,)}
    params = {key: rng.normal(size=shape) for key, shape in shapes.items()}
    params["bngain"] = rng.uniform(0.5, 2, size=(1, 5))
    return params, (rng.integers(0, 6, size=(n, 3)), rng.integers(0, 6, size=n))


def grads(params, Xb, Yb, wrong=()):
    """The exercise's solution; `wrong` names slips."""
    n = len(Xb)
    emb = params["C"][Xb]
    embcat = emb.reshape(n, -1)
    hprebn = embcat @ params["W1"]
    bndiff = hprebn - hprebn.mean(axis=0, keepdims=True)
    bnvar = (bndiff**2).sum(axis=0, keepdims=True) / (n - 1)
    bnvar_inv = (bnvar + 1e-5) ** -0.5
    bnraw = bndiff * bnvar_inv
    hpreact = params["bngain"] * bnraw + params["bnbias"]
    h = np.tanh(hpreact)
    logits = h @ params["W2"] + params["b2"]
    counts = np.exp(logits - logits.max(axis=1, keepdims=True))
    counts_sum_inv = 1 / counts.sum(axis=1, keepdims=True)
    probs = counts * counts_sum_inv
    dlogprobs = np.zeros_like(probs)
    dlogprobs[np.arange(n), Yb] = -1.0 / n
    dprobs = dlogprobs / probs
    dcounts = dprobs * counts_sum_inv
    if "sum" not in wrong:
        dcounts = dcounts - (dprobs * counts).sum(axis=1, keepdims=True) * counts_sum_inv**2
    dlogits = dcounts * counts
    dh = dlogits @ params["W2"].T
    dhpreact = (1 - (hpreact if "preact" in wrong else h) ** 2) * dh
    dbnraw = params["bngain"] * dhpreact
    dbndiff = bnvar_inv * dbnraw
    dbnvar_inv = (bndiff * dbnraw).sum(axis=0, keepdims=True)
    dbnvar = -0.5 * (bnvar + 1e-5) ** (-0.5 if "power" in wrong else -1.5) * dbnvar_inv
    second = 2 * bndiff * dbnvar / (n if "bessel" in wrong else n - 1)
    dbndiff = second if "diff" in wrong else dbndiff + second
    dhprebn = dbndiff - dbndiff.sum(axis=0, keepdims=True) / n
    dembcat = dhprebn @ params["W1"].T
    demb = dembcat.reshape(emb.shape)
    if "view" in wrong:
        demb = dembcat.reshape(n, 2, 3).transpose(0, 2, 1)
    dC = np.zeros_like(params["C"])
    for k in range(n):
        for j in range(3):
            if "assigned" in wrong:
                dC[Xb[k, j]] = demb[k, j]
            else:
                dC[Xb[k, j]] += demb[k, j]
    gain, bias = ((a * dhpreact).sum(axis=0, keepdims="flat" not in wrong) for a in (bnraw, np.ones_like(bnraw)))
    weights = {"C": dC, "W1": embcat.T @ dhprebn, "W2": h.T @ dlogits, "b2": dlogits.sum(axis=0)}
    return {**weights, "bngain": gain, "bnbias": bias}


net = Network("makemore_bn", loss_fn, inputs, grads, batch=7)


@net.fault("missing_term", at=("counts_sum", "probs", "counts"))
def second_branch_of_counts(params, Xb, Yb):
    """counts is used twice; the way through its sum is left out."""
    return grads(params, Xb, Yb, ["sum"])


@net.fault("overwritten", at=("bndiff", "bnraw", "bnvar"))
def bndiff_assigned_twice(params, Xb, Yb):
    """`dbndiff = …` again for the branch through the variance."""
    return grads(params, Xb, Yb, ["diff"])


@net.fault("scale", "wrong_loss", at="bnvar", called=True)
def bessel_forgotten_in_backward(params, Xb, Yb):
    """1/n for 1/(n − 1)."""
    return grads(params, Xb, Yb, ["bessel"])


@net.fault("wrong_derivative", at="bnvar_inv")
def power_not_lowered(params, Xb, Yb):
    """−½ (v + ε)^−½: the exponent keeps its value."""
    return grads(params, Xb, Yb, ["power"])


@net.fault("permuted", at="embcat")
def view_in_another_order(params, Xb, Yb):
    """The embeddings are taken apart as (dimension, block)."""
    return grads(params, Xb, Yb, ["view"])


@net.fault("overwritten", at="emb")
def rows_of_c_assigned(params, Xb, Yb):
    """`dC[ix] = demb[k, j]` for `+=`."""
    return grads(params, Xb, Yb, ["assigned"])


@net.fault("wrong_shape", at="hpreact")
def gain_and_bias_without_keepdim(params, Xb, Yb):
    """`sum(0)` of parameters of shape (1, 5)."""
    return grads(params, Xb, Yb, ["flat"])


@net.fault("wrong_derivative", "overwritten", at=("h", "emb"))
def slope_and_rows(params, Xb, Yb):
    """Two slips: 1 − hpreact², and dC assigned."""
    return grads(params, Xb, Yb, ["preact", "assigned"])


@net.right()
def in_one_formula(params, Xb, Yb):
    """Exercises 2 and 3: softmax minus one-hot, batch norm in one line."""
    n = len(Xb)
    embcat = params["C"][Xb].reshape(n, -1)
    z = embcat @ params["W1"]
    inv = (z.var(axis=0, ddof=1) + 1e-5) ** -0.5
    raw = (z - z.mean(axis=0)) * inv
    h = np.tanh(params["bngain"] * raw + params["bnbias"])
    logits = h @ params["W2"] + params["b2"]
    d = np.exp(logits)
    d = (d / d.sum(axis=1, keepdims=True) - np.eye(6)[Yb]) / n
    dpre = d @ params["W2"].T * (1 - h**2)
    dz = params["bngain"] * inv / n * (n * dpre - dpre.sum(0) - n / (n - 1) * raw * (dpre * raw).sum(0))
    dC = np.zeros_like(params["C"])
    np.add.at(dC, Xb, (dz @ params["W1"].T).reshape(n, 3, 2))
    gain, bias = (dpre * raw).sum(0, keepdims=True), dpre.sum(0, keepdims=True)
    return {"C": dC, "W1": embcat.T @ dz, "bngain": gain, "bnbias": bias, "W2": h.T @ d, "b2": d.sum(0)}


@net.right(called=True, seed=2)
def as_in_the_lecture(params, Xb, Yb):
    """Atom by atom."""
    return grads(params, Xb, Yb)
