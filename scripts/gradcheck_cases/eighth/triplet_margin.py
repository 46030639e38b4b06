"""Triplet margin loss of L2-normalised linear embeddings."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

MARGIN = 0.4


def unit(v):
    """Rows of length one."""
    return v / jnp.sqrt(jnp.sum(v * v, axis=1, keepdims=True))  # @normalise


def loss_fn(w, anchor, positive, negative):
    """Mean hinge of squared distances."""
    za = anchor @ w  # @embed_anchor
    zp = positive @ w  # @embed_positive
    zn = negative @ w  # @embed_negative
    ea, ep, en = unit(za), unit(zp), unit(zn)  # @units
    near = jnp.sum((ea - ep) ** 2, axis=1)  # @near
    far = jnp.sum((ea - en) ** 2, axis=1)  # @far
    hinge = jnp.maximum(near - far + MARGIN, 0.0)  # @hinge
    return hinge.mean()  # @mean


def inputs(rng, n):
    """Five features in, three out; positives near their anchors."""
    anchor = rng.normal(size=(n, 5))
    positive = anchor + 0.5 * rng.normal(size=(n, 5))
    return rng.normal(size=(5, 3)), (anchor, positive, rng.normal(size=(n, 5)))


def norm(z, axis=1):
    """Length of rows."""
    return np.sqrt((z**2).sum(axis=axis, keepdims=True))


def unit_back(de, z):
    """(I - e eᵀ) de / |z|."""
    length = norm(z)
    e = z / length
    return (de - e * (e * de).sum(axis=1, keepdims=True)) / length


def grads(w, anchor, positive, negative):
    """Three branches into one matrix."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    active = ((ea - ep) ** 2).sum(1) - ((ea - en) ** 2).sum(1) + MARGIN > 0
    g = active[:, None] / len(anchor)
    dep = -2 * g * (ea - ep)
    den = 2 * g * (ea - en)
    dea = 2 * g * (en - ep)
    return anchor.T @ unit_back(dea, za) + positive.T @ unit_back(dep, zp) + negative.T @ unit_back(den, zn)


net = Network("triplet_margin", loss_fn, inputs, grads, batch=9)


@net.fault("wrong_mask", at="hinge")
def satisfied_triplets_still_pull(w, anchor, positive, negative):
    """No mask for the hinge."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    dep, den, dea = -2 * (ea - ep), 2 * (ea - en), 2 * (en - ep)
    dw = anchor.T @ unit_back(dea, za) + positive.T @ unit_back(dep, zp) + negative.T @ unit_back(den, zn)
    return dw / len(anchor)


@net.fault("wrong_mask", at="hinge")
def mask_without_the_margin(w, anchor, positive, negative):
    """Active where near > far."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    active = ((ea - ep) ** 2).sum(1) > ((ea - en) ** 2).sum(1)
    g = active[:, None] / len(anchor)
    dep, den, dea = -2 * g * (ea - ep), 2 * g * (ea - en), 2 * g * (en - ep)
    return anchor.T @ unit_back(dea, za) + positive.T @ unit_back(dep, zp) + negative.T @ unit_back(den, zn)


@net.fault("wrong_derivative", "missing_term", at=("normalise", "units"))
def lengths_taken_as_constant(w, anchor, positive, negative):
    """Only divides by the norm."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    active = ((ea - ep) ** 2).sum(1) - ((ea - en) ** 2).sum(1) + MARGIN > 0
    g = active[:, None] / len(anchor)
    dza = 2 * g * (en - ep) / norm(za)
    dzp = -2 * g * (ea - ep) / norm(zp)
    dzn = 2 * g * (ea - en) / norm(zn)
    return anchor.T @ dza + positive.T @ dzp + negative.T @ dzn


@net.fault("sign", at="far")
def negative_pulled_in(w, anchor, positive, negative):
    """The negative's own gradient has the positive's sign."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    active = ((ea - ep) ** 2).sum(1) - ((ea - en) ** 2).sum(1) + MARGIN > 0
    g = active[:, None] / len(anchor)
    dep, den, dea = -2 * g * (ea - ep), -2 * g * (ea - en), 2 * g * (en - ep)
    return anchor.T @ unit_back(dea, za) + positive.T @ unit_back(dep, zp) + negative.T @ unit_back(den, zn)


