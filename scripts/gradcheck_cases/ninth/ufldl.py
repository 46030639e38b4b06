"""UFLDL's first exercise: a sparse autoencoder, examples as columns."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

RHO, BETA, LAMBDA = 0.1, 0.5, 0.02


def loss_fn(params, x):
    """Squared error, weight decay and the KL divergence of the mean activations."""
    m = x.shape[1]
    z2 = params["W1"] @ x + params["b1"]  # @z2
    a2 = jax.nn.sigmoid(z2)  # @a2
    z3 = params["W2"] @ a2 + params["b2"]  # @z3
    a3 = jax.nn.sigmoid(z3)  # @a3
    squared = 0.5 * jnp.sum((a3 - x) ** 2) / m  # @squared
    rho = a2.mean(axis=1, keepdims=True)  # @rho
    kl = jnp.sum(RHO * jnp.log(RHO / rho) + (1 - RHO) * jnp.log((1 - RHO) / (1 - rho)))  # @kl
    decay = LAMBDA / 2 * (jnp.sum(params["W1"] ** 2) + jnp.sum(params["W2"] ** 2))  # @decay
    return squared + decay + BETA * kl  # @total


def inputs(rng, n):
    """Six pixels, four hidden units."""
    params = {
        "W1": rng.normal(size=(4, 6)),
        "b1": rng.normal(size=(4, 1)),
        "W2": rng.normal(size=(6, 4)),
        "b2": rng.normal(size=(6, 1)),
    }
    return params, (rng.uniform(0.1, 0.9, size=(6, n)),)


def sigmoid(z):
    """Of an array."""
    return 1 / (1 + np.exp(-z))


def grads(params, x, wrong="", beta=BETA, decay=LAMBDA, axis=1):
    """sparseAutoencoderCost; `wrong` names the slip."""
    m = x.shape[1]
    a2 = sigmoid(params["W1"] @ x + params["b1"])
    a3 = sigmoid(params["W2"] @ a2 + params["b2"])
    rho = a2.mean(axis=axis, keepdims=True)
    sparsity = beta * (-RHO / rho + (1 - RHO) / (1 - rho))
    delta3 = -(x - a3) * a3 * (1 - a3)
    if wrong == "sign":
        delta3 = -delta3
    slope = a2 * (1 - a2)
    delta2 = (params["W2"].T @ delta3 + sparsity) * slope
    if wrong == "parentheses":
        delta2 = params["W2"].T @ delta3 * slope + sparsity
    W1, W2 = delta2 @ x.T / m + decay * params["W1"], delta3 @ a2.T / m + decay * params["W2"]
    b1 = delta2.mean(axis=1, keepdims=True)
    return {"W1": W1, "b1": b1, "W2": W2, "b2": delta3.sum(axis=1, keepdims=True) / m}


net = Network("ufldl", loss_fn, inputs, grads, batch=5)


@net.fault("missing_term", at=("rho", "kl"))
def sparsity_forgotten(params, x):
    """The penalty is in the cost only."""
    return grads(params, x, beta=0)


@net.fault("wrong_derivative", "missing_term", at=("a2", "kl", "rho"))
def sparsity_outside_the_parentheses(params, x):
    """W2ᵀ δ3 ∘ f′(z2) + β (…): the sparsity term is not multiplied by the slope."""
    return grads(params, x, "parentheses")


@net.fault("wrong_axis", at="rho")
def mean_over_the_units(params, x):
    """`mean(axis=0)`: MATLAB's mean(a2) for mean(a2, 2); the shapes broadcast."""
    return grads(params, x, axis=0)


@net.fault("sign", at="squared", n=1)
def reconstruction_minus_input(params, x):
    """(x − a3) without the minus in front, copied from the notes."""
    return grads(params, x, "sign")


@net.fault("scale", at="decay", single=True, seed=2)
def decay_divided_by_m(params, x):
    """λ/m as in Ng's other course."""
    return grads(params, x, decay=LAMBDA / x.shape[1])


def _without_penalties(params, x):
    a2 = sigmoid(params["W1"] @ x + params["b1"])
    return 0.5 * np.sum((sigmoid(params["W2"] @ a2 + params["b2"]) - x) ** 2) / x.shape[1]


@net.fault("wrong_loss", "missing_term", at=("total", "kl", "decay"), loss=_without_penalties)
def reconstruction_error_logged(params, x):
    """The gradient is right; the value that is logged is the reconstruction error alone."""
    return grads(params, x)


@net.fault("missing_term", at=("rho", "kl", "decay"))
def neither_sparsity_nor_decay(params, x):
    """Two slips: the gradient of the plain autoencoder."""
    return grads(params, x, beta=0, decay=0)


@net.fault("accumulated", at=None)
def rho_and_gradients_kept(params, x):
    """minFunc calls twice, the gradient arrays are module variables to which each call adds."""
    first, second = grads(params, x), grads(params, x)
    return {key: first[key] + second[key] for key in first}


@net.right(called=True)
def example_by_example(params, x):
    """A loop over the columns after one pass for the mean activations."""
    m = x.shape[1]
    rho = sigmoid(params["W1"] @ x + params["b1"]).mean(axis=1)
    d = {"W1": LAMBDA * params["W1"], "W2": LAMBDA * params["W2"], "b1": 0.0, "b2": 0.0}
    for i in range(m):
        a1 = x[:, i : i + 1]
        a2 = sigmoid(params["W1"] @ a1 + params["b1"])
        a3 = sigmoid(params["W2"] @ a2 + params["b2"])
        delta3 = (a3 - a1) * a3 * (1 - a3)
        sparsity = BETA * ((1 - RHO) / (1 - rho) - RHO / rho)[:, None]
        delta2 = (params["W2"].T @ delta3 + sparsity) * a2 * (1 - a2)
        d = {
            "W1": d["W1"] + delta2 @ a1.T / m,
            "W2": d["W2"] + delta3 @ a2.T / m,
            "b1": d["b1"] + delta2 / m,
            "b2": d["b2"] + delta3 / m,
        }
    return d


@net.right(single=True, seed=7)
def float32(params, x):
    """In float32."""
    return grads(params, x)


@net.right(n=1, seed=5)
def one_column(params, x):
    """m = 1."""
    return grads(params, x)
