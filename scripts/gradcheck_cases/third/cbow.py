"""The book's CBOW with negative sampling: mean of the context vectors, one target and some noise words."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .tools import sigmoid


def loss_fn(params, contexts, samples):
    """Binary cross-entropy, summed over the samples; the first of them is the target."""
    vectors = params["W_in"][contexts]  # @contexts
    h = vectors.mean(axis=1)  # @average
    out = params["W_out"][samples]  # @samples
    scores = jnp.einsum("nd,nkd->nk", h, out)  # @scores
    positive = jax.nn.log_sigmoid(scores[:, 0])  # @positive
    negative = jax.nn.log_sigmoid(-scores[:, 1:]).sum(axis=1)  # @negative
    return -jnp.mean(positive + negative)  # @loss


def inputs(rng, n):
    """Nine words, 4 dimensions, windows of 4 words, three noise words."""
    params = {"W_in": rng.normal(size=(9, 4)), "W_out": rng.normal(size=(9, 4))}
    return params, (rng.integers(0, 9, size=(n, 4)), rng.integers(0, 9, size=(n, 4)))


def errors(scores):
    """σ − 1 for the target, σ for the noise."""
    d = sigmoid(scores)
    d[:, 0] -= 1
    return d


def grads(params, contexts, samples, error=errors, slip="", rate=0.0):
    """As the book's layers do it, one sample after the other."""
    n, window = contexts.shape
    h = params["W_in"][contexts].mean(axis=1)
    out = params["W_out"][samples]
    d = error(np.einsum("nd,nkd->nk", h, out))
    if slip not in ("sum", "sum, last"):
        d = d / n
    dW_in, dW_out = np.zeros_like(params["W_in"]), np.zeros_like(params["W_out"])
    dh = np.zeros_like(h)
    for k in range(samples.shape[1]):
        np.add.at(dW_out, samples[:, k], d[:, k, None] * h)
        if rate:
            np.add.at(params["W_out"], samples[:, k], -rate * d[:, k, None] * h)
        share = d[:, k, None] * params["W_out"][samples[:, k]]
        dh = share if slip in ("last", "sum, last") else dh + share
        if slip == "target only" and k == 0:
            break
    if slip != "no window":
        dh = dh / window
    for j in range(window):
        if slip == "contexts":
            dW_in[contexts[:, j]] = dh
        else:
            np.add.at(dW_in, contexts[:, j], dh)
    return {"W_in": dW_in, "W_out": dW_out}


net = Network("cbow", loss_fn, inputs, grads, batch=5)


@net.fault("overwritten", "wrong_reduction", at="contexts")
def context_rows_assigned(params, contexts, samples):
    """`dW[idx] = dout`, the book's first version of Embedding.backward."""
    return grads(params, contexts, samples, slip="contexts")


@net.fault("scale", "wrong_reduction", at="average")
def window_not_divided(params, contexts, samples):
    """`dout *= 1 / len(self.in_layers)` is forgotten."""
    return grads(params, contexts, samples, slip="no window")


@net.fault("overwritten", "missing_term", at=("scores", "samples"))
def dh_of_the_last_sample(params, contexts, samples):
    """`dh = …` for `dh += …` in the loop over the loss layers."""
    return grads(params, contexts, samples, slip="last")


@net.fault("missing_term", at=("negative", "scores"))
def noise_words_left_out(params, contexts, samples):
    """Only the target's term is derived."""
    return grads(params, contexts, samples, slip="target only")


@net.fault("mutated", "stale", at=("scores", "samples"))
def output_vectors_updated_first(params, contexts, samples):
    """The step of W_out is taken inside the loop, before dh is made from it."""
    return grads(params, contexts, samples, rate=0.5)


@net.fault("sign", at=("negative", "scores"), called=True)
def sign_of_the_noise(params, contexts, samples):
    """Log σ(−s) derived without the inner minus."""

    def error(scores):
        d = errors(scores)
        d[:, 1:] *= -1
        return d

    return grads(params, contexts, samples, error=error)


@net.fault("scale", "overwritten", "missing_term", at=("loss", "scores", "samples"), single=True)
def summed_and_last_sample(params, contexts, samples):
    """Two slips: no division by the batch, and dh from the last sample only."""
    return grads(params, contexts, samples, slip="sum, last")


@net.fault("accumulated", at=None)
def model_kept_between_batches(params, contexts, samples):
    """Two times the same batch, the gradient buffers not zeroed between them."""
    buffers = {key: np.zeros_like(value) for key, value in params.items()}
    for _ in range(2):
        for key, g in grads(params, contexts, samples).items():
            buffers[key] += g
    return buffers


@net.right()
def with_counts(params, contexts, samples):
    """Bags of words as rows of counts."""
    n = len(contexts)
    bags = np.eye(9)[contexts].mean(axis=1)
    one_hot = np.eye(9)[samples]
    h = bags @ params["W_in"]
    d = errors(np.einsum("nd,vd,nkv->nk", h, params["W_out"], one_hot)) / n
    return {
        "W_in": bags.T @ np.einsum("nk,nkv,vd->nd", d, one_hot, params["W_out"]),
        "W_out": np.einsum("nk,nkv,nd->vd", d, one_hot, h),
    }


@net.right(n=1, seed=2)
def one_window(params, contexts, samples):
    """A batch of one."""
    return grads(params, contexts, samples)
