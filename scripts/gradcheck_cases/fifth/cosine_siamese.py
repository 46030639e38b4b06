"""Siamese network with the cosine embedding loss: similar pairs to 1, others below a margin."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

EPS = 1e-8
MARGIN = 0.1


def loss_fn(params, left, right, same):
    """Both inputs go through the same layer; `same` is 1 or 0."""
    a = left @ params["w"] + params["b"]  # @left
    b = right @ params["w"] + params["b"]  # @right
    norm_a = jnp.sqrt(jnp.sum(a**2, axis=1) + EPS)  # @norm_a
    norm_b = jnp.sqrt(jnp.sum(b**2, axis=1) + EPS)  # @norm_b
    cos = jnp.sum(a * b, axis=1) / (norm_a * norm_b)  # @cosine
    attract = same * (1 - cos)  # @attract
    repel = (1 - same) * jax.nn.relu(cos - MARGIN)  # @repel
    return jnp.mean(attract + repel)  # @mean


def inputs(rng, n):
    """Four features to three; every other pair belongs together."""
    params = {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3) / 2}
    return params, (rng.normal(size=(n, 4)), rng.normal(size=(n, 4)), (np.arange(n) % 2).astype(float))


def forward(params, left, right, axis=1):
    """Embeddings, norms as columns, cosine as a column."""
    a, b = left @ params["w"] + params["b"], right @ params["w"] + params["b"]
    norm_a = np.sqrt(np.sum(a**2, axis=axis, keepdims=True) + EPS)
    norm_b = np.sqrt(np.sum(b**2, axis=axis, keepdims=True) + EPS)
    return a, b, norm_a, norm_b, np.sum(a / norm_a * (b / norm_b), axis=1, keepdims=True)


def dcosine(cos, same):
    """Gradient with respect to the cosine, as a column."""
    same = same[:, None]
    return (-same + (1 - same) * (cos > MARGIN)) / len(same)


def grads(params, left, right, same, axis=1):
    """Both branches add up."""
    a, b, norm_a, norm_b, cos = forward(params, left, right, axis)
    dcos = dcosine(cos, same)
    da = dcos * (b / norm_b - cos * a / norm_a) / norm_a
    db = dcos * (a / norm_a - cos * b / norm_b) / norm_b
    return {"w": left.T @ da + right.T @ db, "b": (da + db).sum(axis=0)}


net = Network("cosine_siamese", loss_fn, inputs, grads, batch=8)


@net.fault("overwritten", "missing_term", at=("left", "right"), called=True)
def second_branch_replaces_the_first(params, left, right, same):
    """The shared layer's backward is called twice and stores = instead of +=."""
    a, b, norm_a, norm_b, cos = forward(params, left, right)
    dcos = dcosine(cos, same)
    branches = [
        (left, dcos * (b / norm_b - cos * a / norm_a) / norm_a),
        (right, dcos * (a / norm_a - cos * b / norm_b) / norm_b),
    ]
    grads = {}
    for x, d in branches:
        grads["w"], grads["b"] = x.T @ d, d.sum(axis=0)
    return grads


@net.fault("missing_term", at=("norm_a", "norm_b", "cosine"))
def norms_are_constants(params, left, right, same):
    """d cos / da = b / (|a| |b|): the quotient rule stops at the numerator."""
    a, b, norm_a, norm_b, cos = forward(params, left, right)
    scaled = dcosine(cos, same) / (norm_a * norm_b)
    da, db = scaled * b, scaled * a
    return {"w": left.T @ da + right.T @ db, "b": (da + db).sum(axis=0)}


@net.fault("wrong_mask", at="repel")
def all_strangers_repelled(params, left, right, same):
    """The hinge is forgotten: pairs below the margin are pushed too."""
    a, b, norm_a, norm_b, cos = forward(params, left, right)
    dcos = np.where(same[:, None] == 1, -1.0, 1.0) / len(same)
    da = dcos * (b / norm_b - cos * a / norm_a) / norm_a
    db = dcos * (a / norm_a - cos * b / norm_b) / norm_b
    return {"w": left.T @ da + right.T @ db, "b": (da + db).sum(axis=0)}


@net.fault("wrong_axis", at=("norm_a", "norm_b"), single=True)
def columns_normalised(params, left, right, same):
    """The norms run over the batch: axis=0."""
    return grads(params, left, right, same, axis=0)


@net.fault("scale", "sign", at=("mean", "attract"))
def summed_and_similar_pairs_apart(params, left, right, same):
    """Two mistakes: + same where 1 - cos gives a minus, and the sum over pairs instead of the mean."""
    a, b, norm_a, norm_b, cos = forward(params, left, right)
    dcos = same[:, None] + (1 - same[:, None]) * (cos > MARGIN)
    da = dcos * (b / norm_b - cos * a / norm_a) / norm_a
    db = dcos * (a / norm_a - cos * b / norm_b) / norm_b
    return {"w": left.T @ da + right.T @ db, "b": (da + db).sum(axis=0)}


@net.right(called=True)
def by_the_projection(params, left, right, same):
    """(I - n nᵀ) m / |a| for each pair."""
    w, bias = np.zeros_like(params["w"]), np.zeros_like(params["b"])
    a, b, norm_a, norm_b, cos = forward(params, left, right)
    for i, g in enumerate(dcosine(cos, same)):
        na, nb = a[i] / norm_a[i], b[i] / norm_b[i]
        da, db = g * (nb - cos[i] * na) / norm_a[i], g * (na - cos[i] * nb) / norm_b[i]
        w += np.outer(left[i], da) + np.outer(right[i], db)
        bias += da + db
    return {"b": bias, "w": w}


@net.right(seed=3, n=2)
def branches_stacked(params, left, right, same):
    """One matrix product for both."""
    a, b, norm_a, norm_b, cos = forward(params, left, right)
    dcos = dcosine(cos, same)
    d = np.vstack([dcos * (b / norm_b - cos * a / norm_a) / norm_a, dcos * (a / norm_a - cos * b / norm_b) / norm_b])
    return {"w": np.vstack([left, right]).T @ d, "b": d.sum(axis=0)}
