"""min-char-rnn: an Elman network, a loss at every step."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import softmax


def loss_fn(params, xs, targets, h):
    """Sum of the cross-entropies; `xs` are one-hot characters, `h` the state before."""
    loss = 0.0
    for x, target in zip(xs, targets, strict=True):
        a = params["Wxh"] @ x + params["Whh"] @ h + params["bh"]  # @state
        h = jnp.tanh(a)  # @tanh
        y = params["Why"] @ h + params["by"]  # @output
        log_p = jax.nn.log_softmax(y)  # @softmax
        loss = loss - log_p[target]  # @nll
    return loss


def inputs(rng, n):
    """Five characters, four units, n steps."""
    text = rng.integers(0, 5, size=n + 1)
    params = {
        "Wxh": 0.7 * rng.normal(size=(4, 5)),
        "Whh": 0.7 * rng.normal(size=(4, 4)),
        "Why": 0.7 * rng.normal(size=(5, 4)),
        "bh": 0.1 * rng.normal(size=4),
        "by": 0.1 * rng.normal(size=5),
    }
    return params, (np.eye(5)[text[:-1]], text[1:], 0.5 * rng.normal(size=4))


def grads(params, xs, targets, h, slip=""):
    """Karpathy's lossFun; `slip` says what to get wrong."""
    hs, ps = {-1: h}, {}
    for t, x in enumerate(xs):
        hs[t] = np.tanh(params["Wxh"] @ x + params["Whh"] @ hs[t - 1] + params["bh"])
        ps[t] = softmax(params["Why"] @ hs[t] + params["by"])
    d = {key: np.zeros_like(value) for key, value in params.items()}
    dhnext = np.zeros_like(h)
    for t in reversed(range(len(xs))):
        dy = ps[t].copy()
        dy[xs[t].argmax() if slip == "inputs for targets" else targets[t]] -= 1
        d["Why"] += np.outer(dy, hs[t])
        d["by"] += dy
        dh = params["Why"].T @ dy + dhnext
        if slip == "no dhnext":
            dh = params["Why"].T @ dy
        if slip == "overwritten" and t < len(xs) - 1:
            dh = dhnext
        draw = (1 - hs[t] ** 2) * dh
        d["bh"] += draw
        if slip == "last step":
            d["Wxh"] = np.outer(draw, xs[t])
        else:
            d["Wxh"] += np.outer(draw, xs[t])
        d["Whh"] += np.outer(draw, hs[t] if slip == "h after" else hs[t - 1])
        dhnext = params["Whh"].T @ draw
        if slip == "not transposed":
            dhnext = params["Whh"] @ draw
        if slip == "dh for draw":
            dhnext = params["Whh"].T @ dh
        if slip == "clipped":
            dhnext = np.clip(dhnext, -0.2, 0.2)
    return d


net = Network("min_char_rnn", loss_fn, inputs, grads, batch=5)


@net.fault("missing_term", at=("state", "tanh"))
def dhnext_not_added(params, xs, targets, h):
    """Every step for itself: no gradient from the next state."""
    return grads(params, xs, targets, h, "no dhnext")


@net.fault("overwritten", "missing_term", at=("output", "tanh"))
def next_state_overwrites_the_output(params, xs, targets, h):
    """`dh = dhnext`: all steps but the last lose the gradient of their own output."""
    return grads(params, xs, targets, h, "overwritten")


@net.fault("transposed", at="state")
def recurrent_matrix_not_transposed(params, xs, targets, h):
    """`np.dot(Whh, dhraw)`; Whh is square."""
    return grads(params, xs, targets, h, "not transposed")


@net.fault("wrong_operand", "permuted", at="state", single=True)
def state_after_the_step(params, xs, targets, h):
    """dWhh uses hs[t], not hs[t − 1]."""
    return grads(params, xs, targets, h, "h after")


@net.fault("wrong_derivative", "upstream", at=("tanh", "state"))
def slope_skipped_on_the_way_back(params, xs, targets, h):
    """`dhnext = np.dot(Whh.T, dh)`: the tanh's slope is missing between the steps."""
    return grads(params, xs, targets, h, "dh for draw")


@net.fault("overwritten", "wrong_reduction", at="state")
def input_weights_of_the_first_step(params, xs, targets, h):
    """`dWxh =` in the loop."""
    return grads(params, xs, targets, h, "last step")


@net.fault("upstream", at=("state", "tanh"), called=True)
def clipped_between_the_steps(params, xs, targets, h):
    """The gradient is clipped at each step, not at the end."""
    return grads(params, xs, targets, h, "clipped")


@net.fault("permuted", "wrong_operand", at=("nll", "softmax"))
def targets_are_the_inputs(params, xs, targets, h):
    """The characters are not shifted by one."""
    return grads(params, xs, targets, h, "inputs for targets")


def _mean_loss(params, xs, targets, h):
    total = 0.0
    for x, target in zip(xs, targets, strict=True):
        h = np.tanh(params["Wxh"] @ x + params["Whh"] @ h + params["bh"])
        total -= np.log(softmax(params["Why"] @ h + params["by"])[target])
    return total / len(xs)


@net.fault("wrong_loss", "scale", at="nll", loss=_mean_loss)
def averaged_over_time(params, xs, targets, h):
    """Mean over the steps, in the loss and in the gradient."""
    return {key: grad / len(xs) for key, grad in grads(params, xs, targets, h).items()}


@net.right(seed=3, n=2)
def by_forward_accumulation(params, xs, targets, h):
    """Real-time recurrent learning: the state's Jacobian is carried forward."""
    units, chars = 4, 5
    d = {key: np.zeros_like(value) for key, value in params.items()}
    shapes = {"Wxh": (units, chars), "Whh": (units, units), "bh": (units,)}
    jac = {key: np.zeros((units, *shape)) for key, shape in shapes.items()}
    for x, target in zip(xs, targets, strict=True):
        direct = {
            "Wxh": np.einsum("ij,k->ijk", np.eye(units), x),
            "Whh": np.einsum("ij,k->ijk", np.eye(units), h),
            "bh": np.eye(units),
        }
        h = np.tanh(params["Wxh"] @ x + params["Whh"] @ h + params["bh"])
        for key in jac:
            whole = direct[key] + np.tensordot(params["Whh"], jac[key], axes=1)
            jac[key] = np.einsum("i,i...->i...", 1 - h**2, whole)
        dy = softmax(params["Why"] @ h + params["by"]) - np.eye(chars)[target]
        d["Why"] += np.outer(dy, h)
        d["by"] += dy
        for key in jac:
            d[key] += np.tensordot(params["Why"].T @ dy, jac[key], axes=1)
    return d


net.right(n=1)(grads)
