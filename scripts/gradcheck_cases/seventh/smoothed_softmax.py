"""Softmax regression with a temperature, smoothed labels and class weights; W is (classes, features)."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

EPS, TAU = 0.1, 2.0


def loss_fn(params, x, labels, weight):
    """Weighted cross-entropy over the batch size."""
    logits = jnp.einsum("nd,cd->nc", x, params["W"]) + params["b"]  # @logits
    z = logits / TAU  # @temperature
    logp = z - jax.nn.logsumexp(z, axis=1, keepdims=True)  # @logsoftmax
    hard = jax.nn.one_hot(labels, weight.shape[0], dtype=x.dtype)
    soft = hard * (1 - EPS) + EPS / weight.shape[0]  # @smooth
    each = -(soft * logp).sum(axis=1)  # @entropy
    weighted = weight[labels] * each  # @weighted
    return weighted.sum() / labels.size  # @mean


def inputs(rng, n):
    """Three features, four classes."""
    params = {"W": rng.normal(size=(4, 3)), "b": rng.normal(size=4)}
    return params, (rng.normal(size=(n, 3)), rng.permutation(n) % 4, np.array([0.5, 1.0, 2.0, 4.0]))


def grads(params, x, labels, weight, tau=TAU, soft=None, of=None):
    """Weights times (p − t) / τ; `of` gives the weight of every example from p."""
    z = (x @ params["W"].T + params["b"]) / TAU
    e = np.exp(z - z.max())
    p = e / e.sum(axis=1, keepdims=True)
    soft = np.eye(4)[labels] * (1 - EPS) + EPS / 4 if soft is None else soft
    each = weight[labels] if of is None else of(p)
    d = (each[:, None] * (p - soft) / (tau * len(x))).astype(x.dtype)
    return {"W": d.T @ x, "b": d.sum(axis=0)}


net = Network("smoothed_softmax", loss_fn, inputs, grads, batch=6)


@net.fault("scale", "missing_term", at="temperature")
def temperature_forgotten(params, x, labels, weight):
    """(p − t) without 1/τ."""
    return grads(params, x, labels, weight, tau=1)


@net.fault("wrong_operand", "permuted", at="weighted")
def weight_of_the_predicted_class(params, x, labels, weight):
    """weight[p.argmax(1)]."""
    return grads(params, x, labels, weight, of=lambda p: weight[p.argmax(axis=1)])


def _torch_mean(params, x, labels, weight):
    z = (x @ params["W"].T + params["b"]) / TAU
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    soft = np.eye(4)[labels] * (1 - EPS) + EPS / 4
    return np.sum(weight[labels] * -(soft * logp).sum(axis=1)) / weight[labels].sum()


@net.fault("wrong_loss", "scale", at="mean", loss=_torch_mean)
def divided_by_the_weights(params, x, labels, weight):
    """PyTorch's mean divides by the sum of the weights."""
    return grads(params, x, labels, weight, of=lambda p: weight[labels] * len(x) / weight[labels].sum())


@net.fault("sign", at=("entropy", "logsoftmax"))
def target_minus_probability(params, x, labels, weight):
    """(t − p) xᵀ, ready to be added."""
    return {key: -grad for key, grad in grads(params, x, labels, weight).items()}


@net.fault("wrong_operand", "wrong_axis", at="weighted")
def weights_on_the_columns(params, x, labels, weight):
    """weight * (p − t) broadcasts over the classes, not over the examples."""
    z = (x @ params["W"].T + params["b"]) / TAU
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    d = weight * (p - np.eye(4)[labels] * (1 - EPS) - EPS / 4) / TAU / len(x)
    return {"W": d.T @ x, "b": d.sum(axis=0)}


@net.fault("upstream", "missing_term", at=("weighted", "mean"))
def layer_ignores_dout(params, x, labels, weight):
    """SoftmaxWithLoss.backward(dout=1) returns (y − t) / N whatever weight comes from above."""
    return grads(params, x, labels, weight, of=lambda p: np.ones(len(x)))


@net.right(seed=3)
def gradient_of_both_terms(params, x, labels, weight):
    """Σ t = 1: logsumexp and the picked logits on their own."""
    z = (np.einsum("cd,nd->nc", params["W"], x) + params["b"]) / TAU
    p = np.exp(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))
    dlogp = -weight[labels][:, None] * (np.eye(4)[labels] * (1 - EPS) + EPS / 4) / len(x)
    dz = dlogp - p * dlogp.sum(axis=1, keepdims=True)
    return {"W": np.einsum("nc,nd->cd", dz / TAU, x), "b": dz.sum(axis=0) / TAU}


@net.right(single=True, n=10, called=True)
def more_examples_in_float32(params, x, labels, weight):
    """Ten examples."""
    return grads(params, x, labels, weight, soft=(np.arange(4) == labels[:, None]) * (1 - EPS) + EPS / 4)
