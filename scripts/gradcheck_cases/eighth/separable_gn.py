"""Pointwise and depthwise convolution, group norm, ReLU, average pool, linear head."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

GROUPS, EPS = 2, 1e-5


def loss_fn(params, images, labels):
    """Mean cross-entropy; images are (n, channel, row, column)."""
    u = jnp.einsum("nchw,dc->ndhw", images, params["point"])  # @point
    taps = params["depth"][:, None]
    z = jax.lax.conv_general_dilated(u, taps, (1, 1), "VALID", feature_group_count=len(taps))  # @depth
    n, c, h, w = z.shape
    g = z.reshape(n, GROUPS, -1)  # @groups
    mean = g.mean(axis=2, keepdims=True)  # @mean
    var = g.var(axis=2, keepdims=True)  # @var
    normal = ((g - mean) / jnp.sqrt(var + EPS)).reshape(n, c, h, w)  # @normal
    y = normal * params["gain"][:, None, None] + params["shift"][:, None, None]  # @affine
    a = jnp.maximum(y, 0)  # @relu
    pooled = a.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))  # @pool
    logits = pooled.reshape(n, -1) @ params["head"]  # @head
    logp = jax.nn.log_softmax(logits)  # @log_softmax
    return -logp[jnp.arange(n), labels].mean()  # @loss


def inputs(rng, n):
    """Two channels to four, 3 by 3 taps, 4 by 4 maps pooled to 2 by 2, three classes."""
    params = {
        "point": rng.normal(size=(4, 2)),
        "depth": rng.normal(size=(4, 3, 3)),
        "gain": rng.uniform(0.5, 1.5, size=4),
        "shift": rng.normal(size=4) * 0.5,
        "head": rng.normal(size=(16, 3)),
    }
    return params, (rng.normal(size=(n, 2, 6, 6)), rng.integers(0, 3, size=n))


class Net:
    """Layer by layer; the slips override one method."""

    axes = (2,)

    def __init__(self, params):
        self.p = params

    def taps(self, u):
        return np.lib.stride_tricks.sliding_window_view(u, (3, 3), axis=(2, 3))

    def conv_weight(self, dz, u):
        return np.einsum("nchw,nchwij->cij", dz, self.taps(u))

    def conv_input(self, dz, u):
        padded = np.pad(dz, ((0, 0), (0, 0), (2, 2), (2, 2)))
        return np.einsum("nchwij,cij->nchw", self.taps(padded), self.p["depth"][:, ::-1, ::-1])

    def norm_back(self, dn, normal, inv):
        n = len(dn)
        d, m = dn.reshape(n, GROUPS, -1), normal.reshape(n, GROUPS, -1)
        out = inv * (d - d.mean(2, keepdims=True) - m * (d * m).mean(2, keepdims=True))
        return out.reshape(dn.shape)

    def pool_back(self, dpooled):
        return np.repeat(np.repeat(dpooled, 2, axis=2), 2, axis=3) / 4

    def relu_back(self, da, y, a):
        return da * (y > 0)

    def gain(self, dy, normal):
        return (dy * normal).sum(axis=(0, 2, 3))

    def normalise(self, z):
        g = z.reshape(len(z), GROUPS, -1)
        inv = 1 / np.sqrt(g.var(axis=2, keepdims=True) + EPS)
        return ((g - g.mean(axis=2, keepdims=True)) * inv).reshape(z.shape), inv

    def grads(self, x, labels):
        p, n = self.p, len(x)
        u = np.einsum("nchw,dc->ndhw", x, p["point"])
        z = np.einsum("nchwij,cij->nchw", self.taps(u), p["depth"])
        normal, inv = self.normalise(z)
        y = normal * p["gain"][:, None, None] + p["shift"][:, None, None]
        a = np.maximum(y, 0)
        pooled = a.reshape(n, 4, 2, 2, 2, 2).mean(axis=(3, 5))
        logits = pooled.reshape(n, -1) @ p["head"]
        e = np.exp(logits - logits.max(1, keepdims=True))
        dlogits = e / e.sum(1, keepdims=True)
        dlogits[np.arange(n), labels] -= 1
        dlogits /= n
        da = self.pool_back((dlogits @ p["head"].T).reshape(pooled.shape))
        dy = self.relu_back(da, y, a)
        dz = self.norm_back(dy * p["gain"][:, None, None], normal, inv)
        return {
            "head": pooled.reshape(n, -1).T @ dlogits,
            "gain": self.gain(dy, normal),
            "shift": dy.sum(axis=(0, 2, 3)),
            "depth": self.conv_weight(dz, u),
            "point": np.einsum("ndhw,nchw->dc", self.conv_input(dz, u), x),
        }


def grads(params, images, labels):
    """Right."""
    return Net(params).grads(images, labels)


net = Network("separable_gn", loss_fn, inputs, grads, batch=2)


@net.fault("permuted", at="depth")
def kernel_not_flipped(params, images, labels):
    """The full convolution back to the input takes the taps as they are."""

    class M(Net):
        def conv_input(self, dz, u):
            padded = np.pad(dz, ((0, 0), (0, 0), (2, 2), (2, 2)))
            return np.einsum("nchwij,cij->nchw", self.taps(padded), self.p["depth"])

    return M(params).grads(images, labels)


@net.fault("permuted", at="depth")
def kernel_gradient_as_of_a_true_convolution(params, images, labels):
    """Flipped: scipy's convolve flips, the network's convolution does not."""

    class M(Net):
        def conv_weight(self, dz, u):
            return super().conv_weight(dz, u)[:, ::-1, ::-1]

    return M(params).grads(images, labels)


@net.fault("wrong_pooling", "scale", at="pool")
def pool_gradient_not_shared_out(params, images, labels):
    """Each of the four gets all."""

    class M(Net):
        def pool_back(self, dpooled):
            return dpooled.repeat(2, axis=2).repeat(2, axis=3)

    return M(params).grads(images, labels)


@net.fault("wrong_pooling", "permuted", at="pool", called=True)
def pool_gradient_tiled(params, images, labels):
    """np.tile for np.repeat."""

    class M(Net):
        def pool_back(self, dpooled):
            return np.tile(dpooled, (1, 1, 2, 2)) / 4

    return M(params).grads(images, labels)


@net.fault("wrong_pooling", at="pool")
def pooled_as_by_max(params, images, labels):
    """Copied from the max pool: the largest of each window gets the gradient."""

    class M(Net):
        def relu_back(self, da, y, a):
            n = len(a)
            tiles = a.reshape(n, 4, 2, 2, 2, 2)
            largest = tiles == tiles.max(axis=(3, 5), keepdims=True)
            return 4 * da * largest.reshape(a.shape) * (y > 0)

    return M(params).grads(images, labels)


@net.fault("wrong_axis", at=("groups", "mean", "var", "normal"))
def layer_norm_for_group_norm(params, images, labels):
    """One group: statistics over all channels."""

    class M(Net):
        def normalise(self, z):
            g = z.reshape(len(z), 1, -1)
            inv = 1 / np.sqrt(g.var(axis=2, keepdims=True) + EPS)
            return ((g - g.mean(axis=2, keepdims=True)) * inv).reshape(z.shape), inv

        def norm_back(self, dn, normal, inv):
            d, m = dn.reshape(len(dn), 1, -1), normal.reshape(len(dn), 1, -1)
            out = inv * (d - d.mean(2, keepdims=True) - m * (d * m).mean(2, keepdims=True))
            return out.reshape(dn.shape)

    return M(params).grads(images, labels)


@net.fault("missing_term", at=("mean", "normal"), seed=2)
def path_of_the_mean_missing(params, images, labels):
    """dmean is forgotten."""

    class M(Net):
        def norm_back(self, dn, normal, inv):
            d, m = dn.reshape(len(dn), GROUPS, -1), normal.reshape(len(dn), GROUPS, -1)
            return (inv * (d - m * (d * m).mean(2, keepdims=True))).reshape(dn.shape)

    return M(params).grads(images, labels)


@net.fault("wrong_reduction", "wrong_shape", at="affine")
def gain_still_has_its_map(params, images, labels):
    """Summed over the examples only."""

    class M(Net):
        def gain(self, dy, normal):
            return (dy * normal).sum(axis=0)

    return M(params).grads(images, labels)


@net.fault("wrong_mask", at="relu", single=True)
def mask_of_the_incoming_gradient(params, images, labels):
    """Guided backprop."""

    class M(Net):
        def relu_back(self, da, y, a):
            return da * (y > 0) * (da > 0)

    return M(params).grads(images, labels)


@net.fault("permuted", "wrong_reduction", "scale", at=("depth", "affine"))
def not_flipped_and_gain_averaged(params, images, labels):
    """Two slips: unflipped taps, the gain's gradient is a mean over the map."""

    class M(Net):
        def conv_input(self, dz, u):
            padded = np.pad(dz, ((0, 0), (0, 0), (2, 2), (2, 2)))
            return np.einsum("nchwij,cij->nchw", self.taps(padded), self.p["depth"])

        def gain(self, dy, normal):
            return (dy * normal).mean(axis=(2, 3)).sum(axis=0)

    return M(params).grads(images, labels)


@net.right()
def by_scatter(params, images, labels):
    """Convolution's input gradient tap by tap."""

    class M(Net):
        def conv_input(self, dz, u):
            du = np.zeros_like(u)
            for i in range(3):
                for j in range(3):
                    du[:, :, i : i + 4, j : j + 4] += dz * self.p["depth"][:, i, j][:, None, None]
            return du

    return M(params).grads(images, labels)


@net.right(n=1, seed=9)
def one_image(params, images, labels):
    """Mask from the output instead of the input."""

    class M(Net):
        def relu_back(self, da, y, a):
            return np.where(a > 0, da, 0)

    return M(params).grads(images, labels)