@net.fault("missing_term", at="far")
def anchor_not_pushed_away(w, anchor, positive, negative):
    """The anchor gets the positive's term alone."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    active = ((ea - ep) ** 2).sum(1) - ((ea - en) ** 2).sum(1) + MARGIN > 0
    g = active[:, None] / len(anchor)
    dea = 2 * g * (ea - ep)
    dep, den = -dea, 2 * g * (ea - en)
    return anchor.T @ unit_back(dea, za) + positive.T @ unit_back(dep, zp) + negative.T @ unit_back(den, zn)


@net.fault("scale", "wrong_loss", at="mean", called=True)
def mean_over_active_triplets(w, anchor, positive, negative):
    """As in FaceNet re-implementations: divides by the number of non-zero hinges."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    active = ((ea - ep) ** 2).sum(1) - ((ea - en) ** 2).sum(1) + MARGIN > 0
    return grads(w, anchor, positive, negative) * len(anchor) / max(active.sum(), 1)


@net.fault("overwritten", "missing_term", at=("embed_anchor", "embed_positive"))
def shared_matrix_keeps_the_last_branch(w, anchor, positive, negative):
    """`dw =` in the loop over the three branches."""
    z = [v @ w for v in (anchor, positive, negative)]
    ea, ep, en = (v / norm(v) for v in z)
    active = ((ea - ep) ** 2).sum(1) - ((ea - en) ** 2).sum(1) + MARGIN > 0
    g = 2 * active[:, None] / len(anchor)
    for x, zi, de in zip((anchor, positive, negative), z, (g * (en - ep), g * (ep - ea), g * (ea - en)), strict=True):
        dw = x.T @ unit_back(de, zi)
    return dw


@net.fault("mutated", at=("near", "units"))
def anchor_changed_in_place(w, anchor, positive, negative):
    """`diff = ea; diff -= ep` leaves the difference in the anchor's embedding."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    far = ((ea - en) ** 2).sum(1)
    diff = ea
    diff -= ep
    active = (diff**2).sum(1) - far + MARGIN > 0
    g = active[:, None] / len(anchor)
    dep, den, dea = -2 * g * diff, 2 * g * (ea - en), 2 * g * (en - ep)
    return anchor.T @ unit_back(dea, za) + positive.T @ unit_back(dep, zp) + negative.T @ unit_back(den, zn)


@net.fault("wrong_axis", at=("normalise", "units"), single=True)
def normalised_down_the_batch(w, anchor, positive, negative):
    """axis=0 in the norm, forward and backward."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za, 0), zp / norm(zp, 0), zn / norm(zn, 0)
    active = ((ea - ep) ** 2).sum(1) - ((ea - en) ** 2).sum(1) + MARGIN > 0
    g = active[:, None] / len(anchor)

    def back(de, z, e):
        return (de - e * (e * de).sum(axis=0)) / norm(z, 0)

    dw = anchor.T @ back(2 * g * (en - ep), za, ea)
    dw += positive.T @ back(2 * g * (ep - ea), zp, ep)
    return dw + negative.T @ back(2 * g * (ea - en), zn, en)


@net.fault("wrong_mask", "scale", at=("hinge", "near", "far", "mean"))
def no_mask_and_no_two(w, anchor, positive, negative):
    """Two slips: every triplet counts, the 2 of the square is lost."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    n = len(anchor)
    dw = anchor.T @ unit_back((en - ep) / n, za) + positive.T @ unit_back((ep - ea) / n, zp)
    return dw + negative.T @ unit_back((ea - en) / n, zn)


@net.right(seed=2)
def by_cosines(w, anchor, positive, negative):
    """|a - p|² = 2 - 2 a·p."""
    za, zp, zn = anchor @ w, positive @ w, negative @ w
    ea, ep, en = za / norm(za), zp / norm(zp), zn / norm(zn)
    active = 2 * (ea * en).sum(1) - 2 * (ea * ep).sum(1) + MARGIN > 0
    g = 2 * active[:, None] / len(anchor)
    de = [g * (en - ep), -g * ea, g * ea]
    return sum(x.T @ unit_back(d, z) for x, d, z in zip((anchor, positive, negative), de, (za, zp, zn), strict=True))


@net.right(n=14, seed=6, called=True)
def by_loop(w, anchor, positive, negative):
    """Skips the satisfied triplets."""
    dw = np.zeros_like(np.asarray(w))
    for i in range(len(anchor)):
        dw = dw + grads(w, anchor[i : i + 1], positive[i : i + 1], negative[i : i + 1])
    return dw / len(anchor)
