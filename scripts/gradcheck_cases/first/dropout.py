"""A network with inverted dropout, the mask given as an argument."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import softmax

KEEP = 0.75


def loss_fn(params, x, t, mask):
    """Mean cross-entropy; `mask` is True where a unit is kept."""
    h = x @ params[0] + params[1]  # @hidden
    a = jax.nn.leaky_relu(h, 0.1)  # @leaky
    kept = jnp.where(mask, a, 0)  # @drop
    scaled = kept / KEEP  # @rescale
    logits = scaled @ params[2]  # @out
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.sum(t * log_p) / len(x)  # @loss


def inputs(rng, n):
    """Three features, eight units, three classes."""
    params = (rng.normal(size=(3, 8)), rng.normal(size=8), rng.normal(size=(8, 3)))
    mask = rng.uniform(size=(n, 8)) < KEEP
    return params, (rng.normal(size=(n, 3)), np.eye(3)[np.arange(n) % 3], mask)


def grads(params, x, t, mask, back=lambda d, mask: d * mask / KEEP, slope=0.1):
    """The mask and the factor go back as they went forward."""
    w, b, out = params
    h = x @ w + b
    dropped = np.where(h > 0, h, 0.1 * h) * mask / KEEP
    dlogits = (softmax(dropped @ out) - t) / len(x)
    da = back(dlogits @ out.T, mask)
    dh = da * np.where(h > 0, 1, slope)
    return x.T @ dh, dh.sum(axis=0), dropped.T @ dlogits


net = Network("dropout", loss_fn, inputs, grads)


@net.fault("wrong_mask", at="drop")
def no_dropout_in_backward(params, x, t, mask):
    """The gradient of the whole layer, rescaled."""
    return grads(params, x, t, mask, back=lambda d, mask: d / KEEP)


@net.fault("scale", at="rescale", called=True)
def not_rescaled(params, x, t, mask):
    """The mask without 1/keep."""
    return grads(params, x, t, mask, back=lambda d, mask: d * mask)


@net.fault("scale", at="rescale")
def rescaled_by_the_dropped_share(params, x, t, mask):
    """1/(1 − keep): keep and drop probability mixed up."""
    return grads(params, x, t, mask, back=lambda d, mask: d * mask / (1 - KEEP))


@net.fault("wrong_mask", at="drop")
def dropped_units_learn(params, x, t, mask):
    """The mask of the units to drop where that of the units to keep belongs."""
    return grads(params, x, t, mask, back=lambda d, mask: d * ~mask / KEEP)


@net.fault("wrong_mask", "permuted", at="drop")
def a_fresh_mask(params, x, t, mask):
    """Backward draws its own mask."""
    fresh = np.random.default_rng(7).uniform(size=mask.shape) < KEEP
    return grads(params, x, t, mask, back=lambda d, mask: d * fresh / KEEP)


@net.fault("wrong_derivative", "wrong_mask", at="leaky")
def leak_of_the_leaky_relu_forgotten(params, x, t, mask):
    """The slope on the left is 0.1, not 0."""
    return grads(params, x, t, mask, slope=0)


@net.fault("wrong_derivative", at="leaky", single=True)
def another_leak(params, x, t, mask):
    """The library's default slope, 0.01."""
    return grads(params, x, t, mask, slope=0.01)


@net.fault("wrong_operand", "wrong_mask", at="out")
def activations_before_dropout(params, x, t, mask):
    """The next layer's weight gradient is made of the activations before dropout."""
    w, b, out = params
    h = x @ w + b
    a = np.where(h > 0, h, 0.1 * h)
    dw, db, _ = grads(params, x, t, mask)
    dlogits = (softmax(a * mask / KEEP @ out) - t) / len(x)
    return dw, db, a.T @ dlogits


@net.fault("scale", "mutated", at="rescale")
def mask_divided_twice(params, x, t, mask):
    """`mask /= keep` stands in forward and in backward, and it is one array."""

    def back(d, mask):
        mask = mask.astype(float)
        mask /= KEEP
        kept = mask
        kept /= KEEP
        return d * kept

    return grads(params, x, t, mask, back=back)


@net.right()
def mask_with_the_factor_in_it(params, x, t, mask):
    """CS231n's mask, divided once."""
    scaled = mask.astype(float) / KEEP
    return grads(params, x, t, mask, back=lambda d, mask: d * scaled)
