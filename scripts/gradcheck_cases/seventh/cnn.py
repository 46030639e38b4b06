"""Two convolutions in TensorFlow's layout (NHWC, HWIO): bias, ReLU, max pooling, bias, ReLU, dense."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradcheck_cases.corpus import Network

LAYOUT = ("NHWC", "HWIO", "NHWC")


def loss_fn(params, images, labels):
    """Mean cross-entropy."""
    c1 = lax.conv_general_dilated(images, params["conv1"]["w"], (1, 1), "SAME", dimension_numbers=LAYOUT)  # @conv1
    c1 = c1 + params["conv1"]["b"]  # @bias1
    r1 = jax.nn.relu(c1)  # @relu1
    p1 = lax.reduce_window(r1, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")  # @maxpool
    c2 = lax.conv_general_dilated(p1, params["conv2"]["w"], (1, 1), "VALID", dimension_numbers=LAYOUT)  # @conv2
    c2 = c2 + params["conv2"]["b"]  # @bias2
    r2 = jax.nn.relu(c2)  # @relu2
    flat = jnp.reshape(r2, (r2.shape[0], -1))  # @flatten
    logits = flat @ params["dense"]["w"] + params["dense"]["b"]  # @dense
    logp = jax.nn.log_softmax(logits, axis=-1)  # @softmax
    return -jnp.mean(jnp.take_along_axis(logp, labels[:, None], axis=-1))  # @nll


def inputs(rng, n):
    """Images of 6 × 6 × 2, filters 3 and 4, three classes."""
    params = {
        "conv1": {"w": rng.normal(size=(3, 3, 2, 3)) / 3, "b": rng.normal(size=3) / 2},
        "conv2": {"w": rng.normal(size=(2, 2, 3, 4)) / 2, "b": rng.normal(size=4) / 2},
        "dense": {"w": rng.normal(size=(16, 3)) / 2, "b": rng.normal(size=3)},
    }
    return params, (rng.normal(size=(n, 6, 6, 2)), np.arange(n) % 3)


def conv(x, w):
    """Valid, by the taps."""
    kh, kw = w.shape[:2]
    oh, ow = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    return sum(x[:, i : i + oh, j : j + ow] @ w[i, j] for i in range(kh) for j in range(kw))


def conv_dx(dout, x, w):
    """Every tap's share added to the input's gradient."""
    dx = np.zeros_like(x)
    oh, ow = dout.shape[1:3]
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            dx[:, i : i + oh, j : j + ow] += dout @ w[i, j].T
    return dx


def conv_dw(dout, x, w):
    """The gradient of the kernel."""
    dw = np.zeros_like(w)
    oh, ow = dout.shape[1:3]
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            dw[i, j] = np.tensordot(x[:, i : i + oh, j : j + ow], dout, axes=([0, 1, 2], [0, 1, 2]))
    return dw


def blocks(x):
    """(n, h/2, 2, w/2, 2, c)."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c)


def pool_back(dout, x):
    """To the first maximum in the window."""
    dx = np.zeros_like(x)
    for n, i, j, c in np.ndindex(dout.shape):
        a, b = np.unravel_index(x[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c].argmax(), (2, 2))
        dx[n, 2 * i + a, 2 * j + b, c] += dout[n, i, j, c]
    return dx


def bias_back(dout):
    """Over batch and pixels."""
    return dout.sum(axis=(0, 1, 2))


def grads(
    params,
    images,
    labels,
    pool=pool_back,
    dx=conv_dx,
    dw1=conv_dw,
    order="C",
    mean=True,
):
    """Forward and backward; the parts may be replaced."""
    n, w2 = len(images), params["conv2"]["w"]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    c1 = conv(padded, params["conv1"]["w"]) + params["conv1"]["b"]
    r1 = np.maximum(c1, 0)
    p1 = blocks(r1).max(axis=(2, 4))
    c2 = conv(p1, w2) + params["conv2"]["b"]
    r2 = np.maximum(c2, 0)
    flat = r2.reshape(n, -1)
    logits = flat @ params["dense"]["w"] + params["dense"]["b"]
    e = np.exp(logits - logits.max(1, keepdims=True))
    d = e / e.sum(1, keepdims=True)
    d[np.arange(n), labels] -= 1
    if mean:
        d /= n
    dflat = d @ params["dense"]["w"].T
    if order == "C":
        dr2 = dflat.reshape(r2.shape)
    else:
        dr2 = dflat.reshape(n, 4, 2, 2).transpose(0, 2, 3, 1)
    dc2 = dr2 * (c2 > 0)
    dc1 = pool(dx(dc2, p1, w2), r1) * (c1 > 0)
    return {
        "conv1": {"w": dw1(dc1, padded, params["conv1"]["w"]), "b": bias_back(dc1)},
        "conv2": {"w": conv_dw(dc2, p1, w2), "b": bias_back(dc2)},
        "dense": {"w": flat.T @ d, "b": d.sum(axis=0)},
    }


