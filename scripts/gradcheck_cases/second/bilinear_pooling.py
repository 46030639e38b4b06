"""Bilinear pooling of two streams: outer products averaged over the places, signed root, unit length, a linear head."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

EPS = 0.01


def loss_fn(params, left, right, labels):
    """Mean cross-entropy; both inputs are (batch, place, feature)."""
    a = left @ params["u"]  # @left
    b = right @ params["v"]  # @right
    outer = a[..., :, None] * b[..., None, :]  # @outer
    pooled = jnp.mean(outer, axis=1)  # @pool
    flat = pooled.reshape(left.shape[0], -1)  # @flatten
    root = jnp.sign(flat) * jnp.sqrt(jnp.abs(flat) + EPS)  # @root
    unit = root / jnp.sqrt(jnp.sum(root**2, axis=1, keepdims=True))  # @unit
    logits = unit @ params["w"] + params["b"]  # @head
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(log_p[jnp.arange(labels.shape[0]), labels])  # @loss


def inputs(rng, n):
    """Five places, 4 features in each stream, 3 × 3 products, 2 classes."""
    params = {
        "u": rng.normal(size=(4, 3)),
        "v": rng.normal(size=(4, 3)),
        "w": rng.normal(size=(9, 2)),
        "b": rng.normal(size=2),
    }
    return params, (rng.normal(size=(n, 5, 4)), rng.normal(size=(n, 5, 4)), np.arange(n) % 2)


def forward(params, left, right):
    """a, b, the pooled products as rows, their roots' length, the unit rows and the probabilities."""
    a, b = left @ params["u"], right @ params["v"]
    flat = np.einsum("nli,nlj->nij", a, b).reshape(len(a), -1) / a.shape[1]
    root = np.sign(flat) * np.sqrt(np.abs(flat) + EPS)
    length = np.linalg.norm(root, axis=1, keepdims=True)
    unit = root / length
    logits = unit @ params["w"] + params["b"]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return a, b, flat, length, unit, p / p.sum(axis=1, keepdims=True)


def unit_backward(dunit, unit, length, axis=1):
    """At right angles to the unit row."""
    return (dunit - unit * (dunit * unit).sum(axis=axis, keepdims=True)) / length


def root_backward(droot, flat):
    """The signs cancel."""
    return droot * 0.5 / np.sqrt(np.abs(flat) + EPS)


def product_backward(dpooled, a, b):
    """Each place gets its share."""
    share = dpooled / a.shape[1]
    return np.einsum("nij,nlj->nli", share, b), np.einsum("nij,nli->nlj", share, a)


def grads(params, left, right, labels, unit_back=unit_backward, root_back=root_backward, product_back=product_backward):
    """Layer by layer."""
    a, b, flat, length, unit, p = forward(params, left, right)
    d = (p - np.eye(2, dtype=p.dtype)[labels]) / len(p)
    dflat = root_back(unit_back(d @ params["w"].T, unit, length), flat)
    da, db = product_back(dflat.reshape(-1, 3, 3), a, b)
    u, v = np.einsum("nlf,nli->fi", left, da), np.einsum("nlf,nlj->fj", right, db)
    return {"u": u, "v": v, "w": unit.T @ d, "b": d.sum(axis=0)}


net = Network("bilinear_pooling", loss_fn, inputs, grads, batch=4)


@net.fault("wrong_operand", at="outer")
def own_factor_in_the_product(params, left, right, labels):
    """Da is made with a, db with b."""

    def product_back(dpooled, a, b):
        share = dpooled / a.shape[1]
        return a @ share.mT, b @ share

    return grads(params, left, right, labels, product_back=product_back)


@net.fault("transposed", at="outer")
def products_not_transposed(params, left, right, labels):
    """Db = a @ dBᵀ: it fits as both streams have 3 features."""

    def product_back(dpooled, a, b):
        share = dpooled / a.shape[1]
        return b @ share.mT, a @ share.mT

    return grads(params, left, right, labels, product_back=product_back)


@net.fault("wrong_pooling", "scale", at="pool", called=True)
def places_not_averaged(params, left, right, labels):
    """Sum pooling's backward; the forward pass has the mean."""

    def product_back(dpooled, a, b):
        return np.einsum("nij,nlj->nli", dpooled, b), np.einsum("nij,nli->nlj", dpooled, a)

    return grads(params, left, right, labels, product_back=product_back)


