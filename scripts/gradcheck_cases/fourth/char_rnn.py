"""A character model as in min-char-rnn: column vectors, the sum of the losses of all steps."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

V, H = 5, 4


def loss_fn(params, chars, targets, hprev):
    """Forward over the sequence."""
    h, loss = hprev, 0.0
    for t in range(len(chars)):
        x = jax.nn.one_hot(chars[t], V, dtype=h.dtype)[:, None]
        raw = params["Wxh"] @ x + params["Whh"] @ h + params["bh"]  # @state
        h = jnp.tanh(raw)  # @tanh
        y = params["Why"] @ h + params["by"]  # @output
        p = jax.nn.softmax(y, axis=0)  # @softmax
        loss += -jnp.log(p[targets[t], 0])  # @loss
    return loss


def inputs(rng, n):
    """A sequence of n characters and the same sequence one later."""
    params = {
        "Wxh": rng.normal(size=(H, V)),
        "Whh": rng.normal(size=(H, H)) * 0.7,
        "Why": rng.normal(size=(V, H)),
        "bh": rng.normal(size=(H, 1)) * 0.5,
        "by": rng.normal(size=(V, 1)) * 0.5,
    }
    text = rng.integers(0, V, size=n + 1)
    return params, (text[:-1], text[1:], rng.normal(size=(H, 1)))


def forward(params, chars, hprev):
    """Dictionaries by time, as in the gist."""
    xs, hs, ps = {}, {-1: np.copy(hprev)}, {}
    for t in range(len(chars)):
        xs[t] = np.zeros((V, 1), hprev.dtype)
        xs[t][chars[t]] = 1
        hs[t] = np.tanh(params["Wxh"] @ xs[t] + params["Whh"] @ hs[t - 1] + params["bh"])
        y = params["Why"] @ hs[t] + params["by"]
        ps[t] = np.exp(y) / np.sum(np.exp(y))
    return xs, hs, ps


def grads(params, chars, targets, hprev):
    """Backward through time."""
    xs, hs, ps = forward(params, chars, hprev)
    d = {key: np.zeros_like(value) for key, value in params.items()}
    dhnext = np.zeros_like(hprev)
    for t in reversed(range(len(chars))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        d["Why"] += dy @ hs[t].T
        d["by"] += dy
        dh = params["Why"].T @ dy + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        d["bh"] += dhraw
        d["Wxh"] += dhraw @ xs[t].T
        d["Whh"] += dhraw @ hs[t - 1].T
        dhnext = params["Whh"].T @ dhraw
    return d


net = Network("char_rnn", loss_fn, inputs, grads, batch=5)


@net.fault("missing_term", at="state")
def dhnext_never_added(params, chars, targets, hprev):
    """Each step is treated as a feed-forward network: nothing comes back from the next one."""
    xs, hs, ps = forward(params, chars, hprev)
    d = {key: np.zeros_like(value) for key, value in params.items()}
    for t in reversed(range(len(chars))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        d["Why"] += dy @ hs[t].T
        d["by"] += dy
        dh = params["Why"].T @ dy
        dhraw = (1 - hs[t] * hs[t]) * dh
        d["bh"] += dhraw
        d["Wxh"] += dhraw @ xs[t].T
        d["Whh"] += dhraw @ hs[t - 1].T
    return d


def back(params, hs, xs, dys, slope=None, through=None, before=1):
    """The loop with a few things left open: dys are the logits' gradients."""
    slope = slope or (lambda h: 1 - h * h)
    through = through or (lambda dhraw, dh: params["Whh"].T @ dhraw)
    d = {key: np.zeros_like(value) for key, value in params.items()}
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(dys))):
        d["Why"] += dys[t] @ hs[t].T
        d["by"] += dys[t]
        dh = params["Why"].T @ dys[t] + dhnext
        dhraw = slope(hs[t]) * dh
        d["bh"] += dhraw
        d["Wxh"] += dhraw @ xs[t].T
        d["Whh"] += dhraw @ hs[t - before].T
        dhnext = through(dhraw, dh)
    return d


def errors(ps, targets):
    """P − one-hot for each step."""
    return [ps[t] - np.eye(V)[:, [targets[t]]] for t in range(len(targets))]


