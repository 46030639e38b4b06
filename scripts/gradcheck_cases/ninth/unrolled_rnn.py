"""Karpathy's min-char-rnn: lossFun of a vanilla RNN, all vectors columns."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, chars, targets, hprev):
    """Sum of the cross-entropies over the sequence."""
    h, loss = hprev, 0.0
    for t in range(len(chars)):
        x = jax.nn.one_hot(chars[t], 5, dtype=hprev.dtype)[:, None]  # @x
        raw = params["Wxh"] @ x + params["Whh"] @ h + params["bh"]  # @raw
        h = jnp.tanh(raw)  # @h
        y = params["Why"] @ h + params["by"]  # @y
        p = jax.nn.softmax(y, axis=0)  # @p
        loss = loss - jnp.log(p[targets[t], 0])  # @loss
    return loss


def inputs(rng, n):
    """Five characters, four hidden units, n steps."""
    shapes = {"Wxh": (4, 5), "Whh": (4, 4), "Why": (5, 4), "bh": (4, 1), "by": (5, 1)}
    params = {key: 0.7 * rng.normal(size=shape) for key, shape in shapes.items()}
    text = rng.integers(0, 5, size=n + 1)
    return params, (text[:-1], text[1:], rng.uniform(-1, 1, size=(4, 1)))


def loss_fun(params, chars, targets, hprev, wrong=""):
    """Forward and backward as in the gist; `wrong` names the slip."""
    xs, hs, ps = {}, {-1: np.copy(hprev)}, {}
    for t in range(len(chars)):
        xs[t] = np.zeros((5, 1))
        xs[t][chars[t]] = 1
        hs[t] = np.tanh(params["Wxh"] @ xs[t] + params["Whh"] @ hs[t - 1] + params["bh"])
        y = params["Why"] @ hs[t] + params["by"]
        ps[t] = np.exp(y) / np.sum(np.exp(y))
        if wrong == "one buffer":
            hs[t - 1][...] = hs[t]
            hs[t] = hs[t - 1]
    d = {key: np.zeros_like(value) for key, value in params.items()}
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(chars))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        if wrong == "mean":
            dy /= len(chars)
        if wrong == "why assigned":
            d["Why"] = dy @ hs[t].T
        else:
            d["Why"] += dy @ hs[t].T
        d["by"] += dy
        dh = params["Why"].T @ dy + dhnext
        if wrong == "no dhnext":
            dh = params["Why"].T @ dy
        dhraw = (1 - hs[t] ** 2) * dh
        if wrong == "h before":
            dhraw = (1 - hs[t - 1] ** 2) * dh
        d["bh"] += dhraw
        d["Wxh"] += dhraw @ xs[t].T
        d["Whh"] += dhraw @ (hs[t] if wrong == "h after" else hs[t - 1]).T
        dhnext = (params["Whh"] if wrong == "no transpose" else params["Whh"].T) @ dhraw
        if wrong == "dhnext clipped":
            np.clip(dhnext, -0.1, 0.1, out=dhnext)
    return d


def grads(params, chars, targets, hprev):
    """The gradient of lossFun before its clipping."""
    return loss_fun(params, chars, targets, hprev)


net = Network("unrolled_rnn", loss_fn, inputs, grads, batch=6)


@net.fault("missing_term", "upstream", at=("raw", "h"))
def gradient_of_the_next_step_forgotten(params, chars, targets, hprev):
    """dh = Why.T dy, without dhnext."""
    return loss_fun(params, chars, targets, hprev, "no dhnext")


@net.fault("transposed", at="raw", called=True)
def whh_not_transposed(params, chars, targets, hprev):
    """`np.dot(Whh, dhraw)`: square, so nobody complains."""
    return loss_fun(params, chars, targets, hprev, "no transpose")


@net.fault("wrong_operand", at="raw")
def state_after_for_state_before(params, chars, targets, hprev):
    """dWhh by hs[t]."""
    return loss_fun(params, chars, targets, hprev, "h after")


@net.fault("wrong_derivative", at="h")
def slope_at_the_step_before(params, chars, targets, hprev):
    """1 − hs[t−1]²."""
    return loss_fun(params, chars, targets, hprev, "h before")


@net.fault("overwritten", at="y")
def why_of_the_first_step(params, chars, targets, hprev):
    """`dWhy =` for `+=`: backward in time the first step is the last one written."""
    return loss_fun(params, chars, targets, hprev, "why assigned")


@net.fault("upstream", at=("raw", "h"))
def clipped_in_the_loop(params, chars, targets, hprev):
    """dhnext is clipped to ±0.1 at each step, against explosion."""
    return loss_fun(params, chars, targets, hprev, "dhnext clipped")


@net.fault("permuted", "wrong_operand", "stale", at=None)
def targets_not_shifted(params, chars, targets, hprev):
    """The targets are the inputs themselves, not the next characters."""
    return grads(params, chars, chars, hprev)


@net.fault("mutated", "overwritten", at=("h", "raw"))
def one_buffer_for_all_states(params, chars, targets, hprev):
    """`h[:] = tanh(…)` into the same array: all hs[t] are the last state."""
    return loss_fun(params, chars, targets, hprev, "one buffer")


@net.fault("scale", at="loss", single=True)
def averaged_over_time(params, chars, targets, hprev):
    """dy is divided by the length, the loss is the sum."""
    return loss_fun(params, chars, targets, hprev, "mean")


@net.right()
def clip_that_does_not_bite(params, chars, targets, hprev):
    """As in the gist, with a limit above all entries."""
    return {key: np.clip(g, -50, 50) for key, g in grads(params, chars, targets, hprev).items()}


@net.right(single=True, called=True, seed=3)
def float32_sequence(params, chars, targets, hprev):
    """In float32."""
    return grads(params, chars, targets, hprev)


@net.right(n=1)
def one_character(params, chars, targets, hprev):
    """A sequence of length 1."""
    return grads(params, chars, targets, hprev)
