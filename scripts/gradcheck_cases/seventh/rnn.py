"""A vanilla RNN that labels every step, by lax.scan; `xs` is (time, batch, feature)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradcheck_cases.corpus import Network


def loss_fn(params, xs, ys):
    """Cross-entropy summed over time, averaged over the batch."""
    n = xs.shape[1]

    def step(h, pair):
        x, y = pair
        z = x @ params["Wxh"] + h @ params["Whh"] + params["bh"]  # @recur
        h = jnp.tanh(z)  # @tanh
        logits = h @ params["Why"] + params["by"]  # @readout
        logp = jax.nn.log_softmax(logits)  # @softmax
        return h, -jnp.sum(logp[jnp.arange(n), y]) / n  # @step_loss

    h0 = jnp.zeros((n, params["Whh"].shape[0]), xs.dtype)
    _, losses = lax.scan(step, h0, (xs, ys))  # @scan
    return jnp.sum(losses)  # @total


def inputs(rng, n):
    """Four steps, two features, five units, three classes."""
    params = {
        "Wxh": rng.normal(size=(2, 5)),
        "Whh": rng.normal(size=(5, 5)) / 2,
        "Why": rng.normal(size=(5, 3)),
        "bh": rng.normal(size=5) / 2,
        "by": rng.normal(size=3) / 2,
    }
    return params, (rng.normal(size=(4, n, 2)), rng.integers(0, 3, size=(4, n)))


def forward(params, xs):
    """States, the first of them zero, and probabilities."""
    hs, ps = [np.zeros((xs.shape[1], 5), xs.dtype)], []
    for x in xs:
        hs.append(np.tanh(x @ params["Wxh"] + hs[-1] @ params["Whh"] + params["bh"]))
        e = np.exp(hs[-1] @ params["Why"] + params["by"])
        ps.append(e / e.sum(axis=1, keepdims=True))
    return hs, ps


def grads(params, xs, ys, cache=None, slip=""):
    """Backpropagation through time."""
    hs, ps = cache or forward(params, xs)
    n = xs.shape[1]
    total = {key: np.zeros_like(value) for key, value in params.items()}
    dh_next = np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        dy = ps[t].copy()
        dy[np.arange(n), ys[t]] -= 1
        dy /= n
        if slip == "last step" and t < len(xs) - 1:
            dy[:] = 0
        total["Why"] += hs[t + 1].T @ dy
        total["by"] += dy.sum(axis=0)
        dh = dy @ params["Why"].T
        if slip != "no carry":
            dh = dh + dh_next
        if slip == "clip":
            dh = np.clip(dh, -0.1, 0.1)
        dz = dh * (1 - hs[t if slip == "slope" else t + 1] ** 2)
        if slip == "assign":
            total["Wxh"] = xs[t].T @ dz
        else:
            total["Wxh"] += xs[t].T @ dz
        total["Whh"] += hs[t + 1 if slip == "state after" else t].T @ dz
        total["bh"] += dz.sum(axis=0)
        dh_next = dz @ (params["Whh"] if slip == "square" else params["Whh"].T)
    return total


net = Network("rnn", loss_fn, inputs, grads, batch=3)


@net.fault("missing_term", at=("recur", "scan"))
def no_gradient_from_the_future(params, xs, ys):
    """`dh = Whyᵀ dy` without `+ dh_next`."""
    return grads(params, xs, ys, slip="no carry")


@net.fault("wrong_operand", at="recur", n=1, seed=3)
def state_after_for_state_before(params, xs, ys):
    """dWhh by h_t, it should be h_{t−1}."""
    return grads(params, xs, ys, slip="state after")


@net.fault("transposed", at="recur", single=True)
def recurrent_matrix_not_transposed(params, xs, ys):
    """Square, so it fits."""
    return grads(params, xs, ys, slip="square")


@net.fault("overwritten", at="recur", called=True)
def input_weights_of_the_first_step(params, xs, ys):
    """`dWxh =` in the loop: what remains is the last one computed, of t = 0."""
    return grads(params, xs, ys, slip="assign")


@net.fault("wrong_derivative", at="tanh")
def slope_at_the_state_before(params, xs, ys):
    """1 − hs[t]² where hs[0] is the initial state: off by one."""
    return grads(params, xs, ys, slip="slope")


@net.fault("mutated", at=("tanh", "recur", "scan"))
def one_state_buffer(params, xs, ys):
    """hs.append(h) of a buffer that is filled anew each step: all entries are the last state."""
    _, ps = forward(params, xs)
    h, hs = np.zeros((xs.shape[1], 5)), []
    hs.append(h)
    for x in xs:
        h[:] = np.tanh(x @ params["Wxh"] + h @ params["Whh"] + params["bh"])
        hs.append(h)
    return grads(params, xs, ys, cache=(hs, ps))


@net.fault("upstream", at=("tanh", "recur"))
def state_gradient_clipped_on_the_way(params, xs, ys):
    """np.clip of dh at every step, limit 0.1."""
    return grads(params, xs, ys, slip="clip")


def _last_step(params, xs, ys):
    return -np.mean(np.log(forward(params, xs)[1][-1][np.arange(xs.shape[1]), ys[-1]]))


@net.fault("wrong_loss", "missing_term", "wrong_reduction", at=("total", "step_loss"), loss=_last_step)
def many_to_one(params, xs, ys):
    """Only the last step's output is scored."""
    return grads(params, xs, ys, slip="last step")


@net.right(called=True, seed=1)
def readout_at_once(params, xs, ys):
    """The readout's gradients by einsum over time."""
    hs, ps = forward(params, xs)
    dy = (np.array(ps) - np.eye(3)[ys]) / xs.shape[1]
    states = np.array(hs[1:])
    return {**grads(params, xs, ys), "Why": np.einsum("tnh,tnk->hk", states, dy), "by": dy.sum(axis=(0, 1))}


@net.right(n=1, single=True)
def one_sequence(params, xs, ys):
    """A batch of one in float32."""
    return grads(params, xs, ys, cache=forward(params, xs))
