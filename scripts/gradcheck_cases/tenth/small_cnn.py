"""Convolution, ReLU, 2×2 average pooling and a linear classifier."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, images, labels):
    """Mean cross-entropy; images are (batch, channel, height, width)."""
    conv = jax.lax.conv(images, params["kernel"], (1, 1), "VALID")  # @conv
    z = conv + params["bias"][:, None, None]  # @bias
    a = jax.nn.relu(z)  # @relu
    n, f, h, w = a.shape
    tiles = a.reshape(n, f, h // 2, 2, w // 2, 2)  # @tiles
    pooled = tiles.mean(axis=(3, 5))  # @pool
    flat = pooled.reshape(n, -1)  # @flatten
    logits = flat @ params["W"] + params["b"]  # @logits
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(jnp.sum(jax.nn.one_hot(labels, 3, dtype=log_p.dtype) * log_p, axis=1))  # @loss


def inputs(rng, n):
    """Two channels of 6 × 6, four kernels of 3 × 3, three classes."""
    params = {
        "kernel": rng.normal(size=(4, 2, 3, 3)),
        "bias": rng.normal(size=4),
        "W": rng.normal(size=(16, 3)),
        "b": rng.normal(size=3),
    }
    return params, (rng.normal(size=(n, 2, 6, 6)), rng.integers(0, 3, size=n))


def forward(params, images):
    """Preactivation, flat features, probabilities."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    z = np.einsum("nchwij,fcij->nfhw", windows, params["kernel"]) + params["bias"][:, None, None]
    n = len(z)
    flat = np.maximum(z, 0).reshape(n, 4, 2, 2, 2, 2).mean(axis=(3, 5)).reshape(n, -1)
    logits = flat @ params["W"] + params["b"]
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return z, flat, e / e.sum(axis=1, keepdims=True)


def unpool(dpooled):
    """A quarter to each of the four."""
    return np.repeat(np.repeat(dpooled, 2, axis=2), 2, axis=3) / 4


def kernel_gradient(images, dz):
    """Loop over the output's pixels."""
    dkernel = np.zeros((4, 2, 3, 3), dz.dtype)
    for i in range(dz.shape[2]):
        for j in range(dz.shape[3]):
            dkernel += np.einsum("nf,ncij->fcij", dz[:, :, i, j], images[:, :, i : i + 3, j : j + 3])
    return dkernel


def relu_back(da, z):
    """Mask of the preactivation."""
    return da * (z > 0)


def grads(params, images, labels, pool_back=unpool, kernel_back=kernel_gradient, activation=relu_back):
    """Backward, with its three middle layers as given."""
    z, flat, p = forward(params, images)
    dlogits = p
    dlogits[np.arange(len(labels)), labels] -= 1
    dlogits /= len(labels)
    dpooled = (dlogits @ params["W"].T).reshape(-1, 4, 2, 2)
    dz = activation(pool_back(dpooled), z)
    return {
        "kernel": kernel_back(images, dz),
        "bias": dz.sum(axis=(0, 2, 3)),
        "W": flat.T @ dlogits,
        "b": dlogits.sum(axis=0),
    }


net = Network("small_cnn", loss_fn, inputs, grads, batch=3)


@net.fault("scale", "wrong_pooling", at="pool")
def average_not_divided(params, images, labels):
    """Every pixel of a tile gets the whole gradient, not a quarter."""
    return grads(params, images, labels, pool_back=lambda d: np.repeat(np.repeat(d, 2, axis=2), 2, axis=3))


@net.fault("wrong_pooling", at=("pool", "tiles"))
def tiled_for_repeated(params, images, labels):
    """`np.tile` puts the pooled map side by side; `np.repeat` was needed."""
    return grads(params, images, labels, pool_back=lambda d: np.tile(d, (1, 1, 2, 2)) / 4)


@net.fault("wrong_pooling", at="pool", called=True)
def one_pixel_of_each_tile(params, images, labels):
    """The gradient goes to the upper left pixel, as with strided subsampling."""

    def pool_back(d):
        result = np.zeros((len(d), 4, 4, 4), d.dtype)
        result[:, :, ::2, ::2] = d
        return result

    return grads(params, images, labels, pool_back=pool_back)


@net.fault("permuted", at="conv")
def kernel_flipped(params, images, labels):
    """The layer is a cross-correlation; the gradient is that of a true convolution."""
    return grads(params, images, labels, kernel_back=lambda x, d: kernel_gradient(x, d)[:, :, ::-1, ::-1])


@net.fault("transposed", "permuted", at="conv")
def rows_and_columns_exchanged(params, images, labels):
    """i and j in the wrong order where the window is cut out."""

    def kernel_back(x, dz):
        dkernel = np.zeros((4, 2, 3, 3))
        for i in range(4):
            for j in range(4):
                dkernel += np.einsum("nf,ncij->fcij", dz[:, :, j, i], x[:, :, i : i + 3, j : j + 3])
        return dkernel

    return grads(params, images, labels, kernel_back=kernel_back)


@net.fault("wrong_reduction", "overwritten", at="conv")
def only_the_last_pixel(params, images, labels):
    """`dkernel =` in the loop over pixels."""

    def kernel_back(x, dz):
        for i in range(4):
            for j in range(4):
                dkernel = np.einsum("nf,ncij->fcij", dz[:, :, i, j], x[:, :, i : i + 3, j : j + 3])
        return dkernel

    return grads(params, images, labels, kernel_back=kernel_back)


@net.fault("wrong_mask", at="relu", single=True)
def masked_by_the_gradient(params, images, labels):
    """`np.maximum(da, 0)`, the forward function once more."""
    return grads(params, images, labels, activation=lambda da, z: np.maximum(da, 0))


@net.fault("wrong_mask", "wrong_reduction", "scale", at=("relu", "bias"))
def no_mask_and_bias_averaged(params, images, labels):
    """Two slips: no ReLU mask, and the bias averaged over the image."""
    result = grads(params, images, labels, activation=lambda da, z: da)
    result["bias"] = result["bias"] / 16
    return result


@net.fault("permuted", "transposed", at="flatten")
def reshaped_with_channels_last(params, images, labels):
    """dflat is reshaped to (2, 2, 4) and transposed, as in a framework with channels last."""
    return grads(
        params,
        images,
        labels,
        pool_back=lambda d: unpool(d.reshape(-1, 2, 2, 4).transpose(0, 3, 1, 2)),
    )


@net.right()
def by_kronecker_product(params, images, labels):
    """`np.kron` for the pooling and one einsum for the kernel."""

    def kernel_back(x, dz):
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        return np.tensordot(dz, windows, axes=((0, 2, 3), (0, 2, 3)))

    return grads(params, images, labels, lambda d: np.kron(d, np.full((1, 1, 2, 2), 0.25)), kernel_back)


@net.right(single=True, n=2)
def two_images_in_float32(params, images, labels):
    """Single precision, another batch size."""
    return grads(params, images, labels)