@net.fault("transposed", at="state")
def whh_not_transposed_in_dhnext(params, chars, targets, hprev):
    """`dhnext = np.dot(Whh, dhraw)`."""
    xs, hs, ps = forward(params, chars, hprev)
    return back(params, hs, xs, errors(ps, targets), through=lambda dhraw, dh: np.dot(params["Whh"], dhraw))


@net.fault("wrong_derivative", at="tanh", called=True)
def tanh_slope_not_squared(params, chars, targets, hprev):
    """`1 - hs[t]`."""
    xs, hs, ps = forward(params, chars, hprev)
    return back(params, hs, xs, errors(ps, targets), slope=lambda h: 1 - h)


@net.fault("wrong_operand", at="state")
def state_of_this_step_for_the_last(params, chars, targets, hprev):
    """DWhh with hs[t] for hs[t-1]."""
    xs, hs, ps = forward(params, chars, hprev)
    return back(params, hs, xs, errors(ps, targets), before=0)


@net.fault("mutated", at=("tanh", "state"))
def one_buffer_for_every_state(params, chars, targets, hprev):
    """`np.tanh(..., out=h); hs.append(h)`: every entry of the list is the same array."""
    h = hprev.copy()
    xs, hs, ps = [], {-1: h}, []
    for t, char in enumerate(chars):
        xs.append(np.eye(V, dtype=h.dtype)[:, [char]])
        np.tanh(params["Wxh"] @ xs[t] + params["Whh"] @ h + params["bh"], out=h)
        hs[t] = h
        y = np.exp(params["Why"] @ h + params["by"])
        ps.append(y / y.sum())
    return back(params, hs, xs, errors(ps, targets))


@net.fault("upstream", at=("tanh", "state"))
def clipped_inside_the_loop(params, chars, targets, hprev):
    """Clips the gradient of the state in each step against explosion, much too low."""
    xs, hs, ps = forward(params, chars, hprev)
    d = {key: np.zeros_like(value) for key, value in params.items()}
    dhnext = np.zeros_like(hprev)
    for t in reversed(range(len(chars))):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        d["Why"] += dy @ hs[t].T
        d["by"] += dy
        dhraw = (1 - hs[t] ** 2) * np.clip(params["Why"].T @ dy + dhnext, -0.25, 0.25)
        d["bh"] += dhraw
        d["Wxh"] += dhraw @ xs[t].T
        d["Whh"] += dhraw @ hs[t - 1].T
        dhnext = params["Whh"].T @ dhraw
    return d


@net.fault("missing_term", "wrong_derivative", at=("state", "tanh"))
def truncated_and_a_bias_before_the_tanh(params, chars, targets, hprev):
    """Two slips: no dhnext, and dbh adds dh rather than dhraw."""
    xs, hs, ps = forward(params, chars, hprev)
    d = back(params, hs, xs, errors(ps, targets), through=lambda dhraw, dh: 0 * dh)
    d["bh"] = sum(params["Why"].T @ dy for dy in errors(ps, targets))
    return d


@net.right()
def stacked(params, chars, targets, hprev):
    """The products over all steps at once, after the recurrence."""
    xs, hs, ps = forward(params, chars, hprev)
    steps = range(len(chars))
    dys = np.hstack(errors(ps, targets))
    raws, carry = [None] * len(chars), np.zeros_like(hprev)
    for t in reversed(steps):
        raws[t] = (1 - hs[t] ** 2) * (params["Why"].T @ dys[:, [t]] + carry)
        carry = params["Whh"].T @ raws[t]
    raw = np.hstack(raws)
    before = np.hstack([hs[t - 1] for t in steps])
    return {
        "Wxh": raw @ np.hstack([xs[t] for t in steps]).T,
        "Whh": raw @ before.T,
        "Why": dys @ np.hstack([hs[t] for t in steps]).T,
        "bh": raw.sum(axis=1, keepdims=True),
        "by": dys.sum(axis=1, keepdims=True),
    }


@net.right(n=1, seed=6, called=True)
def one_character(params, chars, targets, hprev):
    """One step: no recurrence in the gradient."""
    return grads(params, chars, targets, hprev)
