"""conv - relu - max pool - padded conv - relu - global average pool - affine, with loops over the taps."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import softmax


def taps(x, k):
    """All shifted views of x under a k × k kernel, with their position."""
    size = x.shape[2] - k + 1
    return [(i, j, x[:, :, i : i + size, j : j + size]) for i in range(k) for j in range(k)]


def loss_fn(params, x, labels):
    """Mean cross-entropy; images are (batch, channel, row, column)."""
    n = x.shape[0]
    z1 = sum(jnp.einsum("nchw,fc->nfhw", v, params["k1"][:, :, i, j]) for i, j, v in taps(x, 3))  # @conv1
    z1 = z1 + params["b1"][:, None, None]  # @bias1
    a1 = jax.nn.relu(z1)  # @relu1
    p1 = a1.reshape(n, 2, 3, 2, 3, 2).max(axis=(3, 5))  # @maxpool
    padded = jnp.pad(p1, ((0, 0), (0, 0), (1, 1), (1, 1)))  # @pad
    z2 = sum(jnp.einsum("nchw,fc->nfhw", v, params["k2"][:, :, i, j]) for i, j, v in taps(padded, 3))  # @conv2
    a2 = jax.nn.relu(z2 + params["b2"][:, None, None])  # @relu2
    features = a2.mean(axis=(2, 3))  # @avgpool
    scores = features @ params["W"] + params["b"]  # @affine
    logp = jax.nn.log_softmax(scores)  # @softmax
    return -jnp.mean(logp[jnp.arange(n), labels])  # @loss


def inputs(rng, n):
    """One channel of 8 × 8, then 2 of 6 × 6, 2 of 3 × 3, 4 of 3 × 3, three classes."""
    params = {
        "k1": rng.normal(size=(2, 1, 3, 3)) / 2,
        "b1": rng.normal(size=2) / 2,
        "k2": rng.normal(size=(4, 2, 3, 3)) / 2,
        "b2": rng.normal(size=4) / 2,
        "W": rng.normal(size=(4, 3)),
        "b": rng.normal(size=3),
    }
    return params, (rng.normal(size=(n, 1, 8, 8)), rng.integers(0, 3, size=n))


def conv(x, k, b):
    """Forward."""
    return sum(np.einsum("nchw,fc->nfhw", v, k[:, :, i, j]) for i, j, v in taps(x, 3)) + b[:, None, None]


def kernel_gradient(x, dz):
    """One tap after the other."""
    dk = np.zeros((dz.shape[1], x.shape[1], 3, 3), dz.dtype)
    for i, j, v in taps(x, 3):
        dk[:, :, i, j] = np.einsum("nchw,nfhw->fc", v, dz)
    return dk


def input_gradient(x, k, dz):
    """Adds what each tap sends back."""
    dx = np.zeros_like(x)
    size = dz.shape[2]
    for i in range(3):
        for j in range(3):
            dx[:, :, i : i + size, j : j + size] += np.einsum("nfhw,fc->nchw", dz, k[:, :, i, j])
    return dx


def crop(dpadded):
    """Takes the frame of zeros off again."""
    return dpadded[:, :, 1:-1, 1:-1]


def unpool(a1, dp1):
    """To the largest of each 2 × 2 window, shared if there are several."""
    windows = a1.reshape(len(a1), 2, 3, 2, 3, 2)
    winner = windows == windows.max(axis=(3, 5), keepdims=True)
    winner = winner / winner.sum(axis=(3, 5), keepdims=True)
    return (winner * dp1[:, :, :, None, :, None]).reshape(a1.shape)


def unaverage(dfeatures):
    """A ninth for everybody."""
    return np.broadcast_to(dfeatures[:, :, None, None] / 9, (*dfeatures.shape, 3, 3))


PIECES = {"unpool": unpool, "unaverage": unaverage, "crop": crop, "dinput": input_gradient, "dkernel": kernel_gradient}


def grads(params, x, labels, **pieces):
    """Layer by layer; a slip may replace one of the pieces."""
    use = {**PIECES, "mask2": lambda z: z > 0, **pieces}
    z1 = conv(x, params["k1"], params["b1"])
    a1 = np.maximum(z1, 0)
    p1 = a1.reshape(len(x), 2, 3, 2, 3, 2).max(axis=(3, 5))
    padded = np.pad(p1, ((0, 0), (0, 0), (1, 1), (1, 1)))
    z2 = conv(padded, params["k2"], params["b2"])
    features = np.maximum(z2, 0).mean(axis=(2, 3))
    dscores = softmax(features @ params["W"] + params["b"])
    dscores[np.arange(len(x)), labels] -= 1
    dscores /= len(x)
    dz2 = use["unaverage"](dscores @ params["W"].T) * use["mask2"](z2)
    dp1 = use["crop"](use["dinput"](padded, params["k2"], dz2))
    dz1 = use["unpool"](a1, dp1) * (z1 > 0)
    return {
        "k1": kernel_gradient(x, dz1),
        "b1": dz1.sum(axis=(0, 2, 3)),
        "k2": use["dkernel"](padded, dz2),
        "b2": dz2.sum(axis=(0, 2, 3)),
        "W": features.T @ dscores,
        "b": dscores.sum(axis=0),
    }


net = Network("loop_convnet", loss_fn, inputs, grads, batch=3)


@net.fault("wrong_pooling", at="maxpool")
def max_pool_upsamples(params, x, labels):
    """np.kron with ones, as for average pooling without the quarter."""

    def unpool(a1, dp1):
        return np.kron(dp1, np.ones((2, 2)))

    return grads(params, x, labels, unpool=unpool)


@net.fault("wrong_pooling", at="maxpool")
def pooling_windows_reshaped_without_transposing(params, x, labels):
    """Rows of four consecutive pixels are taken for the 2 × 2 windows."""

    def unpool(a1, dp1):
        rows = a1.reshape(-1, 4)
        out = np.zeros_like(rows)
        out[np.arange(len(rows)), rows.argmax(axis=1)] = dp1.ravel()
        return out.reshape(a1.shape)

    return grads(params, x, labels, unpool=unpool)


@net.fault("wrong_pooling", "permuted", at="maxpool", called=True)
def row_and_column_of_the_maximum_swapped(params, x, labels):
    """divmod of the argmax unpacked as (column, row)."""

    def unpool(a1, dp1):
        da = np.zeros_like(a1)
        for n, c, i, j in np.ndindex(*dp1.shape):
            column, row = divmod(a1[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].argmax(), 2)
            da[n, c, 2 * i + row, 2 * j + column] += dp1[n, c, i, j]
        return da

    return grads(params, x, labels, unpool=unpool)


@net.fault("wrong_pooling", "scale", at="avgpool")
def average_pool_without_its_ninth(params, x, labels):
    """Repeats the gradient over the pixels and does not divide."""
    return grads(params, x, labels, unaverage=lambda d: np.tile(d[:, :, None, None], (1, 1, 3, 3)))


@net.fault("permuted", at="conv2")
def kernel_turned_by_half(params, x, labels):
    """A "full convolution" whose loop flips a kernel that has been flipped already."""

    def dinput(x, k, dz):
        return input_gradient(x, np.rot90(k, 2, axes=(2, 3)), dz)

    return grads(params, x, labels, dinput=dinput)


@net.fault("overwritten", at="conv2")
def overlapping_windows_assigned(params, x, labels):
    """dx[...] = in the loop: only the last tap's contribution survives."""

    def dinput(x, k, dz):
        dx = np.zeros_like(x)
        size = dz.shape[2]
        for i in range(3):
            for j in range(3):
                dx[:, :, i : i + size, j : j + size] = np.einsum("nfhw,fc->nchw", dz, k[:, :, i, j])
        return dx

    return grads(params, x, labels, dinput=dinput)


