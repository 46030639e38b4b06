"""A causal dilated convolution with gates and a skip, max pooling over time, a transposed convolution."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..corpus import Network
from .tools import sigmoid


def loss_fn(params, x, t):
    """Mean squared error of a sequence of channels: (batch, channel, time)."""
    first = lax.conv_general_dilated(x, params["w1"], (1,), [(1, 0)])  # @causal
    wide = lax.conv_general_dilated(first, params["w2"], (1,), [(4, 0)], rhs_dilation=(2,))  # @dilated
    wide = wide + params["b2"][:, None]  # @bias
    gated = jnp.tanh(wide[:, :3]) * jax.nn.sigmoid(wide[:, 3:])  # @gate
    s = gated + first  # @skip
    pooled = lax.reduce_window(s, -jnp.inf, lax.max, (1, 1, 2), (1, 1, 2), "VALID")  # @pool
    layout = ("NCH", "OIH", "NCH")
    up = lax.conv_transpose(pooled, params["w3"], (2,), "VALID", dimension_numbers=layout, transpose_kernel=True)  # @up
    y = up[:, :, : t.shape[2]]  # @crop
    return jnp.mean((y - t) ** 2)  # @loss


def inputs(rng, n):
    """Two channels, three inside, eight time steps; kernels of 2, 3 and 3."""
    params = {
        "w1": rng.normal(size=(3, 2, 2)),
        "w2": rng.normal(size=(6, 3, 3)) / 2,
        "b2": rng.normal(size=6) / 2,
        "w3": rng.normal(size=(3, 3, 3)) / 2,
    }
    return params, (rng.normal(size=(n, 2, 8)), rng.normal(size=(n, 3, 8)))


def conv(x, w, dilation):
    """Causal: padded in front."""
    pad, time = dilation * (w.shape[2] - 1), x.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (pad, 0)))
    return sum(np.einsum("nct,oc->not", x[:, :, k * dilation :][:, :, :time], w[:, :, k]) for k in range(w.shape[2]))


def conv_backward(d, x, w, dilation):
    """Of the input and the kernel."""
    pad, time = dilation * (w.shape[2] - 1), x.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, 0)))
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    for k in range(w.shape[2]):
        now = slice(k * dilation, k * dilation + time)
        dx[:, :, now] += np.einsum("not,oc->nct", d, w[:, :, k])
        dw[:, :, k] = np.einsum("not,nct->oc", d, padded[:, :, now])
    return dx[:, :, pad:], dw


def up_backward(d, x, w):
    """Of the input and the kernel (in, out, tap): tap k of input i went to 2 i + k."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for k in range(3):
        tap = d[:, :, k : k + 2 * x.shape[2] : 2]
        dx += np.einsum("not,io->nit", tap, w[:, :, k])
        dw[:, :, k] = np.einsum("not,nit->io", tap, x)
    return dx, dw


def pool_backward(d, s):
    """To the larger of each pair."""
    pairs = s.reshape(*s.shape[:2], -1, 2)
    winner = pairs == pairs.max(axis=-1, keepdims=True)
    return (winner * d[..., None]).reshape(s.shape)


def gate_backward(d, f, g):
    """Of tanh times sigmoid."""
    return np.concatenate([d * g * (1 - f**2), d * f * g * (1 - g)], axis=1)


def grads(params, x, t, dilated=conv_backward, up=up_backward, pool=pool_backward, gate=gate_backward, slip=""):
    """Everything in reverse."""
    first = conv(x, params["w1"], 1)
    wide = conv(first, params["w2"], 2) + params["b2"][:, None]
    f, g = np.tanh(wide[:, :3]), sigmoid(wide[:, 3:])
    s = f * g + first
    pooled = s.reshape(*s.shape[:2], -1, 2).max(axis=-1)
    y = np.zeros((len(x), 3, 2 * pooled.shape[2] + 1), x.dtype)
    for k in range(3):
        y[:, :, k : k + 2 * pooled.shape[2] : 2] += np.einsum("nit,io->not", pooled, params["w3"][:, :, k])
    d = np.zeros_like(y)
    d[:, :, :8] = 2 * (y[:, :, :8] - t) / t.size
    dpooled, dw3 = up(d, pooled, params["w3"])
    ds = pool(dpooled, f * g if slip == "winner" else s)
    dwide = gate(ds, f, g)
    dfirst, dw2 = dilated(dwide, first, params["w2"], 2)
    if slip != "no skip":
        dfirst = dfirst + ds
    _, dw1 = conv_backward(dfirst, x, params["w1"], 1)
    return {"w1": dw1, "w2": dw2, "b2": dwide.sum(axis=(0, 2)), "w3": dw3}


