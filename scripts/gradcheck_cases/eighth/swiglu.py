"""Two residual blocks of RMS norm and SwiGLU, as in a LLaMA feed-forward."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

EPS = 1e-6


def loss_fn(blocks, x, t):
    """Half the squared error per example."""
    h = x
    for block in blocks:
        rms = jnp.sqrt(jnp.mean(h**2, axis=-1, keepdims=True) + EPS)  # @rms
        n = h / rms * block["g"]  # @norm
        gate = n @ block["wg"]  # @gate
        up = n @ block["wu"]  # @up
        silu = gate / (1 + jnp.exp(-gate))  # @silu
        h = h + (silu * up) @ block["wd"]  # @down
    return 0.5 * jnp.sum((h - t) ** 2) / x.shape[0]  # @loss


def inputs(rng, n):
    """Width four, six hidden units."""

    def block():
        return {
            "g": rng.uniform(0.5, 1.5, size=4),
            "wg": rng.normal(size=(4, 6)) * 0.7,
            "wu": rng.normal(size=(4, 6)) * 0.7,
            "wd": rng.normal(size=(6, 4)) * 0.7,
        }

    return [block(), block()], (rng.normal(size=(n, 4)), rng.normal(size=(n, 4)))


def sigmoid(z):
    """Logistic."""
    return 1 / (1 + np.exp(-z))


def silu_slope(z):
    """σ + z σ (1 - σ)."""
    s = sigmoid(z)
    return s + z * s * (1 - s)


def rms_back(dn, xhat, rms):
    """(dn - x̂ mean(dn x̂)) / rms."""
    return (dn - xhat * (dn * xhat).mean(axis=-1, keepdims=True)) / rms


def grads(blocks, x, t, slope=silu_slope, norm=rms_back, residual=True, product="right", gain=None, both=True):
    """Both blocks, last to first."""
    h, tape = x, []
    for b in blocks:
        rms = np.sqrt((h**2).mean(-1, keepdims=True) + EPS)
        xhat = h / rms
        n = xhat * b["g"]
        zg, zu = n @ b["wg"], n @ b["wu"]
        act = zg * sigmoid(zg)
        tape.append((rms, xhat, n, zg, zu, act))
        h = h + (act * zu) @ b["wd"]
    dh = (h - t) / len(x)
    out = []
    for b, (rms, xhat, n, zg, zu, act) in zip(blocks[::-1], tape[::-1], strict=True):
        dprod = dh @ b["wd"].T
        dzu = dprod * (zg if product == "zg" else act)
        dzg = dprod * (act if product == "act" else zu) * slope(zg)
        dn = dzg @ b["wg"].T
        if both:
            dn = dn + dzu @ b["wu"].T
        dg = dn * xhat
        g = {"wd": (act * zu).T @ dh, "wu": n.T @ dzu, "wg": n.T @ dzg, "g": gain(dg) if gain else dg.sum(0)}
        out.insert(0, g)
        through = norm(dn * b["g"], xhat, rms)
        dh = dh + through if residual else through
    return out


net = Network("swiglu", loss_fn, inputs, grads, batch=5)


@net.fault("wrong_derivative", "missing_term", at="silu")
def silu_slope_without_the_product_rule(blocks, x, t):
    """σ(z) only."""
    return grads(blocks, x, t, slope=sigmoid)


@net.fault("wrong_derivative", at="silu", called=True)
def slope_of_the_sigmoid(blocks, x, t):
    """σ (1 - σ): the gate taken for a GLU's."""
    return grads(blocks, x, t, slope=lambda z: sigmoid(z) * (1 - sigmoid(z)))


@net.fault("wrong_derivative", at="silu")
def silu_slope_at_the_output(blocks, x, t):
    """The slope is given the activation instead of its input."""
    return grads(blocks, x, t, slope=lambda z: silu_slope(z * sigmoid(z)))


@net.fault("wrong_operand", at="down")
def gate_multiplied_by_itself(blocks, x, t):
    """d(a b) / da taken as a."""
    return grads(blocks, x, t, product="act")


@net.fault("wrong_operand", "wrong_derivative", at=("down", "silu"))
def gate_before_its_activation(blocks, x, t):
    """The up branch's factor is the gate's pre-activation."""
    return grads(blocks, x, t, product="zg")


@net.fault("missing_term", "overwritten", at="down")
def skip_forgotten(blocks, x, t):
    """`dh =` rather than `dh +=` after the block."""
    return grads(blocks, x, t, residual=False)


@net.fault("missing_term", "wrong_derivative", at=("rms", "norm"))
def rms_detached(blocks, x, t):
    """The root mean square as a constant."""
    return grads(blocks, x, t, norm=lambda dn, xhat, rms: dn / rms)


@net.fault("extra_term", "wrong_derivative", at=("rms", "norm"))
def backward_of_layer_norm(blocks, x, t):
    """Copied from LayerNorm: the mean of the gradient is subtracted too."""

    def norm(dn, xhat, rms):
        return (dn - dn.mean(-1, keepdims=True) - xhat * (dn * xhat).mean(-1, keepdims=True)) / rms

    return grads(blocks, x, t, norm=norm)


@net.fault("scale", "wrong_reduction", at=("rms", "norm"), single=True)
def sum_for_mean_in_the_norm(blocks, x, t):
    """The projection lacks the 1/d."""
    return grads(blocks, x, t, norm=lambda dn, xhat, rms: (dn - xhat * (dn * xhat).sum(-1, keepdims=True)) / rms)


@net.fault("overwritten", "missing_term", at=("up", "norm"))
def up_branch_lost(blocks, x, t):
    """dn gets the gate's share only."""
    return grads(blocks, x, t, both=False)


@net.fault("wrong_reduction", "scale", at="norm")
def gain_averaged(blocks, x, t):
    """dg.mean(0)."""
    return grads(blocks, x, t, gain=lambda dg: dg.mean(0))


@net.fault("wrong_shape", at="norm")
def gain_with_keepdims(blocks, x, t):
    """(1, 4) for (4,)."""
    return grads(blocks, x, t, gain=lambda dg: dg.sum(axis=0, keepdims=True))


@net.fault("missing_term", "wrong_derivative", at=("rms", "norm", "silu"))
def norm_detached_and_sigmoid_slope(blocks, x, t):
    """Two slips: σ (1 - σ), the rms a constant."""
    return grads(blocks, x, t, slope=lambda z: sigmoid(z) * (1 - sigmoid(z)), norm=lambda dn, xhat, rms: dn / rms)


@net.right()
def norm_by_the_cube(blocks, x, t):
    """dn / r - h (h·dn) / (d r³)."""

    def norm(dn, xhat, rms):
        h = xhat * rms
        return dn / rms - h * (h * dn).sum(-1, keepdims=True) / (h.shape[-1] * rms**3)

    return grads(blocks, x, t, norm=norm)


@net.right(single=True, n=1, seed=7)
def slope_by_the_output(blocks, x, t):
    """silu + σ (1 - silu)."""

    def slope(z):
        a = z * sigmoid(z)
        return a + sigmoid(z) * (1 - a)

    return grads(blocks, x, t, slope=slope)
