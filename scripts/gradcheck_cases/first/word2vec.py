"""Skip-gram with negative sampling."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import sigmoid


def loss_fn(params, centers, contexts, negatives):
    """Mean over pairs of −log σ(u·v) − Σ log σ(−u_k·v)."""
    v = params["in"][centers]  # @center
    u = params["out"][contexts]  # @context
    u_neg = params["out"][negatives]  # @negatives
    positive = jnp.sum(v * u, axis=1)  # @positive_score
    negative = jnp.einsum("nd,nkd->nk", v, u_neg)  # @negative_score
    good = jax.nn.log_sigmoid(positive)  # @positive_loss
    bad = jnp.sum(jax.nn.log_sigmoid(-negative), axis=1)  # @negative_loss
    return -jnp.mean(good + bad)  # @loss


def inputs(rng, n):
    """Six words, three negative samples a pair; words repeat."""
    params = {"in": rng.normal(size=(6, 3)), "out": rng.normal(size=(6, 3))}
    centers = np.arange(n) % 3
    return params, (centers, (centers + 1 + np.arange(n) % 2) % 6, rng.integers(0, 6, size=(n, 3)))


def pieces(params, centers, contexts, negatives):
    """Vectors, and the gradients of the scores."""
    v, u, u_neg = params["in"][centers], params["out"][contexts], params["out"][negatives]
    dpos = (sigmoid(np.sum(v * u, axis=1)) - 1) / len(centers)
    dneg = sigmoid(np.einsum("nd,nkd->nk", v, u_neg)) / len(centers)
    return v, u, u_neg, dpos[:, None], dneg[:, :, None]


def collect(params, words, dv, du, du_neg, add=np.add.at):
    """Scatter into the two tables."""
    centers, contexts, negatives = words
    d_in, d_out = np.zeros_like(params["in"]), np.zeros_like(params["out"])
    add(d_in, centers, dv)
    add(d_out, contexts, du)
    add(d_out, negatives, du_neg)
    return {"in": d_in, "out": d_out}


def grads(params, *words):
    """σ − 1 for the true pair, σ for the others."""
    v, u, u_neg, dpos, dneg = pieces(params, *words)
    dv = dpos * u + (dneg * u_neg).sum(axis=1)
    return collect(params, words, dv, dpos * v, dneg * v[:, None])


net = Network("word2vec", loss_fn, inputs, grads)


@net.fault("sign", at=("negative_loss", "negative_score"))
def negatives_attract(params, *words):
    """The minus inside σ(−u·v) is not derived."""
    v, u, u_neg, dpos, dneg = pieces(params, *words)
    dv = dpos * u - (dneg * u_neg).sum(axis=1)
    return collect(params, words, dv, dpos * v, -dneg * v[:, None])


@net.fault("wrong_derivative", at=("negative_loss", "negative_score"))
def negatives_like_positives(params, *words):
    """σ − 1 for the negative samples too."""
    v, u, u_neg, dpos, dneg = pieces(params, *words)
    dneg = dneg - 1 / len(words[0])
    dv = dpos * u + (dneg * u_neg).sum(axis=1)
    return collect(params, words, dv, dpos * v, dneg * v[:, None])


@net.fault("overwritten", at=("center", "context", "negatives"))
def repeated_words_overwritten(params, *words):
    """`table[words] += d` in all three places."""

    def add(table, rows, d):
        table[rows] += d

    v, u, u_neg, dpos, dneg = pieces(params, *words)
    dv = dpos * u + (dneg * u_neg).sum(axis=1)
    return collect(params, words, dv, dpos * v, dneg * v[:, None], add)


@net.fault("missing_term", "overwritten", at=("negative_score", "center"), called=True)
def center_learns_from_the_context_only(params, *words):
    """The negative samples' share of the centre's gradient is left out."""
    v, u, _, dpos, dneg = pieces(params, *words)
    return collect(params, words, dpos * u, dpos * v, dneg * v[:, None])


@net.fault("wrong_reduction", "overwritten", at="negative_score")
def last_negative_sample_only(params, *words):
    """The loop over samples overwrites the centre's gradient."""
    v, u, u_neg, dpos, dneg = pieces(params, *words)
    for k in range(3):
        dv = dpos * u + dneg[:, k] * u_neg[:, k]
    return collect(params, words, dv, dpos * v, dneg * v[:, None])


@net.fault("wrong_operand", at="positive_score")
def own_vector_for_the_other(params, *words):
    """The context's gradient is made of the context's vector."""
    v, u, u_neg, dpos, dneg = pieces(params, *words)
    dv = dpos * u + (dneg * u_neg).sum(axis=1)
    return collect(params, words, dv, dpos * u, dneg * v[:, None])


@net.fault("permuted", "wrong_operand", at=None, single=True)
def tables_swapped(params, *words):
    """A pair returned in the wrong order."""
    right = grads(params, *words)
    return {"in": right["out"], "out": right["in"]}


@net.fault("missing_term", "overwritten", at=("context", "negatives"))
def negatives_overwrite_the_context(params, *words):
    """The output table is cleared again before the negative samples are added."""
    v, _, _, _, dneg = pieces(params, *words)
    d_out = np.zeros_like(params["out"])
    np.add.at(d_out, words[2], dneg * v[:, None])
    return {**grads(params, *words), "out": d_out}


@net.right(called=True)
def pair_by_pair(params, *words):
    """One pair, one word after another."""
    right = {key: np.zeros_like(table) for key, table in params.items()}
    for center, context, negatives in zip(*words, strict=True):
        v = params["in"][center]
        for word, label in [(context, 1.0), *((negative, 0.0) for negative in negatives)]:
            error = (sigmoid(v @ params["out"][word]) - label) / len(words[0])
            right["in"][center] += error * params["out"][word]
            right["out"][word] += error * v
    return right
