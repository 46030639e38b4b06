"""CS224n: skip-gram with negative sampling over a batch of pairs."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, center, outside, negatives):
    """Mean over the pairs of negSamplingLossAndGradient's loss."""
    v = params["V"][center]  # @center
    u = params["U"][outside]  # @outside
    neg = params["U"][negatives]  # @negatives
    pos_score = jnp.sum(u * v, axis=1)  # @pos_score
    neg_score = jnp.einsum("nkd,nd->nk", neg, v)  # @neg_score
    pos_loss = -jax.nn.log_sigmoid(pos_score)  # @pos_loss
    neg_loss = -jnp.sum(jax.nn.log_sigmoid(-neg_score), axis=1)  # @neg_loss
    return jnp.mean(pos_loss + neg_loss)  # @mean


def inputs(rng, n):
    """Seven words of dimension 4, three negatives a pair, words repeat."""
    params = {"V": rng.normal(size=(7, 4)), "U": rng.normal(size=(7, 4))}
    return params, (np.arange(n) % 4, (np.arange(n) + 2) % 7, rng.integers(0, 7, size=(n, 3)))


def sigmoid(a):
    """Of an array."""
    return 1 / (1 + np.exp(-a))


def grads(params, center, outside, negatives, wrong=""):
    """Errors σ − 1 and σ, scattered to the rows."""
    V, U = params["V"], params["U"]
    n = len(center)
    v, u, neg = V[center], U[outside], U[negatives]
    pos = (sigmoid((u * v).sum(axis=1)) - 1) / n
    negative = sigmoid((neg @ v[:, :, None])[:, :, 0]) / n
    if wrong == "sign":
        negative = -negative
    if wrong == "minus score":
        negative = sigmoid(-(neg @ v[:, :, None])[:, :, 0]) / n
    if wrong == "mean":
        negative = negative / negatives.shape[1]
    dV, dU = np.zeros_like(V), np.zeros_like(U)
    if wrong == "updated":
        np.add.at(U, outside, -0.5 * pos[:, None] * v)
        u = U[outside]
    dv = pos[:, None] * u
    if wrong != "no negatives":
        dv = dv + np.einsum("nk,nkd->nd", negative, neg)
    du = pos[:, None] * v
    dneg = negative[:, :, None] * v[:, None, :]
    np.add.at(dV, center, dv)
    np.add.at(dU, outside, du)
    if wrong == "fancy U":
        dU[negatives] += dneg
    elif wrong == "assigned":
        dU[negatives.ravel()] = dneg.reshape(-1, 4)
    else:
        np.add.at(dU, negatives, dneg)
    return {"V": dV, "U": dU}


net = Network("negative_sampling", loss_fn, inputs, grads, batch=6)


@net.fault("overwritten", "wrong_reduction", "missing_term", at="negatives")
def repeated_negatives_once(params, center, outside, negatives):
    """`dU[negatives] += …` counts a word once that was sampled twice."""
    return grads(params, center, outside, negatives, "fancy U")


@net.fault("overwritten", at=("negatives", "outside"))
def outside_rows_assigned(params, center, outside, negatives):
    """`gradOutsideVecs[negatives] =`: what the pairs had put there is lost."""
    return grads(params, center, outside, negatives, "assigned")


@net.fault("missing_term", at=("neg_score", "neg_loss"))
def center_without_its_negatives(params, center, outside, negatives):
    """The centre vector's gradient has the true word only."""
    return grads(params, center, outside, negatives, "no negatives")


@net.fault("sign", at=("neg_loss", "neg_score"))
def negatives_pulled_closer(params, center, outside, negatives):
    """The sign of the negative samples' part."""
    return grads(params, center, outside, negatives, "sign")


@net.fault("wrong_derivative", "sign", at="neg_loss")
def sigmoid_of_the_negative_score(params, center, outside, negatives):
    """σ(−u·v), as in the loss, where 1 − σ(−u·v) is meant."""
    return grads(params, center, outside, negatives, "minus score")


@net.fault("wrong_reduction", "scale", "wrong_loss", at="neg_loss", single=True)
def negatives_averaged(params, center, outside, negatives):
    """Divided by K."""
    return grads(params, center, outside, negatives, "mean")


@net.fault("mutated", "stale", at=("outside", "pos_score"))
def outside_vectors_updated_first(params, center, outside, negatives):
    """The C code's order reversed: u takes its step before the centre's gradient is made of it."""
    return grads(params, center, outside, negatives, "updated")


@net.right()
def pair_by_pair(params, center, outside, negatives):
    """A loop over the pairs."""
    d = {key: np.zeros_like(value) for key, value in params.items()}
    for c, o, ks in zip(center, outside, negatives, strict=True):
        v = params["V"][c]
        for word, label in [(o, 1)] + [(k, 0) for k in ks]:
            g = (sigmoid(params["U"][word] @ v) - label) / len(center)
            d["V"][c] += g * params["U"][word]
            d["U"][word] += g * v
    return d


@net.right(n=1, seed=4)
def one_pair(params, center, outside, negatives):
    """A single pair."""
    return grads(params, center, outside, negatives)
