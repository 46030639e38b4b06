"""Binary focal loss over a linear detector head."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import sigmoid

ALPHA, GAMMA = 0.25, 2.0


def loss_fn(params, x, y):
    """Mean over anchors and classes; y is 0 or 1."""
    logits = x @ params["w"] + params["b"]  # @logits
    p = jax.nn.sigmoid(logits)  # @sigmoid
    pt = jnp.where(y == 1, p, 1 - p)  # @pt
    alpha = jnp.where(y == 1, ALPHA, 1 - ALPHA)  # @alpha
    modulation = (1 - pt) ** GAMMA  # @modulation
    focal = -alpha * modulation * jnp.log(pt)  # @focal
    return jnp.mean(focal)  # @mean


def inputs(rng, n):
    """Five features, two classes, few positives."""
    y = (rng.uniform(size=(n, 2)) < 0.3).astype(float)
    y[0] = 1
    return {"w": 0.6 * rng.normal(size=(5, 2)), "b": np.array([-0.5, 0.3])}, (rng.normal(size=(n, 5)), y)


def slope(pt):
    """d/dpt of −(1 − pt)^γ log pt."""
    return GAMMA * (1 - pt) ** (GAMMA - 1) * np.log(pt) - (1 - pt) ** GAMMA / pt


def grads(params, x, y, slope=slope, weights=(ALPHA, 1 - ALPHA), inner=None, total=None):
    """Through pt."""
    p = sigmoid(x @ params["w"] + params["b"])
    pt = np.where(y == 1, p, 1 - p)
    dpt = np.where(y == 1, *weights) * slope(pt) / (y.size if total is None else total)
    dp = dpt * (np.where(y == 1, 1, -1) if inner is None else inner)
    dlogits = dp * p * (1 - p)
    return {"w": x.T @ dlogits, "b": dlogits.sum(axis=0)}


net = Network("focal", loss_fn, inputs, grads, batch=7)


@net.fault("missing_term", at=("modulation", "focal"))
def modulation_held_constant(params, x, y):
    """(1 − pt)^γ is taken as a weight: only the logarithm is differentiated."""
    return grads(params, x, y, slope=lambda pt: -((1 - pt) ** GAMMA) / pt)


@net.fault("permuted", "wrong_operand", "wrong_mask", at="alpha")
def alpha_of_the_other_class(params, x, y):
    """α for the negatives, 1 − α for the positives."""
    return grads(params, x, y, weights=(1 - ALPHA, ALPHA))


@net.fault("sign", "wrong_mask", at="pt", called=True)
def negatives_with_the_sign_of_positives(params, x, y):
    """dpt/dp is 1 everywhere."""
    return grads(params, x, y, inner=1)


@net.fault("sign", at=("modulation", "focal"))
def inner_sign_of_the_modulation(params, x, y):
    """The −1 of (1 − pt) is forgotten in the chain rule."""
    return grads(params, x, y, slope=lambda pt: -GAMMA * (1 - pt) * np.log(pt) - (1 - pt) ** GAMMA / pt)


@net.fault("wrong_loss", "missing_term", at=("focal", "modulation"))
def no_logarithm(params, x, y):
    """The gradient of −α (1 − pt)^γ pt."""
    return grads(params, x, y, slope=lambda pt: GAMMA * (1 - pt) * pt - (1 - pt) ** GAMMA)


def _by_positives(params, x, y):
    p = sigmoid(x @ params["w"] + params["b"])
    pt = np.where(y == 1, p, 1 - p)
    return np.sum(-np.where(y == 1, ALPHA, 1 - ALPHA) * (1 - pt) ** GAMMA * np.log(pt)) / y.sum()


@net.fault("wrong_loss", "scale", at="mean", loss=_by_positives)
def normalised_by_the_positives(params, x, y):
    """RetinaNet divides by the number of positive anchors; here it is a mean."""
    return grads(params, x, y, total=y.sum())


@net.fault("mutated", "wrong_operand", at=("pt", "sigmoid"))
def probabilities_flipped_in_place(params, x, y):
    """`pt = p; pt[y == 0] = 1 - pt[y == 0]`, in place: p − y is then made of the changed p."""
    p = sigmoid(x @ params["w"] + params["b"])
    pt = p
    pt[y == 0] = 1 - pt[y == 0]
    alpha = np.where(y == 1, ALPHA, 1 - ALPHA)
    entropy, modulation = -np.log(pt), (1 - pt) ** GAMMA
    dmodulation = -GAMMA * (1 - pt) ** (GAMMA - 1) * np.where(y == 1, 1, -1) * pt * (1 - pt)
    dlogits = alpha * (modulation * (p - y) + entropy * dmodulation) / y.size
    return {"w": x.T @ dlogits, "b": dlogits.sum(axis=0)}


@net.fault("accumulated", at=None)
def backward_called_twice(params, x, y):
    """`+=` into the buffers for a warm-up pass as well."""
    total = {key: np.zeros_like(value) for key, value in params.items()}
    for _ in range(2):
        for key, grad in grads(params, x, y).items():
            total[key] += grad
    return total


@net.fault("upstream", at=("sigmoid",))
def sigmoid_layer_returns_its_slope(params, x, y):
    """The activation's backward method returns p(1 − p) and drops what it was given."""
    p = sigmoid(x @ params["w"] + params["b"])
    dlogits = p * (1 - p)
    return {"w": x.T @ dlogits, "b": dlogits.sum(axis=0)}


@net.right(seed=5)
def by_logits(params, x, y):
    """The formula of the paper's appendix with y = ±1."""
    s = np.where(y == 1, 1, -1)
    pt = sigmoid(s * (x @ params["w"] + params["b"]))
    d = s * (1 - pt) ** GAMMA * (GAMMA * pt * np.log(pt) + pt - 1)
    d = np.where(y == 1, ALPHA, 1 - ALPHA) * d / y.size
    return {"w": x.T @ d, "b": d.sum(axis=0)}


net.right(n=1, single=True)(grads)
