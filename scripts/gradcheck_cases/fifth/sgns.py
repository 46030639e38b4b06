"""word2vec: skip-gram with negative sampling."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import sigmoid


def loss_fn(params, centre, context, negatives):
    """Mean over the pairs of -log σ(u·v) - Σ log σ(-u_k·v)."""
    v = params["inp"][centre]  # @centre
    u = params["out"][context]  # @context
    u_neg = params["out"][negatives]  # @negatives
    good = jnp.sum(v * u, axis=1)  # @good
    bad = jnp.sum(v[:, None, :] * u_neg, axis=2)  # @bad
    positive = -jax.nn.log_sigmoid(good)  # @positive
    noise = -jnp.sum(jax.nn.log_sigmoid(-bad), axis=1)  # @noise
    return jnp.mean(positive + noise)  # @mean


def inputs(rng, n):
    """A vocabulary of 6, vectors of 4, three negatives a pair; words occur more than once."""
    params = {"inp": rng.normal(size=(6, 4)), "out": rng.normal(size=(6, 4))}
    return params, (rng.integers(0, 4, size=n), rng.integers(0, 6, size=n), rng.integers(0, 6, size=(n, 3)))


def errors(params, centre, context, negatives):
    """Vectors, and σ minus label of the positive and the negatives."""
    v, u, u_neg = params["inp"][centre], params["out"][context], params["out"][negatives]
    g_pos = sigmoid(np.sum(v * u, axis=1)) - 1
    g_neg = sigmoid(np.einsum("nd,nkd->nk", v, u_neg))
    return v, u, u_neg, g_pos / len(centre), g_neg / len(centre)


def scatter(params, centre, context, negatives, dv, du, du_neg):
    """np.add.at, since words repeat."""
    dinp, dout = np.zeros_like(params["inp"]), np.zeros_like(params["out"])
    np.add.at(dinp, centre, dv)
    np.add.at(dout, context, du)
    np.add.at(dout, negatives, du_neg)
    return {"inp": dinp, "out": dout}


def grads(params, centre, context, negatives):
    """All pairs at once."""
    v, u, u_neg, g_pos, g_neg = errors(params, centre, context, negatives)
    dv = g_pos[:, None] * u + np.einsum("nk,nkd->nd", g_neg, u_neg)
    return scatter(params, centre, context, negatives, dv, g_pos[:, None] * v, g_neg[:, :, None] * v[:, None, :])


net = Network("sgns", loss_fn, inputs, grads, batch=7)


@net.fault("overwritten", at="centre")
def repeated_centre_words_count_once(params, centre, context, negatives):
    """dinp[centre] += dv."""
    v, u, u_neg, g_pos, g_neg = errors(params, centre, context, negatives)
    dinp, dout = np.zeros_like(params["inp"]), np.zeros_like(params["out"])
    dinp[centre] += g_pos[:, None] * u + np.einsum("nk,nkd->nd", g_neg, u_neg)
    np.add.at(dout, context, g_pos[:, None] * v)
    np.add.at(dout, negatives, g_neg[:, :, None] * v[:, None, :])
    return {"inp": dinp, "out": dout}


@net.fault("missing_term", at=("bad", "negatives"), called=True)
def centre_learns_from_the_positive_only(params, centre, context, negatives):
    """dv lacks the negatives; the negatives themselves get theirs."""
    v, u, u_neg, g_pos, g_neg = errors(params, centre, context, negatives)
    dv = g_pos[:, None] * u
    return scatter(params, centre, context, negatives, dv, g_pos[:, None] * v, g_neg[..., None] * v[:, None])


@net.fault("sign", "wrong_derivative", at="noise")
def negatives_pushed_the_wrong_way(params, centre, context, negatives):
    """-σ for the negatives: the minus of log σ(-x) is lost."""
    v, u, u_neg, g_pos, g_neg = errors(params, centre, context, negatives)
    g_neg = -g_neg
    dv = g_pos[:, None] * u + np.einsum("nk,nkd->nd", g_neg, u_neg)
    return scatter(params, centre, context, negatives, dv, g_pos[:, None] * v, g_neg[..., None] * v[:, None])


@net.fault("scale", "wrong_reduction", at="noise")
def mean_over_the_negatives(params, centre, context, negatives):
    """The noise term divided by the number of negatives."""
    v, u, u_neg, g_pos, g_neg = errors(params, centre, context, negatives)
    g_neg /= negatives.shape[1]
    dv = g_pos[:, None] * u + np.einsum("nk,nkd->nd", g_neg, u_neg)
    return scatter(params, centre, context, negatives, dv, g_pos[:, None] * v, g_neg[..., None] * v[:, None])


@net.fault("stale", "mutated", "wrong_operand", at=("good", "bad", "context", "negatives"))
def output_vectors_updated_first(params, centre, context, negatives):
    """As in word2vec.c without its buffer neu1e: dv is taken from output vectors after their step."""
    v, _, _, g_pos, g_neg = errors(params, centre, context, negatives)
    dout = np.zeros_like(params["out"])
    np.add.at(dout, context, g_pos[:, None] * v)
    np.add.at(dout, negatives, g_neg[:, :, None] * v[:, None, :])
    params["out"] -= 0.5 * dout
    dinp = np.zeros_like(params["inp"])
    dv = g_pos[:, None] * params["out"][context] + np.einsum("nk,nkd->nd", g_neg, params["out"][negatives])
    np.add.at(dinp, centre, dv)
    return {"inp": dinp, "out": dout}


@net.fault("wrong_operand", at="good")
def context_moves_along_itself(params, centre, context, negatives):
    """u's gradient is g v, not g u."""
    v, u, u_neg, g_pos, g_neg = errors(params, centre, context, negatives)
    dv = g_pos[:, None] * u + np.einsum("nk,nkd->nd", g_neg, u_neg)
    return scatter(params, centre, context, negatives, dv, g_pos[:, None] * u, g_neg[..., None] * v[:, None])


@net.right(called=True)
def pair_by_pair(params, centre, context, negatives):
    """Loops over pairs and words, label 1 or 0."""
    result = {key: np.zeros_like(value) for key, value in params.items()}
    for c, o, neg in zip(centre, context, negatives, strict=True):
        for word, label in [(o, 1), *((k, 0) for k in neg)]:
            g = (sigmoid(params["inp"][c] @ params["out"][word]) - label) / len(centre)
            result["inp"][c] += g * params["out"][word]
            result["out"][word] += g * params["inp"][c]
    return result


@net.right(n=1, seed=4)
def one_pair(params, centre, context, negatives):
    """Most rows have no gradient."""
    return grads(params, centre, context, negatives)
