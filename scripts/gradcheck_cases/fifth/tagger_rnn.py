"""A vanilla RNN that labels every step of padded sequences."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import softmax


def loss_fn(params, xs, labels, mask):
    """Cross-entropy per step that is no padding; `xs` is (batch, time, feature)."""
    n, steps, _ = xs.shape
    h = jnp.zeros((n, params["Whh"].shape[0]), xs.dtype)
    total = 0.0
    for t in range(steps):
        raw = xs[:, t] @ params["Wxh"] + h @ params["Whh"] + params["bh"]  # @cell
        h = jnp.tanh(raw)  # @tanh
        logits = h @ params["Why"] + params["by"]  # @output
        logp = jax.nn.log_softmax(logits)  # @softmax
        nll = -logp[jnp.arange(n), labels[:, t]]  # @nll
        total = total + jnp.sum(mask[:, t] * nll)  # @mask
    return total / jnp.sum(mask)  # @mean


def inputs(rng, n):
    """Four steps of 3 features, 5 units, 4 labels; lengths 4, 3, 2, 4, and so on."""
    params = {
        "Wxh": rng.normal(size=(3, 5)) / 2,
        "Whh": rng.normal(size=(5, 5)) / 2,
        "bh": rng.normal(size=5) / 2,
        "Why": rng.normal(size=(5, 4)),
        "by": rng.normal(size=4),
    }
    lengths = 4 - np.arange(n) % 3
    mask = (np.arange(4) < lengths[:, None]).astype(float)
    return params, (rng.normal(size=(n, 4, 3)), rng.integers(0, 4, size=(n, 4)), mask)


def forward(params, xs):
    """Hidden states by step, from -1 as in min-char-rnn, and probabilities."""
    hs, ps = {-1: np.zeros((len(xs), 5), xs.dtype)}, {}
    for t in range(xs.shape[1]):
        hs[t] = np.tanh(xs[:, t] @ params["Wxh"] + hs[t - 1] @ params["Whh"] + params["bh"])
        ps[t] = softmax(hs[t] @ params["Why"] + params["by"])
    return hs, ps


def error(p, labels, mask, total):
    """dL/dlogits of one step."""
    dy = p.copy()
    dy[np.arange(len(p)), labels] -= 1
    return dy * mask[:, None] / total


def grads(params, xs, labels, mask, total=None):
    """Backpropagation through time."""
    hs, ps = forward(params, xs)
    grads = {key: np.zeros_like(value) for key, value in params.items()}
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(xs.shape[1])):
        dy = error(ps[t], labels[:, t], mask[:, t], mask.sum() if total is None else total)
        grads["Why"] += hs[t].T @ dy
        grads["by"] += dy.sum(axis=0)
        dh = dy @ params["Why"].T + dhnext
        dhraw = (1 - hs[t] ** 2) * dh
        grads["bh"] += dhraw.sum(axis=0)
        grads["Wxh"] += xs[:, t].T @ dhraw
        grads["Whh"] += hs[t - 1].T @ dhraw
        dhnext = dhraw @ params["Whh"].T
    return grads


net = Network("tagger_rnn", loss_fn, inputs, grads, batch=4)


def through_time(params, xs, labels, mask, step):
    """The loop with `step(t, hs, dy, dhnext, grads)` as its body, which returns dhnext."""
    hs, ps = forward(params, xs)
    grads = {key: np.zeros_like(value) for key, value in params.items()}
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(xs.shape[1])):
        dy = error(ps[t], labels[:, t], mask[:, t], mask.sum())
        grads["Why"] += hs[t].T @ dy
        grads["by"] += dy.sum(axis=0)
        dhnext = step(t, hs, dy, dhnext, grads)
    return grads


@net.fault("missing_term", at="cell")
def nothing_from_the_next_step(params, xs, labels, mask):
    """dhnext is computed and never added."""

    def step(t, hs, dy, dhnext, grads):
        dh = dy @ params["Why"].T
        dhraw = (1 - hs[t] ** 2) * dh
        grads["bh"] += dhraw.sum(axis=0)
        grads["Wxh"] += xs[:, t].T @ dhraw
        grads["Whh"] += hs[t - 1].T @ dhraw
        return dhraw @ params["Whh"].T

    return through_time(params, xs, labels, mask, step)


@net.fault("wrong_operand", at="cell")
def state_of_this_step(params, xs, labels, mask):
    """dWhh takes hs[t], the recurrence had hs[t - 1]."""

    def step(t, hs, dy, dhnext, grads):
        dhraw = (1 - hs[t] ** 2) * (dy @ params["Why"].T + dhnext)
        grads["bh"] += dhraw.sum(axis=0)
        grads["Wxh"] += xs[:, t].T @ dhraw
        grads["Whh"] += hs[t].T @ dhraw
        return dhraw @ params["Whh"].T

    return through_time(params, xs, labels, mask, step)


@net.fault("overwritten", at="cell", called=True)
def recurrent_weights_assigned_in_the_loop(params, xs, labels, mask):
    """dWhh = in the loop: only the first step of the sequence is left, whose state is 0."""

    def step(t, hs, dy, dhnext, grads):
        dhraw = (1 - hs[t] ** 2) * (dy @ params["Why"].T + dhnext)
        grads["bh"] += dhraw.sum(axis=0)
        grads["Wxh"] = xs[:, t].T @ dhraw
        grads["Whh"] = hs[t - 1].T @ dhraw
        return dhraw @ params["Whh"].T

    return through_time(params, xs, labels, mask, step)


@net.fault("upstream", at=("cell", "tanh"))
def clipped_at_every_step(params, xs, labels, mask):
    """np.clip inside the loop, on what goes to the step before."""

    def step(t, hs, dy, dhnext, grads):
        dhraw = (1 - hs[t] ** 2) * (dy @ params["Why"].T + dhnext)
        grads["bh"] += dhraw.sum(axis=0)
        grads["Wxh"] += xs[:, t].T @ dhraw
        grads["Whh"] += hs[t - 1].T @ dhraw
        return np.clip(dhraw @ params["Whh"].T, -0.01, 0.01)

    return through_time(params, xs, labels, mask, step)


@net.fault("transposed", at="cell")
def recurrent_weights_not_transposed(params, xs, labels, mask):
    """dhnext = Whh applied as in the forward pass; min-char-rnn has column vectors."""

    def step(t, hs, dy, dhnext, grads):
        dhraw = (1 - hs[t] ** 2) * (dy @ params["Why"].T + dhnext)
        grads["bh"] += dhraw.sum(axis=0)
        grads["Wxh"] += xs[:, t].T @ dhraw
        grads["Whh"] += hs[t - 1].T @ dhraw
        return dhraw @ params["Whh"]

    return through_time(params, xs, labels, mask, step)


@net.fault("wrong_derivative", "wrong_operand", at=("cell", "tanh"))
def bias_gets_dh(params, xs, labels, mask):
    """dbh += dh, before the tanh's slope."""

    def step(t, hs, dy, dhnext, grads):
        dh = dy @ params["Why"].T + dhnext
        dhraw = (1 - hs[t] ** 2) * dh
        grads["bh"] += dh.sum(axis=0)
        grads["Wxh"] += xs[:, t].T @ dhraw
        grads["Whh"] += hs[t - 1].T @ dhraw
        return dhraw @ params["Whh"].T

    return through_time(params, xs, labels, mask, step)


