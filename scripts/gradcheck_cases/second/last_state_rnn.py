"""A recurrent network under `lax.scan`; the last hidden state is classified."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..corpus import Network


def loss_fn(params, xs, labels):
    """Mean cross-entropy; `xs` is (time, batch, feature)."""

    def step(h, x):
        z = x @ params["wx"] + h @ params["wh"] + params["b"]  # @affine
        new = jnp.tanh(z)  # @tanh
        return new, None

    start = jnp.zeros((xs.shape[1], params["wh"].shape[0]), xs.dtype)  # @start
    last, _ = lax.scan(step, start, xs)  # @scan
    logits = last @ params["wy"] + params["by"]  # @logits
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(log_p[jnp.arange(labels.shape[0]), labels])  # @loss


def inputs(rng, n):
    """Five steps, 3 features, 4 units, 3 classes."""
    params = {
        "wx": rng.normal(size=(3, 4)),
        "wh": rng.normal(size=(4, 4)) / 2,
        "b": rng.normal(size=4) / 2,
        "wy": rng.normal(size=(4, 3)),
        "by": rng.normal(size=3),
    }
    return params, (rng.normal(size=(5, n, 3)), rng.integers(3, size=n))


def forward(params, xs, h=None):
    """The hidden states, the first one before the first step, and the probabilities."""
    hs = [np.zeros((xs.shape[1], 4), xs.dtype) if h is None else h]
    for x in xs:
        hs.append(np.tanh(x @ params["wx"] + hs[-1] @ params["wh"] + params["b"]))
    logits = hs[-1] @ params["wy"] + params["by"]
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return hs, e / e.sum(axis=1, keepdims=True)


def output_backward(p, labels):
    """(p − one-hot)/n."""
    d = p.copy()
    d[np.arange(len(labels)), labels] -= 1
    return d / len(labels)


def grads(params, xs, labels):
    """Backpropagation through time."""
    hs, p = forward(params, xs)
    d = output_backward(p, labels)
    g = {key: np.zeros_like(value) for key, value in params.items()}
    g["wy"], g["by"] = hs[-1].T @ d, d.sum(axis=0)
    dh = d @ params["wy"].T
    for t in reversed(range(len(xs))):
        dz = dh * (1 - hs[t + 1] ** 2)
        g["wx"] += xs[t].T @ dz
        g["wh"] += hs[t].T @ dz
        g["b"] += dz.sum(axis=0)
        dh = dz @ params["wh"].T
    return g


net = Network("last_state_rnn", loss_fn, inputs, grads, batch=4)


@net.fault("missing_term", "upstream", at=("affine", "scan"), called=True)
def only_the_last_step(params, xs, labels):
    """No loop over time: the state before the last step is taken as an input."""
    hs, p = forward(params, xs)
    d = output_backward(p, labels)
    dz = d @ params["wy"].T * (1 - hs[-1] ** 2)
    first = {"wx": xs[-1].T @ dz, "wh": hs[-2].T @ dz, "b": dz.sum(axis=0)}
    return {**first, "wy": hs[-1].T @ d, "by": d.sum(axis=0)}


def through_time(params, xs, hs, dh, slopes=None, before=None, dz_next=None):
    """Sums over the steps, in the order of `reversed(range(T))`, with one of the pieces replaced."""
    slopes = [1 - h**2 for h in hs[1:]] if slopes is None else slopes
    before = hs[:-1] if before is None else before
    wx, w, b = 0, 0, 0
    for t in reversed(range(len(xs))):
        dz = dh * slopes[t]
        wx, w, b = wx + xs[t].T @ dz, w + before[t].T @ dz, b + dz.sum(axis=0)
        dh = dz @ params["wh"].T
        dh = dh if dz_next is None else dz_next(dh)
    return {"wx": wx, "wh": w, "b": b}


def with_head(params, xs, labels, **pieces):
    """The whole gradient with a piece replaced."""
    hs, p = forward(params, xs)
    d = output_backward(p, labels)
    head = {"wy": hs[-1].T @ d, "by": d.sum(axis=0)}
    return {**through_time(params, xs, hs, d @ params["wy"].T, **pieces), **head}


@net.fault("wrong_operand", at="affine")
def state_after_for_state_before(params, xs, labels):
    """Dwh gets hs[t + 1]: off by one in the list of states."""
    return with_head(params, xs, labels, before=forward(params, xs)[0][1:])


@net.fault("wrong_derivative", at="tanh", single=True)
def slope_of_the_state_before(params, xs, labels):
    """1 − h² of the step before."""
    return with_head(params, xs, labels, slopes=[1 - h**2 for h in forward(params, xs)[0][:-1]])


@net.fault("upstream", at=("affine", "tanh", "scan"))
def clipped_in_the_loop(params, xs, labels):
    """Against exploding gradients dh is clipped at every step."""
    return with_head(params, xs, labels, dz_next=lambda dh: np.clip(dh, -0.03, 0.03))


@net.fault("extra_term", "upstream", at=("scan", "logits"))
def error_at_every_step(params, xs, labels):
    """Copied from a network with an output at each step: the last state's error is added at all of them."""
    hs, p = forward(params, xs)
    dlast = output_backward(p, labels) @ params["wy"].T
    return with_head(params, xs, labels, dz_next=lambda dh: dh + dlast)


