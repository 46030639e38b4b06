"""Three dense layers in a loop over a list of (weight, bias), softmax written out, one-hot targets."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(layers, x, t):
    """Mean cross-entropy; ReLU after every layer but the last."""
    a = x
    for w, b in layers[:-1]:
        z = jnp.dot(a, w) + b  # @dense
        a = jax.nn.relu(z)  # @relu
    w, b = layers[-1]
    logits = jnp.dot(a, w) + b  # @logits
    e = jnp.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)  # @softmax
    return -jnp.mean(jnp.sum(t * jnp.log(p), axis=1))  # @loss


def inputs(rng, n):
    """Five inputs, twice six units, three classes, biases zero as at the start; the last image is blank."""
    sizes = [5, 6, 6, 3]
    layers = [(rng.normal(size=(i, o)) * np.sqrt(2 / i), np.zeros(o)) for i, o in zip(sizes, sizes[1:], strict=False)]
    x = rng.normal(size=(n, 5))
    if n > 1:
        x[-1] = 0
    return layers, (x, np.eye(3)[rng.integers(0, 3, n)])


def softmax(z, axis=1):
    """Shifted."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def forward(layers, x):
    """Activations (the input first), pre-activations of the hidden layers, logits."""
    acts, zs = [x], []
    for w, b in layers[:-1]:
        zs.append(acts[-1] @ w + b)
        acts.append(np.maximum(zs[-1], 0))
    return acts, zs, acts[-1] @ layers[-1][0] + layers[-1][1]


def backward(layers, acts, zs, delta, masked=lambda delta, z: delta * (z > 0), bias=lambda d: d.sum(axis=0)):
    """From the last layer to the first."""
    out = []
    for i in reversed(range(len(layers))):
        out.insert(0, (acts[i].T @ delta, bias(delta)))
        if i > 0:
            delta = masked(delta @ layers[i][0].T, zs[i - 1])
    return out


def grads(layers, x, t):
    """Probabilities minus targets, and down."""
    acts, zs, logits = forward(layers, x)
    return backward(layers, acts, zs, (softmax(logits) - t) / len(x))


net = Network("mlp_onehot", loss_fn, inputs, grads, batch=7)


@net.fault("wrong_mask", at="relu")
def relu_on_the_gradient(layers, x, t):
    """np.maximum(delta, 0) in backward as in forward."""
    acts, zs, logits = forward(layers, x)
    delta = (softmax(logits) - t) / len(x)
    return backward(layers, acts, zs, delta, masked=lambda d, z: np.maximum(d, 0))


@net.fault("wrong_mask", at="relu")
def mask_of_the_layer_above(layers, x, t):
    """zs[i] for zs[i - 1] where it fits: the first layer's mask is made from the second's values."""
    acts, zs, logits = forward(layers, x)
    return backward(layers, acts, [zs[1], zs[1]], (softmax(logits) - t) / len(x))


@net.fault("wrong_axis", at="softmax", seed=1)
def softmax_down_the_batch(layers, x, t):
    """axis=0, because it was written for a single vector."""
    acts, zs, logits = forward(layers, x)
    return backward(layers, acts, zs, (softmax(logits, axis=0) - t) / len(x))


@net.fault("wrong_derivative", "missing_term", at="softmax")
def softmax_slope_like_a_sigmoid(layers, x, t):
    """−t/p times p (1 − p), the diagonal of the Jacobian only."""
    acts, zs, logits = forward(layers, x)
    p = softmax(logits)
    dp = -t / p / len(x)
    return backward(layers, acts, zs, dp * p * (1 - p))


@net.fault("scale", "wrong_loss", at="loss")
def nothing_divided_by_the_batch(layers, x, t):
    """delta = y_hat - y."""
    acts, zs, logits = forward(layers, x)
    return backward(layers, acts, zs, softmax(logits) - t)


@net.fault("wrong_reduction", "scale", at=("dense", "logits"))
def biases_averaged(layers, x, t):
    """np.mean over a delta that had been divided by the batch size already."""
    acts, zs, logits = forward(layers, x)
    delta = (softmax(logits) - t) / len(x)
    return backward(layers, acts, zs, delta, bias=lambda d: d.mean(axis=0))


@net.fault("accumulated", at=None)
def lists_of_zeros_made_once(layers, x, t):
    """The buffers are created outside the epochs' loop; this is the third epoch with a learning rate of zero."""
    buffers = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    for _ in range(3):
        for (dw, db), (gw, gb) in zip(buffers, grads(layers, x, t), strict=True):
            dw += gw
            db += gb
    return buffers


@net.fault("wrong_mask", "scale", at=("relu", "loss"))
def no_mask_and_no_batch(layers, x, t):
    """Two slips: the ReLU forgotten, and the batch size."""
    acts, zs, logits = forward(layers, x)
    return backward(layers, acts, zs, softmax(logits) - t, masked=lambda d, z: d)


@net.right(called=True)
def mask_from_the_activation(layers, x, t):
    """a > 0 where z > 0; a blank image sits on the kink."""
    acts, _, logits = forward(layers, x)
    delta = softmax(logits)
    delta -= t
    return backward(layers, acts, acts[1:], delta / len(t))


@net.right(single=True, seed=5, n=1)
def one_image_in_float32(layers, x, t):
    """A batch of one."""
    acts, zs, logits = forward(layers, x)
    p = softmax(logits)
    jacobian = np.diag(p[0]) - np.outer(p[0], p[0])
    return backward(layers, acts, zs, (-t / p @ jacobian).astype(x.dtype))


@net.right(seed=11)
def as_deltas_first(layers, x, t):
    """All deltas, then all products."""
    acts, zs, logits = forward(layers, x)
    d3 = (softmax(logits) - t) / len(x)
    d2 = np.where(zs[1] > 0, np.einsum("no,io->ni", d3, layers[2][0]), 0)
    d1 = np.where(zs[0] > 0, np.einsum("no,io->ni", d2, layers[1][0]), 0)
    return [(np.einsum("ni,no->io", a, d), d.sum(0)) for a, d in zip(acts, (d1, d2, d3), strict=True)]
