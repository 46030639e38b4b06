"""Two residual blocks with RMSNorm in front and a SwiGLU in them."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import sigmoid

EPS = 1e-6


def loss_fn(params, x, target):
    """Half the mean squared distance of what the blocks make of x."""
    for block in params["blocks"]:
        ms = jnp.mean(x**2, axis=-1, keepdims=True)  # @ms
        inv = 1 / jnp.sqrt(ms + EPS)  # @inv
        y = x * inv * block["gain"]  # @norm
        gate = y @ block["wg"]  # @gate
        up = y @ block["wu"]  # @up
        s = jax.nn.silu(gate)  # @silu
        a = s * up  # @product
        x = x + a @ block["wo"]  # @residual
    diff = x @ params["head"] - target  # @head
    return 0.5 * jnp.mean(jnp.sum(diff**2, axis=-1))  # @loss


def inputs(rng, n):
    """Five features, four hidden units, two outputs."""

    def block():
        wg, wu = rng.normal(size=(2, 5, 4)) / 2
        return {"gain": rng.uniform(0.5, 1.5, size=5), "wg": wg, "wu": wu, "wo": rng.normal(size=(4, 5))}

    params = {"blocks": [block(), block()], "head": rng.normal(size=(5, 2))}
    return params, (rng.normal(size=(n, 5)), rng.normal(size=(n, 2)))


def block_forward(block, x):
    """The output and what backward needs."""
    inv = 1 / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + EPS)
    y = x * inv * block["gain"]
    gate, up = y @ block["wg"], y @ block["wu"]
    a = gate * sigmoid(gate) * up
    return x + a @ block["wo"], (x, inv, y, gate, up, a)


def norm_backward(dy, x, inv, gain):
    """Through x / rms."""
    dn = dy * gain
    return inv * dn - x * inv**3 * np.mean(dn * x, axis=-1, keepdims=True)


def silu_slope(gate):
    """σ (1 + g (1 - σ))."""
    s = sigmoid(gate)
    return s * (1 + gate * (1 - s))


def block_backward(block, cache, dout, norm=norm_backward, slope=silu_slope, skip=True):
    """dx and the gradients of one block."""
    x, inv, y, gate, up, a = cache
    da = dout @ block["wo"].T
    dgate, dup = da * up * slope(gate), da * gate * sigmoid(gate)
    dy = dgate @ block["wg"].T + dup @ block["wu"].T
    grad = {"gain": (dy * x * inv).sum(axis=0), "wg": y.T @ dgate, "wu": y.T @ dup, "wo": a.T @ dout}
    return norm(dy, x, inv, block["gain"]) + (dout if skip else 0), grad


def grads(params, x, target, block_backward=block_backward, **slips):
    """The blocks in reverse."""
    caches = []
    for block in params["blocks"]:
        x, cache = block_forward(block, x)
        caches.append(cache)
    ddiff = (x @ params["head"] - target) / len(x)
    dx, blocks = ddiff @ params["head"].T, []
    for block, cache in zip(reversed(params["blocks"]), reversed(caches), strict=True):
        dx, grad = block_backward(block, cache, dx, **slips)
        blocks.insert(0, grad)
    return {"blocks": blocks, "head": x.T @ ddiff}


net = Network("rms_blocks", loss_fn, inputs, grads, batch=4)


@net.fault("missing_term", at="residual")
def no_gradient_around_the_block(params, x, target):
    """The skip connection is left out in backward."""
    return grads(params, x, target, skip=False)


@net.fault("missing_term", at=("ms", "inv"), called=True)
def rms_taken_as_constant(params, x, target):
    """Like a stop_gradient around the statistics."""
    return grads(params, x, target, norm=lambda dy, x, inv, gain: dy * gain * inv)


@net.fault("scale", "wrong_reduction", at="ms")
def sum_in_the_norms_backward(params, x, target):
    """np.sum where the mean of the squares asks for np.mean."""

    def norm(dy, x, inv, gain):
        dn = dy * gain
        return inv * dn - x * inv**3 * np.sum(dn * x, axis=-1, keepdims=True)

    return grads(params, x, target, norm=norm)


@net.fault("wrong_derivative", at="silu")
def silu_slope_without_the_gate(params, x, target):
    """σ + σ (1 - σ): the product rule lost its factor g."""

    def slope(gate):
        s = sigmoid(gate)
        return s + s * (1 - s)

    return grads(params, x, target, slope=slope)


@net.fault("wrong_operand", at="product")
def gate_and_up_swapped_in_the_product(params, x, target):
    """Each factor's gradient is multiplied by that factor itself."""

    def backward(block, cache, dout):
        x, inv, y, gate, up, a = cache
        da = dout @ block["wo"].T
        s = gate * sigmoid(gate)
        dgate, dup = da * s * silu_slope(gate), da * up
        dy = dgate @ block["wg"].T + dup @ block["wu"].T
        grad = {"gain": (dy * x * inv).sum(axis=0), "wg": y.T @ dgate, "wu": y.T @ dup, "wo": a.T @ dout}
        return norm_backward(dy, x, inv, block["gain"]) + dout, grad

    return grads(params, x, target, backward)


@net.fault("permuted", at=None)
def list_of_blocks_left_in_reverse(params, x, target):
    """append in the backward loop: the last block's gradient comes first."""
    right = grads(params, x, target)
    return {**right, "blocks": right["blocks"][::-1]}


@net.fault("mutated", at="residual")
def skip_added_in_place_too_early(params, x, target):
    """`dx = dout; dx += …` changes dout before wo's gradient is taken from it."""

    def backward(block, cache, dout):
        x, inv, y, gate, up, a = cache
        da = dout @ block["wo"].T
        dgate, dup = da * up * silu_slope(gate), da * gate * sigmoid(gate)
        dy = dgate @ block["wg"].T + dup @ block["wu"].T
        dx = dout
        dx += norm_backward(dy, x, inv, block["gain"])
        grad = {"gain": (dy * x * inv).sum(axis=0), "wg": y.T @ dgate, "wu": y.T @ dup, "wo": a.T @ dout}
        return dx, grad

    return grads(params, x, target, backward)


@net.fault("missing_term", "wrong_derivative", at=("ms", "inv", "silu"))
def constant_rms_and_sigmoid_slope(params, x, target):
    """Two mistakes: the norm's statistics are constants, and the SiLU gets the sigmoid's slope."""

    def slope(gate):
        return sigmoid(gate) * (1 - sigmoid(gate))

    return grads(params, x, target, norm=lambda dy, x, inv, gain: dy * gain * inv, slope=slope)


@net.right(called=True)
def norm_by_its_unit_vector(params, x, target):
    """n = x / rms, then inv (dn - n mean(dn n))."""

    def norm(dy, x, inv, gain):
        unit, dn = x * inv, dy * gain
        return inv * (dn - unit * np.mean(dn * unit, axis=-1, keepdims=True))

    return grads(params, x, target, norm=norm)


@net.right(n=1, seed=9)
def blocks_as_a_tuple_of_copies(params, x, target):
    """A list again, of copied dictionaries."""
    right = grads(params, x, target)
    return {"head": right["head"].copy(), "blocks": [dict(block) for block in right["blocks"]]}
