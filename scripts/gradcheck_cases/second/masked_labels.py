"""Several labels an example, some of them unknown: masked binary cross-entropy with weights of the positives."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network


class Params(NamedTuple):
    """Two layers."""

    w1: np.ndarray
    b1: np.ndarray
    w2: np.ndarray
    b2: np.ndarray


def loss_fn(params, x, y, known, pos_weight):
    """Mean over the known labels."""
    a = x @ params.w1 + params.b1  # @affine
    h = jax.nn.relu(a)  # @relu
    z = h @ params.w2 + params.b2  # @logits
    positive = pos_weight * y * jax.nn.log_sigmoid(z)  # @positive
    negative = (1 - y) * jax.nn.log_sigmoid(-z)  # @negative
    bce = -(positive + negative)  # @bce
    return jnp.sum(known * bce) / jnp.sum(known)  # @masked


def inputs(rng, n):
    """Three features, 6 units, 4 labels; as many examples as labels."""
    params = Params(rng.normal(size=(3, 6)), rng.normal(size=6), rng.normal(size=(6, 4)) / 2, rng.normal(size=4))
    y = 1.0 * (rng.uniform(size=(n, 4)) < 0.5)
    known = 1.0 * (rng.uniform(size=(n, 4)) < 0.6)
    known[0, 0] = 1.0
    return params, (rng.normal(size=(n, 3)), y, known, np.array([1.0, 3.0, 0.5, 2.0]))


def sigmoid(z):
    """Logistic."""
    return 1 / (1 + np.exp(-z))


def error(s, y, known, pos_weight):
    """Gradient of the logits."""
    return known * ((1 - y) * s - pos_weight * y * (1 - s)) / known.sum()


def relu_backward(dh, a):
    """Where a was positive."""
    return dh * (a > 0)


def grads(params, x, y, known, pos_weight, error=error, relu=relu_backward):
    """Backward with the gradient of the logits as given."""
    a = x @ params.w1 + params.b1
    h = np.maximum(a, 0)
    dz = error(sigmoid(h @ params.w2 + params.b2), y, known, pos_weight)
    da = relu(dz @ params.w2.T, a)
    return Params(x.T @ da, da.sum(axis=0), h.T @ dz, dz.sum(axis=0))


net = Network("masked_labels", loss_fn, inputs, grads, batch=4)


@net.fault("wrong_mask", at="masked")
def unknown_labels_counted(params, x, y, known, pos_weight):
    """The mask is in the divisor only; unknown labels have errors like the others."""

    def error(s, y, known, pos_weight):
        return ((1 - y) * s - pos_weight * y * (1 - s)) / known.sum()

    return grads(params, x, y, known, pos_weight, error=error)


@net.fault("wrong_mask", at="masked", single=True)
def mask_means_missing(params, x, y, known, pos_weight):
    """The mask is read the other way round: 1 where a label is missing."""
    return grads(params, x, y, 1 - known, pos_weight)


@net.fault("missing_term", "wrong_operand", at="positive")
def positives_not_weighted(params, x, y, known, pos_weight):
    """S − y."""
    return grads(params, x, y, known, pos_weight, error=lambda s, y, known, pos_weight: known * (s - y) / known.sum())


@net.fault("wrong_operand", "extra_term", "scale", at=("negative", "bce"), called=True)
def negatives_weighted_as_well(params, x, y, known, pos_weight):
    """(s − y) times the weight, for both kinds of label."""

    def error(s, y, known, pos_weight):
        return known * pos_weight * (s - y) / known.sum()

    return grads(params, x, y, known, pos_weight, error=error)


@net.fault("wrong_loss", "wrong_derivative", "wrong_axis", at=("positive", "negative", "bce"))
def softmax_for_several_labels(params, x, y, known, pos_weight):
    """Copied from a classifier: softmax over the labels in place of a sigmoid for each."""
    a = x @ params.w1 + params.b1
    z = np.maximum(a, 0) @ params.w2 + params.b2
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return grads(params, x, y, known, pos_weight, error=lambda s, *rest: error(p, *rest))


@net.fault("upstream", at="relu")
def relu_returns_its_mask(params, x, y, known, pos_weight):
    """`return (a > 0).astype(float)`: the local derivative without what comes from above."""
    return grads(params, x, y, known, pos_weight, relu=lambda dh, a: (a > 0).astype(a.dtype))


@net.fault("wrong_axis", "wrong_reduction", at="logits")
def bias_summed_over_the_labels(params, x, y, known, pos_weight):
    """`sum(axis=1)`; it went unnoticed as the batch is as large as the number of labels."""
    right = grads(params, x, y, known, pos_weight)
    a = x @ params.w1 + params.b1
    dz = error(sigmoid(np.maximum(a, 0) @ params.w2 + params.b2), y, known, pos_weight)
    return right._replace(b2=dz.sum(axis=1))


@net.fault("mutated", "missing_term", "wrong_operand", at="positive")
def labels_spoilt_in_place(params, x, y, known, pos_weight):
    """`d = y; d -= s`: afterwards no label is 1 any more, so no positive gets its weight."""

    def error(s, y, known, pos_weight):
        d = y
        d -= s
        d *= np.where(y == 1, pos_weight, 1)
        return -d * known / known.sum()

    return grads(params, x, y, known, pos_weight, error=error)


@net.fault("accumulated", at=None)
def mutable_default(params, x, y, known, pos_weight):
    """`def backward(…, out={})`: at the second call the first one's gradients are still in it."""

    def backward(out={}):  # noqa: B006
        for key, grad in grads(params, x, y, known, pos_weight)._asdict().items():
            out[key] = out.get(key, 0) + grad
        return out

    backward()
    return Params(**backward())