net = Network("wavenet", loss_fn, inputs, grads, batch=3)


@net.fault("permuted", "wrong_operand", at="dilated")
def dilation_forgotten_for_the_kernel(params, x, t):
    """Dw from neighbouring time steps: the kernel as if it were dense."""

    def dilated(d, x, w, dilation):
        return conv_backward(d, x, w, dilation)[0], conv_backward(d, x, w, 1)[1]

    return grads(params, x, t, dilated=dilated)


@net.fault("permuted", at="dilated", called=True)
def taps_reversed(params, x, t):
    """The first tap is the oldest, not the newest."""

    def dilated(d, x, w, dilation):
        dx, dw = conv_backward(d, x, w, dilation)
        return dx, dw[:, :, ::-1]

    return grads(params, x, t, dilated=dilated)


@net.fault("permuted", at="dilated")
def padding_cut_off_at_the_end(params, x, t):
    """`dx[:, :, :T]` for `dx[:, :, pad:]`."""

    def dilated(d, x, w, dilation):
        front = np.pad(x, ((0, 0), (0, 0), (4, 0)))
        dx = np.zeros_like(front)
        for k in range(3):
            dx[:, :, 2 * k : 2 * k + 8] += np.einsum("not,oc->nct", d, w[:, :, k])
        return dx[:, :, :8], conv_backward(d, x, w, dilation)[1]

    return grads(params, x, t, dilated=dilated)


@net.fault("transposed", at="up")
def channels_exchanged_in_the_transposed_kernel(params, x, t):
    """(out, in) for (in, out): ConvTranspose has them the other way round, and both are 3."""

    def up(d, x, w):
        dx, dw = up_backward(d, x, w)
        return dx, dw.transpose(1, 0, 2)

    return grads(params, x, t, up=up)


@net.fault("permuted", "wrong_operand", at="up")
def stride_forgotten_in_the_transposed(params, x, t):
    """`d[:, :, k : k + T]` without the step of 2, for the input's gradient."""

    def up(d, x, w):
        dx = sum(np.einsum("not,io->nit", d[:, :, k : k + 4], w[:, :, k]) for k in range(3))
        return dx, up_backward(d, x, w)[1]

    return grads(params, x, t, up=up)


@net.fault("wrong_pooling", "wrong_mask", at="pool")
def pooling_winners_before_the_skip(params, x, t):
    """The positions of the maxima were kept from before the skip was added."""
    return grads(params, x, t, slip="winner")


@net.fault("wrong_operand", at="gate")
def gate_factors_not_exchanged(params, x, t):
    """Each branch is multiplied by itself."""
    return grads(params, x, t, gate=lambda d, f, g: np.concatenate([d * f * (1 - f**2), d * g * g * (1 - g)], axis=1))


@net.fault("wrong_shape", "wrong_reduction", at="bias")
def bias_with_time(params, x, t):
    """`sum(axis=0)`: (channel, time)."""
    kept = []

    def gate(d, f, g):
        kept.append(gate_backward(d, f, g))
        return kept[0]

    return {**grads(params, x, t, gate=gate), "b2": kept[0].sum(axis=0)}


@net.fault("wrong_operand", "missing_term", at=("gate", "skip"))
def gate_factors_and_no_skip(params, x, t):
    """Two slips: the factors of the gate, and the skip is forgotten."""

    def gate(d, f, g):
        return np.concatenate([d * f * (1 - f**2), d * g * g * (1 - g)], axis=1)

    return grads(params, x, t, gate=gate, slip="no skip")


@net.right()
def transposed_by_scattering(params, x, t):
    """The transposed convolution as a strided one on the way back, one time step after the other."""

    def up(d, x, w):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for j in range(x.shape[2]):
            window = d[:, :, 2 * j : 2 * j + 3]
            dx[:, :, j] = np.einsum("nok,iok->ni", window, w)
            dw += np.einsum("nok,ni->iok", window, x[:, :, j])
        return dx, dw

    return grads(params, x, t, up=up)


@net.right(single=True, seed=2)
def float32(params, x, t):
    """The same in float32."""
    return grads(params, x, t)
