"""A residual block: the value after the stem is used twice, the smallest diamond."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import softmax


def loss_fn(params, x, labels):
    """Stem, one residual block, head, cross-entropy."""
    h = x @ params["stem"]["w"]  # @stem
    z = h @ params["block"]["w"]  # @block
    r = jax.nn.relu(z)  # @relu
    s = h + r  # @skip
    logits = s @ params["head"]["w"] + params["head"]["b"]  # @head
    log_p = jax.nn.log_softmax(logits, axis=-1)  # @softmax
    return -jnp.mean(jnp.take_along_axis(log_p, labels[:, None], axis=1))  # @loss


def inputs(rng, n):
    """Three features, five channels, three classes."""
    params = {
        "stem": {"w": rng.normal(size=(3, 5))},
        "block": {"w": rng.normal(size=(5, 5))},
        "head": {"w": rng.normal(size=(5, 3)), "b": rng.normal(size=3)},
    }
    return params, (rng.normal(size=(n, 3)), np.arange(n) % 3)


def forward(params, x, labels):
    """The values that backward needs, and the gradients of the logits and of the head's input."""
    h = x @ params["stem"]["w"]
    z = h @ params["block"]["w"]
    s = h + np.maximum(z, 0)
    dlogits = softmax(s @ params["head"]["w"] + params["head"]["b"])
    dlogits[np.arange(len(x)), labels] -= 1
    dlogits /= len(x)
    return h, z, s, dlogits, dlogits @ params["head"]["w"].T


def collect(x, h, s, dlogits, dz, dh):
    """The gradients of all parameters."""
    head = {"w": s.T @ dlogits, "b": dlogits.sum(axis=0)}
    return {"stem": {"w": x.T @ dh}, "block": {"w": h.T @ dz}, "head": head}


def grads(params, x, labels):
    """Both ways back to h are added."""
    h, z, s, dlogits, ds = forward(params, x, labels)
    dz = ds * (z > 0)
    dh = ds + dz @ params["block"]["w"].T
    return collect(x, h, s, dlogits, dz, dh)


net = Network("residual", loss_fn, inputs, grads)


@net.fault("overwritten", "missing_term", at="skip")
def branch_overwrites_skip(params, x, labels):
    """`dh =` for the branch throws the skip's gradient away."""
    h, z, s, dlogits, ds = forward(params, x, labels)
    dh = ds
    dz = ds * (z > 0)
    dh = dz @ params["block"]["w"].T
    return collect(x, h, s, dlogits, dz, dh)


@net.fault("missing_term", "overwritten", at=("block", "skip"), called=True)
def only_the_skip(params, x, labels):
    """What comes back through the branch is not added."""
    h, z, s, dlogits, ds = forward(params, x, labels)
    return collect(x, h, s, dlogits, ds * (z > 0), ds)


@net.fault("mutated", "wrong_mask", at=("relu", "skip"))
def relu_masks_the_shared_gradient(params, x, labels):
    """The ReLU zeroes its gradient in place, and that is the array that the skip connection passes on."""
    h, z, s, dlogits, ds = forward(params, x, labels)
    dz = ds
    dz[z <= 0] = 0
    dh = ds + dz @ params["block"]["w"].T
    return collect(x, h, s, dlogits, dz, dh)


@net.fault("accumulated", "scale", at="skip", single=True)
def skip_added_twice(params, x, labels):
    """The skip's share is added in the block and again by the caller."""
    h, z, s, dlogits, ds = forward(params, x, labels)
    dz = ds * (z > 0)
    dh = ds + dz @ params["block"]["w"].T
    dh += ds
    return collect(x, h, s, dlogits, dz, dh)


@net.fault("wrong_mask", at="relu")
def mask_of_the_block_input(params, x, labels):
    """The pre-activation design was drawn on the board, h > 0; this net has its ReLU behind the matrix."""
    h, _, s, dlogits, ds = forward(params, x, labels)
    dz = ds * (h > 0)
    return collect(x, h, s, dlogits, dz, ds + dz @ params["block"]["w"].T)


@net.fault("wrong_mask", at="relu")
def mask_of_the_block_output(params, x, labels):
    """Masks by the sum instead of the ReLU's own input."""
    h, _, s, dlogits, ds = forward(params, x, labels)
    dz = ds * (s > 0)
    return collect(x, h, s, dlogits, dz, ds + dz @ params["block"]["w"].T)


@net.fault("transposed", at="block")
def block_not_transposed(params, x, labels):
    """The block's matrix is square."""
    h, z, s, dlogits, ds = forward(params, x, labels)
    dz = ds * (z > 0)
    return collect(x, h, s, dlogits, dz, ds + dz @ params["block"]["w"])


@net.fault("wrong_operand", at="head")
def head_without_the_skip(params, x, labels):
    """The head's weight gradient uses the branch only, not the sum."""
    _, z, _, dlogits, _ = forward(params, x, labels)
    right = grads(params, x, labels)
    right["head"]["w"] = np.maximum(z, 0).T @ dlogits
    return right


@net.fault("wrong_reduction", "scale", at="head")
def head_bias_averaged(params, x, labels):
    """np.mean for np.sum."""
    right = grads(params, x, labels)
    right["head"]["b"] /= len(x)
    return right


def _share(params, x, labels, part):
    """The part's contribution to the mean over the batch."""
    h, z, s, dlogits, ds = forward(params, x[part], labels[part])
    weight = len(labels[part]) / len(labels)
    dz = ds * (z > 0) * weight
    return collect(x[part], h, s, dlogits * weight, dz, ds * weight + dz @ params["block"]["w"].T)


@net.fault("wrong_reduction", "overwritten", "stale", at=None)
def last_microbatch_only(params, x, labels):
    """Two micro-batches; the second one's gradient replaces the first one's."""
    half = len(x) // 2
    for part in (slice(0, half), slice(half, None)):
        result = _share(params, x, labels, part)
    return result


@net.right(called=True)
def in_microbatches(params, x, labels):
    """Gradient accumulation, as it should be."""
    half = len(x) // 2
    total = _share(params, x, labels, slice(0, half))
    for name, group in _share(params, x, labels, slice(half, None)).items():
        for key, grad in group.items():
            total[name][key] += grad
    return total
