"""A mixture of spherical Gaussians in three dimensions: negative log-likelihood by gradient descent."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, x):
    """−log p(x), the mean over points, without the constant."""
    log_pi = jax.nn.log_softmax(params["logits"])  # @weights
    diff = x[:, None, :] - params["mu"]  # @diff
    square = jnp.sum(diff**2, axis=2)  # @square
    precision = jnp.exp(-2 * params["log_sigma"])  # @precision
    quad = 0.5 * square * precision  # @quad
    log_det = x.shape[1] * params["log_sigma"]  # @det
    joint = log_pi - quad - log_det  # @joint
    evidence = jax.scipy.special.logsumexp(joint, axis=1)  # @evidence
    return -jnp.mean(evidence)  # @loss


def inputs(rng, n):
    """Four components in three dimensions."""
    params = {
        "logits": rng.normal(size=4),
        "mu": rng.normal(size=(4, 3)),
        "log_sigma": rng.normal(size=4) * 0.3,
    }
    return params, (rng.normal(size=(n, 3)) * 1.5,)


def responsibilities(params, x, axis=1):
    """r, the differences and 1/σ²."""
    pi = np.exp(params["logits"] - params["logits"].max())
    pi /= pi.sum()
    diff = x[:, None, :] - params["mu"]
    inv = np.exp(-2 * params["log_sigma"])
    joint = pi * np.exp(-0.5 * (diff**2).sum(axis=2) * inv) * inv ** (x.shape[1] / 2)
    return joint / joint.sum(axis=axis, keepdims=True), diff, inv, pi


def assemble(r, diff, inv, pi, n):
    """The gradient from the responsibilities."""
    square = (diff**2).sum(axis=2)
    return {
        "logits": (r.sum(axis=0) * -1 + r.sum() * pi) / n,
        "mu": -np.einsum("nk,nkd->kd", r, diff) * inv[:, None] / n,
        "log_sigma": -(r * (square * inv - diff.shape[2])).sum(axis=0) / n,
    }


def grads(params, x):
    """As in Bishop's chapter 9, for log σ and logits."""
    r, diff, inv, pi = responsibilities(params, x)
    return assemble(r, diff, inv, pi, len(x))


net = Network("gaussian_mixture", loss_fn, inputs, grads, batch=8)


@net.fault("wrong_axis", at=("evidence", "joint"))
def responsibilities_sum_over_points(params, x):
    """`joint / joint.sum(axis=0)`."""
    r, diff, inv, pi = responsibilities(params, x, axis=0)
    return assemble(r, diff, inv, pi, len(x))


@net.fault("missing_term", at="weights")
def normaliser_of_the_weights_forgotten(params, x):
    """Dlogits = −mean(r): the softmax's + π is missing."""
    r, diff, inv, pi = responsibilities(params, x)
    return grads(params, x) | {"logits": -r.mean(axis=0)}


@net.fault("sign", at=("diff", "square"), called=True)
def mean_pushed_away(params, x):
    """R (x − μ)/σ²: the minus of μ in x − μ is forgotten."""
    r, diff, inv, pi = responsibilities(params, x)
    return grads(params, x) | {"mu": np.einsum("nk,nkd->kd", r, diff) * inv[:, None] / len(x)}


@net.fault("scale", at="det")
def one_dimension_in_the_determinant(params, x):
    """|x − μ|²/σ² − 1: true in one dimension, here it is − D."""
    r, diff, inv, pi = responsibilities(params, x)
    d = -(r * ((diff**2).sum(axis=2) * inv - 1)).sum(axis=0) / len(x)
    return grads(params, x) | {"log_sigma": d}


@net.fault("wrong_derivative", "wrong_operand", "scale", at=("precision", "quad"))
def sigma_not_squared(params, x):
    """R (μ − x)/σ for /σ²."""
    r, diff, inv, pi = responsibilities(params, x)
    mu = -np.einsum("nk,nkd->kd", r, diff) / np.exp(params["log_sigma"])[:, None] / len(x)
    return grads(params, x) | {"mu": mu}


@net.fault("wrong_loss", "wrong_derivative", at="evidence", single=True)
def hard_assignment(params, x):
    """Each point belongs to its most likely component, as in k-means."""
    r, diff, inv, pi = responsibilities(params, x)
    hard = np.eye(len(pi))[r.argmax(axis=1)]
    return assemble(hard, diff, inv, pi, len(x))


def _summed(params, x):
    return float(loss_fn(params, x)) * len(x)


@net.fault("wrong_loss", "scale", at="loss", loss=_summed)
def total_likelihood(params, x):
    """The sum over points."""
    r, diff, inv, pi = responsibilities(params, x)
    return assemble(r, diff, inv, pi, 1)


@net.right()
def point_by_point(params, x):
    """A loop over points and components."""
    r, _, inv, pi = responsibilities(params, x)
    result = {key: np.zeros_like(value) for key, value in params.items()}
    for i, point in enumerate(x):
        for k in range(len(pi)):
            diff = point - params["mu"][k]
            result["logits"][k] -= (r[i, k] - pi[k]) / len(x)
            result["mu"][k] -= r[i, k] * diff * inv[k] / len(x)
            result["log_sigma"][k] -= r[i, k] * (diff @ diff * inv[k] - len(point)) / len(x)
    return result


@net.right(n=1, single=True)
def one_point(params, x):
    """One point in float32."""
    return grads(params, x)
