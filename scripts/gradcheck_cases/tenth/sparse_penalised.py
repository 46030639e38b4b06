"""The sparse autoencoder of the UFLDL tutorial: squared error, weight decay, and a sparsity penalty."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

LAMBDA, BETA, RHO = 0.1, 0.3, 0.1


def loss_fn(params, x):
    """Reconstruction, decay of both weights, and KL of the mean activation from RHO; rows are examples."""
    z2 = x @ params["W1"] + params["b1"]  # @encode
    a2 = jax.nn.sigmoid(z2)  # @code
    a3 = a2 @ params["W2"] + params["b2"]  # @decode
    squared = 0.5 * jnp.sum((a3 - x) ** 2) / len(x)  # @squared
    decay = 0.5 * LAMBDA * (jnp.sum(params["W1"] ** 2) + jnp.sum(params["W2"] ** 2))  # @decay
    rho_hat = jnp.mean(a2, axis=0)  # @rho_hat
    kl = jnp.sum(RHO * jnp.log(RHO / rho_hat) + (1 - RHO) * jnp.log((1 - RHO) / (1 - rho_hat)))  # @kl
    return squared + decay + BETA * kl  # @total


def inputs(rng, n):
    """Six pixels, four units."""
    params = {
        "W1": rng.normal(size=(6, 4)),
        "b1": rng.normal(size=4),
        "W2": rng.normal(size=(4, 6)),
        "b2": rng.normal(size=6),
    }
    return params, (rng.uniform(0, 1, size=(n, 6)),)


def forward(params, x):
    """Code and reconstruction."""
    a2 = 1 / (1 + np.exp(-(x @ params["W1"] + params["b1"])))
    return a2, a2 @ params["W2"] + params["b2"]


def penalty(rho_hat):
    """Derivative of the KL divergence by the mean activation."""
    return -RHO / rho_hat + (1 - RHO) / (1 - rho_hat)


def grads(params, x, lam=LAMBDA, sparsity=None, decayed=("W1", "W2"), slope=None):
    """Backward as in the tutorial; `sparsity` is what is added to every example's code gradient."""
    m = len(x)
    a2, a3 = forward(params, x)
    sparsity = BETA * penalty(a2.mean(axis=0)) / m if sparsity is None else sparsity
    d3 = (a3 - x) / m
    d2 = (d3 @ params["W2"].T + sparsity) * (a2 * (1 - a2) if slope is None else slope(a2))
    result = {"W1": x.T @ d2, "b1": d2.sum(axis=0), "W2": a2.T @ d3, "b2": d3.sum(axis=0)}
    for key in decayed:
        result[key] = result[key] + lam * params[key]
    return result


net = Network("sparse_penalised", loss_fn, inputs, grads, batch=8)


def _without_sparsity(params, x):
    _, a3 = forward(params, x)
    squares = sum(np.sum(params[key] ** 2) for key in ("W1", "W2"))
    return 0.5 * np.sum((a3 - x) ** 2) / len(x) + 0.5 * LAMBDA * squares


@net.fault("missing_term", at=("kl", "rho_hat", "total"))
def sparsity_forgotten(params, x):
    """The penalty is in the cost, not in delta 2."""
    return grads(params, x, sparsity=0)


@net.fault("missing_term", "wrong_loss", at=("kl", "rho_hat", "total"), loss=_without_sparsity)
def sparsity_in_neither(params, x):
    """Cost and gradient both without the penalty: an exercise's part not done yet."""
    return grads(params, x, sparsity=0)


@net.fault("scale", "wrong_reduction", at="rho_hat")
def sparsity_not_divided_by_m(params, x):
    """Delta 2 is per example and already divided by m; the penalty's share is not."""
    a2, _ = forward(params, x)
    return grads(params, x, sparsity=BETA * penalty(a2.mean(axis=0)))


@net.fault("sign", "wrong_derivative", at="kl")
def both_terms_negative(params, x):
    """−ρ/ρ̂ − (1 − ρ)/(1 − ρ̂): the inner derivative of 1 − ρ̂ is forgotten."""
    rho_hat = forward(params, x)[0].mean(axis=0)
    return grads(params, x, sparsity=BETA * (-RHO / rho_hat - (1 - RHO) / (1 - rho_hat)) / len(x))


@net.fault("extra_term", at=("decay", "encode", "decode"), called=True)
def biases_decayed_too(params, x):
    """The loop over parameters adds λ p to all four."""
    return grads(params, x, decayed=("W1", "W2", "b1", "b2"))


@net.fault("scale", at="decay")
def decay_doubled(params, x):
    """2 λ W although the cost has λ/2."""
    return grads(params, x, lam=2 * LAMBDA)


@net.fault("wrong_derivative", "upstream", at=("code", "rho_hat"))
def penalty_added_after_the_slope(params, x):
    """The penalty's gradient is added to delta 2 after the multiplication with a (1 − a)."""
    m = len(x)
    a2, a3 = forward(params, x)
    d3 = (a3 - x) / m
    d2 = d3 @ params["W2"].T * a2 * (1 - a2) + BETA * penalty(a2.mean(axis=0)) / m
    return {
        "W1": x.T @ d2 + LAMBDA * params["W1"],
        "b1": d2.sum(axis=0),
        "W2": a2.T @ d3 + LAMBDA * params["W2"],
        "b2": d3.sum(axis=0),
    }


@net.fault("missing_term", "wrong_derivative", at=("decay", "code"))
def decay_of_one_and_slope_of_tanh(params, x):
    """Two slips: W2 is not decayed, and the code has the slope 1 − a²."""
    return grads(params, x, decayed=("W1",), slope=lambda a: 1 - a**2)


@net.right(seed=4)
def written_with_the_tutorials_sums(params, x):
    """Sums over examples divided by m at the end."""
    m = len(x)
    a2, a3 = forward(params, x)
    d3 = a3 - x
    d2 = (d3 @ params["W2"].T + BETA * penalty(a2.mean(axis=0))) * a2 * (1 - a2)
    return {
        "W1": x.T @ d2 / m + LAMBDA * params["W1"],
        "b1": d2.mean(axis=0),
        "W2": a2.T @ d3 / m + LAMBDA * params["W2"],
        "b2": d3.mean(axis=0),
    }


@net.right(single=True, called=True)
def in_single_precision(params, x):
    """float32, called."""
    return grads(params, x)
