"""A small ConvNet in NHWC: convolution, leaky ReLU, average pool, dense, softmax."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import softmax

SLOPE = 0.1
LAYOUT = ("NHWC", "HWIO", "NHWC")


def loss_fn(params, x, labels):
    """Mean cross-entropy."""
    n = x.shape[0]
    z = jax.lax.conv_general_dilated(x, params["k"], (1, 1), "VALID", dimension_numbers=LAYOUT)  # @conv
    z = z + params["kb"]  # @bias
    a = jnp.where(z > 0, z, SLOPE * z)  # @leaky
    pooled = a.reshape(n, 2, 2, 2, 2, 3).mean(axis=(2, 4))  # @pool
    flat = pooled.reshape(n, -1)  # @flatten
    logits = flat @ params["w"] + params["b"]  # @dense
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(log_p[jnp.arange(n), labels])  # @nll


def inputs(rng, n):
    """6 × 6 images of 2 channels, 3 filters, 4 classes."""
    params = {
        "k": 0.4 * rng.normal(size=(3, 3, 2, 3)),
        "kb": 0.1 * rng.normal(size=3),
        "w": rng.normal(size=(12, 4)),
        "b": 0.1 * rng.normal(size=4),
    }
    return params, (rng.normal(size=(n, 6, 6, 2)), rng.integers(0, 4, size=n))


def windows(x):
    """(n, 4, 4, channel, 3, 3)."""
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))


def unpool(d, a):
    """A quarter to each of the four."""
    return np.repeat(np.repeat(d, 2, axis=1), 2, axis=2) / 4


def leaky_back(da, z):
    """1 or the slope."""
    return da * np.where(z > 0, 1, SLOPE).astype(z.dtype)


def conv_back(dz, x):
    """The kernel's gradient."""
    return np.einsum("nhwcij,nhwo->ijco", windows(x), dz)


def grads(params, x, labels, unpool=unpool, leaky_back=leaky_back, conv_back=conv_back, bias=None):
    """Backward, from layers that can be exchanged."""
    n = len(x)
    z = np.einsum("nhwcij,ijco->nhwo", windows(x), params["k"]) + params["kb"]
    a = np.where(z > 0, z, SLOPE * z)
    flat = a.reshape(n, 2, 2, 2, 2, 3).mean(axis=(2, 4)).reshape(n, -1)
    d = softmax(flat @ params["w"] + params["b"])
    d[np.arange(n), labels] -= 1
    d /= n
    da = unpool((d @ params["w"].T).reshape(n, 2, 2, 3), a)
    dz = leaky_back(da, z)
    kb = dz.sum(axis=(0, 1, 2)) if bias is None else bias(dz)
    return {"k": conv_back(dz, x), "kb": kb, "w": flat.T @ d, "b": d.sum(axis=0)}


net = Network("avg_cnn", loss_fn, inputs, grads, batch=5)


@net.fault("scale", "wrong_pooling", at="pool")
def pool_gradient_not_shared_out(params, x, labels):
    """Every pixel gets the whole gradient, not a quarter."""
    return grads(params, x, labels, unpool=lambda d, a: np.repeat(np.repeat(d, 2, axis=1), 2, axis=2))


@net.fault("wrong_pooling", "wrong_mask", at="pool")
def pool_gradient_to_the_maximum(params, x, labels):
    """The backward of a max pool, copied from the other layer."""

    def to_maximum(d, a):
        up = np.repeat(np.repeat(d, 2, axis=1), 2, axis=2)
        tiles = a.reshape(len(a), 2, 2, 2, 2, 3).max(axis=(2, 4))
        return up * (a == np.repeat(np.repeat(tiles, 2, axis=1), 2, axis=2))

    return grads(params, x, labels, unpool=to_maximum)


@net.fault("wrong_pooling", "permuted", at="pool", called=True)
def tiled_for_repeated(params, x, labels):
    """`np.tile` puts the pooled map four times side by side."""
    return grads(params, x, labels, unpool=lambda d, a: np.tile(d, (1, 2, 2, 1)) / 4)


@net.fault("wrong_pooling", "missing_term", at="pool")
def only_the_corner_of_each_tile(params, x, labels):
    """Written with strides: `dx[:, ::2, ::2] = dout / 4`."""

    def corner(d, a):
        up = np.zeros_like(a)
        up[:, ::2, ::2] = d / 4
        return up

    return grads(params, x, labels, unpool=corner)


@net.fault("wrong_derivative", "wrong_mask", at="leaky")
def leak_forgotten(params, x, labels):
    """The plain ReLU's mask."""
    return grads(params, x, labels, leaky_back=lambda da, z: da * (z > 0))


@net.fault("permuted", at="conv", single=True)
def kernel_flipped(params, x, labels):
    """The forward pass is a correlation; the gradient is that of a true convolution."""
    return grads(params, x, labels, conv_back=lambda dz, x: conv_back(dz, x)[::-1, ::-1])


@net.fault("wrong_reduction", "wrong_shape", at="bias")
def bias_not_summed_over_the_width(params, x, labels):
    """`sum(axis=(0, 1))`."""
    return grads(params, x, labels, bias=lambda dz: dz.sum(axis=(0, 1)))


@net.fault("scale", "wrong_reduction", at="conv")
def kernel_averaged_a_second_time(params, x, labels):
    """The convolution's backward divides by the batch, which the loss has done before."""
    return grads(params, x, labels, conv_back=lambda dz, x: conv_back(dz, x) / len(x))


@net.fault("wrong_pooling", "scale", "permuted", at=("pool", "conv"))
def two_pool_and_flip(params, x, labels):
    """Two slips: the kernel is flipped and the pool's ¼ is missing."""

    def up(d, a):
        return np.repeat(np.repeat(d, 2, axis=1), 2, axis=2)

    return grads(params, x, labels, unpool=up, conv_back=lambda dz, x: conv_back(dz, x)[::-1, ::-1])


@net.right(seed=8)
def by_loops(params, x, labels):
    """Pixel by pixel."""

    def loops(dz, x):
        dk = np.zeros_like(params["k"])
        for i in range(4):
            for j in range(4):
                dk += np.tensordot(x[:, i : i + 3, j : j + 3], dz[:, i, j], axes=(0, 0))
        return dk

    return grads(params, x, labels, unpool=lambda d, a: np.kron(d, np.full((1, 2, 2, 1), 0.25)), conv_back=loops)


net.right(single=True, n=1)(grads)
