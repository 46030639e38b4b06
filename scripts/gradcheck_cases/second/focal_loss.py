"""Focal loss with weights of the classes after a linear layer."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

GAMMA = 2.5


def loss_fn(params, x, labels, alpha):
    """Mean of −α (1 − p)^γ log p."""
    logits = x @ params["w"] + params["b"]  # @logits
    log_p = jax.nn.log_softmax(logits, axis=1)  # @softmax
    log_pt = log_p[jnp.arange(labels.shape[0]), labels]  # @pick
    pt = jnp.exp(log_pt)  # @prob
    focus = (1 - pt) ** GAMMA  # @focus
    focal = -alpha[labels] * focus * log_pt  # @focal
    return jnp.mean(focal)  # @mean


def inputs(rng, n):
    """Five features, four classes."""
    params = {"w": rng.normal(size=(5, 4)) / 2, "b": rng.normal(size=4) / 2}
    return params, (rng.normal(size=(n, 5)), rng.permutation(np.arange(n) % 4), np.array([0.25, 1.0, 2.0, 0.5]))


def softmax(z):
    """Row by row."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def slope(pt, a):
    """Derivative by log p."""
    return -a * ((1 - pt) ** GAMMA - GAMMA * (1 - pt) ** (GAMMA - 1) * pt * np.log(pt))


def grads(params, x, labels, alpha, slope=slope):
    """Derivative by log p times that of the log-softmax."""
    n, c = len(x), len(alpha)
    p = softmax(x @ params["w"] + params["b"])
    pt = p[np.arange(n), labels]
    d = slope(pt, alpha[labels])[:, None] * (np.eye(c, dtype=p.dtype)[labels] - p) / n
    return {"w": x.T @ d, "b": d.sum(axis=0)}


net = Network("focal_loss", loss_fn, inputs, grads, batch=8)


@net.fault("missing_term", at=("focus", "prob"))
def focus_as_a_weight(params, x, labels, alpha):
    """(1 − p)^γ is treated as a constant weight."""
    return grads(params, x, labels, alpha, slope=lambda pt, a: -a * (1 - pt) ** GAMMA)


@net.fault("sign", at="focus")
def inner_minus_forgotten(params, x, labels, alpha):
    """d(1 − p)^γ/dp without the inner −1."""

    def slope(pt, a):
        return -a * ((1 - pt) ** GAMMA + GAMMA * (1 - pt) ** (GAMMA - 1) * pt * np.log(pt))

    return grads(params, x, labels, alpha, slope=slope)


@net.fault("wrong_derivative", "scale", at="focus", single=True)
def power_rule_without_its_factor(params, x, labels, alpha):
    """(1 − p)^(γ − 1) without γ."""

    def slope(pt, a):
        return -a * ((1 - pt) ** GAMMA - (1 - pt) ** (GAMMA - 1) * pt * np.log(pt))

    return grads(params, x, labels, alpha, slope=slope)


@net.fault("wrong_operand", "missing_term", at="focal", called=True)
def logarithm_forgotten_in_the_product(params, x, labels, alpha):
    """The focus's derivative isn't multiplied by log p."""

    def slope(pt, a):
        return -a * ((1 - pt) ** GAMMA - GAMMA * (1 - pt) ** (GAMMA - 1) * pt)

    return grads(params, x, labels, alpha, slope=slope)


@net.fault("missing_term", "wrong_derivative", at=("softmax", "pick"))
def only_the_label_s_logit(params, x, labels, alpha):
    """As if each probability depended on its own logit alone: the other classes get nothing."""
    n = len(x)
    p = softmax(x @ params["w"] + params["b"])
    pt = p[np.arange(n), labels]
    d = np.zeros_like(p)
    d[np.arange(n), labels] = slope(pt, alpha[labels]) * (1 - pt) / n
    return {"w": x.T @ d, "b": d.sum(axis=0)}


@net.fault("mutated", "wrong_operand", at=("prob", "pick", "focus"))
def probabilities_spoilt(params, x, labels, alpha):
    """`p[rows, labels] -= 1` comes before p of the label is read for the focus."""
    rows = np.arange(len(x))
    p = softmax(x @ params["w"] + params["b"])
    log_pt = np.log(p[rows, labels])
    d = p
    d[rows, labels] -= 1
    pt = p[rows, labels]
    focus = alpha[labels] * ((1 - pt) ** GAMMA - GAMMA * (1 - pt) ** (GAMMA - 1) * pt * log_pt)
    d = d * focus[:, None] / len(x)
    return {"w": x.T @ d, "b": d.sum(axis=0)}


@net.fault("accumulated", "scale", at=None)
def micro_batches_not_averaged(params, x, labels, alpha):
    """Gradients of two halves of the batch, each with its own mean, are added up."""
    first, second = (grads(params, x[half], labels[half], alpha) for half in (slice(0, 4), slice(4, 8)))
    return {key: first[key] + second[key] for key in first}


@net.fault("stale", "permuted", at=None)
def labels_of_the_next_batch(params, x, labels, alpha):
    """The iterator over the labels is ahead by two."""
    return grads(params, x, np.roll(labels, -2), alpha)


@net.fault("accumulated", "extra_term", "stale", at=None, seed=3)
def momentum_included(params, x, labels, alpha):
    """What is returned is the optimiser's velocity after a second step: 0.9 v + g."""
    velocity = {key: np.zeros_like(value) for key, value in params.items()}
    for _ in range(2):
        for key, grad in grads(params, x, labels, alpha).items():
            velocity[key] = 0.9 * velocity[key] + grad
    return velocity


def _cross_entropy(params, x, labels, alpha):
    p = softmax(x @ params["w"] + params["b"])
    return -np.mean(alpha[labels] * np.log(p[np.arange(len(x)), labels]))


@net.fault("wrong_loss", "missing_term", at=("focus", "focal"), loss=_cross_entropy)
def weighted_cross_entropy(params, x, labels, alpha):
    """No focus in loss or gradient."""
    return grads(params, x, labels, alpha, slope=lambda pt, a: -a)


@net.right()
def through_the_probabilities(params, x, labels, alpha):
    """By the derivative for p and the softmax's Jacobian."""
    n = len(x)
    p = softmax(x @ params["w"] + params["b"])
    pt = p[np.arange(n), labels]
    dp = np.zeros_like(p)
    by_focus = GAMMA * (1 - pt) ** (GAMMA - 1) * np.log(pt)
    dp[np.arange(n), labels] = alpha[labels] * (by_focus - (1 - pt) ** GAMMA / pt) / n
    d = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    return {"b": d.sum(axis=0), "w": np.einsum("ni,nj->ij", x, d)}


@net.right(called=True, n=1, seed=2)
def one_example(params, x, labels, alpha):
    """A batch of one."""
    return grads(params, x, labels, alpha)


@net.right(single=True, seed=4)
def micro_batches_averaged(params, x, labels, alpha):
    """Two halves, and the mean of the two, in float32."""
    first, second = (grads(params, x[i::2], labels[i::2], alpha) for i in range(2))
    return {key: (first[key] + second[key]) / 2 for key in first}