@net.fault("wrong_mask", "sign", at=("masked", "positive", "negative", "bce"))
def neither_mask_nor_sign(params, x, y, known, pos_weight):
    """Two mistakes: all labels are counted, and the error is label minus probability."""

    def error(s, y, known, pos_weight):
        return (pos_weight * y * (1 - s) - (1 - y) * s) / known.sum()

    return grads(params, x, y, known, pos_weight, error=error)


def _mean_by_example(params, x, y, known, pos_weight):
    s = sigmoid(np.maximum(x @ params.w1 + params.b1, 0) @ params.w2 + params.b2)
    bce = -(pos_weight * y * np.log(s) + (1 - y) * np.log(1 - s))
    return np.mean((known * bce).sum(axis=1) / np.maximum(known.sum(axis=1), 1))


@net.fault("wrong_loss", "wrong_reduction", "scale", at="masked", loss=_mean_by_example)
def averaged_by_example_first(params, x, y, known, pos_weight):
    """The mean of each example's known labels, then of the examples, in loss and gradient."""

    def error(s, y, known, pos_weight):
        d = known * ((1 - y) * s - pos_weight * y * (1 - s))
        return d / np.maximum(known.sum(axis=1, keepdims=True), 1) / len(y)

    return grads(params, x, y, known, pos_weight, error=error)


@net.right()
def by_weights_of_each_label(params, x, y, known, pos_weight):
    """A weight for each entry: positives' weight, mask and divisor in one array; ReLU by its output."""
    weight = np.where(y == 1, pos_weight, 1) * known / known.sum()
    h = np.clip(x @ params.w1 + params.b1, 0, None)
    dz = weight * (sigmoid(h @ params.w2 + params.b2) - y)
    da = np.where(h > 0, dz @ params.w2.T, 0)
    return Params(w1=(da.T @ x).T, b1=da.sum(0), w2=np.einsum("nh,nl->hl", h, dz), b2=dz.sum(0))


def dead_inputs(rng, n):
    """First example and first layer's biases are zero: its pre-activations lie on the ReLU's kink."""
    params, (x, *rest) = inputs(rng, n)
    x[0] = 0
    params.b1[:] = 0
    return params, (x, *rest)


kinks = Network("masked_labels_kinks", loss_fn, dead_inputs, grads, batch=5)


@kinks.right()
def at_the_kink(params, x, y, known, pos_weight):
    """Nothing passes at zero, which is JAX's convention as well."""
    return grads(params, x, y, known, pos_weight)


@kinks.right(seed=2, single=True, called=True)
def at_the_kink_in_place(params, x, y, known, pos_weight):
    """`dh[h == 0] = 0`."""

    def relu(dh, a):
        dh[np.maximum(a, 0) == 0] = 0
        return dh

    return grads(params, x, y, known, pos_weight, relu=relu)


@net.right(seed=5, n=1)
def one_example(params, x, y, known, pos_weight):
    """A batch of one."""
    return grads(params, x, y, known, pos_weight)