@net.fault("permuted", at=("affine", "scan"))
def inputs_in_forward_order(params, xs, labels):
    """The loop runs backward over the states, but zips with the inputs in their order."""
    hs, p = forward(params, xs)
    dlast = output_backward(p, labels) @ params["wy"].T
    return {**grads(params, xs, labels), "wx": through_time(params, xs[::-1], hs, dlast)["wx"]}


@net.fault("mutated", "wrong_operand", at=("tanh", "affine", "scan"))
def states_share_one_buffer(params, xs, labels):
    """`hs.append(h)` and then `h[:] = …`: all saved states are the last one."""
    h, hs = np.zeros((xs.shape[1], 4), xs.dtype), []
    for x in xs:
        hs.append(h)
        h[:] = np.tanh(x @ params["wx"] + h @ params["wh"] + params["b"])
    hs.append(h)
    right = grads(params, xs, labels)
    d = output_backward(forward(params, xs)[1], labels)
    return {**right, **through_time(params, xs, hs, d @ params["wy"].T)}


@net.fault("stale", "wrong_operand", at=("start", "scan", "affine"))
def state_of_the_batch_before(params, xs, labels):
    """The hidden state isn't reset: it starts where the batch before had ended."""
    before = forward(params, np.roll(xs, 1, axis=1))[0][-1]
    hs, p = forward(params, xs, before)
    d = output_backward(p, labels)
    head = {"wy": hs[-1].T @ d, "by": d.sum(axis=0)}
    return {**through_time(params, xs, hs, d @ params["wy"].T), **head}


@net.fault("wrong_operand", "scale", at=("affine", "loss"))
def off_by_one_and_no_mean(params, xs, labels):
    """Two mistakes: dwh with the state after the step, and the sum of the losses."""
    wrong = with_head(params, xs, labels, before=forward(params, xs)[0][1:])
    return {key: len(labels) * grad for key, grad in wrong.items()}


@net.right()
def by_a_recursive_call(params, xs, labels):
    """The same in pieces."""
    return with_head(params, xs, labels)


@net.right(seed=8, called=True)
def concatenated_steps(params, xs, labels):
    """One matrix product over all steps at once."""
    hs, p = forward(params, xs)
    d = output_backward(p, labels)
    dh, dzs = d @ params["wy"].T, np.zeros((len(xs), len(labels), 4))
    for t in range(len(xs) - 1, -1, -1):
        dzs[t] = dh * (1 - np.square(hs[t + 1]))
        dh = np.einsum("nj,ij->ni", dzs[t], params["wh"])
    wh = np.tensordot(np.array(hs[:-1]), dzs, axes=((0, 1), (0, 1)))
    wx = np.tensordot(xs, dzs, axes=((0, 1), (0, 1)))
    return {"wx": wx, "wh": wh, "b": dzs.sum((0, 1)), "wy": hs[-1].T @ d, "by": d.sum(axis=0)}
