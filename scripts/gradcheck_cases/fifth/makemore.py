"""Karpathy's makemore MLP: character embeddings, batch norm with Bessel's correction, tanh, cross-entropy."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import softmax

EPS = 1e-5


def loss_fn(params, Xb, Yb):
    """The forward pass of "becoming a backprop ninja"."""
    n = Xb.shape[0]
    emb = params["C"][Xb]  # @emb
    embcat = emb.reshape(n, -1)  # @embcat
    hprebn = embcat @ params["W1"]  # @linear1
    bnmean = hprebn.sum(0, keepdims=True) / n  # @bnmean
    bndiff = hprebn - bnmean  # @bndiff
    bnvar = (bndiff**2).sum(0, keepdims=True) / (n - 1)  # @bnvar
    bnvar_inv = (bnvar + EPS) ** -0.5  # @bnvar_inv
    bnraw = bndiff * bnvar_inv  # @bnraw
    hpreact = params["bngain"] * bnraw + params["bnbias"]  # @hpreact
    h = jnp.tanh(hpreact)  # @tanh
    logits = h @ params["W2"] + params["b2"]  # @linear2
    logprobs = jax.nn.log_softmax(logits, axis=1)  # @logprobs
    return -logprobs[jnp.arange(n), Yb].mean()  # @loss


def inputs(rng, n):
    """Three characters of seven, 2 numbers each, 6 hidden units; never a batch of one (Bessel)."""
    n = max(n, 2)
    params = {
        "C": rng.normal(size=(7, 2)),
        "W1": rng.normal(size=(6, 6)) / 2,
        "bngain": rng.uniform(0.5, 1.5, size=6),
        "bnbias": rng.normal(size=6) * 0.3,
        "W2": rng.normal(size=(6, 7)),
        "b2": rng.normal(size=7),
    }
    return params, (rng.integers(0, 7, size=(n, 3)), rng.integers(0, 7, size=n))


class Cache:
    """All intermediate values of the forward pass and dlogits."""

    def __init__(self, params, Xb, Yb):
        self.n = len(Xb)
        self.embcat = params["C"][Xb].reshape(self.n, -1)
        hprebn = self.embcat @ params["W1"]
        self.bndiff = hprebn - hprebn.mean(0, keepdims=True)
        self.bnvar = (self.bndiff**2).sum(0, keepdims=True) / (self.n - 1)
        self.bnvar_inv = (self.bnvar + EPS) ** -0.5
        self.bnraw = self.bndiff * self.bnvar_inv
        self.hpreact = params["bngain"] * self.bnraw + params["bnbias"]
        self.h = np.tanh(self.hpreact)
        self.dlogits = softmax(self.h @ params["W2"] + params["b2"])
        self.dlogits[np.arange(self.n), Yb] -= 1
        self.dlogits /= self.n


def bn_backward(s, dbnraw):
    """Line by line, from dbnraw to dhprebn."""
    dbndiff = s.bnvar_inv * dbnraw
    dbnvar_inv = (s.bndiff * dbnraw).sum(0, keepdims=True)
    dbnvar = -0.5 * (s.bnvar + EPS) ** -1.5 * dbnvar_inv
    dbndiff2 = np.ones_like(s.bndiff) / (s.n - 1) * dbnvar
    dbndiff += 2 * s.bndiff * dbndiff2
    return dbndiff - dbndiff.sum(0) / s.n


def embed_backward(params, Xb, dembcat):
    """Every occurrence of a character adds to its row."""
    dC = np.zeros_like(params["C"])
    demb = dembcat.reshape(*Xb.shape, -1)
    for k in range(Xb.shape[0]):
        for j in range(Xb.shape[1]):
            dC[Xb[k, j]] += demb[k, j]
    return dC


def rest(params, Xb, s, dhpreact, bn=bn_backward, embed=embed_backward):
    """Everything below the tanh, and the last layer."""
    dhprebn = bn(s, params["bngain"] * dhpreact)
    return {
        "C": embed(params, Xb, dhprebn @ params["W1"].T),
        "W1": s.embcat.T @ dhprebn,
        "bngain": (s.bnraw * dhpreact).sum(0),
        "bnbias": dhpreact.sum(0),
        "W2": s.h.T @ s.dlogits,
        "b2": s.dlogits.sum(0),
    }


def grads(params, Xb, Yb, bn=bn_backward, embed=embed_backward):
    """The manual backward pass."""
    s = Cache(params, Xb, Yb)
    dhpreact = (1 - s.h**2) * (s.dlogits @ params["W2"].T)
    return rest(params, Xb, s, dhpreact, bn, embed)


net = Network("makemore", loss_fn, inputs, grads, batch=8)


@net.fault("overwritten", at="emb")
def fancy_indexing_adds_once(params, Xb, Yb):
    """dC[Xb] += demb: NumPy buffers, repeated characters count once."""

    def embed(params, Xb, dembcat):
        dC = np.zeros_like(params["C"])
        dC[Xb] += dembcat.reshape(Xb.shape[0], Xb.shape[1], 2)
        return dC

    return grads(params, Xb, Yb, embed=embed)


@net.fault("permuted", "transposed", at="embcat")
def unflattened_in_the_other_order(params, Xb, Yb):
    """The view is undone as (batch, 2, 3) and transposed."""

    def embed(params, Xb, dembcat):
        demb = dembcat.reshape(len(Xb), 2, 3).transpose(0, 2, 1)
        dC = np.zeros_like(params["C"])
        np.add.at(dC, Xb, demb)
        return dC

    return grads(params, Xb, Yb, embed=embed)


@net.fault("overwritten", "missing_term", at=("bndiff", "bnraw"))
def bndiff_assigned_twice(params, Xb, Yb):
    """The second use of bndiff replaces the first: = where += should be."""

    def bn(s, dbnraw):
        dbndiff = s.bnvar_inv * dbnraw
        dbnvar = -0.5 * (s.bnvar + EPS) ** -1.5 * (s.bndiff * dbnraw).sum(0, keepdims=True)
        dbndiff = (2 * s.bndiff) * (1 / (s.n - 1)) * dbnvar
        return dbndiff - dbndiff.sum(0) / s.n

    return grads(params, Xb, Yb, bn=bn)


@net.fault("scale", at="bnvar", called=True)
def bessel_forgotten(params, Xb, Yb):
    """1/n in the variance's backward, 1/(n - 1) in its forward."""

    def bn(s, dbnraw):
        dbndiff = s.bnvar_inv * dbnraw
        dbnvar = -0.5 * (s.bnvar + EPS) ** -1.5 * (s.bndiff * dbnraw).sum(0, keepdims=True)
        dbndiff += 2 * s.bndiff * dbnvar / s.n
        return dbndiff - dbndiff.mean(0)

    return grads(params, Xb, Yb, bn=bn)