@net.fault("permuted", "wrong_mask", at="pad")
def padding_cropped_at_one_end(params, x, labels):
    """dx[:, :, :H, :W] leaves the frame's first row and column in."""
    return grads(params, x, labels, crop=lambda d: d[:, :, :3, :3])


@net.fault("wrong_mask", at="relu2", single=True)
def second_relu_left_out(params, x, labels):
    """Average pooling's gradient goes straight into the convolution."""
    return grads(params, x, labels, mask2=np.ones_like)


@net.fault("wrong_reduction", at="bias1")
def bias_of_the_first_image_only(params, x, labels):
    """`dz[0].sum(axis=(1, 2))`, written while the batch was one image."""
    right = grads(params, x, labels)
    first = {**right, "b1": grads(params, x[:1], labels[:1])["b1"] / len(x)}
    return first


@net.fault("transposed", "permuted", at="conv2")
def taps_of_the_kernel_transposed(params, x, labels):
    """dk[:, :, j, i] for dk[:, :, i, j]."""
    return grads(params, x, labels, dkernel=lambda x, dz: kernel_gradient(x, dz).swapaxes(2, 3))


@net.right(called=True)
def by_image(params, x, labels):
    """The mean over single images."""
    parts = [grads(params, x[i : i + 1], labels[i : i + 1]) for i in range(len(x))]
    return {key: np.mean([part[key] for part in parts], axis=0) for key in params}


@net.right(seed=4, n=1)
def kernels_in_fortran_order(params, x, labels):
    """The kernel gradients come as views of transposed arrays."""
    result = grads(params, x, labels)
    return {key: np.asfortranarray(grad) for key, grad in result.items()}
