"""UFLDL's sparse autoencoder with tied weights and noisy inputs: squared error, weight decay, KL penalty."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .tools import sigmoid

RHO = 0.1
BETA = 0.4
DECAY = 0.02


def loss_fn(params, x, noise):
    """Half the squared error per example, plus the penalties."""
    noisy = x + noise  # @noise
    h = jax.nn.sigmoid(noisy @ params["w"] + params["b"])  # @encode
    y = jax.nn.sigmoid(h @ params["w"].T + params["c"])  # @decode
    error = 0.5 * jnp.sum((y - x) ** 2) / x.shape[0]  # @error
    rho = jnp.mean(h, axis=0)  # @rho
    kl = jnp.sum(RHO * jnp.log(RHO / rho) + (1 - RHO) * jnp.log((1 - RHO) / (1 - rho)))  # @kl
    decay = 0.5 * DECAY * jnp.sum(params["w"] ** 2)  # @decay
    return error + decay + BETA * kl  # @total


def inputs(rng, n):
    """Five pixels, as many hidden units."""
    params = {"w": rng.normal(size=(5, 5)), "b": rng.normal(size=5), "c": rng.normal(size=5)}
    return params, (rng.uniform(size=(n, 5)), 0.3 * rng.normal(size=(n, 5)))


def forward(params, x, noise):
    """Hidden units and reconstruction."""
    h = sigmoid((x + noise) @ params["w"] + params["b"])
    return h, sigmoid(h @ params["w"].T + params["c"])


def kl_slope(h):
    """Of the KL term by each hidden unit of each example, without β."""
    rho = h.mean(axis=0)
    return (-RHO / rho + (1 - RHO) / (1 - rho)) / len(h)


def grads(params, x, noise, kl=kl_slope, slip=""):
    """Both uses of the weight."""
    h, y = forward(params, x, noise)
    d2 = (y - x) / len(x)
    if slip != "output slope":
        d2 = d2 * y * (1 - y)
    through = d2 @ params["w"]
    if slip == "kl after the slope":
        d1 = through * h * (1 - h) + BETA * kl(h)
    else:
        d1 = (through + BETA * kl(h)) * h * (1 - h)
    encoder = (x + noise).T @ d1
    decoder = h.T @ d2 if slip == "decoder" else d2.T @ h
    w = encoder if slip == "encoder only" else encoder + decoder
    return {"w": w + DECAY * params["w"], "b": d1.sum(axis=0), "c": d2.sum(axis=0)}


net = Network("sparse_autoencoder", loss_fn, inputs, grads, batch=6)


@net.fault("missing_term", "overwritten", at="decode")
def weight_of_the_encoder_only(params, x, noise):
    """`dW = noisy.T @ d1` over what the decoder had left there."""
    return grads(params, x, noise, slip="encoder only")


@net.fault("transposed", at="decode")
def decoder_part_not_transposed(params, x, noise):
    """hᵀ d2 is added, the gradient of Wᵀ: as many units as pixels."""
    return grads(params, x, noise, slip="decoder")


@net.fault("missing_term", at=("kl", "total"))
def sparsity_left_out_of_delta(params, x, noise):
    """The cost has the KL term, delta2 has not."""
    return grads(params, x, noise, kl=lambda h: 0.0)


@net.fault("scale", "wrong_reduction", at="rho", called=True)
def sparsity_not_divided_by_m(params, x, noise):
    """The mean over the examples is forgotten in the KL term's gradient."""
    return grads(params, x, noise, kl=lambda h: len(h) * kl_slope(h))


@net.fault("sign", at="kl")
def sign_within_the_sparsity(params, x, noise):
    """ρ/ρ̂ + (1 − ρ)/(1 − ρ̂)."""

    def kl(h):
        rho = h.mean(axis=0)
        return (RHO / rho + (1 - RHO) / (1 - rho)) / len(h)

    return grads(params, x, noise, kl=kl)


@net.fault("stale", "wrong_operand", at=("rho", "kl"))
def running_average_of_the_activation(params, x, noise):
    """ρ̂ is kept as a moving average, made mostly of earlier weights."""

    def kl(h):
        rho = 0.9 * 0.5 + 0.1 * h.mean(axis=0)
        return (-RHO / rho + (1 - RHO) / (1 - rho)) / len(h)

    return grads(params, x, noise, kl=kl)


@net.fault("upstream", "missing_term", "wrong_derivative", at=("encode", "kl", "rho"))
def sparsity_added_after_the_slope(params, x, noise):
    """The KL term's gradient does not go through the sigmoid."""
    return grads(params, x, noise, slip="kl after the slope")


@net.fault("accumulated", at=None)
def three_workers_that_all_saw_the_batch(params, x, noise):
    """The workers' gradients are added, and each was given the whole batch."""
    parts = [grads(params, x, noise) for _ in range(3)]
    return {key: sum(part[key] for part in parts) for key in params}


@net.fault("stale", at=None)
def momentum_looked_ahead(params, x, noise):
    """Taken at Nesterov's point and reported as the gradient here."""
    first = grads(params, x, noise)
    return grads({key: value - 0.5 * first[key] for key, value in params.items()}, x, noise)


@net.fault("wrong_derivative", "wrong_loss", "missing_term", at=("decode", "kl", "total"))
def no_output_slope_and_no_sparsity(params, x, noise):
    """Two slips: the slope of the output is left out and so is the KL term."""
    return grads(params, x, noise, kl=lambda h: 0.0, slip="output slope")


@net.right()
def two_weights_and_then_their_sum(params, x, noise):
    """The gradients of an untied pair, added."""
    h, y = forward(params, x, noise)
    d2 = (y - x) * y * (1 - y) / len(x)
    decoder = np.einsum("nh,np->hp", h, d2)
    d1 = (np.einsum("np,ph->nh", d2, params["w"]) + BETA * kl_slope(h)) * (h - h**2)
    encoder = np.einsum("np,nh->ph", x + noise, d1)
    return {"w": encoder + decoder.T + DECAY * params["w"], "b": d1.sum(axis=0), "c": d2.sum(axis=0)}


@net.right(n=1, seed=2)
def one_image(params, x, noise):
    """A batch of one."""
    return grads(params, x, noise)


@net.right(single=True, called=True)
def float32(params, x, noise):
    """The same in float32."""
    return grads(params, x, noise)