@net.fault("missing_term", at=("bnmean", "bndiff"))
def no_gradient_through_the_mean(params, Xb, Yb):
    """dhprebn = dbndiff.clone() and that was it."""

    def bn(s, dbnraw):
        dbnvar = -0.5 * (s.bnvar + EPS) ** -1.5 * (s.bndiff * dbnraw).sum(0, keepdims=True)
        return s.bnvar_inv * dbnraw + 2 * s.bndiff * dbnvar / (s.n - 1)

    return grads(params, Xb, Yb, bn=bn)


@net.fault("scale", "wrong_derivative", at="bnvar_inv")
def power_rule_without_the_half(params, Xb, Yb):
    """-(v + eps)^-1.5: the exponent did not come down."""

    def bn(s, dbnraw):
        dbndiff = s.bnvar_inv * dbnraw
        dbnvar = -((s.bnvar + EPS) ** -1.5) * (s.bndiff * dbnraw).sum(0, keepdims=True)
        dbndiff += 2 * s.bndiff * dbnvar / (s.n - 1)
        return dbndiff - dbndiff.mean(0)

    return grads(params, Xb, Yb, bn=bn)


@net.fault("wrong_derivative", at="tanh")
def tanh_slope_of_the_preactivation(params, Xb, Yb):
    """1 - hpreact² for 1 - h²."""
    s = Cache(params, Xb, Yb)
    return rest(params, Xb, s, (1 - s.hpreact**2) * (s.dlogits @ params["W2"].T))


@net.fault("wrong_shape", at="hpreact")
def gain_keeps_its_row(params, Xb, Yb):
    """keepdims as for a (1, 6) gain; here it has one axis."""
    result = grads(params, Xb, Yb)
    s = Cache(params, Xb, Yb)
    dhpreact = (1 - s.h**2) * (s.dlogits @ params["W2"].T)
    result["bngain"] = (s.bnraw * dhpreact).sum(0, keepdims=True)
    result["bnbias"] = dhpreact.sum(0, keepdims=True)
    return result


@net.fault("mutated", at=("linear2", "tanh"))
def h_squared_in_place(params, Xb, Yb):
    """`h *= h` saves memory, but dW2 still needed h."""
    s = Cache(params, Xb, Yb)
    dh = s.dlogits @ params["W2"].T
    s.h *= s.h
    dhpreact = (1 - s.h) * dh
    return rest(params, Xb, s, dhpreact)


@net.fault("transposed", at="linear1", single=True)
def square_matrix_not_transposed(params, Xb, Yb):
    """dembcat = dhprebn @ W1 works too: W1 is 6 × 6."""
    s = Cache(params, Xb, Yb)
    dhpreact = (1 - s.h**2) * (s.dlogits @ params["W2"].T)
    result = rest(params, Xb, s, dhpreact)
    dhprebn = bn_backward(s, params["bngain"] * dhpreact)
    return {**result, "C": embed_backward(params, Xb, dhprebn @ params["W1"])}


@net.right(called=True)
def the_one_liner(params, Xb, Yb):
    """Exercise 3 of the lecture: the batch norm in one expression."""

    def bn(s, d):
        n = s.n
        return s.bnvar_inv / n * (n * d - d.sum(0) - n / (n - 1) * s.bnraw * (d * s.bnraw).sum(0))

    return grads(params, Xb, Yb, bn=bn)


@net.right(seed=5, n=2)
def embedding_by_one_hot(params, Xb, Yb):
    """A matrix product in place of the scatter, two examples."""

    def embed(params, Xb, dembcat):
        return np.eye(7)[Xb.ravel()].T @ dembcat.reshape(-1, 2)

    return grads(params, Xb, Yb, embed=embed)
