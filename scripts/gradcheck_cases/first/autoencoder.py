"""An autoencoder with tied weights: one square matrix encodes, its transpose decodes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import sigmoid


class Tied(NamedTuple):
    """One matrix, two biases."""

    w: Any
    encoder_bias: Any
    decoder_bias: Any


def loss_fn(params, x):
    """Mean over examples of the squared reconstruction error."""
    z = x @ params.w + params.encoder_bias  # @encode
    h = jax.nn.sigmoid(z)  # @sigmoid
    y = h @ params.w.T + params.decoder_bias  # @decode
    return jnp.mean(jnp.sum((y - x) ** 2, axis=1))  # @loss


def inputs(rng, n):
    """Four numbers through four units."""
    return Tied(rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)), (rng.normal(size=(n, 4)),)


def parts(params, x):
    """Encoder's and decoder's share of the matrix's gradient, and those of the biases."""
    h = sigmoid(x @ params.w + params.encoder_bias)
    dy = 2 * (h @ params.w.T + params.decoder_bias - x) / len(x)
    dz = dy @ params.w * h * (1 - h)
    return x.T @ dz, dy.T @ h, dz.sum(axis=0), dy.sum(axis=0)


def grads(params, x):
    """Both uses of the matrix add up."""
    encoder, decoder, encoder_bias, decoder_bias = parts(params, x)
    return Tied(encoder + decoder, encoder_bias, decoder_bias)


net = Network("autoencoder", loss_fn, inputs, grads)


@net.fault("overwritten", "missing_term", at=("encode", "decode"))
def second_use_overwrites_the_first(params, x):
    """`grad["w"] = …` for the decoder, then `grad["w"] = …` again for the encoder."""
    grad = {}
    encoder, decoder, grad["c"], grad["d"] = parts(params, x)
    grad["w"] = decoder
    grad["w"] = encoder
    return Tied(grad["w"], grad["c"], grad["d"])


@net.fault("missing_term", "overwritten", at="encode", called=True)
def encoder_taken_as_constant(params, x):
    """Only the decoder's share."""
    _, decoder, c, d = parts(params, x)
    return Tied(decoder, c, d)


@net.fault("transposed", at="decode")
def decoder_share_not_transposed(params, x):
    """The decoder uses wᵀ, so its share must be transposed before it is added."""
    encoder, decoder, c, d = parts(params, x)
    return Tied(encoder + decoder.T, c, d)


@net.fault("wrong_reduction", "scale", at=("encode", "decode"))
def shares_averaged(params, x):
    """The mean of both shares instead of their sum."""
    encoder, decoder, c, d = parts(params, x)
    return Tied((encoder + decoder) / 2, c, d)


@net.fault("accumulated", "scale", at="encode", single=True)
def encoder_added_twice(params, x):
    """`+=` in the loop and again after it."""
    encoder, decoder, c, d = parts(params, x)
    return Tied(2 * encoder + decoder, c, d)


@net.fault("sign", at="decode")
def shares_subtracted(params, x):
    """Encoder minus decoder."""
    encoder, decoder, c, d = parts(params, x)
    return Tied(encoder - decoder, c, d)


@net.fault("wrong_derivative", at="sigmoid")
def slope_from_the_preactivation(params, x):
    """z(1 − z): the formula of the output, applied to the input."""
    z = x @ params.w + params.encoder_bias
    h = sigmoid(z)
    dy = 2 * (h @ params.w.T + params.decoder_bias - x) / len(x)
    dz = dy @ params.w * z * (1 - z)
    return Tied(x.T @ dz + dy.T @ h, dz.sum(axis=0), dy.sum(axis=0))


@net.fault("transposed", at="decode")
def back_through_the_encoder(params, x):
    """Goes back through wᵀ, as everywhere else; the decoder's matrix is the transpose."""
    h = sigmoid(x @ params.w + params.encoder_bias)
    dy = 2 * (h @ params.w.T + params.decoder_bias - x) / len(x)
    dz = dy @ params.w.T * h * (1 - h)
    return Tied(x.T @ dz + dy.T @ h, dz.sum(axis=0), dy.sum(axis=0))


@net.fault("scale", "wrong_loss", at="loss")
def mean_over_pixels_too(params, x):
    """`np.mean` of the whole array divides by the number of pixels as well."""
    return Tied(*(grad / x.shape[1] for grad in grads(params, x)))


@net.fault("wrong_shape", at=("encode", "decode"))
def flat_weights(params, x):
    """For an optimiser that wants vectors, and never reshaped back."""
    right = grads(params, x)
    return right._replace(w=right.w.ravel())


@net.right()
def as_two_matrices(params, x):
    """Untied: two matrices that happen to be equal, gradients added in the end."""
    encoder, decoder = params.w.copy(), params.w.T.copy()
    z = np.einsum("ni,ij->nj", x, encoder) + params.encoder_bias
    h = 1 / (1 + np.exp(-z))
    error = h @ decoder + params.decoder_bias - x
    d_decoder = 2 * h.T @ error / len(x)
    dz = 2 * error @ decoder.T / len(x) * np.exp(-z) * h**2
    return Tied(x.T @ dz + d_decoder.T, dz.sum(axis=0), 2 * error.mean(axis=0))
