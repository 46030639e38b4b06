"""Two convolutions, max pooling and a linear head, images as (batch, channel, height, width)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..corpus import Network
from .logistic_regression import softmax


def loss_fn(params, x, labels):
    """Mean cross-entropy of a small convolutional network."""
    k1, k2, head = params["k1"], params["k2"], params["head"]
    z1 = lax.conv_general_dilated(x, k1["w"], (1, 1), "VALID")  # @conv1
    z1 = z1 + k1["b"][:, None, None]  # @bias1
    a1 = jax.nn.relu(z1)  # @relu1
    z2 = lax.conv_general_dilated(a1, k2["w"], (1, 1), "VALID")  # @conv2
    z2 = z2 + k2["b"][:, None, None]  # @bias2
    pooled = lax.reduce_window(z2, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")  # @pool
    flat = pooled.reshape(len(x), -1)  # @flatten
    logits = flat @ head["w"] + head["b"]  # @head
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(log_p[jnp.arange(len(labels)), labels])  # @loss


def inputs(rng, n):
    """Images of 8 × 8, 2 and 3 channels, three classes."""
    params = {
        "k1": {"w": rng.normal(size=(2, 1, 3, 3)), "b": rng.normal(size=2)},
        "k2": {"w": rng.normal(size=(3, 2, 3, 3)) / 3, "b": rng.normal(size=3)},
        "head": {"w": rng.normal(size=(12, 3)) / 3, "b": rng.normal(size=3)},
    }
    return params, (rng.normal(size=(n, 1, 8, 8)), np.arange(n) % 3)


def windows(x):
    """All 3 × 3 windows: (batch, channel, row, column, 3, 3)."""
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))


def conv(x, k):
    """Cross-correlation, as everybody's convolution is, plus the bias."""
    return np.einsum("nchwij,ocij->nohw", windows(x), k["w"]) + k["b"][:, None, None]


def conv_backward(dout, x, w):
    """Gradients of the input, the kernel and the bias."""
    height, width = dout.shape[2:]
    dx = np.zeros_like(x)
    for i in range(3):
        for j in range(3):
            dx[:, :, i : i + height, j : j + width] += np.einsum("nohw,oc->nchw", dout, w[:, :, i, j])
    return dx, np.einsum("nchwij,nohw->ocij", windows(x), dout), dout.sum(axis=(0, 2, 3))


def tiles(x):
    """The 2 × 2 windows of the pooling, side by side: (batch, channel, row, 2, column, 2)."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2)


def pool_backward(dout, x):
    """To the largest of each window."""
    t = tiles(x)
    winner = t == t.max(axis=(3, 5), keepdims=True)
    return (winner * dout[:, :, :, None, :, None]).reshape(x.shape)


def grads(params, x, labels, conv_back=(conv_backward, conv_backward), pool_back=pool_backward):
    """Forward and backward, layer by layer."""
    n = len(x)
    z1 = conv(x, params["k1"])
    a1 = np.maximum(z1, 0)
    z2 = conv(a1, params["k2"])
    pooled = tiles(z2).max(axis=(3, 5))
    flat = pooled.reshape(n, -1)
    dlogits = softmax(flat @ params["head"]["w"] + params["head"]["b"])
    dlogits[np.arange(n), labels] -= 1
    dlogits /= n
    dz2 = pool_back((dlogits @ params["head"]["w"].T).reshape(pooled.shape), z2)
    da1, dk2, db2 = conv_back[1](dz2, a1, params["k2"]["w"])
    _, dk1, db1 = conv_back[0](da1 * (z1 > 0), x, params["k1"]["w"])
    head = {"w": flat.T @ dlogits, "b": dlogits.sum(axis=0)}
    return {"k1": {"w": dk1, "b": db1}, "k2": {"w": dk2, "b": db2}, "head": head}


net = Network("convolution", loss_fn, inputs, grads, batch=3)


@net.fault("wrong_pooling", at="pool")
def pooling_spreads_to_all(params, x, labels):
    """Upsampling: every element of a window gets the gradient."""

    def pool_back(dout, x):
        return dout.repeat(2, axis=2).repeat(2, axis=3)

    return grads(params, x, labels, pool_back=pool_back)


@net.fault("wrong_pooling", at="pool", called=True)
def pooling_spreads_evenly(params, x, labels):
    """Average pooling's gradient, a quarter to everyone."""

    def pool_back(dout, x):
        return dout.repeat(2, axis=2).repeat(2, axis=3) / 4

    return grads(params, x, labels, pool_back=pool_back)


@net.fault("wrong_pooling", at="pool")
def pooling_to_the_corner(params, x, labels):
    """Strided slices write to the first element of each window."""

    def pool_back(dout, x):
        dx = np.zeros_like(x)
        dx[:, :, ::2, ::2] = dout
        return dx

    return grads(params, x, labels, pool_back=pool_back)


