"""A strided, padded convolution out of slices and one product, average pooling; channels last."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

TAPS = [(i, j) for i in range(3) for j in range(3)]


def loss_fn(params, x, t):
    """Mean squared error of a linear head over pooled features."""
    position, (kernel, bias), (w, b) = params
    image = x + position  # @position
    padded = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))  # @pad
    patches = [padded[:, i : i + 7 : 2, j : j + 7 : 2] for i, j in TAPS]  # @slices
    columns = jnp.concatenate(patches, axis=-1)  # @concatenate
    z = columns @ kernel.reshape(-1, kernel.shape[-1]) + bias  # @product
    a = jnp.tanh(z)  # @tanh
    pooled = a.reshape(len(x), 2, 2, 2, 2, -1).mean(axis=(2, 4))  # @pool
    y = pooled.reshape(len(x), -1) @ w + b  # @head
    return jnp.mean((y - t) ** 2)  # @loss


def inputs(rng, n):
    """Images of 7 × 7 with 2 channels, 3 output channels, one target."""
    position = 0.1 * rng.normal(size=(7, 7, 2))
    kernel = 0.3 * rng.normal(size=(3, 3, 2, 3))
    params = (position, (kernel, rng.normal(size=3)), (rng.normal(size=12), np.array(0.1)))
    return params, (rng.normal(size=(n, 7, 7, 2)), rng.normal(size=n))


def im2col(image):
    """(batch, 4, 4, 9 · channels)."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.concatenate([padded[:, i : i + 7 : 2, j : j + 7 : 2] for i, j in TAPS], axis=-1)


def col2im(dcolumns):
    """Add every tap's columns back to where they were taken, then cut the padding off."""
    n, channels = len(dcolumns), dcolumns.shape[-1] // 9
    dpadded = np.zeros((n, 9, 9, channels), dcolumns.dtype)
    for tap, (i, j) in enumerate(TAPS):
        dpadded[:, i : i + 7 : 2, j : j + 7 : 2] += dcolumns[..., tap * channels : (tap + 1) * channels]
    return dpadded[:, 1:-1, 1:-1]


def unpool(dpooled):
    """A quarter of the gradient to every element of a window."""
    return dpooled.repeat(2, axis=1).repeat(2, axis=2) / 4


def grads(params, x, t, col2im=col2im, unpool=unpool):
    """Backward through head, pooling, tanh, product and slices."""
    position, (kernel, bias), (w, b) = params
    columns = im2col(x + position)
    matrix = kernel.reshape(18, 3)
    a = np.tanh(columns @ matrix + bias)
    features = a.reshape(len(x), 2, 2, 2, 2, 3).mean(axis=(2, 4)).reshape(len(x), 12)
    dy = 2 * (features @ w + b - t) / len(x)
    dz = unpool(np.outer(dy, w).reshape(len(x), 2, 2, 3)) * (1 - a**2)
    dkernel = np.einsum("nhwk,nhwo->ko", columns, dz).reshape(kernel.shape)
    dposition = col2im(dz @ matrix.T).sum(axis=0)
    return dposition, (dkernel, dz.sum(axis=(0, 1, 2))), (features.T @ dy, dy.sum())


net = Network("strided", loss_fn, inputs, grads, batch=3)


@net.fault("overwritten", at="slices")
def overlaps_overwritten(params, x, t):
    """`col2im` assigns; where windows overlap the last one remains."""

    def assign(dcolumns):
        dpadded = np.zeros((len(dcolumns), 9, 9, 2))
        for tap, (i, j) in enumerate(TAPS):
            dpadded[:, i : i + 7 : 2, j : j + 7 : 2] = dcolumns[..., 2 * tap : 2 * tap + 2]
        return dpadded[:, 1:-1, 1:-1]

    return grads(params, x, t, col2im=assign)


@net.fault("permuted", at="pad")
def padding_cut_at_one_end(params, x, t):
    """The padding is cut off at the end only, so the image is shifted by a pixel."""

    def shifted(dcolumns):
        dpadded = np.zeros((len(dcolumns), 9, 9, 2))
        for tap, (i, j) in enumerate(TAPS):
            dpadded[:, i : i + 7 : 2, j : j + 7 : 2] += dcolumns[..., 2 * tap : 2 * tap + 2]
        return dpadded[:, :7, :7]

    return grads(params, x, t, col2im=shifted)


@net.fault("wrong_shape", at=("pad", "position"))
def padding_not_cut(params, x, t):
    """The gradient of the padded image is returned."""

    def padded(dcolumns):
        dpadded = np.zeros((len(dcolumns), 9, 9, 2))
        for tap, (i, j) in enumerate(TAPS):
            dpadded[:, i : i + 7 : 2, j : j + 7 : 2] += dcolumns[..., 2 * tap : 2 * tap + 2]
        return dpadded

    return grads(params, x, t, col2im=padded)


@net.fault("wrong_pooling", "scale", at="pool")
def average_not_divided(params, x, t):
    """Sum pooling's gradient."""
    return grads(params, x, t, unpool=lambda d: d.repeat(2, axis=1).repeat(2, axis=2))


@net.fault("wrong_pooling", at="pool", single=True)
def average_to_the_corner(params, x, t):
    """The whole gradient goes to the first element of each window."""

    def corner(dpooled):
        d = np.zeros((len(dpooled), 4, 4, 3), dpooled.dtype)
        d[:, ::2, ::2] = dpooled
        return d

    return grads(params, x, t, unpool=corner)


@net.fault("wrong_pooling", "permuted", at="pool")
def average_tiled(params, x, t):
    """np.tile for np.repeat: windows' gradients are interleaved."""
    return grads(params, x, t, unpool=lambda d: np.tile(d, (1, 2, 2, 1)) / 4)


@net.fault("permuted", at="product")
def kernel_reshaped_channels_first(params, x, t):
    """(18, 3) is read as (channel, row, column, out)."""
    position, (dkernel, dbias), head = grads(params, x, t)
    dkernel = dkernel.reshape(2, 3, 3, 3).transpose(1, 2, 0, 3)
    return position, (dkernel, dbias), head


@net.fault("wrong_shape", at="product")
def kernel_left_as_a_matrix(params, x, t):
    """The product's gradient, not reshaped back."""
    position, (dkernel, dbias), head = grads(params, x, t)
    return position, (dkernel.reshape(18, 3), dbias), head


@net.fault("wrong_reduction", "wrong_shape", at="position", called=True)
def position_not_summed_over_the_batch(params, x, t):
    """What is broadcast forward is summed backward."""
    position, (kernel, bias), (w, b) = params
    columns = im2col(x + position)
    matrix = kernel.reshape(18, 3)
    a = np.tanh(columns @ matrix + bias)
    features = a.reshape(len(x), 2, 2, 2, 2, 3).mean(axis=(2, 4)).reshape(len(x), 12)
    dy = 2 * (features @ w + b - t) / len(x)
    dz = unpool(np.outer(dy, w).reshape(len(x), 2, 2, 3)) * (1 - a**2)
    return col2im(dz @ matrix.T), *grads(params, x, t)[1:]


@net.right()
def pooling_by_broadcasting(params, x, t):
    """Unpooling with np.broadcast_to."""

    def broadcast(d):
        shape = (len(d), 2, 2, 2, 2, 3)
        return np.broadcast_to(d[:, :, None, :, None] / 4, shape).reshape(len(d), 4, 4, 3)

    return grads(params, x, t, unpool=broadcast)