net = Network("cnn", loss_fn, inputs, grads, batch=2)


def _upsample(dout):
    return dout.repeat(2, axis=1).repeat(2, axis=2)


@net.fault("wrong_pooling", at="maxpool")
def pooling_upsamples(params, images, labels):
    """np.repeat: everybody in the window gets the whole gradient."""
    return grads(params, images, labels, pool=lambda d, x: _upsample(d))


@net.fault("wrong_pooling", at="maxpool", single=True)
def pooling_like_an_average(params, images, labels):
    """A quarter to everyone."""
    return grads(params, images, labels, pool=lambda d, x: _upsample(d) / 4)


@net.fault("wrong_pooling", at="maxpool")
def argmax_rows_and_columns_swapped(params, images, labels):
    """best // 2 is used for the column."""

    def pool(dout, x):
        dx = np.zeros_like(x)
        for n, i, j, c in np.ndindex(dout.shape):
            best = x[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c].argmax()
            dx[n, 2 * i + best % 2, 2 * j + best // 2, c] = dout[n, i, j, c]
        return dx

    return grads(params, images, labels, pool=pool)


@net.fault("permuted", at="conv2")
def kernel_turned_on_the_way_back(params, images, labels):
    """rot90 twice, though the scattering loop turns it already."""
    return grads(params, images, labels, dx=lambda d, x, w: conv_dx(d, x, w[::-1, ::-1]))


@net.fault("permuted", at="conv1", n=1)
def kernel_gradient_flipped(params, images, labels):
    """scipy.signal.convolve2d for correlate2d."""
    return grads(params, images, labels, dw1=lambda d, x, w: conv_dw(d, x, w)[::-1, ::-1])


@net.fault("overwritten", "wrong_reduction", at="conv2")
def overlapping_windows_assigned(params, images, labels):
    """`=` for `+=`."""

    def dx(dout, x, w):
        out = np.zeros_like(x)
        for i in range(dout.shape[1]):
            for j in range(dout.shape[2]):
                out[:, i : i + 2, j : j + 2] = np.einsum("no,hwio->nhwi", dout[:, i, j], w)
        return out

    return grads(params, images, labels, dx=dx)


@net.fault("permuted", at="flatten")
def unflattened_channels_first(params, images, labels):
    """Reshaped back as (n, c, h, w)."""
    return grads(params, images, labels, order="channels first")


@net.fault("wrong_shape", at="dense")
def dense_gradient_as_a_kernel(params, images, labels):
    """The dense layer seen as a 2 × 2 convolution: (2, 2, 4, 3) and not reshaped back."""
    right = grads(params, images, labels)
    right["dense"]["w"] = right["dense"]["w"].reshape(2, 2, 4, 3)
    return right


@net.fault("wrong_pooling", "scale", at=("maxpool", "nll"))
def average_pool_and_no_batch(params, images, labels):
    """Two slips: the average's gradient for the maximum's, and no 1/N."""
    return grads(params, images, labels, pool=lambda d, x: _upsample(d) / 4, mean=False)


@net.right()
def ties_among_zeros(params, images, labels):
    """After a ReLU whole windows are zero: all of them get the gradient, the ReLU's mask takes it away."""

    def pool(dout, x):
        b = blocks(x)
        return (dout[:, :, None, :, None] * (b == b.max(axis=(2, 4), keepdims=True))).reshape(x.shape)

    return grads(params, images, labels, pool=pool)


@net.right(n=1, seed=3, called=True)
def full_correlation_with_the_turned_kernel(params, images, labels):
    """Pad and slide the kernel turned by 180°."""

    def dx(dout, x, w):
        padded = np.pad(dout, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return conv(padded, w[::-1, ::-1].transpose(0, 1, 3, 2))

    return grads(params, images, labels, dx=dx)


@net.right(single=True, seed=8)
def kernel_by_einsum(params, images, labels):
    """Windows and einsum in float32."""

    def dw1(d, x, w):
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
        return np.einsum("nhwcij,nhwo->ijco", windows, d)

    return grads(params, images, labels, dw1=dw1)
