"""A tanh recurrent network that reads a sequence and classifies it from its last state."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, xs, y):
    """Mean cross-entropy of the class; `xs` is (batch, time, feature)."""
    h = jnp.zeros((xs.shape[0], params["Whh"].shape[0]), xs.dtype)
    for t in range(xs.shape[1]):
        a = xs[:, t] @ params["Wxh"] + h @ params["Whh"] + params["bh"]  # @step
        h = jnp.tanh(a)  # @tanh
    logits = h @ params["Why"] + params["by"]  # @logits
    log_p = logits - jax.nn.logsumexp(logits, axis=1, keepdims=True)  # @softmax
    nll = -jnp.take_along_axis(log_p, y[:, None], axis=1)  # @nll
    return jnp.mean(nll)  # @loss


def inputs(rng, n):
    """Four steps of 2 features, 5 units, 3 classes."""
    params = {
        "Wxh": 0.7 * rng.normal(size=(2, 5)),
        "Whh": 0.5 * rng.normal(size=(5, 5)),
        "bh": 0.3 * rng.normal(size=5),
        "Why": rng.normal(size=(5, 3)),
        "by": rng.normal(size=3),
    }
    return params, (rng.normal(size=(n, 4, 2)), rng.integers(0, 3, size=n))


def forward(params, xs):
    """All states, the zero state first, and the probabilities."""
    hs = [np.zeros((xs.shape[0], 5), xs.dtype)]
    for t in range(xs.shape[1]):
        hs.append(np.tanh(xs[:, t] @ params["Wxh"] + hs[-1] @ params["Whh"] + params["bh"]))
    logits = hs[-1] @ params["Why"] + params["by"]
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return hs, e / e.sum(axis=1, keepdims=True)


def through_time(params, xs, hs, dlogits, slip=""):
    """Backward through all steps from dlogits."""
    dWxh, dWhh, dbh = (np.zeros_like(params[key]) for key in ("Wxh", "Whh", "bh"))
    dh = dlogits @ params["Why"].T
    for t in reversed(range(xs.shape[1])):
        da = dh * (1 - (hs[t] if slip == "early state" else hs[t + 1]) ** 2)
        if slip == "assign":
            dWhh = hs[t].T @ da
        else:
            dWhh += (hs[t + 1] if slip == "late state" else hs[t]).T @ da
        dWxh += xs[:, t].T @ da
        dbh += da.sum(axis=0)
        if slip == "truncated":
            break
        dh = da @ (params["Whh"] if slip == "not transposed" else params["Whh"].T)
        if slip == "clipped":
            dh = np.clip(dh, -0.02, 0.02)
    return {"Wxh": dWxh, "Whh": dWhh, "bh": dbh, "Why": hs[-1].T @ dlogits, "by": dlogits.sum(axis=0)}


def grads(params, xs, y, slip=""):
    """Backpropagation through time."""
    hs, p = forward(params, xs)
    dlogits = (p - np.eye(3, dtype=p.dtype)[y]) / len(y)
    return through_time(params, xs, hs, dlogits, slip)


net = Network("reader", loss_fn, inputs, grads, batch=6)


@net.fault("transposed", at="step")
def recurrent_weights_not_transposed(params, xs, y):
    """`dh = da @ Whh`, square and silent."""
    return grads(params, xs, y, "not transposed")


@net.fault("overwritten", "wrong_reduction", "missing_term", at="step", called=True)
def recurrent_weights_of_the_first_step(params, xs, y):
    """`dWhh =` in the loop: what remains is the last step of the loop, where the state before is zero."""
    return grads(params, xs, y, "assign")


@net.fault("missing_term", at="step")
def last_step_only(params, xs, y):
    """No backpropagation through time at all, the state before counts as a constant."""
    return grads(params, xs, y, "truncated")


@net.fault("wrong_operand", at="step")
def state_after_the_step(params, xs, y):
    """Off by one: the recurrent weights multiply the state before the step."""
    return grads(params, xs, y, "late state")


@net.fault("wrong_derivative", at="tanh")
def slope_at_the_state_before(params, xs, y):
    """1 − h² with the h of one step earlier."""
    return grads(params, xs, y, "early state")


@net.fault("upstream", at=("step", "tanh"))
def clipped_within_the_loop(params, xs, y):
    """The gradient of the state is clipped at every step against explosions."""
    return grads(params, xs, y, "clipped")


@net.fault("mutated", "overwritten", "wrong_operand", at=("tanh", "step"))
def states_share_one_buffer(params, xs, y):
    """One buffer for h, written with `out=`: every cached state is the last one."""
    h = np.zeros((xs.shape[0], 5), xs.dtype)
    hs = [np.zeros_like(h)]
    for t in range(xs.shape[1]):
        np.tanh(xs[:, t] @ params["Wxh"] + h @ params["Whh"] + params["bh"], out=h)
        hs.append(h)
    _, p = forward(params, xs)
    return through_time(params, xs, hs, (p - np.eye(3)[y]) / len(y))


@net.fault("wrong_axis", at="softmax")
def softmax_over_the_batch(params, xs, y):
    """`e / e.sum(axis=0)` in the backward pass."""
    hs, _ = forward(params, xs)
    e = np.exp(hs[-1] @ params["Why"] + params["by"])
    return through_time(params, xs, hs, (e / e.sum(axis=0) - np.eye(3)[y]) / len(y))


@net.fault("sign", "overwritten", "wrong_reduction", at=("step", "nll", "loss"), single=True)
def sign_and_assignment(params, xs, y):
    """Two slips: target minus probability, and `dWhh =` in the loop."""
    hs, p = forward(params, xs)
    return through_time(params, xs, hs, (np.eye(3, dtype=p.dtype)[y] - p) / len(y), "assign")


@net.right(n=1)
def one_sequence_of_column_vectors(params, xs, y):
    """min-char-rnn's style, one sequence and column vectors."""
    hs, p = forward(params, xs)
    dy = p[0][:, None].copy()
    dy[y[0]] -= 1
    right = {"Why": hs[-1].T @ dy.T, "by": dy.ravel()}
    dWxh, dWhh, dbh = (np.zeros_like(params[key]) for key in ("Wxh", "Whh", "bh"))
    dh = params["Why"] @ dy
    for t in reversed(range(xs.shape[1])):
        draw = (1 - hs[t + 1].T ** 2) * dh
        dbh += draw.ravel()
        dWxh += np.outer(xs[0, t], draw)
        dWhh += np.outer(hs[t][0], draw)
        dh = params["Whh"] @ draw
    return {"Wxh": dWxh, "Whh": dWhh, "bh": dbh, **right}


@net.right(single=True, seed=2)
def same_in_float32(params, xs, y):
    """The ordinary one in single precision."""
    return grads(params, xs, y)
