"""CLIP's symmetric contrastive loss of two linear encoders with a learned temperature."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, images, texts):
    """The diagonal are the pairs."""
    zi = images @ params["image"]  # @image
    zt = texts @ params["text"]  # @text
    ei = zi / jnp.linalg.norm(zi, axis=1, keepdims=True)  # @normalise_image
    et = zt / jnp.linalg.norm(zt, axis=1, keepdims=True)  # @normalise_text
    logits = jnp.exp(params["log_scale"]) * (ei @ et.T)  # @logits
    per_image = -jnp.diagonal(jax.nn.log_softmax(logits, axis=1))  # @rows
    per_text = -jnp.diagonal(jax.nn.log_softmax(logits, axis=0))  # @columns
    return (per_image.mean() + per_text.mean()) / 2  # @mean


def inputs(rng, n):
    """Images of five features, texts of four, an embedding of three."""
    params = {"image": rng.normal(size=(5, 3)), "text": rng.normal(size=(4, 3)), "log_scale": np.array(0.7)}
    return params, (rng.normal(size=(n, 5)), rng.normal(size=(n, 4)))


def softmax(z, axis):
    """Along an axis."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def l2_forward(z):
    """Unit rows and their lengths before."""
    length = np.linalg.norm(z, axis=1, keepdims=True)
    return z / length, length


def l2_backward(de, e, length):
    """Through the normalisation."""
    return (de - (de * e).sum(axis=1, keepdims=True) * e) / length


def logits_gradient(logits):
    """Both directions."""
    n = len(logits)
    target = np.eye(n, dtype=logits.dtype)
    return (softmax(logits, 1) - target + softmax(logits, 0) - target) / (2 * n)


def grads(params, images, texts, logits_back=logits_gradient, l2_back=l2_backward):
    """Right, with two layers replaceable."""
    ei, li = l2_forward(images @ params["image"])
    et, lt = l2_forward(texts @ params["text"])
    scale = np.exp(params["log_scale"])
    cos = ei @ et.T
    d = logits_back(scale * cos)
    dscale = (d * cos).sum() * scale
    dei, det = scale * d @ et, scale * d.T @ ei
    return {"image": images.T @ l2_back(dei, ei, li), "text": texts.T @ l2_back(det, et, lt), "log_scale": dscale}


net = Network("infonce", loss_fn, inputs, grads, batch=6)


@net.fault("missing_term", "wrong_loss", at=("columns", "mean"))
def one_direction_only(params, images, texts):
    """Only images to texts; the half is there."""
    return grads(params, images, texts, lambda s: (softmax(s, 1) - np.eye(len(s))) / (2 * len(s)))


@net.fault("wrong_axis", at="columns", called=True)
def rows_in_both_directions(params, images, texts):
    """The second softmax runs over axis 1 again."""
    return grads(params, images, texts, lambda s: (softmax(s, 1) - np.eye(len(s))) / len(s))


@net.fault("scale", at="mean")
def half_forgotten(params, images, texts):
    """The sum of both directions."""
    return grads(params, images, texts, lambda s: 2 * logits_gradient(s))


@net.fault("transposed", at="logits")
def similarity_not_transposed_for_the_texts(params, images, texts):
    """`d @ ei`: the similarities are square."""
    g = grads(params, images, texts)
    ei, _ = l2_forward(images @ params["image"])
    et, lt = l2_forward(texts @ params["text"])
    scale = np.exp(params["log_scale"])
    d = logits_gradient(scale * ei @ et.T)
    g["text"] = texts.T @ l2_backward(scale * d @ ei, et, lt)
    return g


@net.fault("wrong_derivative", "missing_term", "scale", at="logits")
def scale_taken_as_the_parameter(params, images, texts):
    """The gradient of exp(s) for that of s."""
    g = grads(params, images, texts)
    g["log_scale"] = g["log_scale"] / np.exp(params["log_scale"])
    return g


@net.fault("wrong_reduction", "wrong_shape", at="logits", n=4)
def scale_gradient_per_image(params, images, texts):
    """Summed over texts only."""
    g = grads(params, images, texts)
    ei, et = l2_forward(images @ params["image"])[0], l2_forward(texts @ params["text"])[0]
    scale = np.exp(params["log_scale"])
    g["log_scale"] = (logits_gradient(scale * ei @ et.T) * (ei @ et.T)).sum(axis=1) * scale
    return g


@net.fault("mutated", "wrong_operand", at="normalise_image")
def embeddings_normalised_in_place(params, images, texts):
    """`z /= norm`, then the backward pass takes the norm of z: 1."""
    g = grads(params, images, texts)
    zi, (et, _) = images @ params["image"], l2_forward(texts @ params["text"])
    zi /= np.linalg.norm(zi, axis=1, keepdims=True)
    scale = np.exp(params["log_scale"])
    d = logits_gradient(scale * zi @ et.T)
    g["image"] = images.T @ l2_backward(scale * d @ et, *l2_forward(zi))
    return g


@net.fault("sign", at=("normalise_image", "normalise_text"), single=True)
def projection_added(params, images, texts):
    """de + (de·e) e."""
    return grads(params, images, texts, l2_back=lambda de, e, s: (de + (de * e).sum(axis=1, keepdims=True) * e) / s)


@net.fault("scale", "missing_term", "wrong_derivative", at=("mean", "normalise_image", "normalise_text"))
def sum_of_both_and_norms_constant(params, images, texts):
    """Two slips: the half is forgotten, the lengths are constants."""
    return grads(params, images, texts, lambda s: 2 * logits_gradient(s), lambda de, e, s: de / s)


@net.right()
def direction_by_direction(params, images, texts):
    """The text's direction on the transposed similarities."""

    def back(s):
        n = len(s)
        a, b = softmax(s, 1), softmax(s.T, 1)
        a[np.diag_indices(n)] -= 1
        b[np.diag_indices(n)] -= 1
        return 0.5 * (a / n + b.T / n)

    return grads(params, images, texts, back)


@net.right(seed=3, n=3)
def norms_by_jacobian(params, images, texts):
    """(I - e eᵀ) / length for each row."""

    def back(de, e, length):
        return np.stack([(np.eye(3) - np.outer(u, u)) @ d / s for d, u, s in zip(de, e, length, strict=True)])

    return grads(params, images, texts, l2_back=back)


@net.right(single=True, called=True)
def in_float32(params, images, texts):
    """Single precision."""
    return grads(params, images, texts)
