"""A shared embedding (affine, tanh) with the triplet loss."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

MARGIN = 0.8


def loss_fn(params, xa, xp, xn):
    """max(0, |a − p|² − |a − n|² + margin), the mean over triplets."""
    a = jnp.tanh(xa @ params["W"] + params["b"])  # @anchor
    p = jnp.tanh(xp @ params["W"] + params["b"])  # @positive
    n = jnp.tanh(xn @ params["W"] + params["b"])  # @negative
    near = jnp.sum((a - p) ** 2, axis=1)  # @near
    far = jnp.sum((a - n) ** 2, axis=1)  # @far
    violation = near - far + MARGIN  # @violation
    each = jax.nn.relu(violation)  # @hinge
    return jnp.mean(each)  # @mean


def inputs(rng, n):
    """Four features embedded in three numbers; some triplets are satisfied."""
    params = {"W": rng.normal(size=(4, 3)) * 0.7, "b": rng.normal(size=3) * 0.3}
    return params, (rng.normal(size=(n, 4)), rng.normal(size=(n, 4)), rng.normal(size=(n, 4)))


def embed(params, x):
    """tanh(x W + b)."""
    return np.tanh(x @ params["W"] + params["b"])


def distances(params, xa, xp, xn):
    """The three embeddings and the violation of the margin."""
    a, p, n = embed(params, xa), embed(params, xp), embed(params, xn)
    return a, p, n, np.sum((a - p) ** 2, axis=1) - np.sum((a - n) ** 2, axis=1) + MARGIN


def backward(xs, outs, douts):
    """Through the shared embedding."""
    dzs = [d * (1 - out**2) for out, d in zip(outs, douts, strict=True)]
    dw = sum(x.T @ dz for x, dz in zip(xs, dzs, strict=True))
    return {"W": dw, "b": sum(dz.sum(axis=0) for dz in dzs)}


def grads(params, xa, xp, xn):
    """The derivatives 2(n − p), 2(p − a), 2(a − n) of the active triplets."""
    a, p, n, violation = distances(params, xa, xp, xn)
    w = ((violation > 0) / len(xa))[:, None]
    return backward((xa, xp, xn), (a, p, n), (2 * w * (n - p), 2 * w * (p - a), 2 * w * (a - n)))


net = Network("triplet", loss_fn, inputs, grads, batch=6)


@net.fault("missing_term", at=("anchor", "near", "far"))
def nothing_for_the_anchor(params, xa, xp, xn):
    """Only positives and negatives move."""
    a, p, n, violation = distances(params, xa, xp, xn)
    w = ((violation > 0) / len(xa))[:, None]
    return backward((xp, xn), (p, n), (2 * w * (p - a), 2 * w * (a - n)))


@net.fault("sign", at=("anchor", "near", "far"))
def anchor_away_from_the_positive(params, xa, xp, xn):
    """2(p − n) for the anchor."""
    a, p, n, violation = distances(params, xa, xp, xn)
    w = ((violation > 0) / len(xa))[:, None]
    return backward((xa, xp, xn), (a, p, n), (2 * w * (p - n), 2 * w * (p - a), 2 * w * (a - n)))


@net.fault("sign", at=("negative", "far", "violation"), single=True)
def negative_pulled_in(params, xa, xp, xn):
    """2(n − a): the minus of the second distance is forgotten for the negative."""
    a, p, n, violation = distances(params, xa, xp, xn)
    w = ((violation > 0) / len(xa))[:, None]
    return backward((xa, xp, xn), (a, p, n), (2 * w * (n - p), 2 * w * (p - a), 2 * w * (n - a)))


@net.fault("wrong_mask", at="hinge", called=True)
def satisfied_triplets_too(params, xa, xp, xn):
    """No mask: easy triplets get a gradient."""
    a, p, n, _ = distances(params, xa, xp, xn)
    w = 1 / len(xa)
    return backward((xa, xp, xn), (a, p, n), (2 * w * (n - p), 2 * w * (p - a), 2 * w * (a - n)))


@net.fault("overwritten", "missing_term", at=("anchor", "positive"))
def shared_weights_assigned(params, xa, xp, xn):
    """The shared layer's backward assigns self.dW: the last of the three calls remains."""
    a, p, n, violation = distances(params, xa, xp, xn)
    w = ((violation > 0) / len(xa))[:, None]
    layer = {}
    for x, out, d in ((xa, a, n - p), (xp, p, p - a), (xn, n, a - n)):
        dz = 2 * w * d * (1 - out**2)
        layer["W"] = x.T @ dz
        layer["b"] = dz.sum(axis=0)
    return layer


@net.fault("mutated", "wrong_operand", at=("anchor", "positive", "negative"))
def cache_of_the_shared_layer(params, xa, xp, xn):
    """The layer keeps self.x of its last call: all three products are made with the negatives' inputs."""
    a, p, n, violation = distances(params, xa, xp, xn)
    w = ((violation > 0) / len(xa))[:, None]
    return backward((xn, xn, xn), (a, p, n), (2 * w * (n - p), 2 * w * (p - a), 2 * w * (a - n)))


@net.fault("scale", "wrong_loss", at="mean")
def mean_over_active_triplets(params, xa, xp, xn):
    """Divided by the number of triplets that violate the margin."""
    a, p, n, violation = distances(params, xa, xp, xn)
    w = (violation > 0)[:, None] / np.sum(violation > 0)
    return backward((xa, xp, xn), (a, p, n), (2 * w * (n - p), 2 * w * (p - a), 2 * w * (a - n)))


@net.right()
def stacked_in_one_batch(params, xa, xp, xn):
    """One forward and backward pass for the three together."""
    x = np.vstack([xa, xp, xn])
    z = embed(params, x)
    a, p, n = np.split(z, 3)
    active = ((a - p) ** 2).sum(axis=1) - ((a - n) ** 2).sum(axis=1) + MARGIN > 0
    dz = 2 * np.vstack([(a - p) - (a - n), -(a - p), a - n]) * np.tile(active, 3)[:, None] / len(xa) * (1 - z**2)
    return {"W": x.T @ dz, "b": dz.sum(axis=0)}


@net.right(n=2, seed=4, called=True)
def two_triplets(params, xa, xp, xn):
    """The same with another seed."""
    return grads(params, xa, xp, xn)
