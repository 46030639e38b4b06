"""A leaky recurrent network under `lax.scan`; only the last state is read."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..corpus import Network
from .logistic_regression import softmax

LEAK = 0.3


class Cell(NamedTuple):
    """Parameters of the cell and the read-out."""

    u: Any
    w: Any
    bias: Any
    out: Any


def loss_fn(params, xs, labels):
    """Mean cross-entropy of the last state; `xs` is (time, batch, feature)."""

    def step(h, x):
        z = x @ params.u + h @ params.w + params.bias  # @cell
        new = jnp.tanh(z)  # @tanh
        h = (1 - LEAK) * h + LEAK * new  # @leak
        return h, None

    start = jnp.zeros((xs.shape[1], params.w.shape[0]), xs.dtype)
    last, _ = lax.scan(step, start, xs)  # @scan
    logits = last @ params.out  # @out
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(log_p[jnp.arange(len(labels)), labels])  # @loss


def inputs(rng, n):
    """Five steps, 2 features, 4 units, 3 classes."""
    params = Cell(rng.normal(size=(2, 4)), rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=(4, 3)))
    return params, (rng.normal(size=(5, n, 2)), np.arange(n) % 3)


def forward(params, xs, labels):
    """States, activations and the gradient of the logits."""
    hs, news = [np.zeros((xs.shape[1], 4), xs.dtype)], []
    for x in xs:
        news.append(np.tanh(x @ params.u + hs[-1] @ params.w + params.bias))
        hs.append((1 - LEAK) * hs[-1] + LEAK * news[-1])
    dlogits = softmax(hs[-1] @ params.out)
    dlogits[np.arange(len(labels)), labels] -= 1
    return hs, news, dlogits / len(labels)


def grads(params, xs, labels, leak=LEAK, skip=1 - LEAK, steps=None):
    """From the last step to the first."""
    hs, news, dlogits = forward(params, xs, labels)
    du, dw, db = np.zeros_like(params.u), np.zeros_like(params.w), np.zeros_like(params.bias)
    dh = dlogits @ params.out.T
    for i in list(reversed(range(len(xs))))[:steps]:
        dz = dh * leak * (1 - news[i] ** 2)
        du += xs[i].T @ dz
        dw += hs[i].T @ dz
        db += dz.sum(axis=0)
        dh = skip * dh + dz @ params.w.T
    return Cell(du, dw, db, hs[-1].T @ dlogits)


net = Network("scanned", loss_fn, inputs, grads, batch=4)


@net.fault("missing_term", "wrong_reduction", "overwritten", at=("scan", "cell", "leak"))
def last_step_only(params, xs, labels):
    """Truncated after one step."""
    return grads(params, xs, labels, steps=1)


@net.fault("missing_term", "overwritten", at="leak", called=True)
def leak_path_forgotten(params, xs, labels):
    """Goes back through the cell, not along the leak."""
    return grads(params, xs, labels, skip=0)


@net.fault("scale", "wrong_operand", at="leak")
def leak_rate_forgotten(params, xs, labels):
    """The factor of the new activation is left out."""
    return grads(params, xs, labels, leak=1)


@net.fault("wrong_operand", "scale", at="leak")
def leak_rates_swapped(params, xs, labels):
    """0.3 of the old and 0.7 of the new, in backward."""
    return grads(params, xs, labels, leak=1 - LEAK, skip=LEAK)


@net.fault("wrong_derivative", at="tanh")
def slope_of_the_leaky_state(params, xs, labels):
    """1 − h² where h is the mixture, not the tanh."""
    hs, _, dlogits = forward(params, xs, labels)
    du, dw, db = (np.zeros_like(p) for p in params[:3])
    dh = dlogits @ params.out.T
    for i in reversed(range(len(xs))):
        dz = dh * LEAK * (1 - hs[i + 1] ** 2)
        du += xs[i].T @ dz
        dw += hs[i].T @ dz
        db += dz.sum(axis=0)
        dh = (1 - LEAK) * dh + dz @ params.w.T
    return Cell(du, dw, db, hs[-1].T @ dlogits)


@net.fault("permuted", at=("cell", "scan"))
def inputs_in_forward_order(params, xs, labels):
    """The backward loop zips reversed gradients with inputs that are not reversed."""
    _, news, dlogits = forward(params, xs, labels)
    du = np.zeros_like(params.u)
    dh = dlogits @ params.out.T
    for x, new in zip(xs, reversed(news), strict=True):
        dz = dh * LEAK * (1 - new**2)
        du += x.T @ dz
        dh = (1 - LEAK) * dh + dz @ params.w.T
    return grads(params, xs, labels)._replace(u=du)


@net.fault("wrong_operand", at="cell")
def states_off_by_one(params, xs, labels):
    """`hs[i + 1]`, the state behind the step, for the recurrent weight."""
    hs, news, dlogits = forward(params, xs, labels)
    dw = np.zeros_like(params.w)
    dh = dlogits @ params.out.T
    for i in reversed(range(len(xs))):
        dz = dh * LEAK * (1 - news[i] ** 2)
        dw += hs[i + 1].T @ dz
        dh = (1 - LEAK) * dh + dz @ params.w.T
    return grads(params, xs, labels)._replace(w=dw)


@net.fault("scale", "wrong_reduction", at=("cell", "scan"), single=True)
def averaged_over_time(params, xs, labels):
    """The cell's gradients are divided by the number of steps."""
    right = grads(params, xs, labels)
    t = len(xs)
    return right._replace(u=right.u / t, w=right.w / t, bias=right.bias / t)


@net.right()
def summed_at_the_end(params, xs, labels):
    """All gradients of z kept, one einsum over time and batch."""
    hs, news, dlogits = forward(params, xs, labels)
    dzs = []
    dh = dlogits @ params.out.T
    for new in reversed(news):
        dzs.insert(0, dh * LEAK * (1 - new**2))
        dh = (1 - LEAK) * dh + dzs[0] @ params.w.T
    dz, before = np.array(dzs), np.array(hs[:-1])
    du, dw = np.einsum("tni,tno->io", xs, dz), np.einsum("tni,tno->io", before, dz)
    return Cell(du, dw, dz.sum(axis=(0, 1)), hs[-1].T @ dlogits)
