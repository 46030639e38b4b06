"""Texts as bags: the mean of the embeddings of the words that are not padding, then a linear classifier."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

PAD = 0


def loss_fn(params, tokens, labels):
    """Mean cross-entropy; `tokens` is (batch, length), padded with zeros."""
    table, (w, b) = params
    vectors = table[tokens]  # @lookup
    mask = (tokens != PAD).astype(vectors.dtype)  # @mask
    summed = jnp.einsum("nl,nld->nd", mask, vectors)  # @summed
    bag = summed / mask.sum(axis=1, keepdims=True)  # @mean
    logits = bag @ w + b  # @logits
    logp = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(jnp.take_along_axis(logp, labels[:, None], axis=1))  # @loss


def inputs(rng, n):
    """Nine words, texts of two to five, four dimensions, three classes; words repeat."""
    tokens = rng.integers(1, 9, size=(n, 5))
    tokens[:, 1] = tokens[:, 0]
    tokens[np.arange(5) >= rng.integers(2, 6, size=(n, 1))] = PAD
    params = (rng.normal(size=(9, 4)), (rng.normal(size=(4, 3)), rng.normal(size=3)))
    return params, (tokens, rng.integers(0, 3, size=n))


def scatter(tokens, dvectors):
    """Every occurrence counts."""
    dtable = np.zeros((9, 4), dvectors.dtype)
    np.add.at(dtable, tokens, dvectors)
    return dtable


def backward(params, tokens, labels, mask=None, count=None):
    """Gradients of the bags' vectors (n, l, d), of w and of b."""
    table, (w, b) = params
    real = (tokens != PAD).astype(table.dtype)
    bag = np.einsum("nl,nld->nd", real, table[tokens]) / real.sum(axis=1, keepdims=True)
    logits = bag @ w + b
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    d = e / e.sum(axis=1, keepdims=True)
    d[np.arange(len(d)), labels] -= 1
    d /= len(d)
    mask = real if mask is None else mask
    count = real.sum(axis=1, keepdims=True) if count is None else count
    dvectors = mask[:, :, None] * (d @ w.T / count)[:, None]
    return dvectors, (bag.T @ d, d.sum(axis=0))


def grads(params, tokens, labels):
    """Scatter with np.add.at."""
    dvectors, head = backward(params, tokens, labels)
    return scatter(tokens, dvectors), head


net = Network("padded_bag", loss_fn, inputs, grads, batch=4)


@net.fault("overwritten", at="lookup")
def fancy_index_adds_once(params, tokens, labels):
    """dtable[tokens] += dvectors: of a repeated word one occurrence stays."""
    dvectors, head = backward(params, tokens, labels)
    dtable = np.zeros_like(params[0])
    dtable[tokens] += dvectors
    return dtable, head


@net.fault("wrong_mask", at=("mask", "summed"))
def padding_gets_a_gradient(params, tokens, labels):
    """No mask in backward: row 0 learns."""
    dvectors, head = backward(params, tokens, labels, mask=np.ones(tokens.shape))
    return scatter(tokens, dvectors), head


@net.fault("scale", "wrong_operand", "wrong_reduction", at="mean", called=True)
def divided_by_the_padded_length(params, tokens, labels):
    """L for the number of words."""
    dvectors, head = backward(params, tokens, labels, count=tokens.shape[1])
    return scatter(tokens, dvectors), head


@net.fault("wrong_shape", at="lookup")
def gradient_of_the_rows_looked_up(params, tokens, labels):
    """A sparse gradient's values, (n·l, d), never scattered into the table."""
    dvectors, head = backward(params, tokens, labels)
    return dvectors.reshape(-1, 4), head


@net.fault("permuted", at="lookup")
def table_shifted_by_the_padding(params, tokens, labels):
    """Words are counted from 1 as 0 is padding; the scatter uses word − 1."""
    dvectors, head = backward(params, tokens, labels)
    return scatter(tokens - 1, dvectors), head


@net.fault("wrong_mask", "overwritten", at=("mask", "summed", "lookup"))
def unmasked_and_not_added(params, tokens, labels):
    """Two slips: no mask, and `=` for the scatter."""
    dvectors, head = backward(params, tokens, labels, mask=np.ones(tokens.shape))
    dtable = np.zeros_like(params[0])
    dtable[tokens] = dvectors
    return dtable, head


@net.right()
def scatter_by_one_hot(params, tokens, labels):
    """A product with one-hot rows."""
    dvectors, head = backward(params, tokens, labels)
    return np.einsum("nlv,nld->vd", np.eye(9)[tokens], dvectors), head


@net.right(single=True, n=1, seed=4)
def scatter_in_a_loop(params, tokens, labels):
    """One text in float32, word by word."""
    dvectors, head = backward(params, tokens, labels)
    dtable = np.zeros_like(params[0])
    for row, ds in zip(tokens, dvectors, strict=True):
        for word, d in zip(row, ds, strict=True):
            if word != PAD:
                dtable[word] += d
    return dtable, head
