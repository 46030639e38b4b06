"""CLIP: two encoders, unit vectors, a learned temperature, InfoNCE in both directions."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .tools import softmax


def loss_fn(params, images, texts):
    """Mean of the two cross-entropies whose labels are the diagonal."""
    a = images @ params["image"]  # @image
    b = texts @ params["text"]  # @text
    a = a / jnp.linalg.norm(a, axis=1, keepdims=True)  # @unit_image
    b = b / jnp.linalg.norm(b, axis=1, keepdims=True)  # @unit_text
    scale = jnp.exp(params["log_scale"])  # @scale
    logits = scale * a @ b.T  # @logits
    by_row = jnp.diag(jax.nn.log_softmax(logits, axis=1))  # @rows
    by_column = jnp.diag(jax.nn.log_softmax(logits, axis=0))  # @columns
    return -(jnp.mean(by_row) + jnp.mean(by_column)) / 2  # @loss


def inputs(rng, n):
    """Five features of images, three of texts, four dimensions."""
    params = {
        "image": rng.normal(size=(5, 4)),
        "text": rng.normal(size=(3, 4)),
        "log_scale": np.array(0.7),
    }
    return params, (rng.normal(size=(n, 5)), rng.normal(size=(n, 3)))


def unit(x):
    """Rows of length one, and their lengths."""
    norm = np.sqrt((x**2).sum(axis=1, keepdims=True))
    return x / norm, norm


def unit_backward(d, u, norm):
    """The part along u has no effect."""
    return (d - u * (d * u).sum(axis=1, keepdims=True)) / norm


def forward(params, images, texts):
    """Unit vectors, norms, cosines and temperature."""
    a, norm_a = unit(images @ params["image"])
    b, norm_b = unit(texts @ params["text"])
    return a, norm_a, b, norm_b, a @ b.T, np.exp(params["log_scale"])


def infonce_backward(logits):
    """Both directions."""
    return (softmax(logits) + softmax(logits, axis=0) - 2 * np.eye(len(logits))) / (2 * len(logits))


def grads(params, images, texts, dlogits=infonce_backward, back=unit_backward, slip=""):
    """From the logits to both encoders."""
    a, norm_a, b, norm_b, cosines, scale = forward(params, images, texts)
    d = dlogits(scale * cosines)
    da = scale * d @ b
    db = scale * (d if slip == "transpose" else d.T) @ a
    return {
        "image": images.T @ back(da, a, norm_a),
        "text": texts.T @ back(db, b, norm_b),
        "log_scale": (d * cosines).sum() * (1 if slip == "exp" else scale),
    }


net = Network("clip", loss_fn, inputs, grads, batch=5)


@net.fault("missing_term", at=("unit_image", "unit_text"))
def norm_as_a_constant(params, images, texts):
    """D / ‖x‖ for both towers."""
    return grads(params, images, texts, back=lambda d, u, norm: d / norm)


@net.fault("wrong_axis", at=("unit_image", "unit_text"))
def projected_over_the_batch(params, images, texts):
    """`axis=0` in the sum of the projection."""
    return grads(params, images, texts, back=lambda d, u, norm: (d - u * (d * u).sum(axis=0)) / norm)


@net.fault("wrong_axis", at="columns", called=True)
def rows_twice(params, images, texts):
    """The second cross-entropy is along the same axis."""
    return grads(params, images, texts, dlogits=lambda s: (softmax(s) - np.eye(len(s))) / len(s))


@net.fault("transposed", at="logits")
def logits_not_transposed_for_the_texts(params, images, texts):
    """`dlogits @ a`: the matrix is square."""
    return grads(params, images, texts, slip="transpose")


@net.fault("wrong_derivative", "scale", "upstream", at="scale")
def derivative_by_the_scale(params, images, texts):
    """Not by its logarithm."""
    return grads(params, images, texts, slip="exp")


@net.fault("mutated", "wrong_operand", "missing_term", "scale", at="unit_image")
def lengths_taken_after_normalising(params, images, texts):
    """`a /= norm` in place; backward computes the norm of `a` again, which is one by now."""
    right = grads(params, images, texts)

    def back(d, u, norm):
        return unit_backward(d, u, np.sqrt((u**2).sum(axis=1, keepdims=True)))

    return {**right, "image": grads(params, images, texts, back=back)["image"]}


def loss_not_halved(params, images, texts):
    """The sum of both directions."""
    *_, cosines, scale = forward(params, images, texts)
    logits = scale * cosines
    return -np.log(np.diag(softmax(logits)) * np.diag(softmax(logits, axis=0))).mean()


@net.fault("scale", "wrong_loss", at="loss", loss=loss_not_halved)
def both_directions_added(params, images, texts):
    """No half, in the loss and in the gradient."""
    return grads(params, images, texts, dlogits=lambda s: 2 * infonce_backward(s))


@net.fault("permuted", "stale", at=None)
def texts_of_another_order(params, images, texts):
    """The loader shuffles the texts apart from the images."""
    return grads(params, images, texts[::-1])


@net.fault("transposed", "wrong_derivative", "scale", "upstream", at=("logits", "scale"), single=True)
def not_transposed_and_scale_not_logarithmic(params, images, texts):
    """Two slips: dlogits @ a, and the derivative by the scale."""
    right = grads(params, images, texts, slip="transpose")
    return {**right, "log_scale": grads(params, images, texts, slip="exp")["log_scale"]}


@net.right()
def each_pair_by_itself(params, images, texts):
    """Loops over the batch for both towers."""
    a, norm_a, b, norm_b, cosines, scale = forward(params, images, texts)
    d = infonce_backward(scale * cosines)
    da, db = np.zeros_like(a), np.zeros_like(b)
    for i, j in np.ndindex(d.shape):
        da[i] += scale * d[i, j] * b[j]
        db[j] += scale * d[i, j] * a[i]
    return {
        "image": images.T @ unit_backward(da, a, norm_a),
        "text": texts.T @ unit_backward(db, b, norm_b),
        "log_scale": (d * scale * cosines).sum(),
    }


@net.right(single=True, seed=8)
def float32(params, images, texts):
    """The same in float32."""
    return grads(params, images, texts)


@net.right(n=1, called=True)
def nothing_to_contrast(params, images, texts):
    """One pair: the gradient is zero."""
    return grads(params, images, texts)
