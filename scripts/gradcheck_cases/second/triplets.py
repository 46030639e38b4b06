"""Triplet loss of unit embeddings; one encoder serves anchor, positive and negative."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

MARGIN = 0.6


def embed(params, x):
    """A layer of tanh, then unit length."""
    h = jnp.tanh(x @ params["w"] + params["b"])  # @encode
    return h / jnp.sqrt(jnp.sum(h**2, axis=1, keepdims=True))  # @unit


def loss_fn(params, anchor, positive, negative):
    """Mean hinge of the squared distances' difference."""
    a, p, n = embed(params, anchor), embed(params, positive), embed(params, negative)  # @triple
    near = jnp.sum((a - p) ** 2, axis=1)  # @near
    far = jnp.sum((a - n) ** 2, axis=1)  # @far
    hinge = jax.nn.relu(near - far + MARGIN)  # @hinge
    return jnp.mean(hinge)  # @loss


def inputs(rng, n):
    """Four features, an embedding of 3."""
    params = {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3) / 2}
    anchor = rng.normal(size=(n, 4))
    return params, (anchor, anchor + 0.7 * rng.normal(size=(n, 4)), rng.normal(size=(n, 4)))


def encode(params, x):
    """Embedding, hidden units and their length."""
    h = np.tanh(x @ params["w"] + params["b"])
    length = np.sqrt((h**2).sum(axis=1, keepdims=True))
    return h / length, h, length


def unit_backward(du, u, length):
    """Only what is at right angles to u counts."""
    return (du - u * (u * du).sum(axis=1, keepdims=True)) / length


def branch_backward(params, x, du, unit=unit_backward):
    """One branch's share of the gradient."""
    u, h, length = encode(params, x)
    dz = unit(du, u, length) * (1 - h**2)
    return {"w": x.T @ dz, "b": dz.sum(axis=0)}


def add(*shares):
    """Sum over the branches."""
    return {key: sum(share[key] for share in shares) for key in shares[0]}


def active(a, p, n, margin=MARGIN):
    """Where the hinge is open, as a column of zeros and ones."""
    gap = ((a - p) ** 2).sum(axis=1) - ((a - n) ** 2).sum(axis=1) + margin
    return (gap > 0)[:, None].astype(a.dtype)


def grads(params, anchor, positive, negative):
    """Three branches of the same encoder."""
    a, p, n = (encode(params, x)[0] for x in (anchor, positive, negative))
    on = active(a, p, n) / len(a)
    da, dp, dn = 2 * (n - p) * on, -2 * (a - p) * on, 2 * (a - n) * on
    shares = zip((anchor, positive, negative), (da, dp, dn), strict=True)
    return add(*(branch_backward(params, x, d) for x, d in shares))


net = Network("triplets", loss_fn, inputs, grads, batch=6)


@net.fault("wrong_mask", at="hinge")
def hinge_always_open(params, anchor, positive, negative):
    """Easy triplets push and pull as well."""
    a, p, n = (encode(params, x)[0] for x in (anchor, positive, negative))
    k = 2 / len(a)
    return add(
        branch_backward(params, anchor, k * (n - p)),
        branch_backward(params, positive, k * (p - a)),
        branch_backward(params, negative, k * (a - n)),
    )


@net.fault("wrong_mask", "missing_term", at="hinge", called=True, seed=1)
def margin_forgotten_in_the_mask(params, anchor, positive, negative):
    """Only triplets in the wrong order count."""
    a, p, n = (encode(params, x)[0] for x in (anchor, positive, negative))
    k = 2 / len(a) * active(a, p, n, margin=0)
    return add(
        branch_backward(params, anchor, k * (n - p)),
        branch_backward(params, positive, k * (p - a)),
        branch_backward(params, negative, k * (a - n)),
    )


@net.fault("overwritten", "missing_term", at=("triple", "encode"))
def last_branch_remains(params, anchor, positive, negative):
    """Each branch writes to the same `layer.dw`; the negative's comes last."""
    a, p, n = (encode(params, x)[0] for x in (anchor, positive, negative))
    k = 2 / len(a) * active(a, p, n)
    layer = {}
    layer.update(branch_backward(params, anchor, k * (n - p)))
    layer.update(branch_backward(params, positive, k * (p - a)))
    layer.update(branch_backward(params, negative, k * (a - n)))
    return layer


