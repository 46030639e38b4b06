"""A small LeNet: conv, ReLU, max pool, conv, tanh, average pool, affine; by im2col as in the fish book."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradcheck_cases.corpus import Network


def loss_fn(params, x, t):
    """Mean cross-entropy, one-hot labels."""
    z1 = lax.conv_general_dilated(x, params["W1"], (1, 1), "SAME")  # @conv1
    z1 = z1 + params["b1"][:, None, None]  # @bias1
    a1 = jax.nn.relu(z1)  # @relu
    p1 = lax.reduce_window(a1, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")  # @maxpool
    z2 = lax.conv_general_dilated(p1, params["W2"], (1, 1), "SAME")  # @conv2
    z2 = z2 + params["b2"][:, None, None]  # @bias2
    a2 = jnp.tanh(z2)  # @tanh
    p2 = lax.reduce_window(a2, 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "VALID") / 4  # @avgpool
    flat = p2.reshape(len(x), -1)  # @flatten
    log_y = jax.nn.log_softmax(flat @ params["W3"] + params["b3"])  # @affine
    return -jnp.sum(t * log_y) / len(x)  # @loss


def inputs(rng, n):
    """Images of 8 × 8, 2 and 3 channels, four classes."""
    params = {
        "W1": rng.normal(size=(2, 1, 3, 3)),
        "b1": rng.normal(size=2),
        "W2": rng.normal(size=(3, 2, 3, 3)) / 3,
        "b2": rng.normal(size=3),
        "W3": rng.normal(size=(12, 4)),
        "b3": rng.normal(size=4),
    }
    return params, (rng.normal(size=(n, 1, 8, 8)), np.eye(4)[np.arange(n) % 4])


def im2col(x):
    """Rows of 3 × 3 windows of the padded image."""
    n, c, h, w = x.shape
    img = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    col = np.zeros((n, c, 3, 3, h, w), x.dtype)
    for i in range(3):
        for j in range(3):
            col[:, :, i, j] = img[:, :, i : i + h, j : j + w]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * h * w, -1)


def col2im(col, shape, wrong=""):
    """Add the windows up again and cut the padding off."""
    n, c, h, w = shape
    col = col.reshape(n, h, w, c, 3, 3).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((n, c, h + 2, w + 2), col.dtype)
    for i in range(3):
        for j in range(3):
            if wrong == "assigned":
                img[:, :, i : i + h, j : j + w] = col[:, :, i, j]
            else:
                img[:, :, i : i + h, j : j + w] += col[:, :, i, j]
    return img[:, :, :-2, :-2] if wrong == "cut" else img[:, :, 1:-1, 1:-1]


def blocks(x):
    """The 2 × 2 windows: (batch, channel, row, 2, column, 2)."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2)


def up(d):
    """Each element four times."""
    return d.repeat(2, axis=2).repeat(2, axis=3)