@net.fault("wrong_pooling", at="pool")
def pooling_argmax_unravelled_wrongly(params, x, labels):
    """The argmax within the window is split into (column, row)."""

    def pool_back(dout, x):
        dx = np.zeros_like(x)
        for n, c, i, j in np.ndindex(dout.shape):
            best = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].argmax()
            dx[n, c, 2 * i + best % 2, 2 * j + best // 2] = dout[n, c, i, j]
        return dx

    return grads(params, x, labels, pool_back=pool_back)


@net.fault("permuted", at="conv2")
def kernel_flipped_on_the_way_back(params, x, labels):
    """The kernel is turned by 180° and then slid in a loop that turns it as well."""

    def conv_back(dout, x, w):
        dx, _, _ = conv_backward(dout, x, w[:, :, ::-1, ::-1])
        _, dw, db = conv_backward(dout, x, w)
        return dx, dw, db

    return grads(params, x, labels, conv_back=(conv_backward, conv_back))


@net.fault("permuted", at="conv2", single=True)
def kernel_gradient_flipped(params, x, labels):
    """The kernel's gradient as a true convolution: rotated by 180°."""

    def conv_back(dout, x, w):
        dx, dw, db = conv_backward(dout, x, w)
        return dx, np.rot90(dw, 2, axes=(2, 3)), db

    return grads(params, x, labels, conv_back=(conv_backward, conv_back))


@net.fault("transposed", "permuted", at="conv1")
def kernel_gradient_with_axes_swapped(params, x, labels):
    """Height and width change places in the first kernel's gradient."""

    def conv_back(dout, x, w):
        dx, dw, db = conv_backward(dout, x, w)
        return dx, dw.transpose(0, 1, 3, 2), db

    return grads(params, x, labels, conv_back=(conv_back, conv_backward))


@net.fault("wrong_reduction", "scale", at="bias2")
def bias_averaged_over_pixels(params, x, labels):
    """Summed over the batch, averaged over the image."""

    def conv_back(dout, x, w):
        dx, dw, _ = conv_backward(dout, x, w)
        return dx, dw, dout.mean(axis=(2, 3)).sum(axis=0)

    return grads(params, x, labels, conv_back=(conv_backward, conv_back))


@net.fault("wrong_reduction", "wrong_shape", at="bias1")
def bias_summed_over_the_batch_only(params, x, labels):
    """One gradient for every pixel of the output map."""

    def conv_back(dout, x, w):
        dx, dw, _ = conv_backward(dout, x, w)
        return dx, dw, dout.sum(axis=0)

    return grads(params, x, labels, conv_back=(conv_back, conv_backward))


@net.fault("overwritten", "wrong_reduction", at="conv2")
def windows_overwrite_each_other(params, x, labels):
    """`dx[…] =` for `+=`: of overlapping windows the last tap remains."""

    def conv_back(dout, x, w):
        height, width = dout.shape[2:]
        dx = np.zeros_like(x)
        for i in range(3):
            for j in range(3):
                dx[:, :, i : i + height, j : j + width] = np.einsum("nohw,oc->nchw", dout, w[:, :, i, j])
        return dx, *conv_backward(dout, x, w)[1:]

    return grads(params, x, labels, conv_back=(conv_backward, conv_back))


@net.fault("permuted", at="flatten")
def flattened_in_another_order(params, x, labels):
    """The head's weight gradient is made of features flattened channels last."""
    right = grads(params, x, labels)
    n = len(x)
    z2 = conv(np.maximum(conv(x, params["k1"]), 0), params["k2"])
    pooled = tiles(z2).max(axis=(3, 5))
    logits = pooled.reshape(n, -1) @ params["head"]["w"] + params["head"]["b"]
    dlogits = (softmax(logits) - np.eye(3)[labels]) / n
    right["head"]["w"] = pooled.transpose(0, 2, 3, 1).reshape(n, -1).T @ dlogits
    return right


@net.fault("wrong_reduction", "overwritten", at="conv1")
def kernel_gradient_of_the_last_image(params, x, labels):
    """The loop over the batch says `dw =`."""

    def conv_back(dout, x, w):
        for image, d in zip(x, dout, strict=True):
            _, dw, _ = conv_backward(d[None], image[None], w)
        return None, dw, dout.sum(axis=(0, 2, 3))

    return grads(params, x, labels, conv_back=(conv_back, conv_backward))


@net.fault("extra_term", at=None)
def decay_of_the_optimiser_included(params, x, labels):
    """The kernels' gradients as the optimiser sees them, with its weight decay."""
    right = grads(params, x, labels)
    for name in ("k1", "k2"):
        right[name]["w"] += 5e-2 * params[name]["w"]
    return right


@net.right()
def by_im2col(params, x, labels):
    """Columns and one product instead of einsum over windows."""

    def conv_back(dout, x, w):
        columns = windows(x).transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * 9)
        rows = dout.transpose(0, 2, 3, 1).reshape(-1, dout.shape[1])
        padded = np.pad(dout, ((0, 0), (0, 0), (2, 2), (2, 2)))
        dx = np.einsum("nohwij,ocij->nchw", windows(padded), w[:, :, ::-1, ::-1])
        return dx, (rows.T @ columns).reshape(w.shape), rows.sum(axis=0)

    return grads(params, x, labels, conv_back=(conv_back, conv_back))
