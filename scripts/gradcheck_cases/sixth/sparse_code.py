"""UFLDL: the sparse autoencoder."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import sigmoid

RHO, BETA, LAMBDA = 0.1, 0.5, 0.03


def loss_fn(params, x):
    """Half the squared error, weight decay, and the KL divergence of the mean activation."""
    a2 = jax.nn.sigmoid(x @ params["W1"] + params["b1"])  # @hidden
    a3 = jax.nn.sigmoid(a2 @ params["W2"] + params["b2"])  # @output
    squares = 0.5 * jnp.sum((a3 - x) ** 2) / x.shape[0]  # @squares
    decay = LAMBDA / 2 * (jnp.sum(params["W1"] ** 2) + jnp.sum(params["W2"] ** 2))  # @decay
    rho_hat = jnp.mean(a2, axis=0)  # @rho_hat
    kl = jnp.sum(RHO * jnp.log(RHO / rho_hat) + (1 - RHO) * jnp.log((1 - RHO) / (1 - rho_hat)))  # @kl
    return squares + decay + BETA * kl  # @total


def inputs(rng, n):
    """Patches of 7 pixels, 4 units."""
    params = {
        "W1": rng.normal(size=(7, 4)),
        "b1": 0.1 * rng.normal(size=4),
        "W2": rng.normal(size=(4, 7)),
        "b2": 0.1 * rng.normal(size=7),
    }
    return params, (rng.uniform(0.1, 0.9, size=(n, 7)),)


def sparsity(a2):
    """The gradient of the KL term by the mean activation."""
    rho_hat = a2.mean(axis=0)
    return BETA * (-RHO / rho_hat + (1 - RHO) / (1 - rho_hat))


def forward(params, x):
    """Both activations."""
    a2 = sigmoid(x @ params["W1"] + params["b1"])
    return a2, sigmoid(a2 @ params["W2"] + params["b2"])


def grads(params, x, sparsity=sparsity, decay=LAMBDA):
    """The sparsity term is added before the slope."""
    m = len(x)
    a2, a3 = forward(params, x)
    d3 = -(x - a3) * a3 * (1 - a3)
    d2 = (d3 @ params["W2"].T + sparsity(a2)) * a2 * (1 - a2)
    return {
        "W1": x.T @ d2 / m + decay * params["W1"],
        "b1": d2.mean(axis=0),
        "W2": a2.T @ d3 / m + decay * params["W2"],
        "b2": d3.mean(axis=0),
    }


net = Network("sparse_code", loss_fn, inputs, grads, batch=6)


@net.fault("missing_term", at=("kl", "rho_hat", "total"))
def sparsity_in_the_cost_only(params, x):
    """δ² has no sparsity term."""
    return grads(params, x, sparsity=lambda a2: 0)


@net.fault("wrong_derivative", "wrong_operand", at=("hidden", "kl"))
def sparsity_added_behind_the_slope(params, x):
    """A bracket too few: (W δ) a(1 − a) + β(…)."""
    m = len(x)
    a2, a3 = forward(params, x)
    d3 = -(x - a3) * a3 * (1 - a3)
    d2 = d3 @ params["W2"].T * a2 * (1 - a2) + sparsity(a2)
    right = grads(params, x)
    return {**right, "W1": x.T @ d2 / m + LAMBDA * params["W1"], "b1": d2.mean(axis=0)}


@net.fault("scale", at=("rho_hat", "kl"), called=True)
def sparsity_not_divided_by_m(params, x):
    """δ³ is divided by m at once, the sparsity term never."""
    a2, a3 = forward(params, x)
    d3 = -(x - a3) / len(x) * a3 * (1 - a3)
    d2 = (d3 @ params["W2"].T + sparsity(a2)) * a2 * (1 - a2)
    return {
        "W1": x.T @ d2 + LAMBDA * params["W1"],
        "b1": d2.sum(axis=0),
        "W2": a2.T @ d3 + LAMBDA * params["W2"],
        "b2": d3.sum(axis=0),
    }


@net.fault("sign", at="kl")
def sign_inside_the_divergence(params, x):
    """−ρ/ρ̂ − (1 − ρ)/(1 − ρ̂)."""

    def wrong(a2):
        rho_hat = a2.mean(axis=0)
        return BETA * (-RHO / rho_hat - (1 - RHO) / (1 - rho_hat))

    return grads(params, x, sparsity=wrong)


@net.fault("wrong_reduction", "wrong_axis", at="rho_hat")
def one_mean_activation_for_all(params, x):
    """`a2.mean()`: the mean activation of the layer, not of each unit."""

    def wrong(a2):
        rho_hat = a2.mean()
        return BETA * (-RHO / rho_hat + (1 - RHO) / (1 - rho_hat))

    return grads(params, x, sparsity=wrong)


@net.fault("extra_term", at="decay", single=True)
def biases_decayed(params, x):
    """Weight decay on the biases too."""
    right = grads(params, x)
    return {key: grad + (LAMBDA * params[key] if key[0] == "b" else 0) for key, grad in right.items()}


@net.fault("wrong_derivative", at="output")
def output_taken_as_linear(params, x):
    """δ³ = −(x − a³), as for the linear decoder."""
    m = len(x)
    a2, a3 = forward(params, x)
    d3 = -(x - a3)
    d2 = (d3 @ params["W2"].T + sparsity(a2)) * a2 * (1 - a2)
    return {
        "W1": x.T @ d2 / m + LAMBDA * params["W1"],
        "b1": d2.mean(axis=0),
        "W2": a2.T @ d3 / m + LAMBDA * params["W2"],
        "b2": d3.mean(axis=0),
    }


@net.fault("scale", at="decay")
def decay_divided_by_m(params, x):
    """The whole of (ΔW + λW) is divided by m."""
    return grads(params, x, decay=LAMBDA / len(x))


@net.fault("missing_term", "scale", at=("kl", "rho_hat", "total", "squares"))
def two_no_sparsity_and_doubled_squares(params, x):
    """Two slips: no sparsity term, and the ½ of the squares was overlooked."""
    no_kl = grads(params, x, sparsity=lambda a2: 0, decay=0)
    return {key: 2 * grad + (LAMBDA * params[key] if key[0] == "W" else 0) for key, grad in no_kl.items()}


@net.right(seed=7)
def example_by_example(params, x):
    """Two passes over the patches, as in the exercise's first version."""
    a2, a3 = forward(params, x)
    d = {key: np.zeros_like(value) for key, value in params.items()}
    for patch, hidden, out in zip(x, a2, a3, strict=True):
        d3 = (out - patch) * out * (1 - out)
        d2 = (params["W2"] @ d3 + sparsity(a2)) * hidden * (1 - hidden)
        for key, grad in (("W1", np.outer(patch, d2)), ("b1", d2), ("W2", np.outer(hidden, d3)), ("b2", d3)):
            d[key] += grad / len(x)
    return {key: grad + (LAMBDA * params[key] if key[0] == "W" else 0) for key, grad in d.items()}
