"""fastText: bags of tokens of different lengths, their mean embedding, a linear classifier."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .tools import softmax


def loss_fn(params, ids, bag, labels):
    """Mean cross-entropy; `bag` says to which example each token belongs."""
    n = labels.shape[0]
    vectors = params["E"][ids]  # @lookup
    sums = jax.ops.segment_sum(vectors, bag, n)  # @sums
    counts = jnp.bincount(bag, length=n)[:, None]
    means = sums / counts  # @means
    logits = means @ params["W"] + params["b"]  # @linear
    p = jax.nn.softmax(logits, axis=1)  # @softmax
    picked = p[jnp.arange(n), labels]  # @pick
    return -jnp.mean(jnp.log(picked))  # @loss


def inputs(rng, n):
    """Eight tokens, 3 dimensions, 3 classes, bags of 4, 2, 5 and 3 tokens."""
    bag = np.repeat(np.arange(n), np.array([4, 2, 5, 3])[np.arange(n) % 4])
    params = {"E": rng.normal(size=(8, 3)), "W": rng.normal(size=(3, 3)), "b": rng.normal(size=3)}
    return params, (rng.integers(0, 8, size=len(bag)), bag, rng.integers(0, 3, size=n))


def forward(params, ids, bag, n):
    """Sums, counts and probabilities."""
    sums = np.zeros((n, 3), params["E"].dtype)
    np.add.at(sums, bag, params["E"][ids])
    counts = np.bincount(bag, minlength=n)[:, None].astype(sums.dtype)
    return sums, counts, softmax(sums / counts @ params["W"] + params["b"])


def backward(params, ids, bag, d, means, dmean_scale):
    """From the logits; `dmean_scale` is one over what the sums were divided by."""
    dsums = d @ params["W"].T * dmean_scale
    dE = np.zeros_like(params["E"])
    np.add.at(dE, ids, dsums[bag])
    return {"E": dE, "W": means.T @ d, "b": d.sum(axis=0)}


def grads(params, ids, bag, labels):
    """Probabilities minus one-hot labels, and back."""
    sums, counts, p = forward(params, ids, bag, len(labels))
    d = (p - np.eye(3)[labels]) / len(labels)
    return backward(params, ids, bag, d, sums / counts, 1 / counts)


net = Network("embedding_bag", loss_fn, inputs, grads, batch=5)


@net.fault("wrong_reduction", "scale", "missing_term", at="means")
def mode_sum_on_the_way_back(params, ids, bag, labels):
    """Each token gets the whole gradient of its bag, not its share."""
    sums, counts, p = forward(params, ids, bag, len(labels))
    d = (p - np.eye(3)[labels]) / len(labels)
    return backward(params, ids, bag, d, sums / counts, 1.0)


@net.fault("wrong_mask", "missing_term", at="lookup", seed=1)
def token_zero_taken_for_padding(params, ids, bag, labels):
    """`padding_idx=0` in the backward pass, though 0 is a word."""
    right = grads(params, ids, bag, labels)
    right["E"][0] = 0
    return right


@net.fault("scale", at=("loss", "softmax", "pick"))
def divided_before_subtracting(params, ids, bag, labels):
    """`d = p / n` and then `d[rows, labels] -= 1`: a 1 that should be 1/n."""
    sums, counts, p = forward(params, ids, bag, len(labels))
    d = p / len(labels)
    d[np.arange(len(labels)), labels] -= 1
    return backward(params, ids, bag, d, sums / counts, 1 / counts)


@net.fault("permuted", at="pick")
def labels_counted_from_one(params, ids, bag, labels):
    """`labels - 1`, as the files count from 1; −1 is the last class for NumPy."""
    return grads(params, ids, bag, (labels - 1) % 3)


def mean_probability(params, ids, bag, labels):
    """No logarithm."""
    return -forward(params, ids, bag, len(labels))[2][np.arange(len(labels)), labels].mean()


def without_log(params, ids, bag, labels):
    """The gradient of minus the mean probability of the label."""
    sums, counts, p = forward(params, ids, bag, len(labels))
    own = p[np.arange(len(labels)), labels][:, None]
    d = own * (p - np.eye(3)[labels]) / len(labels)
    return backward(params, ids, bag, d, sums / counts, 1 / counts)


@net.fault("wrong_loss", at="loss", loss=mean_probability)
def log_forgotten_in_both(params, ids, bag, labels):
    """nll_loss of probabilities."""
    return without_log(params, ids, bag, labels)


@net.fault("transposed", at="linear", called=True)
def square_weight_not_transposed(params, ids, bag, labels):
    """`d @ W`: as many dimensions as classes."""
    _, counts, p = forward(params, ids, bag, len(labels))
    d = (p - np.eye(3)[labels]) / len(labels)
    dE = np.zeros_like(params["E"])
    np.add.at(dE, ids, (d @ params["W"] / counts)[bag])
    return {**grads(params, ids, bag, labels), "E": dE}


@net.fault("wrong_shape", at="lookup")
def rows_of_the_used_tokens_only(params, ids, bag, labels):
    """A sparse gradient: one row for each token that occurs."""
    right = grads(params, ids, bag, labels)
    right["E"] = right["E"][np.unique(ids)]
    return right


@net.fault("wrong_axis", at="softmax")
def softmax_over_the_batch(params, ids, bag, labels):
    """`softmax(logits, axis=0)`."""
    sums, counts, _ = forward(params, ids, bag, len(labels))
    d = (softmax(sums / counts @ params["W"] + params["b"], axis=0) - np.eye(3)[labels]) / len(labels)
    return backward(params, ids, bag, d, sums / counts, 1 / counts)


@net.fault("stale", "permuted", at=None)
def labels_of_the_batch_before(params, ids, bag, labels):
    """The loader's labels lag behind by one example."""
    return grads(params, ids, bag, np.roll(labels, 1))


@net.right()
def with_a_matrix_of_counts(params, ids, bag, labels):
    """How often each word is in each bag, as a matrix."""
    n = len(labels)
    share = np.zeros((n, 8))
    np.add.at(share, (bag, ids), 1)
    share /= share.sum(axis=1, keepdims=True)
    means = share @ params["E"]
    d = (softmax(means @ params["W"] + params["b"]) - np.eye(3)[labels]) / n
    return {"E": share.T @ (d @ params["W"].T), "W": means.T @ d, "b": d.sum(axis=0)}


@net.right(single=True, seed=3)
def float32(params, ids, bag, labels):
    """The same in float32."""
    return grads(params, ids, bag, labels)


@net.right(n=1)
def one_bag(params, ids, bag, labels):
    """One example."""
    return grads(params, ids, bag, labels)
