"""The mean of the embeddings of a padded sentence, then a linear classifier."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

VOCABULARY = 9
PAD = 0


def loss_fn(params, tokens, labels):
    """Mean cross-entropy; token 0 is padding."""
    vectors = params["E"][tokens]  # @lookup
    real = (tokens != PAD)[:, :, None]  # @pad
    total = jnp.sum(vectors * real, axis=1)  # @sum
    mean = total / jnp.sum(real, axis=1)  # @average
    logits = mean @ params["W"] + params["b"]  # @logits
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(log_p[jnp.arange(len(labels)), labels])  # @loss


def inputs(rng, n):
    """Sentences of 2 to 6 words from 8, some twice in a sentence."""
    tokens = rng.integers(1, VOCABULARY, size=(n, 6))
    tokens[:, 1] = tokens[:, 0]
    for row, length in enumerate(rng.integers(2, 7, size=n)):
        tokens[row, length:] = PAD
    params = {
        "E": rng.normal(size=(VOCABULARY, 4)),
        "W": rng.normal(size=(4, 3)),
        "b": rng.normal(size=3),
    }
    return params, (tokens, rng.integers(0, 3, size=n))


def head(params, tokens, labels):
    """Gradients of W and b, and of the mean vectors."""
    real = (tokens != PAD)[:, :, None]
    lengths = real.sum(axis=1)
    mean = (params["E"][tokens] * real).sum(axis=1) / lengths
    e = np.exp(mean @ params["W"] + params["b"])
    dlogits = e / e.sum(axis=1, keepdims=True)
    dlogits[np.arange(len(labels)), labels] -= 1
    dlogits /= len(labels)
    return {"W": mean.T @ dlogits, "b": dlogits.sum(axis=0)}, dlogits @ params["W"].T, real, lengths


def grads(params, tokens, labels):
    """np.add.at for words that come more than once."""
    result, dmean, real, lengths = head(params, tokens, labels)
    dE = np.zeros_like(params["E"])
    np.add.at(dE, tokens, (dmean / lengths)[:, None] * real)
    return result | {"E": dE}


net = Network("bag_of_words", loss_fn, inputs, grads, batch=5)


@net.fault("overwritten", at="lookup")
def fancy_index_plus_equals(params, tokens, labels):
    """`dE[tokens] += d` counts a repeated word once."""
    result, dmean, real, lengths = head(params, tokens, labels)
    dE = np.zeros_like(params["E"])
    dE[tokens] += (dmean / lengths)[:, None] * real
    return result | {"E": dE}


@net.fault("wrong_mask", at=("pad", "sum"), called=True)
def padding_gets_a_gradient(params, tokens, labels):
    """The padding's row is updated like any word."""
    result, dmean, real, lengths = head(params, tokens, labels)
    dE = np.zeros_like(params["E"])
    for row, d in zip(tokens, dmean / lengths, strict=True):
        for token in row:
            dE[token] += d
    return result | {"E": dE}


@net.fault("scale", "wrong_operand", at="average")
def divided_by_the_padded_length(params, tokens, labels):
    """D / tokens.shape[1]."""
    result, dmean, real, lengths = head(params, tokens, labels)
    dE = np.zeros_like(params["E"])
    np.add.at(dE, tokens, (dmean / tokens.shape[1])[:, None] * real)
    return result | {"E": dE}


@net.fault("wrong_shape", at="lookup")
def one_gradient_for_each_token(params, tokens, labels):
    """The gradient of the vectors, not gathered into the table."""
    result, dmean, real, lengths = head(params, tokens, labels)
    return result | {"E": (dmean / lengths)[:, None] * real}


@net.fault("permuted", at="lookup")
def word_ids_without_the_padding(params, tokens, labels):
    """`tokens - 1`, as if the table had no row for the padding."""
    result, dmean, real, lengths = head(params, tokens, labels)
    dE = np.zeros_like(params["E"])
    for row, d in zip(tokens, dmean / lengths, strict=True):
        for token in row[row != PAD]:
            dE[token - 1] += d
    return result | {"E": dE}


@net.fault("accumulated", "scale", at=("lookup", "sum"), single=True)
def table_gradient_not_zeroed(params, tokens, labels):
    """Only the embedding layer keeps its `dE` from the call before."""
    result, dmean, real, lengths = head(params, tokens, labels)
    dE = np.zeros_like(params["E"])
    for _ in range(2):
        np.add.at(dE, tokens, (dmean / lengths)[:, None] * real)
    return result | {"E": dE}


@net.fault("overwritten", "scale", at=("lookup", "loss"))
def assigned_and_not_averaged(params, tokens, labels):
    """Two slips: `dE[token] = d`, and nothing is divided by the batch size."""
    result, dmean, real, lengths = head(params, tokens, labels)
    n = len(labels)
    dE = np.zeros_like(params["E"])
    for row, d in zip(tokens, n * dmean / lengths, strict=True):
        for token in row[row != PAD]:
            dE[token] = d
    return {"W": n * result["W"], "b": n * result["b"], "E": dE}


@net.right()
def by_counts(params, tokens, labels):
    """A matrix of word counts."""
    result, dmean, real, lengths = head(params, tokens, labels)
    counts = np.stack([np.bincount(row, minlength=VOCABULARY) for row in tokens])
    counts[:, PAD] = 0
    return result | {"E": counts.T @ (dmean / lengths)}


@net.right(n=1, called=True)
def one_sentence(params, tokens, labels):
    """Most rows of the table have no gradient."""
    return grads(params, tokens, labels)
