"""A convolution channels last with bias, tanh, average pooling and a dense layer."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..corpus import Network


def loss_fn(params, x, one_hot):
    """Mean cross-entropy of a LeNet-like network."""
    kernel, dense = params["conv"]["kernel"], params["dense"]
    z = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))  # @conv
    z = z + params["conv"]["bias"]  # @bias
    a = jnp.tanh(z)  # @tanh
    sums = lax.reduce_window(a, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")  # @window
    pooled = sums / 4  # @pool
    flat = pooled.reshape(x.shape[0], -1)  # @flatten
    logits = flat @ dense["w"] + dense["b"]  # @dense
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.sum(one_hot * log_p) / x.shape[0]  # @loss


def inputs(rng, n):
    """Images 6 × 6 × 2, 3 filters, 4 classes."""
    params = {
        "conv": {"kernel": rng.normal(size=(3, 3, 2, 3)) / 3, "bias": rng.normal(size=3)},
        "dense": {"w": rng.normal(size=(27, 4)) / 3, "b": rng.normal(size=4)},
    }
    return params, (rng.normal(size=(n, 6, 6, 2)), np.eye(4)[rng.integers(4, size=n)])


def windows(x):
    """All 3 × 3 windows of the padded images: (n, row, column, channel, 3, 3)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))


def forward(params, x):
    """Activations, pooled features, probabilities."""
    a = np.tanh(np.einsum("nhwcij,ijco->nhwo", windows(x), params["conv"]["kernel"]) + params["conv"]["bias"])
    n, h, w, c = a.shape
    flat = a.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4)).reshape(n, -1)
    logits = flat @ params["dense"]["w"] + params["dense"]["b"]
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return a, flat, e / e.sum(axis=1, keepdims=True)


def kernel_backward(x, dz):
    """Cross-correlation of the images with dz."""
    return np.einsum("nhwcij,nhwo->ijco", windows(x), dz)


def pool_backward(dpooled, a):
    """A quarter to each."""
    return dpooled.repeat(2, axis=1).repeat(2, axis=2) / 4


def tanh_backward(da, a):
    """1 − tanh²."""
    return da * (1 - a**2)


def grads(params, x, one_hot, pool=pool_backward, tanh=tanh_backward, kernel=kernel_backward):
    """Layer by layer."""
    a, flat, p = forward(params, x)
    dlogits = (p - one_hot) / len(x)
    dflat = dlogits @ params["dense"]["w"].T
    dz = tanh(pool(dflat.reshape(-1, 3, 3, 3), a), a)
    conv = {"kernel": kernel(x, dz), "bias": dz.sum(axis=(0, 1, 2))}
    return {"conv": conv, "dense": {"w": flat.T @ dlogits, "b": dlogits.sum(axis=0)}}


net = Network("average_cnn", loss_fn, inputs, grads, batch=3)


@net.fault("wrong_pooling", "scale", at=("pool", "window"))
def pool_not_divided(params, x, one_hot):
    """`repeat` without the division by the window's size."""
    return grads(params, x, one_hot, pool=lambda d, a: d.repeat(2, axis=1).repeat(2, axis=2))


@net.fault("wrong_pooling", "permuted", at=("pool", "window"), called=True)
def pool_tiled(params, x, one_hot):
    """`np.tile` repeats the whole map, `np.repeat` each element."""
    return grads(params, x, one_hot, pool=lambda d, a: np.tile(d, (1, 2, 2, 1)) / 4)


@net.fault("wrong_pooling", at=("pool", "window"), single=True)
def pool_to_one_corner(params, x, one_hot):
    """The loop writes `dx[2 * i, 2 * j]` only."""

    def pool(d, a):
        da = np.zeros_like(a)
        da[:, ::2, ::2] = d / 4
        return da

    return grads(params, x, one_hot, pool=pool)


@net.fault("wrong_derivative", at="tanh")
def tanh_slope_of_the_input(params, x, one_hot):
    """1 − z²: the cache holds what went in."""
    return grads(params, x, one_hot, tanh=lambda da, a: da * (1 - np.arctanh(a) ** 2))


@net.fault("permuted", at="conv")
def kernel_turned(params, x, one_hot):
    """Scipy's `convolve2d` for `correlate2d`: the kernel's gradient comes out turned by 180°."""
    return grads(params, x, one_hot, kernel=lambda x, dz: kernel_backward(x, dz)[::-1, ::-1])


@net.fault("wrong_shape", "transposed", "permuted", at="conv")
def kernel_in_the_other_layout(params, x, one_hot):
    """PyTorch's (out, in, height, width)."""
    return grads(params, x, one_hot, kernel=lambda x, dz: kernel_backward(x, dz).transpose(3, 2, 0, 1))


@net.fault("wrong_pooling", "wrong_derivative", "scale", at=("pool", "window", "tanh"))
def neither_quarter_nor_slope(params, x, one_hot):
    """Two mistakes: the window's size and tanh's slope are forgotten."""
    return grads(params, x, one_hot, pool=lambda d, a: d.repeat(2, 1).repeat(2, 2), tanh=lambda da, a: da)


@net.right()
def kernel_tap_by_tap(params, x, one_hot):
    """Nine products of shifted images."""

    def kernel(x, dz):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        dk = np.zeros((3, 3, 2, 3), x.dtype)
        for i in range(3):
            for j in range(3):
                dk[i, j] = np.tensordot(padded[:, i : i + 6, j : j + 6], dz, axes=((0, 1, 2), (0, 1, 2)))
        return dk

    return grads(params, x, one_hot, kernel=kernel)


@net.right(single=True, seed=2)
def pool_by_kron(params, x, one_hot):
    """Kronecker's product with a matrix of quarters."""
    return grads(params, x, one_hot, pool=lambda d, a: np.kron(d, np.full((1, 2, 2, 1), 0.25)))


@net.right(n=1, called=True)
def one_image(params, x, one_hot):
    """A batch of one."""
    return grads(params, x, one_hot)
