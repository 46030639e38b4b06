"""The book's layers (im2col, Affine, SoftmaxWithLoss) put together: two convolutions, max pooling, affine."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..corpus import Network
from .tools import softmax

ONE = ((1, 1), (1, 1))


def loss_fn(params, x, t):
    """Mean cross-entropy of one-hot labels."""
    c1 = lax.conv_general_dilated(x, params["W1"], (1, 1), ONE)  # @conv1
    c1 = c1 + params["b1"].reshape(1, -1, 1, 1)  # @bias1
    z1 = jnp.maximum(c1, 0)  # @relu1
    c2 = lax.conv_general_dilated(z1, params["W2"], (1, 1), ONE)  # @conv2
    c2 = c2 + params["b2"].reshape(1, -1, 1, 1)  # @bias2
    z2 = jnp.maximum(c2, 0)  # @relu2
    pooled = lax.reduce_window(z2, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")  # @pool
    flat = pooled.reshape(x.shape[0], -1)  # @flatten
    scores = flat @ params["W3"] + params["b3"]  # @affine
    log_y = jax.nn.log_softmax(scores)  # @softmax
    return -jnp.sum(t * log_y) / x.shape[0]  # @loss


def inputs(rng, n):
    """Images of 4 × 6 in one channel, three filters twice, four classes."""
    params = {
        "W1": rng.normal(size=(3, 1, 3, 3)) / 2,
        "b1": rng.normal(size=3) / 2,
        "W2": rng.normal(size=(3, 3, 3, 3)) / 3,
        "b2": rng.normal(size=3) / 2,
        "W3": rng.normal(size=(18, 4)) / 3,
        "b3": rng.normal(size=4),
    }
    return params, (rng.normal(size=(n, 1, 4, 6)), np.eye(4)[rng.integers(0, 4, size=n)])


def im2col(image, size, stride, pad):
    """One row for each window: (N · rows · columns, C · size · size)."""
    n, c, height, width = image.shape
    rows, columns = (height + 2 * pad - size) // stride + 1, (width + 2 * pad - size) // stride + 1
    image = np.pad(image, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    col = np.zeros((n, c, size, size, rows, columns), image.dtype)
    for i in range(size):
        for j in range(size):
            col[:, :, i, j] = image[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * rows * columns, -1)


def col2im(col, shape, size, stride, pad, add=True):
    """Back to the image, overlapping windows added."""
    n, c, height, width = shape
    rows, columns = (height + 2 * pad - size) // stride + 1, (width + 2 * pad - size) // stride + 1
    col = col.reshape(n, rows, columns, c, size, size).transpose(0, 3, 4, 5, 1, 2)
    image = np.zeros((n, c, height + 2 * pad, width + 2 * pad), col.dtype)
    for i in range(size):
        for j in range(size):
            window = image[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride]
            window[...] = window + col[:, :, i, j] if add else col[:, :, i, j]
    return image[:, :, pad : height + pad, pad : width + pad]


def convolve(x, W, b):
    """Forward and what backward keeps."""
    col = im2col(x, 3, 1, 1)
    out = col @ W.reshape(len(W), -1).T + b
    return out.reshape(len(x), *x.shape[2:], -1).transpose(0, 3, 1, 2), col


def conv_backward(dout, x, col, W, add=True):
    """Of the input, the filters and the bias."""
    dout = dout.transpose(0, 2, 3, 1).reshape(-1, len(W))
    dW = (col.T @ dout).transpose(1, 0).reshape(W.shape)
    dcol = dout @ W.reshape(len(W), -1)
    return col2im(dcol, x.shape, 3, 1, 1, add), dW, dout.sum(axis=0)


def pool_backward(dout, x):
    """To the largest of each window, one row of dmax for each."""
    arg_max = im2col(x, 2, 2, 0).reshape(-1, 4).argmax(axis=1)
    dout = dout.transpose(0, 2, 3, 1)
    dmax = np.zeros((dout.size, 4), x.dtype)
    dmax[np.arange(arg_max.size), arg_max] = dout.flatten()
    return col2im(dmax.reshape(-1, 4 * x.shape[1]), x.shape, 2, 2, 0)


def grads(params, x, t, back1=conv_backward, back2=conv_backward, pool=pool_backward, mask1=None):
    """All layers in reverse order."""
    c1, col1 = convolve(x, params["W1"], params["b1"])
    z1 = np.maximum(c1, 0)
    c2, col2 = convolve(z1, params["W2"], params["b2"])
    z2 = np.maximum(c2, 0)
    pooled = im2col(z2, 2, 2, 0).reshape(-1, 4).max(axis=1)
    pooled = pooled.reshape(len(x), 2, 3, 3).transpose(0, 3, 1, 2)
    flat = pooled.reshape(len(x), -1)
    dy = (softmax(flat @ params["W3"] + params["b3"]) - t) / len(x)
    dc2 = pool((dy @ params["W3"].T).reshape(pooled.shape), z2) * (c2 > 0)
    dz1, dW2, db2 = back2(dc2, z1, col2, params["W2"])
    dc1 = dz1 * (mask1(c1, c2) if mask1 else c1 > 0)
    _, dW1, db1 = back1(dc1, x, col1, params["W1"])
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": flat.T @ dy, "b3": dy.sum(axis=0)}


net = Network("deep_convnet", loss_fn, inputs, grads, batch=3)


@net.fault("overwritten", at="conv2")
def col2im_assigns(params, x, t):
    """`img[…] = col[…]` without the plus."""
    return grads(params, x, t, back2=lambda *args: conv_backward(*args, add=False))


@net.fault("permuted", at=("conv2", "bias2"))
def dout_not_moved_channels_last(params, x, t):
    """`dout.reshape(-1, FN)` without the transpose before it."""

    def back(dout, x, col, W):
        dout = dout.reshape(-1, len(W))
        dW = (col.T @ dout).transpose(1, 0).reshape(W.shape)
        return col2im(dout @ W.reshape(len(W), -1), x.shape, 3, 1, 1), dW, dout.sum(axis=0)

    return grads(params, x, t, back2=back)


@net.fault("transposed", "permuted", at="conv2", called=True)
def filters_reshaped_without_transpose(params, x, t):
    """`dW.reshape(FN, C, FH, FW)` of what is (C · FH · FW, FN)."""

    def back(dout, x, col, W):
        dx, _, db = conv_backward(dout, x, col, W)
        return dx, (col.T @ dout.transpose(0, 2, 3, 1).reshape(-1, len(W))).reshape(W.shape), db

    return grads(params, x, t, back2=back)


@net.fault("wrong_shape", at="conv1")
def filters_left_as_columns(params, x, t):
    """DW is not brought back to (FN, C, FH, FW)."""
    right = grads(params, x, t)
    right["W1"] = right["W1"].reshape(3, -1)
    return right


@net.fault("wrong_pooling", at="pool")
def pooling_indexed_with_a_colon(params, x, t):
    """`dmax[:, arg_max]` for `dmax[np.arange(n), arg_max]`: all columns of each row are set."""

    def pool(dout, x):
        arg_max = im2col(x, 2, 2, 0).reshape(-1, 4).argmax(axis=1)
        dmax = np.zeros((dout.size, 4))
        dmax[:, arg_max] = dout.transpose(0, 2, 3, 1).reshape(-1, 1)
        return col2im(dmax.reshape(-1, 4 * x.shape[1]), x.shape, 2, 2, 0)

    return grads(params, x, t, pool=pool)


@net.fault("wrong_pooling", "permuted", at="pool")
def pooling_without_transpose(params, x, t):
    """Dout stays channels first: each gradient goes to another window."""

    def pool(dout, x):
        return pool_backward(dout.reshape(len(dout), 2, 3, -1).transpose(0, 3, 1, 2), x)

    return grads(params, x, t, pool=pool)


@net.fault("upstream", "wrong_pooling", at="pool", single=True)
def pooling_passes_ones(params, x, t):
    """The mask of the maxima is returned, not multiplied by dout."""
    return grads(params, x, t, pool=lambda dout, x: pool_backward(np.ones_like(dout), x))


@net.fault("wrong_mask", "overwritten", at="relu1")
def one_relu_object_for_both(params, x, t):
    """One Relu instance: its mask is that of the second layer by the time of backward."""
    return grads(params, x, t, mask1=lambda c1, c2: c2 > 0)


@net.fault("overwritten", "wrong_mask", at=("conv2", "relu1"))
def assigning_col2im_and_no_relu(params, x, t):
    """Two slips: col2im assigns, and the first ReLU is not in the list of layers of backward."""
    return grads(
        params, x, t, back2=lambda *args: conv_backward(*args, add=False), mask1=lambda c1, c2: np.ones_like(c1)
    )


@net.right()
def pooling_by_equality(params, x, t):
    """All that equal the maximum get it: ties are zeros, which the ReLU stops."""

    def pool(dout, x):
        winner = x.reshape(*x.shape[:2], 2, 2, 3, 2)
        winner = (winner == winner.max(axis=(3, 5), keepdims=True)).reshape(x.shape)
        return winner * dout.repeat(2, axis=2).repeat(2, axis=3)

    return grads(params, x, t, pool=pool)


@net.right(seed=4, n=1)
def one_image(params, x, t):
    """A batch of one."""
    return grads(params, x, t)


@net.right(single=True, called=True)
def single_precision(params, x, t):
    """The same in float32."""
    return grads(params, x, t)


def blank_inputs(rng, n):
    """The first image is blank and the biases are zero: every window of it is a tie at the ReLU's kink."""
    params, (x, t) = inputs(rng, n)
    x[0] = 0
    return {**params, "b1": np.zeros(3), "b2": np.zeros(3)}, (x, t)


kinks = Network("deep_convnet_kinks", loss_fn, blank_inputs, grads, batch=3)


@kinks.right()
def blank_image(params, x, t):
    """No slope at zero (JAX takes one half for `maximum`)."""
    return grads(params, x, t)
