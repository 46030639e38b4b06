"""A contrastive loss: cosine similarities of two views of each example, softmax over the batch."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import softmax

TAU = 0.5


def loss_fn(params, x, y):
    """Cross-entropy of the similarity matrix, its diagonal being right."""
    a = x @ params["image"]  # @image
    b = y @ params["text"]  # @text
    norm_a = jnp.sqrt(jnp.sum(a**2, axis=1, keepdims=True))  # @norm_a
    norm_b = jnp.sqrt(jnp.sum(b**2, axis=1, keepdims=True))  # @norm_b
    unit_a = a / norm_a  # @unit_a
    unit_b = b / norm_b  # @unit_b
    similarity = unit_a @ unit_b.T  # @similarity
    logits = similarity / TAU  # @temperature
    rows = jnp.diagonal(jax.nn.log_softmax(logits, axis=1))  # @rows
    columns = jnp.diagonal(jax.nn.log_softmax(logits, axis=0))  # @columns
    return -(jnp.mean(rows) + jnp.mean(columns)) / 2  # @loss


def inputs(rng, n):
    """Four and three features, three dimensions."""
    params = {"image": rng.normal(size=(4, 3)), "text": rng.normal(size=(3, 3))}
    return params, (rng.normal(size=(n, 4)), rng.normal(size=(n, 3)))


def forward(params, x, y):
    """Norms, unit vectors and logits."""
    a, b = x @ params["image"], y @ params["text"]
    norm_a, norm_b = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
    unit_a, unit_b = a / norm_a, b / norm_b
    return norm_a, norm_b, unit_a, unit_b, unit_a @ unit_b.T / TAU


def dlogits_of(logits):
    """Both directions, averaged."""
    n = len(logits)
    return (softmax(logits) + softmax(logits.T).T - 2 * np.eye(n)) / (2 * n)


def unit_backward(d, unit, norm):
    """What points along the vector does not change its direction."""
    return (d - unit * np.sum(d * unit, axis=1, keepdims=True)) / norm


def grads(params, x, y, dlogits_of=dlogits_of, back=(unit_backward, unit_backward), tau=TAU):
    """Back through the similarities, the norms and the projections."""
    norm_a, norm_b, unit_a, unit_b, logits = forward(params, x, y)
    dsimilarity = dlogits_of(logits) / tau
    da = back[0](dsimilarity @ unit_b, unit_a, norm_a)
    db = back[1](dsimilarity.T @ unit_a, unit_b, norm_b)
    return {"image": x.T @ da, "text": y.T @ db}


net = Network("contrastive", loss_fn, inputs, grads, batch=4)


@net.fault("missing_term", at=("norm_a", "unit_a"))
def norm_taken_as_constant(params, x, y):
    """The gradient is divided by the norm, and the norm's own dependence forgotten."""

    def constant(d, unit, norm):
        return d / norm

    return grads(params, x, y, back=(constant, unit_backward))


@net.fault("missing_term", "upstream", "wrong_derivative", at=("unit_b", "norm_b"))
def not_divided_by_the_norm(params, x, y):
    """Projected, but not divided."""

    def undivided(d, unit, norm):
        return d - unit * np.sum(d * unit, axis=1, keepdims=True)

    return grads(params, x, y, back=(unit_backward, undivided))


@net.fault("sign", at=("norm_a", "unit_a"))
def projection_added(params, x, y):
    """Plus for minus in the projection."""

    def plus(d, unit, norm):
        return (d + unit * np.sum(d * unit, axis=1, keepdims=True)) / norm

    return grads(params, x, y, back=(plus, unit_backward))


@net.fault("scale", at="temperature", called=True)
def temperature_forgotten(params, x, y):
    """1/τ on the way forward only."""
    return grads(params, x, y, tau=1)


@net.fault("scale", at="temperature", single=True)
def multiplied_by_the_temperature(params, x, y):
    """τ for 1/τ."""
    return grads(params, x, y, tau=1 / TAU)


@net.fault("missing_term", "wrong_loss", at=("columns", "loss"))
def one_direction_only(params, x, y):
    """The columns' share is left out, and the ½ kept."""
    return grads(params, x, y, dlogits_of=lambda z: (softmax(z) - np.eye(len(z))) / (2 * len(z)))


@net.fault("wrong_axis", at="columns")
def columns_normalised_like_rows(params, x, y):
    """The second softmax runs over rows as well."""
    return grads(params, x, y, dlogits_of=lambda z: (softmax(z) - np.eye(len(z))) / len(z))


@net.fault("transposed", at="similarity")
def similarity_not_transposed(params, x, y):
    """The matrix of similarities is square: `dsimilarity @ unit_a`."""
    norm_a, norm_b, unit_a, unit_b, logits = forward(params, x, y)
    dsimilarity = dlogits_of(logits) / TAU
    da = unit_backward(dsimilarity @ unit_b, unit_a, norm_a)
    db = unit_backward(dsimilarity @ unit_a, unit_b, norm_b)
    return {"image": x.T @ da, "text": y.T @ db}


@net.fault("permuted", at=None)
def negatives_paired_wrongly(params, x, y):
    """The texts of the batch stand one place further."""
    return grads(params, x, np.roll(y, 1, axis=0))


@net.right()
def by_jacobians(params, x, y):
    """(I − u uᵀ)/‖a‖ for each example."""

    def back(d, unit, norm):
        jacobian = (np.eye(3) - unit[:, :, None] * unit[:, None]) / norm[:, :, None]
        return np.einsum("nij,nj->ni", jacobian, d)

    return grads(params, x, y, back=(back, back))
