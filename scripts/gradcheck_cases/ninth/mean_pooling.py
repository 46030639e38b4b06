"""A bag of words: mean of the embeddings of a padded sentence, a hidden ReLU layer, softmax."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, tokens, labels):
    """Mean cross-entropy; token 0 is padding."""
    mask = (tokens != 0)[:, :, None]
    vectors = params["E"][tokens]  # @lookup
    summed = jnp.sum(vectors * mask, axis=1)  # @masked
    mean = summed / mask.sum(axis=1)  # @mean
    a = mean @ params["W1"] + params["b1"]  # @hidden
    h = jax.nn.relu(a)  # @relu
    scores = h @ params["W2"] + params["b2"]  # @scores
    log_p = jax.nn.log_softmax(scores, axis=1)  # @softmax
    return -jnp.mean(log_p[jnp.arange(len(labels)), labels])  # @loss


def inputs(rng, n):
    """Vocabulary of 8, width 4, four hidden units, three classes, five places of which 2 to 5 are filled."""
    shapes = {"E": (8, 4), "W1": (4, 4), "b1": (4,), "W2": (4, 3), "b2": (3,)}
    params = {key: rng.normal(size=shape) for key, shape in shapes.items()}
    tokens = rng.integers(1, 8, size=(n, 5)) * (np.arange(5) < 2 + np.arange(n)[:, None] % 4)
    return params, (tokens, np.arange(n) % 3)


def grads(params, tokens, labels, lengths=None, mask=None, axis=1, w1_back=None, relu=None):
    """Backward, with the divisors, the padding mask, the softmax's axis and others as given."""
    n, time = tokens.shape
    real = (tokens != 0)[:, :, None]
    count = real.sum(axis=1)
    mean = (params["E"][tokens] * real).sum(axis=1) / count
    a = mean @ params["W1"] + params["b1"]
    h = np.maximum(a, 0)
    p = np.exp(h @ params["W2"] + params["b2"])
    p = p / p.sum(axis=axis, keepdims=True)
    d = (p - np.eye(3)[labels]) / n
    da = d @ params["W2"].T
    da = da * (a > 0) if relu is None else relu(a, da)
    dmean = da @ (params["W1"].T if w1_back is None else w1_back)
    each = np.repeat((dmean / (count if lengths is None else lengths))[:, None, :], time, axis=1)
    dE = np.zeros_like(params["E"])
    np.add.at(dE, tokens, each * (real if mask is None else mask))
    top = {"W2": h.T @ d, "b2": d.sum(axis=0)}
    return {"E": dE, "W1": mean.T @ da, "b1": da.sum(axis=0), **top}


net = Network("mean_pooling", loss_fn, inputs, grads, batch=5)


@net.fault("wrong_mask", at="masked", called=True)
def padding_gets_a_gradient(params, tokens, labels):
    """The gradient of the mean goes to all five places."""
    return grads(params, tokens, labels, mask=1.0)


@net.fault("scale", "wrong_operand", at="mean")
def divided_by_the_padded_length(params, tokens, labels):
    """1/5 for 1/length on the way back."""
    return grads(params, tokens, labels, lengths=tokens.shape[1])


@net.fault("wrong_reduction", "scale", "missing_term", at="mean")
def mean_as_a_sum(params, tokens, labels):
    """The division is left out."""
    return grads(params, tokens, labels, lengths=1)


@net.fault("wrong_axis", at="softmax")
def softmax_over_the_batch(params, tokens, labels):
    """`axis=0`."""
    return grads(params, tokens, labels, axis=0)


@net.fault("transposed", at="hidden", single=True)
def square_matrix_not_transposed(params, tokens, labels):
    """`da @ W1`."""
    return grads(params, tokens, labels, w1_back=params["W1"])


@net.fault("upstream", at="relu")
def relu_returns_its_mask(params, tokens, labels):
    """The ReLU's backward returns 1[a > 0], not dout · 1[a > 0]."""
    return grads(params, tokens, labels, relu=lambda a, da: (a > 0).astype(float))


@net.right()
def sentence_by_sentence(params, tokens, labels):
    """The table's gradient word after word."""
    result = grads(params, tokens, labels)
    dE = np.zeros_like(params["E"])
    for i in range(len(labels)):
        words = tokens[i][tokens[i] != 0]
        a = params["E"][words].mean(axis=0) @ params["W1"] + params["b1"]
        p = np.exp(np.maximum(a, 0) @ params["W2"] + params["b2"])
        p /= p.sum()
        p[labels[i]] -= 1
        for word in words:
            dE[word] += params["W1"] @ (params["W2"] @ p * (a > 0)) / len(words) / len(labels)
    return {**result, "E": dE}


@net.right(called=True, seed=3)
def another_seed(params, tokens, labels):
    """Other sentences."""
    return grads(params, tokens, labels)
