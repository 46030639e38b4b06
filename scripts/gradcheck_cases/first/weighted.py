"""Cross-entropy with class weights and smoothed labels."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import softmax

SMOOTHING = 0.2


def loss_fn(params, x, labels, class_weights):
    """Weighted mean of the cross-entropy with smoothed labels."""
    logits = x @ params["w"] + params["b"]  # @logits
    log_p = jax.nn.log_softmax(logits)  # @softmax
    one_hot = jax.nn.one_hot(labels, log_p.shape[1], dtype=log_p.dtype)
    target = (1 - SMOOTHING) * one_hot + SMOOTHING / log_p.shape[1]  # @smooth
    entropy = -jnp.sum(target * log_p, axis=1)  # @entropy
    weights = class_weights[labels]  # @weights
    return jnp.sum(weights * entropy) / jnp.sum(weights)  # @mean


def inputs(rng, n):
    """Four features, three classes of very different weight."""
    params = {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}
    return params, (rng.normal(size=(n, 4)), np.arange(n) % 3, np.array([0.2, 1.0, 3.0]))


def grads(params, x, labels, class_weights, target=None, weights=None, total=None):
    """Probabilities minus smoothed labels, weighted."""
    p = softmax(x @ params["w"] + params["b"])
    target = (1 - SMOOTHING) * np.eye(3)[labels] + SMOOTHING / 3 if target is None else target
    weights = class_weights[labels] if weights is None else weights
    total = weights.sum() if total is None else total
    d = weights[:, None] * (p - target) / total
    return {"w": x.T @ d, "b": d.sum(axis=0)}


net = Network("weighted", loss_fn, inputs, grads, batch=7)


@net.fault("wrong_loss", "missing_term", "wrong_operand", at=("smooth", "entropy"))
def labels_not_smoothed(params, x, labels, class_weights):
    """One-hot labels."""
    return grads(params, x, labels, class_weights, target=np.eye(3)[labels])


@net.fault("wrong_loss", "wrong_operand", at=("smooth", "entropy"))
def smoothed_over_the_other_classes(params, x, labels, class_weights):
    """ε/(C − 1) for the others and 1 − ε for the label."""
    target = np.where(np.eye(3)[labels] == 1, 1 - SMOOTHING, SMOOTHING / 2)
    return grads(params, x, labels, class_weights, target=target)


@net.fault("wrong_operand", "missing_term", "wrong_loss", at=("mean", "weights"))
def weights_forgotten(params, x, labels, class_weights):
    """The gradient of the unweighted mean."""
    return grads(params, x, labels, class_weights, weights=np.ones(len(x)))


@net.fault("scale", "wrong_loss", at="mean", called=True)
def divided_by_n(params, x, labels, class_weights):
    """Divides by the number of examples, not by the sum of their weights."""
    return grads(params, x, labels, class_weights, total=len(x))


@net.fault("permuted", "wrong_operand", at=("weights", "mean"))
def weights_of_the_wrong_classes(params, x, labels, class_weights):
    """The weights' order is not that of the classes."""
    return grads(params, x, labels, class_weights, weights=class_weights[::-1][labels])


@net.fault("sign", at=("entropy", "mean"))
def target_minus_probability(params, x, labels, class_weights):
    """Target minus probability in one place."""
    return {key: -grad for key, grad in grads(params, x, labels, class_weights).items()}


def _unweighted(params, x, labels, class_weights):
    p = softmax(x @ params["w"] + params["b"])
    target = (1 - SMOOTHING) * np.eye(3)[labels] + SMOOTHING / 3
    return -np.mean(np.sum(target * np.log(p), axis=1))


@net.fault("wrong_loss", "missing_term", "wrong_operand", at=("mean", "weights"), loss=_unweighted)
def weights_forgotten_in_both(params, x, labels, class_weights):
    """Neither the loss nor the gradient has the class weights."""
    return grads(params, x, labels, class_weights, weights=np.ones(len(x)))


@net.fault("wrong_loss", at=("mean", "weights"), loss=_unweighted)
def weights_forgotten_in_the_printed_loss(params, x, labels, class_weights):
    """The gradient is right, the loss that was logged is unweighted."""
    return grads(params, x, labels, class_weights)