@net.fault("wrong_pooling", "wrong_reduction", at="pool")
def only_the_last_place(params, left, right, labels):
    """The loop over the places leaves its last one: `da = np.zeros_like(a)` stands inside it."""

    def product_back(dpooled, a, b):
        for place in range(a.shape[1]):
            da, db = np.zeros_like(a), np.zeros_like(b)
            da[:, place] = np.einsum("nij,nj->ni", dpooled, b[:, place]) / a.shape[1]
            db[:, place] = np.einsum("nij,ni->nj", dpooled, a[:, place]) / a.shape[1]
        return da, db

    return grads(params, left, right, labels, product_back=product_back)


@net.fault("wrong_derivative", "sign", at="root", single=True)
def sign_kept_in_the_slope(params, left, right, labels):
    """sign(y) / (2 √|y|): the sign's square is 1."""

    def root_back(droot, flat):
        return droot * np.sign(flat) * 0.5 / np.sqrt(np.abs(flat) + EPS)

    return grads(params, left, right, labels, root_back=root_back)


@net.fault("wrong_axis", at="unit")
def length_over_the_batch(params, left, right, labels):
    """`axis=0` in the normalisation's backward."""
    return grads(params, left, right, labels, unit_back=lambda *a: unit_backward(*a, axis=0))


@net.fault("upstream", "missing_term", at=("unit", "root"))
def normalisation_passes_on_unchanged(params, left, right, labels):
    """The normalisation's `backward` returns what it gets."""
    return grads(params, left, right, labels, unit_back=lambda dunit, unit, length: dunit)


@net.fault("wrong_operand", at="right")
def both_streams_from_the_left(params, left, right, labels):
    """Copied line: dv is made with the left input."""
    result = grads(params, left, right, labels)
    a, b, flat, length, unit, p = forward(params, left, right)
    d = (p - np.eye(2)[labels]) / len(p)
    dflat = root_backward(unit_backward(d @ params["w"].T, unit, length), flat)
    _, db = product_backward(dflat.reshape(-1, 3, 3), a, b)
    return {**result, "v": np.einsum("nlf,nlj->fj", left, db)}


@net.fault("permuted", "transposed", at="flatten")
def reshaped_in_fortran_order(params, left, right, labels):
    """`order="F"` on the way back: rows and columns of the products change places."""

    def product_back(dpooled, a, b):
        return product_backward(dpooled.swapaxes(1, 2), a, b)

    return grads(params, left, right, labels, product_back=product_back)


@net.fault("wrong_shape", at=("head", "flatten"))
def head_s_gradient_not_flat(params, left, right, labels):
    """The products' own axes are left in the head's gradient."""
    result = grads(params, left, right, labels)
    return {**result, "w": result["w"].reshape(3, 3, 2)}


@net.fault("wrong_pooling", "scale", "missing_term", at=("pool", "unit"))
def neither_mean_nor_length(params, left, right, labels):
    """Two mistakes: the places aren't averaged, and the length is taken as a constant."""

    def product_back(dpooled, a, b):
        return np.einsum("nij,nlj->nli", dpooled, b), np.einsum("nij,nli->nlj", dpooled, a)

    return grads(
        params, left, right, labels, unit_back=lambda dunit, unit, length: dunit / length, product_back=product_back
    )


@net.right(called=True)
def by_matrix_products(params, left, right, labels):
    """`@` over transposed batches in place of einsum."""

    def product_back(dpooled, a, b):
        share = dpooled / a.shape[1]
        return b @ share.transpose(0, 2, 1), a @ share

    return grads(params, left, right, labels, product_back=product_back)


@net.right(n=1, seed=3)
def normalisation_by_its_jacobian(params, left, right, labels):
    """(I − u uᵀ)/‖·‖ written out, for one example."""

    def unit_back(dunit, unit, length):
        return (dunit[0] @ (np.eye(9) - np.outer(unit[0], unit[0])) / length[0])[None]

    return grads(params, left, right, labels, unit_back=unit_back)
