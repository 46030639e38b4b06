"""Two convolutions (the second with stride 2), max pooling and a classifier; im2col and col2im as in the book."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def conv(x, w, stride):
    """Padding 1, NCHW."""
    axes = ("NCHW", "OIHW", "NCHW")
    return jax.lax.conv_general_dilated(x, w, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=axes)


def loss_fn(params, x, labels):
    """Mean cross-entropy."""
    a1 = conv(x, params["W1"], 1) + params["b1"][:, None, None]  # @conv1
    z1 = jax.nn.relu(a1)  # @relu1
    a2 = conv(z1, params["W2"], 2) + params["b2"][:, None, None]  # @conv2
    z2 = jax.nn.relu(a2)  # @relu2
    pooled = z2.reshape(len(x), 3, 2, 2, 2, 2).max(axis=(3, 5))  # @pool
    flat = pooled.reshape(len(x), -1)  # @flatten
    logits = flat @ params["W3"] + params["b3"]  # @affine
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(log_p[jnp.arange(len(x)), labels])  # @loss


def inputs(rng, n):
    """One channel of 8x8, then 2 channels, then 3 of 4x4, pooled to 2x2; four classes."""
    params = {
        "W1": rng.normal(size=(2, 1, 3, 3)) * 0.5,
        "b1": rng.normal(size=2) * 0.3,
        "W2": rng.normal(size=(3, 2, 3, 3)) * 0.5,
        "b2": rng.uniform(0.2, 0.6, size=3),
        "W3": rng.normal(size=(12, 4)),
        "b3": rng.normal(size=4),
    }
    return params, (rng.normal(size=(n, 1, 8, 8)), rng.integers(0, 4, size=n))


def im2col(x, stride):
    """One row for each place of the 3x3 window."""
    n, c, height, width = x.shape
    oh, ow = (height - 1) // stride + 1, (width - 1) // stride + 1
    img = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    col = np.zeros((n, c, 3, 3, oh, ow), x.dtype)
    for i in range(3):
        for j in range(3):
            col[:, :, i, j] = img[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, -1)


def scatter(col, shape, stride, add=True):
    """Put the rows back into the padded image."""
    n, c, height, width = shape
    oh, ow = (height - 1) // stride + 1, (width - 1) // stride + 1
    col = col.reshape(n, oh, ow, c, 3, 3).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((n, c, height + 2, width + 2), col.dtype)
    for i in range(3):
        for j in range(3):
            part = img[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride]
            part[...] = part + col[:, :, i, j] if add else col[:, :, i, j]
    return img


def col2im(col, shape, stride):
    """Crop the padding."""
    return scatter(col, shape, stride)[:, :, 1:-1, 1:-1]


def conv_back(dout, col, w, shape, stride, unroll=col2im):
    """dx, dW and db of a convolution."""
    rows = dout.transpose(0, 2, 3, 1).reshape(-1, len(w))
    dw = (col.T @ rows).transpose(1, 0).reshape(w.shape)
    return unroll(rows @ w.reshape(len(w), -1), shape, stride), dw, rows.sum(axis=0)


def pool_back(dout, z):
    """To the first maximum of each 2x2 window."""
    n, c, height, width = z.shape
    windows = z.reshape(n, c, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(-1, 4)
    dwindows = np.zeros_like(windows)
    dwindows[np.arange(len(windows)), windows.argmax(axis=1)] = dout.ravel()
    return dwindows.reshape(n, c, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(z.shape)


def grads(params, x, labels, back2=conv_back, pool=pool_back, relu2=lambda d, a: d * (a > 0)):
    """Layer by layer, from the last to the first."""
    n = len(x)
    w1, w2 = params["W1"], params["W2"]
    col1 = im2col(x, 1)
    a1 = (col1 @ w1.reshape(2, -1).T + params["b1"]).reshape(n, 8, 8, 2).transpose(0, 3, 1, 2)
    z1 = np.maximum(a1, 0)
    col2 = im2col(z1, 2)
    a2 = (col2 @ w2.reshape(3, -1).T + params["b2"]).reshape(n, 4, 4, 3).transpose(0, 3, 1, 2)
    z2 = np.maximum(a2, 0)
    flat = z2.reshape(n, 3, 2, 2, 2, 2).max(axis=(3, 5)).reshape(n, -1)
    logits = flat @ params["W3"] + params["b3"]
    dlogits = np.exp(logits - logits.max(axis=1, keepdims=True))
    dlogits /= dlogits.sum(axis=1, keepdims=True)
    dlogits[np.arange(n), labels] -= 1
    dlogits /= n
    dpooled = (dlogits @ params["W3"].T).reshape(n, 3, 2, 2)
    da2 = relu2(pool(dpooled, z2), a2)
    dz1, dw2, db2 = back2(da2, col2, w2, z1.shape, 2)
    _, dw1, db1 = conv_back(dz1 * (a1 > 0), col1, w1, x.shape, 1)
    return {"W1": dw1, "b1": db1, "W2": dw2, "b2": db2, "W3": flat.T @ dlogits, "b3": dlogits.sum(axis=0)}


net = Network("strided_cnn", loss_fn, inputs, grads, batch=3)


@net.fault("overwritten", at="conv2")
def col2im_assigns(params, x, labels):
    """`img[...] = col` for `+=` where the windows overlap."""

    def back(*args):
        return conv_back(*args, unroll=lambda col, shape, stride: scatter(col, shape, stride, False)[:, :, 1:-1, 1:-1])

    return grads(params, x, labels, back2=back)


@net.fault("wrong_mask", "permuted", at="conv2", called=True)
def padding_cropped_on_one_side(params, x, labels):
    """`img[:, :, :H, :W]`: the image is shifted by the padding."""

    def back(*args):
        return conv_back(*args, unroll=lambda col, shape, stride: scatter(col, shape, stride)[:, :, :-2, :-2])

    return grads(params, x, labels, back2=back)


@net.fault("wrong_pooling", at="pool")
def every_element_of_the_window(params, x, labels):
    """`repeat` twice: each element of the window gets the whole gradient."""
    return grads(params, x, labels, pool=lambda dout, z: dout.repeat(2, axis=2).repeat(2, axis=3))


@net.fault("wrong_pooling", at="pool", seed=1)
def average_pooling_backward(params, x, labels):
    """The gradient is spread evenly, as for average pooling."""
    return grads(params, x, labels, pool=lambda dout, z: np.kron(dout, np.ones((2, 2))) / 4)


@net.fault("wrong_pooling", at="pool", single=True)
def row_and_column_of_the_argmax_swapped(params, x, labels):
    """`j, i = divmod(argmax, 2)` puts the gradient at the transposed place."""

    def pool(dout, z):
        dz = np.zeros_like(z)
        for n, c, r, s in np.ndindex(*dout.shape):
            j, i = divmod(z[n, c, 2 * r : 2 * r + 2, 2 * s : 2 * s + 2].argmax(), 2)
            dz[n, c, 2 * r + i, 2 * s + j] += dout[n, c, r, s]
        return dz

    return grads(params, x, labels, pool=pool)


@net.fault("permuted", "transposed", at="conv2")
def kernel_reshaped_without_transpose(params, x, labels):
    """`np.dot(col.T, dout).reshape(FN, C, FH, FW)`: the filters are still the last axis."""

    def back(dout, col, w, shape, stride):
        dx, _, db = conv_back(dout, col, w, shape, stride)
        rows = dout.transpose(0, 2, 3, 1).reshape(-1, len(w))
        return dx, np.dot(col.T, rows).reshape(w.shape), db

    return grads(params, x, labels, back2=back)


@net.fault("upstream", "wrong_derivative", at="relu2")
def relu_returns_its_mask(params, x, labels):
    """`return (self.x > 0)`: the layer's backward does not use dout."""
    return grads(params, x, labels, relu2=lambda dout, a: (a > 0).astype(a.dtype))


@net.right()
def pooling_by_comparison(params, x, labels):
    """`mask = (x == max)`: ties are only between zeros, which the ReLU stops."""

    def pool(dout, z):
        top = z.reshape(-1, 3, 2, 2, 2, 2).max(axis=(3, 5)).repeat(2, axis=2).repeat(2, axis=3)
        return (z == top) * dout.repeat(2, axis=2).repeat(2, axis=3)

    return grads(params, x, labels, pool=pool)


@net.right(single=True, seed=4)
def relu_by_its_output(params, x, labels):
    """In float32."""
    return grads(params, x, labels, relu2=lambda d, a: np.where(np.maximum(a, 0) > 0, d, 0))
