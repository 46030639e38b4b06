"""A classifier with two hidden ReLU layers on integer labels, as in a course's second assignment."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, x, y):
    """Mean cross-entropy of three affine layers."""
    a1 = x @ params["W1"] + params["b1"]  # @affine1
    h1 = jnp.maximum(a1, 0)  # @relu1
    a2 = h1 @ params["W2"] + params["b2"]  # @affine2
    h2 = jnp.maximum(a2, 0)  # @relu2
    scores = h2 @ params["W3"] + params["b3"]  # @scores
    log_probs = jax.nn.log_softmax(scores, axis=1)  # @softmax
    picked = log_probs[jnp.arange(len(y)), y]  # @pick
    return -jnp.mean(picked)  # @loss


def inputs(rng, n):
    """Five features, two layers of six units, four classes."""
    params = {
        "W1": rng.normal(size=(5, 6)),
        "b1": rng.normal(size=6),
        "W2": rng.normal(size=(6, 6)),
        "b2": rng.normal(size=6),
        "W3": rng.normal(size=(6, 4)),
        "b3": rng.normal(size=4),
    }
    return params, (rng.normal(size=(n, 5)), rng.integers(0, 4, size=n))


def softmax(scores):
    """Over classes."""
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def forward(params, x):
    """Hidden layers and probabilities."""
    h1 = np.maximum(0, x @ params["W1"] + params["b1"])
    h2 = np.maximum(0, h1 @ params["W2"] + params["b2"])
    return h1, h2, softmax(h2 @ params["W3"] + params["b3"])


def collect(x, h1, h2, d1, d2, dscores):
    """The six gradients, from the gradients of the three affine outputs."""
    return {
        "W1": x.T @ d1,
        "b1": d1.sum(axis=0),
        "W2": h1.T @ d2,
        "b2": d2.sum(axis=0),
        "W3": h2.T @ dscores,
        "b3": dscores.sum(axis=0),
    }


def grads(params, x, y):
    """Backward pass of cs231n."""
    h1, h2, probs = forward(params, x)
    dscores = probs.copy()
    dscores[np.arange(len(y)), y] -= 1
    dscores /= len(y)
    d2 = dscores @ params["W3"].T
    d2[h2 <= 0] = 0
    d1 = d2 @ params["W2"].T
    d1[h1 <= 0] = 0
    return collect(x, h1, h2, d1, d2, dscores)


net = Network("digits", loss_fn, inputs, grads, batch=8)


@net.fault("wrong_mask", at="relu1")
def masked_by_the_other_layer(params, x, y):
    """Copied the line for h2 and forgot to rename it: both layers have six units."""
    h1, h2, probs = forward(params, x)
    probs[np.arange(len(y)), y] -= 1
    probs /= len(y)
    d2 = probs @ params["W3"].T
    d2[h2 <= 0] = 0
    d1 = d2 @ params["W2"].T
    d1[h2 <= 0] = 0
    return collect(x, h1, h2, d1, d2, probs)


@net.fault("transposed", at="affine2", called=True)
def square_weights_not_transposed(params, x, y):
    """W2 is square, so nothing complains about the missing `.T`."""
    h1, h2, probs = forward(params, x)
    probs[np.arange(len(y)), y] -= 1
    probs /= len(y)
    d2 = (probs @ params["W3"].T) * (h2 > 0)
    d1 = (d2 @ params["W2"]) * (h1 > 0)
    return collect(x, h1, h2, d1, d2, probs)


@net.fault("upstream", "wrong_mask", at="relu2")
def relu_backward_returns_the_mask(params, x, y):
    """The second ReLU's backward gives (h2 > 0) and not that times the upstream gradient."""
    h1, h2, probs = forward(params, x)
    probs[np.arange(len(y)), y] -= 1
    probs /= len(y)
    d2 = (h2 > 0).astype(x.dtype)
    d1 = (d2 @ params["W2"].T) * (h1 > 0)
    return collect(x, h1, h2, d1, d2, probs)


@net.fault("permuted", "wrong_operand", at="pick")
def labels_start_at_one(params, x, y):
    """The backward pass believes the labels to be 1 … C, MATLAB's habit."""
    h1, h2, probs = forward(params, x)
    probs[np.arange(len(y)), y - 1] -= 1
    probs /= len(y)
    d2 = (probs @ params["W3"].T) * (h2 > 0)
    d1 = (d2 @ params["W2"].T) * (h1 > 0)
    return collect(x, h1, h2, d1, d2, probs)


@net.fault("missing_term", at=("pick", "softmax"))
def forgot_to_subtract_the_one(params, x, y):
    """dscores is the probabilities: the label's minus one is missing."""
    h1, h2, probs = forward(params, x)
    dscores = probs / len(y)
    d2 = (dscores @ params["W3"].T) * (h2 > 0)
    d1 = (d2 @ params["W2"].T) * (h1 > 0)
    return collect(x, h1, h2, d1, d2, dscores)


@net.fault("wrong_operand", at="affine2", single=True)
def preactivation_for_activation(params, x, y):
    """dW2 is made with what went into the ReLU: a1 was cached, not h1."""
    right = grads(params, x, y)
    h1, h2, probs = forward(params, x)
    probs[np.arange(len(y)), y] -= 1
    probs /= len(y)
    a1 = x @ params["W1"] + params["b1"]
    right["W2"] = a1.T @ ((probs @ params["W3"].T) * (h2 > 0))
    return right


@net.fault("stale", "mutated", at="scores")
def weights_updated_before_they_are_used(params, x, y):
    """The step on W3 is made in place as soon as dW3 is known, then W3 is used for the layer below."""
    h1, h2, probs = forward(params, x)
    probs[np.arange(len(y)), y] -= 1
    probs /= len(y)
    params["W3"] -= 0.5 * (h2.T @ probs)
    d2 = (probs @ params["W3"].T) * (h2 > 0)
    d1 = (d2 @ params["W2"].T) * (h1 > 0)
    return collect(x, h1, h2, d1, d2, probs)


@net.fault("wrong_mask", "scale", at=("relu1", "loss"))
def no_first_mask_and_no_batch_size(params, x, y):
    """Two slips: the first ReLU is not masked, and nothing is divided by N."""
    h1, h2, probs = forward(params, x)
    probs[np.arange(len(y)), y] -= 1
    d2 = (probs @ params["W3"].T) * (h2 > 0)
    d1 = d2 @ params["W2"].T
    return collect(x, h1, h2, d1, d2, probs)


@net.fault("stale", "permuted", at=None)
def gradient_of_the_next_batch(params, x, y):
    """The iterator was advanced for the images, the labels are still those of the last batch."""
    return grads(params, np.roll(x, 1, axis=0), y)


@net.right(single=True)
def one_hot_in_float32(params, x, y):
    """With one-hot labels and masks of the preactivations."""
    h1, h2, probs = forward(params, x)
    dscores = (probs - np.eye(4, dtype=x.dtype)[y]) / len(y)
    d2 = (dscores @ params["W3"].T) * (h1 @ params["W2"] + params["b2"] > 0)
    d1 = (d2 @ params["W2"].T) * (x @ params["W1"] + params["b1"] > 0)
    return collect(x, h1, h2, d1, d2, dscores)


@net.right(seed=3, called=True)
def one_example_at_a_time(params, x, y):
    """Summed over a loop, divided at the end."""
    total = {key: np.zeros_like(value) for key, value in params.items()}
    for i in range(len(y)):
        for key, grad in grads(params, x[i : i + 1], y[i : i + 1]).items():
            total[key] += grad
    return {key: grad / len(y) for key, grad in total.items()}