def max_back(d, x):
    """To the largest element of each window."""
    b = blocks(x)
    first = b.transpose(0, 1, 2, 4, 3, 5).reshape(*d.shape, 4).argmax(axis=-1)
    hit = np.eye(4)[first].reshape(*d.shape, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return (hit * d[:, :, :, None, :, None]).reshape(x.shape)


def grads(params, x, t, wrong="", pool=max_back, average=lambda d: up(d) / 4):
    """Forward, then backward layer by layer."""
    n = len(x)
    w1, w2 = params["W1"].reshape(2, -1), params["W2"].reshape(3, -1)
    col1 = im2col(x)
    z1 = (col1 @ w1.T + params["b1"]).reshape(n, 8, 8, 2).transpose(0, 3, 1, 2)
    a1 = np.maximum(z1, 0)
    p1 = blocks(a1).max(axis=(3, 5))
    col2 = im2col(p1)
    z2 = (col2 @ w2.T + params["b2"]).reshape(n, 4, 4, 3).transpose(0, 3, 1, 2)
    a2 = np.tanh(z2)
    flat = blocks(a2).mean(axis=(3, 5)).reshape(n, -1)
    dy = np.exp(flat @ params["W3"] + params["b3"])
    dy = (dy / dy.sum(axis=1, keepdims=True) - t) / n
    dp2 = (dy @ params["W3"].T).reshape(n, 3, 2, 2)
    if wrong == "channels last":
        dp2 = (dy @ params["W3"].T).reshape(n, 2, 2, 3).transpose(0, 3, 1, 2)
    dz2 = average(dp2) * (1 - (z2 if wrong == "z2" else a2) ** 2)
    rows2 = dz2.transpose(0, 2, 3, 1).reshape(-1, 3)
    dw2 = rows2.T @ col2
    dp1 = col2im(rows2 @ w2, p1.shape, wrong)
    dz1 = pool(dp1, a1) * (z1 > 0)
    rows1 = dz1.transpose(0, 2, 3, 1).reshape(-1, 2)
    d1, d2 = (rows1.T @ col1).reshape(2, 1, 3, 3), dw2.reshape(3, 2, 3, 3)
    if wrong == "raw":
        d2 = (col2.T @ rows2).reshape(3, 2, 3, 3)
    b = {"b1": rows1.sum(axis=0), "b2": rows2.sum(axis=0), "b3": dy.sum(axis=0)}
    return {"W1": d1, "W2": d2, "W3": flat.T @ dy, **b}


net = Network("lenet", loss_fn, inputs, grads, batch=2)


@net.fault("wrong_pooling", "scale", at="avgpool")
def average_not_divided(params, x, t):
    """The gradient of an average is repeated, not divided by 4."""
    return grads(params, x, t, average=up)


@net.fault("wrong_pooling", at="avgpool")
def average_as_max(params, x, t):
    """np.argmax code left from max pooling: everything goes to one element (the first)."""

    def average(d):
        out = np.zeros((*d.shape[:2], 4, 4), d.dtype)
        out[:, :, ::2, ::2] = d
        return out

    return grads(params, x, t, average=average)


@net.fault("wrong_pooling", at="maxpool")
def maximum_over_the_whole_map(params, x, t):
    """`mask = (x == np.max(x))` of the whole image instead of the window."""

    def pool(d, x):
        return up(d) * (x == x.max(axis=(2, 3), keepdims=True))

    return grads(params, x, t, pool=pool)


@net.fault("overwritten", at="conv2")
def col2im_assigns(params, x, t):
    """`img[...] = col[...]` for `+=`."""
    return grads(params, x, t, "assigned")


@net.fault("permuted", at="conv2")
def padding_cut_at_one_side(params, x, t):
    """Both cells of the padding are cut off at the end: the map is shifted by one."""
    return grads(params, x, t, "cut")


@net.fault("transposed", "permuted", at="conv2")
def reshaped_for_transposed(params, x, t):
    """`np.dot(col.T, dout).reshape(FN, C, FH, FW)` without the transpose."""
    return grads(params, x, t, "raw")


@net.fault("permuted", at="flatten")
def unflattened_channels_last(params, x, t):
    """The gradient of the flat features is reshaped to (N, H, W, C)."""
    return grads(params, x, t, "channels last")


@net.fault("wrong_shape", at="conv1")
def kernel_left_as_a_matrix(params, x, t):
    """dW is not reshaped back to (FN, C, FH, FW)."""
    result = grads(params, x, t)
    return {**result, "W1": result["W1"].reshape(2, -1)}


@net.fault("wrong_pooling", "wrong_derivative", "scale", at=("avgpool", "tanh"))
def average_and_slope(params, x, t):
    """Two slips: no quarter, and 1 − z²."""
    return grads(params, x, t, "z2", average=up)


@net.right(called=True)
def pooling_by_loops(params, x, t):
    """Max pooling's backward by a loop over the windows."""

    def pool(d, x):
        out = np.zeros_like(x)
        for i, c, r, s in np.ndindex(d.shape):
            window = x[i, c, 2 * r : 2 * r + 2, 2 * s : 2 * s + 2]
            k, j = np.unravel_index(window.argmax(), (2, 2))
            out[i, c, 2 * r + k, 2 * s + j] = d[i, c, r, s]
        return out

    return grads(params, x, t, pool=pool)


@net.right(seed=8, n=3)
def three_images(params, x, t):
    """Another batch."""
    return grads(params, x, t)
