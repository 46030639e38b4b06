"""Inverted dropout with given masks after two ELU layers of the same width."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

KEEP = 0.6


def loss_fn(params, x, y, masks):
    """Mean squared error of one output."""
    h1 = x @ params[0]["w"] + params[0]["b"]  # @layer1
    a1 = jax.nn.elu(h1)  # @elu1
    d1 = a1 * masks[0] / KEEP  # @drop1
    h2 = d1 @ params[1]["w"] + params[1]["b"]  # @layer2
    a2 = jax.nn.elu(h2)  # @elu2
    d2 = a2 * masks[1] / KEEP  # @drop2
    pred = jnp.squeeze(d2 @ params[2]["w"] + params[2]["b"], axis=1)  # @pred
    return jnp.mean((pred - y) ** 2)  # @loss


def inputs(rng, n):
    """Three features, five and five units."""
    params = [{"w": rng.normal(size=s), "b": rng.normal(size=s[1])} for s in ((3, 5), (5, 5), (5, 1))]
    masks = (rng.random(size=(2, n, 5)) < KEEP).astype(float)
    return params, (rng.normal(size=(n, 3)), rng.normal(size=n), (masks[0], masks[1]))


def slope(h):
    """ELU: 1 or eʰ."""
    return np.where(h > 0, 1, np.exp(np.minimum(h, 0)))


def grads(params, x, y, masks, back=None, prime=slope, keep=KEEP, upstream=True):
    """`back` are the masks of the backward pass."""
    back = masks if back is None else back
    h1 = x @ params[0]["w"] + params[0]["b"]
    d1 = np.where(h1 > 0, h1, np.expm1(np.minimum(h1, 0))) * masks[0] / KEEP
    h2 = d1 @ params[1]["w"] + params[1]["b"]
    d2 = np.where(h2 > 0, h2, np.expm1(np.minimum(h2, 0))) * masks[1] / KEEP
    dpred = 2 * (d2 @ params[2]["w"] + params[2]["b"] - y[:, None]) / len(y)
    dh2 = dpred @ params[2]["w"].T * back[1] / keep * prime(h2)
    dd1 = dh2 @ params[1]["w"].T if upstream else np.ones_like(h1)
    dh1 = dd1 * back[0] / keep * prime(h1)
    triples = ((x, dh1), (d1, dh2), (d2, dpred))
    return [{"w": a.T @ d, "b": d.sum(axis=0)} for a, d in triples]


net = Network("elu_dropout", loss_fn, inputs, grads, batch=6)


@net.fault("wrong_mask", at=("drop1", "drop2"))
def no_mask_in_backward(params, x, y, masks):
    """Dropout is undone in backward, only its scale is kept."""
    return grads(params, x, y, masks, back=np.ones((2, len(x), 5)))


@net.fault("wrong_mask", at="drop1")
def second_mask_for_both(params, x, y, masks):
    """self.mask was overwritten by the second layer, same width."""
    return grads(params, x, y, masks, back=(masks[1], masks[1]))


@net.fault("wrong_mask", "stale", at=("drop1", "drop2"))
def masks_drawn_again(params, x, y, masks):
    """np.random.rand in backward as well."""
    fresh = (np.random.default_rng(99).random(size=(2, len(x), 5)) < KEEP).astype(float)
    return grads(params, x, y, masks, back=fresh)


@net.fault("scale", at=("drop1", "drop2"))
def keep_probability_forgotten(params, x, y, masks):
    """The mask, but no division by it."""
    return grads(params, x, y, masks, keep=1.0)


@net.fault("wrong_derivative", at=("elu1", "elu2"))
def elu_slope_as_its_value(params, x, y, masks):
    """α(eʰ − 1) below zero, the value; the slope is that plus α."""
    return grads(params, x, y, masks, prime=lambda h: np.where(h > 0, 1, np.expm1(np.minimum(h, 0))))


@net.fault("upstream", at=("layer2", "elu1", "drop1"))
def first_layer_starts_from_ones(params, x, y, masks):
    """backward() of the first block was called without an argument: ones for the upstream gradient."""
    return grads(params, x, y, masks, upstream=False)


@net.fault("stale", at=None)
def gradient_of_the_batch_before(params, x, y, masks):
    """The gradient of the batch before this one is compared."""
    rng = np.random.default_rng(17)
    return grads(params, rng.normal(size=x.shape), rng.normal(size=y.shape), masks)


@net.fault("wrong_mask", "scale", at=("drop2", "drop1", "loss"))
def inverted_mask_and_no_two(params, x, y, masks):
    """Two slips: what was dropped gets the gradient, and the square's 2 is missing."""
    result = grads(params, x, y, masks, back=(1 - masks[0], 1 - masks[1]))
    return [{key: grad / 2 for key, grad in layer.items()} for layer in result]


@net.right(called=True)
def mask_divided_first(params, x, y, masks):
    """mask / keep as one array."""
    return grads(params, x, y, masks, back=(masks[0] / KEEP, masks[1] / KEEP), keep=1.0)


@net.right(single=True, seed=6)
def slope_from_the_value(params, x, y, masks):
    """elu + 1 below zero."""
    return grads(params, x, y, masks, prime=lambda h: np.where(h > 0, 1, np.expm1(np.minimum(h, 0)) + 1))


@net.right(n=1, seed=12)
def one_example(params, x, y, masks):
    """A batch of one."""
    return grads(params, x, y, masks, prime=lambda h: np.minimum(1, np.exp(h)))
