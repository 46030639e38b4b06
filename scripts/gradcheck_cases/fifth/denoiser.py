"""A denoising autoencoder: corrupted input, leaky ReLU, sigmoid output, squared error."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import sigmoid

SLOPE = 0.2


def loss_fn(params, x, keep):
    """Squared error per example of the clean x, rebuilt from x · keep."""
    corrupt = x * keep  # @corrupt
    pre = corrupt @ params["We"] + params["be"]  # @encode
    code = jnp.where(pre > 0, pre, SLOPE * pre)  # @leaky
    out = code @ params["Wd"] + params["bd"]  # @decode
    recon = jax.nn.sigmoid(out)  # @sigmoid
    diff = recon - x  # @diff
    return jnp.mean(jnp.sum(diff**2, axis=1))  # @loss


def inputs(rng, n):
    """Eight pixels in [0, 1], a code of 4, a third of the pixels dropped."""
    params = {
        "We": rng.normal(size=(8, 4)),
        "be": rng.normal(size=4),
        "Wd": rng.normal(size=(4, 8)) / 2,
        "bd": rng.normal(size=8),
    }
    return params, (rng.uniform(size=(n, 8)), (rng.uniform(size=(n, 8)) > 0.33).astype(float))


def forward(params, x, keep):
    """Pre-activation, code and reconstruction."""
    pre = (x * keep) @ params["We"] + params["be"]
    code = np.where(pre > 0, pre, SLOPE * pre)
    return pre, code, sigmoid(code @ params["Wd"] + params["bd"])


def leaky_slope(pre):
    """1 or SLOPE."""
    return np.where(pre > 0, 1.0, SLOPE)


def backward(params, x_in, pre, code, dout, slope=leaky_slope):
    """From the gradient of the output layer's input down."""
    dpre = dout @ params["Wd"].T * slope(pre)
    return {"We": x_in.T @ dpre, "be": dpre.sum(axis=0), "Wd": code.T @ dout, "bd": dout.sum(axis=0)}


def grads(params, x, keep, slope=leaky_slope):
    """Decoder, then encoder."""
    pre, code, recon = forward(params, x, keep)
    dout = 2 * (recon - x) / len(x) * recon * (1 - recon)
    return backward(params, x * keep, pre, code, dout, slope)


net = Network("denoiser", loss_fn, inputs, grads, batch=5)


@net.fault("wrong_operand", "wrong_mask", at=("encode", "corrupt"))
def encoder_saw_the_clean_input(params, x, keep):
    """dWe = x.T @ dpre: the encoder's input was the corrupted x."""
    pre, code, recon = forward(params, x, keep)
    dout = 2 * (recon - x) / x.shape[0] * recon * (1 - recon)
    dpre = dout @ params["Wd"].T
    dpre[pre <= 0] *= SLOPE
    return {"We": x.T @ dpre, "be": dpre.sum(0), "Wd": code.T @ dout, "bd": dout.sum(0)}


@net.fault("wrong_derivative", "wrong_loss", at="sigmoid")
def output_delta_of_the_cross_entropy(params, x, keep):
    """recon - x, as if sigmoid and loss cancelled."""
    pre, code, recon = forward(params, x, keep)
    return backward(params, x * keep, pre, code, 2 * (recon - x) / len(x))


@net.fault("wrong_derivative", at="sigmoid")
def sigmoid_slope_of_the_logit(params, x, keep):
    """out (1 - out) where recon (1 - recon) was meant."""
    pre, code, recon = forward(params, x, keep)
    out = code @ params["Wd"] + params["bd"]
    dout = 2 * (recon - x) / len(x) * (out * (1 - out))
    return backward(params, x * keep, pre, code, dout)


@net.fault("wrong_derivative", at="leaky", called=True)
def default_slope_of_the_library(params, x, keep):
    """0.01 backward, 0.2 forward."""
    return grads(params, x, keep, slope=lambda pre: np.where(pre > 0, 1, 0.01))


@net.fault("wrong_mask", "wrong_derivative", at="leaky")
def leaky_relu_taken_for_a_relu(params, x, keep):
    """Nothing flows where the unit is negative."""
    pre, code, recon = forward(params, x, keep)
    dout = 2 * (recon - x) / len(x) * recon * (1 - recon)
    dcode = dout @ params["Wd"].T
    dpre = dcode * (pre > 0)
    return {"We": (x * keep).T @ dpre, "be": dpre.sum(0), "Wd": code.T @ dout, "bd": dout.sum(0)}


def _mean_of_all(params, x, keep):
    return np.mean((forward(params, x, keep)[2] - x) ** 2)


@net.fault("wrong_loss", "scale", at="loss", loss=_mean_of_all)
def mean_over_pixels(params, x, keep):
    """np.mean over examples and pixels, like nn.MSELoss."""
    return {key: grad / x.shape[1] for key, grad in grads(params, x, keep).items()}


@net.fault("scale", at="loss", n=1)
def two_of_the_square_missing(params, x, keep):
    """The derivative of diff² as diff."""
    pre, code, recon = forward(params, x, keep)
    dout = (recon - x) / len(x) * recon * (1 - recon)
    return backward(params, x * keep, pre, code, dout)


@net.fault("wrong_operand", "wrong_loss", at="diff")
def compared_with_the_corrupted_input(params, x, keep):
    """A plain autoencoder's code: input and target are the same array."""
    x_in = x * keep
    pre, code, recon = forward(params, x, keep)
    dout = 2 * (recon - x_in) / len(x) * recon * (1 - recon)
    return backward(params, x_in, pre, code, dout)


@net.fault("wrong_axis", "wrong_reduction", at="encode", n=4)
def encoder_bias_summed_over_units(params, x, keep):
    """axis=1, unnoticed: four examples and four units."""
    pre, code, recon = forward(params, x, keep)
    dout = 2 * (recon - x) / len(x) * recon * (1 - recon)
    dpre = dout @ params["Wd"].T * leaky_slope(pre)
    return {"We": (x * keep).T @ dpre, "be": dpre.sum(axis=1), "Wd": code.T @ dout, "bd": dout.sum(axis=0)}


@net.fault("accumulated", at=None, seed=2)
def buffers_never_zeroed(params, x, keep):
    """Three passes over the same batch, += into the layers' buffers, no zero_grad."""
    buffers = {name: np.zeros_like(value) for name, value in params.items()}
    for _ in range(3):
        for name, grad in grads(params, x, keep).items():
            buffers[name] += grad
    return buffers


@net.fault("upstream", at="sigmoid")
def output_layer_ignores_the_error(params, x, keep):
    """The sigmoid's backward returns its local slope and forgets to multiply by dout."""
    pre, code, recon = forward(params, x, keep)
    return backward(params, x * keep, pre, code, recon * (1 - recon))


@net.right()
def matrices_as_sums_of_outer_products(params, x, keep):
    """einsum instead of transposes."""
    pre, code, recon = forward(params, x, keep)
    dout = np.multiply(recon - x, recon - recon**2) * (2 / len(x))
    dpre = np.einsum("no,co->nc", dout, params["Wd"]) * ((pre > 0) + SLOPE * (pre <= 0))
    We = np.einsum("ni,ni,nc->ic", x, keep, dpre)
    return {"We": We, "be": np.einsum("nc->c", dpre), "Wd": np.einsum("nc,no->co", code, dout), "bd": dout.sum(0)}


@net.right(single=True, seed=8)
def slopes_in_float64(params, x, keep):
    """Parameters in float32, the gradient computed in float64."""
    params = {key: value.astype(np.float64) for key, value in params.items()}
    return grads(params, x.astype(np.float64), keep.astype(np.float64))
