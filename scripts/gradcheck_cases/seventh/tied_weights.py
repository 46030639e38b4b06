"""An autoencoder with tied weights and an L1 penalty on its code."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

BETA = 0.4


def loss_fn(params, x):
    """Squared error per example plus β times the code's L1 norm."""
    W, b_enc, b_dec = params["W"], params["b_enc"], params["b_dec"]
    pre = x @ W + b_enc  # @encode
    code = jax.nn.sigmoid(pre)  # @sigmoid
    recon = code @ W.T + b_dec  # @decode
    error = jnp.sum(jnp.square(recon - x), axis=1)  # @error
    sparsity = BETA * jnp.sum(jnp.abs(code), axis=1)  # @sparsity
    return jnp.mean(error + sparsity)  # @mean


def inputs(rng, n):
    """Six features, three units."""
    params = {"W": rng.normal(size=(6, 3)), "b_enc": rng.normal(size=3), "b_dec": rng.normal(size=6)}
    return params, (rng.normal(size=(n, 6)),)


def parts(params, x, beta=BETA):
    """The weights' gradients as encoder and decoder, those of the biases."""
    W = params["W"]
    code = 1 / (1 + np.exp(-(x @ W + params["b_enc"])))
    drecon = 2 * (code @ W.T + params["b_dec"] - x) / len(x)
    dpre = (drecon @ W + beta / len(x)) * code * (1 - code)
    return x.T @ dpre, drecon.T @ code, {"b_enc": dpre.sum(0), "b_dec": drecon.sum(0)}


def grads(params, x):
    """Both uses of W."""
    encoder, decoder, biases = parts(params, x)
    return {"W": encoder + decoder, **biases}


net = Network("tied_weights", loss_fn, inputs, grads, batch=5)


@net.fault("overwritten", "missing_term", at=("decode", "encode"))
def encoder_overwrites_decoder(params, x):
    """grads["W"] is set twice; backward comes to the encoder last."""
    encoder, _, biases = parts(params, x)
    return {"W": encoder, **biases}


@net.fault("wrong_shape", "transposed", at=("decode", "encode"))
def gradient_shaped_as_the_decoder(params, x):
    """W and its gradient as (units, features)."""
    encoder, decoder, biases = parts(params, x)
    return {"W": (encoder + decoder).T, **biases}


@net.fault("accumulated", "extra_term", at="decode")
def decoder_added_twice(params, x):
    """The tied gradient is added when the decoder is done and again in the end."""
    encoder, decoder, biases = parts(params, x)
    dW = decoder
    dW = dW + encoder
    dW = dW + decoder
    return {"W": dW, **biases}


@net.fault("missing_term", at="sparsity")
def sparsity_forgotten(params, x):
    """The penalty appears in the loss only."""
    encoder, decoder, biases = parts(params, x, beta=0)
    return {"W": encoder + decoder, **biases}


@net.fault("scale", at=("sparsity", "mean"), called=True)
def sparsity_not_averaged(params, x):
    """β for β / N."""
    encoder, decoder, biases = parts(params, x, beta=BETA * len(x))
    return {"W": encoder + decoder, **biases}


@net.right(seed=5, n=9)
def by_einsum(params, x):
    """Column by column of the batch."""
    W, n = params["W"], len(x)
    code = 0.5 * (1 + np.tanh(0.5 * (np.einsum("ni,ij->nj", x, W) + params["b_enc"])))
    drecon = 2 / n * (np.einsum("nj,ij->ni", code, W) + params["b_dec"] - x)
    dpre = (np.einsum("ni,ij->nj", drecon, W) + BETA / n * np.sign(code)) * (code - code**2)
    dW = np.einsum("ni,nj->ij", x, dpre) + np.einsum("ni,nj->ij", drecon, code)
    return {"W": dW, "b_enc": dpre.sum(axis=0), "b_dec": drecon.sum(axis=0)}


@net.right(single=True, called=True)
def added_in_place(params, x):
    """float32, the second use added in place."""
    dW, decoder, biases = parts(params, x)
    dW += decoder
    return {"W": dW, **biases}
