"""A bag of words: embeddings of padded sentences, their mean over real words, softmax."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import softmax


def loss_fn(params, tokens, labels):
    """Mean cross-entropy; token 0 is padding."""
    embedded = params["table"][tokens]  # @gather
    real = (tokens > 0).astype(embedded.dtype)[:, :, None]  # @real
    masked = embedded * real  # @mask
    mean = masked.sum(axis=1) / real.sum(axis=1)  # @pool
    logits = mean @ params["w"]  # @head
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(jnp.take_along_axis(log_p, labels[:, None], axis=1))  # @loss


def inputs(rng, n):
    """Seven words, sentences of up to five, in which words repeat."""
    params = {"table": rng.normal(size=(7, 4)), "w": rng.normal(size=(4, 3))}
    tokens = rng.integers(1, 7, size=(n, 5))
    tokens[0] = [2, 3, 2, 1, 2]
    for sentence in range(1, n):
        tokens[sentence, 5 - sentence % 3 :] = 0
    return params, (tokens, np.arange(n) % 3)


def forward(params, tokens, labels):
    """Mask, word counts, means and the gradient of the logits."""
    real = (tokens > 0)[:, :, None].astype(params["table"].dtype)
    count = real.sum(axis=1)
    mean = (params["table"][tokens] * real).sum(axis=1) / count
    dlogits = softmax(mean @ params["w"])
    dlogits[np.arange(len(labels)), labels] -= 1
    return real, count, mean, dlogits / len(labels)


def scatter(tokens, d, like):
    """Rows of the table used more than once add up."""
    table = np.zeros_like(like)
    np.add.at(table, tokens, d)
    return table


def grads(params, tokens, labels):
    """Back through the mean to each word's row."""
    real, count, mean, dlogits = forward(params, tokens, labels)
    dmean = dlogits @ params["w"].T / count
    return {"table": scatter(tokens, dmean[:, None] * real, params["table"]), "w": mean.T @ dlogits}


net = Network("embedding", loss_fn, inputs, grads, batch=5)


@net.fault("overwritten", at="gather")
def repeated_words_overwritten(params, tokens, labels):
    """`dtable[tokens] += d` adds a repeated row once: NumPy buffers fancy assignments."""
    real, count, mean, dlogits = forward(params, tokens, labels)
    dmean = dlogits @ params["w"].T / count
    dtable = np.zeros_like(params["table"])
    dtable[tokens] += dmean[:, None] * real
    return {"table": dtable, "w": mean.T @ dlogits}


@net.fault("wrong_mask", at="mask", called=True)
def padding_learns(params, tokens, labels):
    """The gradient is spread to padding as well."""
    _, count, mean, dlogits = forward(params, tokens, labels)
    dmean = dlogits @ params["w"].T / count
    d = np.repeat(dmean[:, None], tokens.shape[1], axis=1)
    return {"table": scatter(tokens, d, params["table"]), "w": mean.T @ dlogits}


@net.fault("wrong_operand", "scale", "wrong_reduction", at="pool")
def divided_by_the_padded_length(params, tokens, labels):
    """Divides by the row length; the forward pass divides by the number of real words."""
    real, _, mean, dlogits = forward(params, tokens, labels)
    dmean = dlogits @ params["w"].T / tokens.shape[1]
    return {"table": scatter(tokens, dmean[:, None] * real, params["table"]), "w": mean.T @ dlogits}


@net.fault("missing_term", "scale", "wrong_reduction", "wrong_operand", at="pool")
def mean_taken_for_a_sum(params, tokens, labels):
    """No division by the number of words at all."""
    real, _, mean, dlogits = forward(params, tokens, labels)
    dmean = dlogits @ params["w"].T
    return {"table": scatter(tokens, dmean[:, None] * real, params["table"]), "w": mean.T @ dlogits}


@net.fault("permuted", at="gather", single=True)
def rows_off_by_one(params, tokens, labels):
    """The vocabulary of the backward pass has no padding word, so each row moves up."""
    real, count, mean, dlogits = forward(params, tokens, labels)
    dmean = dlogits @ params["w"].T / count
    return {"table": scatter(tokens - 1, dmean[:, None] * real, params["table"]), "w": mean.T @ dlogits}


@net.fault("wrong_reduction", "overwritten", at=("pool", "gather"))
def only_the_first_word(params, tokens, labels):
    """Only the first word of each sentence receives its gradient."""
    _, count, mean, dlogits = forward(params, tokens, labels)
    dmean = dlogits @ params["w"].T / count
    return {"table": scatter(tokens[:, 0], dmean, params["table"]), "w": mean.T @ dlogits}


@net.fault("wrong_shape", at="gather")
def rows_never_scattered(params, tokens, labels):
    """The gradient of the gathered rows, one for each place in the batch, is returned as the table's."""
    real, count, mean, dlogits = forward(params, tokens, labels)
    dmean = dlogits @ params["w"].T / count
    return {"table": dmean[:, None] * real, "w": mean.T @ dlogits}


@net.right(called=True)
def by_one_hot_products(params, tokens, labels):
    """The gather as a product with one-hot rows."""
    real, count, mean, dlogits = forward(params, tokens, labels)
    one_hot = np.eye(len(params["table"]))[tokens] * real / count[:, None]
    return {"w": mean.T @ dlogits, "table": np.einsum("ntv,ni->vi", one_hot, dlogits @ params["w"].T)}