@net.fault("sign", at="far")
def negative_pulled(params, anchor, positive, negative):
    """The distance to the negative is differentiated like the one to the positive, for the negative itself."""
    a, p, n = (encode(params, x)[0] for x in (anchor, positive, negative))
    k = 2 / len(a) * active(a, p, n)
    return add(
        branch_backward(params, anchor, k * (n - p)),
        branch_backward(params, positive, k * (p - a)),
        branch_backward(params, negative, k * (n - a)),
    )


@net.fault("missing_term", "wrong_derivative", at="unit")
def length_as_a_constant(params, anchor, positive, negative):
    """du/‖h‖: the length is not differentiated."""
    a, p, n = (encode(params, x)[0] for x in (anchor, positive, negative))
    k = 2 / len(a) * active(a, p, n)
    pairs = ((anchor, k * (n - p)), (positive, k * (p - a)), (negative, k * (a - n)))
    return add(*(branch_backward(params, x, d, lambda du, u, length: du / length) for x, d in pairs))


@net.fault("accumulated", "extra_term", "scale", at=("triple", "encode"))
def anchor_counted_twice(params, anchor, positive, negative):
    """Backward runs over the pairs (a, p) and (a, n), and the anchor's whole gradient is added in both."""
    a, p, n = (encode(params, x)[0] for x in (anchor, positive, negative))
    k = 2 / len(a) * active(a, p, n)
    da = k * (n - p)
    pairs = ((anchor, da), (positive, k * (p - a)), (anchor, da), (negative, k * (a - n)))
    return add(*(branch_backward(params, x, d) for x, d in pairs))


@net.fault("upstream", at=("triple", "unit", "encode"), single=True)
def embedding_gradients_clipped(params, anchor, positive, negative):
    """The gradients of the embeddings are clipped on their way into the encoder."""
    a, p, n = (encode(params, x)[0] for x in (anchor, positive, negative))
    k = 2 / len(a) * active(a, p, n)
    pairs = ((anchor, k * (n - p)), (positive, k * (p - a)), (negative, k * (a - n)))
    return add(*(branch_backward(params, x, np.clip(d, -0.1, 0.1)) for x, d in pairs))


@net.fault("stale", "permuted", at=None)
def negatives_of_another_draw(params, anchor, positive, negative):
    """The negatives were shuffled again between loss and gradient."""
    return grads(params, anchor, positive, negative[::-1])


@net.fault("wrong_mask", "missing_term", "wrong_derivative", at=("hinge", "unit"))
def neither_hinge_nor_length(params, anchor, positive, negative):
    """Two mistakes: the hinge's mask and the length's derivative are missing."""
    a, p, n = (encode(params, x)[0] for x in (anchor, positive, negative))
    k = 2 / len(a)
    pairs = ((anchor, k * (n - p)), (positive, k * (p - a)), (negative, k * (a - n)))
    return add(*(branch_backward(params, x, d, lambda du, u, length: du / length) for x, d in pairs))


@net.right()
def one_stacked_batch(params, anchor, positive, negative):
    """All three in one batch of three times the size; by inner products as the embeddings have unit length."""
    x = np.vstack((anchor, positive, negative))
    u, h, length = encode(params, x)
    a, p, n = np.split(u, 3)
    k = 2 / len(a) * active(a, p, n)
    du = np.vstack((k * (n - p), -k * a, k * a))
    dz = unit_backward(du, u, length) * (1 - h**2)
    return {"w": x.T @ dz, "b": dz.sum(axis=0)}


def easy_inputs(rng, n):
    """Every positive is its anchor, every negative the opposite: no hinge is open."""
    params, (anchor, _, _) = inputs(rng, n)
    params["b"][:] = 0
    return params, (anchor, anchor + 1e-3, -anchor)


easy = Network("triplets_easy", loss_fn, easy_inputs, grads, batch=4)


@easy.right()
def nothing_to_learn(params, anchor, positive, negative):
    """All gradients are zero."""
    return grads(params, anchor, positive, negative)


@net.right(called=True, seed=6, n=3)
def triplet_by_triplet(params, anchor, positive, negative):
    """A loop with a mean at the end."""
    each = [grads(params, *(x[i : i + 1] for x in (anchor, positive, negative))) for i in range(len(anchor))]
    return {key: np.mean([g[key] for g in each], axis=0) for key in params}
