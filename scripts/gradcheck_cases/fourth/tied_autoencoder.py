"""An autoencoder whose decoder is the transpose of its encoder."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, x):
    """Half the squared reconstruction error a row."""
    z = x @ params["W"].T + params["b"]  # @encode
    h = jax.nn.sigmoid(z)  # @sigmoid
    out = h @ params["W"] + params["c"]  # @decode
    diff = out - x  # @diff
    return jnp.sum(diff**2) / (2 * len(x))  # @loss


def inputs(rng, n):
    """Four features and four hidden units, four rows: everything is square."""
    params = {"W": rng.normal(size=(4, 4)), "b": rng.normal(size=4), "c": rng.normal(size=4)}
    return params, (rng.normal(size=(n, 4)),)


def forward(params, x):
    """z, h and the difference."""
    z = x @ params["W"].T + params["b"]
    h = 1 / (1 + np.exp(-z))
    return z, h, h @ params["W"] + params["c"] - x


def grads(params, x):
    """Both uses of W add up."""
    _, h, diff = forward(params, x)
    dout = diff / len(x)
    dz = dout @ params["W"].T * h * (1 - h)
    return {"W": h.T @ dout + dz.T @ x, "b": dz.sum(axis=0), "c": dout.sum(axis=0)}


net = Network("tied_autoencoder", loss_fn, inputs, grads, batch=4)


@net.fault("missing_term", "overwritten", at="encode")
def decoder_use_only(params, x):
    """W's gradient is that of the decoder."""
    _, h, diff = forward(params, x)
    dout = diff / len(x)
    dz = dout @ params["W"].T * h * (1 - h)
    return {"W": h.T @ dout, "b": dz.sum(axis=0), "c": dout.sum(axis=0)}


@net.fault("overwritten", "missing_term", at="decode", called=True)
def encoder_overwrites_decoder(params, x):
    """`grads['W'] =` for the decoder, then `grads['W'] =` for the encoder."""
    _, h, diff = forward(params, x)
    result = {}
    dout = diff / len(x)
    result["W"] = h.T @ dout
    result["c"] = dout.sum(axis=0)
    dz = dout @ params["W"].T * h * (1 - h)
    result["W"] = dz.T @ x
    result["b"] = dz.sum(axis=0)
    return result


@net.fault("transposed", at="encode")
def encoder_part_transposed(params, x):
    """The encoder uses Wᵀ, so its share should be transposed before it is added."""
    _, h, diff = forward(params, x)
    dout = diff / len(x)
    dz = dout @ params["W"].T * h * (1 - h)
    return {"W": h.T @ dout + x.T @ dz, "b": dz.sum(axis=0), "c": dout.sum(axis=0)}


@net.fault("transposed", at="decode")
def decoder_backward_with_w(params, x):
    """Dh = dout W: W is square."""
    _, h, diff = forward(params, x)
    dout = diff / len(x)
    dz = np.dot(dout, params["W"]) * h * (1 - h)
    return {"W": h.T @ dout + dz.T @ x, "b": dz.sum(axis=0), "c": dout.sum(axis=0)}


@net.fault("upstream", "wrong_derivative", at="sigmoid", single=True)
def sigmoid_layer_drops_dout(params, x):
    """`def backward(self, dout): return self.out * (1 - self.out)`."""
    _, h, diff = forward(params, x)
    dout = diff / len(x)
    dz = h * (1 - h)
    return {"W": h.T @ dout + dz.T @ x, "b": dz.sum(axis=0), "c": dout.sum(axis=0)}


@net.fault("wrong_axis", "wrong_reduction", at="decode")
def bias_of_the_output_over_features(params, x):
    """`dout.sum(axis=1)`."""
    _, h, diff = forward(params, x)
    dout = diff / len(x)
    dz = dout @ params["W"].T * h * (1 - h)
    return {"W": h.T @ dout + dz.T @ x, "b": dz.sum(axis=0), "c": dout.sum(axis=1)}


def _mean_squared(params, x):
    return np.mean(forward(params, x)[2] ** 2)


@net.fault("wrong_loss", "scale", at="loss", loss=_mean_squared)
def mean_over_pixels(params, x):
    """np.mean of the squares: over rows and features, without the half."""
    _, h, diff = forward(params, x)
    dout = 2 * diff / diff.size
    dz = dout @ params["W"].T * h * (1 - h)
    return {"W": h.T @ dout + dz.T @ x, "b": dz.sum(axis=0), "c": dout.sum(axis=0)}


@net.right()
def untied_and_added(params, x):
    """Two matrices, the second's gradient transposed at the end."""
    _, h, diff = forward(params, x)
    encoder = params["W"].T.copy()
    dout = diff / len(x)
    dz = (dout @ encoder) * (h - h**2)
    dencoder = x.T @ dz
    return {"W": np.einsum("nh,nd->hd", h, dout) + dencoder.T, "b": dz.sum(0), "c": dout.sum(0)}


@net.right(n=1, single=True)
def one_row(params, x):
    """One example in float32."""
    return grads(params, x)
