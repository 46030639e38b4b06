"""The tutorial's Sequential: Dense ReLU, Dropout, Dense tanh, Dense softmax, categorical cross-entropy."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import softmax

KEEP = 0.6


def loss_fn(params, x, y, keep):
    """Mean of the categorical cross-entropy; `keep` is the dropout mask of this step."""
    (k1, b1), (k2, b2), (k3, b3) = params
    z1 = x @ k1 + b1  # @dense1
    a1 = jax.nn.relu(z1)  # @relu
    d1 = a1 * keep / KEEP  # @dropout
    z2 = d1 @ k2 + b2  # @dense2
    a2 = jnp.tanh(z2)  # @tanh
    z3 = a2 @ k3 + b3  # @dense3
    probs = jax.nn.softmax(z3)  # @softmax
    ce = -jnp.sum(y * jnp.log(probs), axis=1)  # @crossentropy
    return ce.mean()  # @mean


def inputs(rng, n):
    """Six features, 7 and 5 units, 3 classes."""

    def dense(i, o):
        return rng.normal(size=(i, o)) * np.sqrt(2 / i), 0.2 * rng.normal(size=o)

    params = [dense(6, 7), dense(7, 5), dense(5, 3)]
    keep = (rng.uniform(size=(n, 7)) < KEEP).astype(float)
    return params, (rng.normal(size=(n, 6)), np.eye(3)[rng.integers(0, 3, size=n)], keep)


def forward(params, x, keep):
    """All activations, by name."""
    (k1, b1), (k2, b2), (k3, b3) = params
    z1 = x @ k1 + b1
    d1 = np.maximum(z1, 0) * keep / KEEP
    z2 = d1 @ k2 + b2
    a2 = np.tanh(z2)
    return z1, d1, z2, a2, softmax(a2 @ k3 + b3)


def grads(params, x, y, keep):
    """Backward."""
    (_, _), (k2, _), (k3, _) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dz3 = (p - y) / len(x)
    dz2 = dz3 @ k3.T * (1 - a2**2)
    dz1 = dz2 @ k2.T * keep / KEEP * (z1 > 0)
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (a2.T @ dz3, dz3.sum(0))]


net = Network("keras_mlp", loss_fn, inputs, grads, batch=8)


@net.fault("wrong_derivative", "extra_term", at=("softmax", "crossentropy"))
def softmax_slope_on_top_of_the_difference(params, x, y, keep):
    """p − y is already the gradient of the logits; it is multiplied by p(1 − p) once more."""
    (_, _), (k2, _), (k3, _) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dz3 = (p - y) * p * (1 - p) / len(x)
    dz2 = dz3 @ k3.T * (1 - a2**2)
    dz1 = dz2 @ k2.T * keep / KEEP * (z1 > 0)
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (a2.T @ dz3, dz3.sum(0))]


@net.fault("wrong_derivative", "missing_term", at="softmax")
def softmax_as_if_elementwise(params, x, y, keep):
    """−y/p times p(1 − p): the diagonal of the softmax's Jacobian only."""
    (_, _), (k2, _), (k3, _) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dprobs = -y / p / len(x)
    dz3 = dprobs * p * (1 - p)
    dz2 = dz3 @ k3.T * (1 - a2**2)
    dz1 = dz2 @ k2.T * keep / KEEP * (z1 > 0)
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (a2.T @ dz3, dz3.sum(0))]


@net.fault("scale", at="dropout")
def inverted_dropout_not_rescaled(params, x, y, keep):
    """Backward applies the mask and forgets the division by the keep probability."""
    (_, _), (k2, _), (k3, _) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dz3 = (p - y) / len(x)
    dz2 = dz3 @ k3.T * (1 - a2**2)
    dz1 = dz2 @ k2.T * keep * (z1 > 0)
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (a2.T @ dz3, dz3.sum(0))]


@net.fault("wrong_mask", at="dropout", single=True, seed=3)
def dropout_forgotten_in_backward(params, x, y, keep):
    """Backward goes straight through the dropout layer."""
    (_, _), (k2, _), (k3, _) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dz3 = (p - y) / len(x)
    dz2 = dz3 @ k3.T * (1 - a2**2)
    dz1 = dz2 @ k2.T * (z1 > 0)
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (a2.T @ dz3, dz3.sum(0))]


@net.fault("wrong_derivative", at="tanh", called=True)
def tanh_slope_of_the_preactivation(params, x, y, keep):
    """`tanh_prime(z2)` is written for outputs: 1 − z²."""
    (_, _), (k2, _), (k3, _) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dz3 = (p - y) / len(x)
    dz2 = dz3 @ k3.T * (1 - z2**2)
    dz1 = dz2 @ k2.T * keep / KEEP * (z1 > 0)
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (a2.T @ dz3, dz3.sum(0))]


@net.fault("stale", "mutated", at="dense3")
def top_layer_updated_before_it_was_used(params, x, y, keep):
    """Updates each layer as it goes down: the hidden deltas see the new kernel."""
    (_, _), (k2, _), (k3, b3) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dz3 = (p - y) / len(x)
    dk3, db3 = a2.T @ dz3, dz3.sum(0)
    k3 -= 0.5 * dk3
    b3 -= 0.5 * db3
    dz2 = dz3 @ k3.T * (1 - a2**2)
    dz1 = dz2 @ k2.T * keep / KEEP * (z1 > 0)
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (dk3, db3)]


@net.fault("scale", "wrong_mask", at=("mean", "relu"))
def two_no_batch_size_and_no_relu(params, x, y, keep):
    """Two slips: the loss's 1/N and the ReLU's mask."""
    (_, _), (k2, _), (k3, _) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dz3 = p - y
    dz2 = dz3 @ k3.T * (1 - a2**2)
    dz1 = dz2 @ k2.T * keep / KEEP
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (a2.T @ dz3, dz3.sum(0))]


def _softmax_twice(params, x, y, keep):
    p = forward(params, x, keep)[-1]
    return -np.mean(np.sum(y * np.log(softmax(p)), axis=1))


@net.fault("wrong_loss", "extra_term", at=("softmax", "crossentropy"), loss=_softmax_twice)
def from_logits_on_probabilities(params, x, y, keep):
    """`from_logits=True` behind a softmax layer: softmax is taken twice, in the loss as well."""
    (_, _), (k2, _), (k3, _) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dp = (softmax(p) - y) / len(x)
    dz3 = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    dz2 = dz3 @ k3.T * (1 - a2**2)
    dz1 = dz2 @ k2.T * keep / KEEP * (z1 > 0)
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (a2.T @ dz3, dz3.sum(0))]


@net.right(seed=5)
def by_the_full_jacobian(params, x, y, keep):
    """The softmax's Jacobian example by example, as the layer-wise frameworks from scratch do."""
    (_, _), (k2, _), (k3, _) = params
    z1, d1, z2, a2, p = forward(params, x, keep)
    dprobs = -y / p / len(x)
    dz3 = np.stack([(np.diag(q) - np.outer(q, q)) @ d for q, d in zip(p, dprobs, strict=True)])
    dz2 = dz3 @ k3.T * (1 - np.tanh(z2) ** 2)
    dz1 = dz2 @ k2.T * (d1 > 0) / KEEP
    return [(x.T @ dz1, dz1.sum(0)), (d1.T @ dz2, dz2.sum(0)), (a2.T @ dz3, dz3.sum(0))]


net.right(single=True, called=True)(grads)