@net.fault("wrong_mask", at="mask", single=True)
def padding_counts(params, xs, labels, mask):
    """The padded steps get an error as well."""
    return grads(params, xs, labels, np.ones_like(mask), total=mask.sum())


@net.fault("scale", "wrong_loss", at="mean")
def mean_over_the_padding_too(params, xs, labels, mask):
    """Masked, but divided by batch times steps."""
    return grads(params, xs, labels, mask, total=mask.size)


@net.fault("wrong_derivative", "transposed", at=("tanh", "cell"))
def tanh_twice_and_not_transposed(params, xs, labels, mask):
    """Two mistakes: 1 - tanh(h)² for 1 - h², and Whh without .T."""

    def step(t, hs, dy, dhnext, grads):
        dhraw = (1 - np.tanh(hs[t]) ** 2) * (dy @ params["Why"].T + dhnext)
        grads["bh"] += dhraw.sum(axis=0)
        grads["Wxh"] += xs[:, t].T @ dhraw
        grads["Whh"] += hs[t - 1].T @ dhraw
        return dhraw @ params["Whh"]

    return through_time(params, xs, labels, mask, step)


@net.right(called=True)
def stacked_afterwards(params, xs, labels, mask):
    """Collects dhraw of all steps and multiplies once."""
    hs, ps = forward(params, xs)
    steps = range(xs.shape[1])
    dys = np.stack([error(ps[t], labels[:, t], mask[:, t], mask.sum()) for t in steps], axis=1)
    raws, dh = [None] * len(steps), 0.0
    for t in steps[::-1]:
        raws[t] = (dys[:, t] @ params["Why"].T + dh) * (1 - hs[t] ** 2)
        dh = raws[t] @ params["Whh"].T
    raw, h = np.stack(raws, axis=1), np.stack([hs[t] for t in range(-1, 4)], axis=1)
    return {
        "Wxh": np.tensordot(xs, raw, axes=([0, 1], [0, 1])),
        "Whh": np.tensordot(h[:, :-1], raw, axes=([0, 1], [0, 1])),
        "bh": raw.sum(axis=(0, 1)),
        "Why": np.tensordot(h[:, 1:], dys, axes=([0, 1], [0, 1])),
        "by": dys.sum(axis=(0, 1)),
    }


@net.right(single=True, n=2, seed=7)
def two_short_sequences(params, xs, labels, mask):
    """float32, two sequences."""
    return grads(params, xs, labels, mask)
