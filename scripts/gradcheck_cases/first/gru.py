"""One GRU step: gates that multiply states that are used twice."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import sigmoid


def loss_fn(params, x, h, t):
    """Squared error of the new state, given the old one through a square map."""
    old = h @ params["state"]  # @state
    both = jnp.concatenate([x, old], axis=1)  # @concatenate
    r = jax.nn.sigmoid(both @ params["r"])  # @reset
    u = jax.nn.sigmoid(both @ params["u"])  # @update
    gated = jnp.concatenate([x, r * old], axis=1)  # @gated
    n = jnp.tanh(gated @ params["n"])  # @new
    y = (1 - u) * n + u * old  # @mix
    return 0.5 * jnp.mean(jnp.sum((y - t) ** 2, axis=1))  # @loss


def inputs(rng, n):
    """Two inputs, three units."""
    params = {name: rng.normal(size=(5, 3)) for name in "run"}
    params["state"] = rng.normal(size=(3, 3))
    return params, (rng.normal(size=(n, 2)), rng.normal(size=(n, 3)), rng.normal(size=(n, 3)))


def grads(params, x, h, t, wrong=""):
    """Everything that reaches the old state is added; `wrong` names the slip to make."""
    old = h @ params["state"]
    both = np.hstack([x, old])
    r, u = sigmoid(both @ params["r"]), sigmoid(both @ params["u"])
    gated = np.hstack([x, r * old])
    new = np.tanh(gated @ params["n"])
    dy = ((1 - u) * new + u * old - t) / len(x)
    du = dy * (old + new if wrong == "plus" else old - new)
    dnew = dy * (u if wrong == "u" else 1 - u) * (1 - new**2)
    dgated = dnew @ params["n"].T
    split = 3 if wrong == "split" else 2
    dreset = dgated[:, split:] if split == 2 else dgated[:, :split]
    dr = dreset * old * r * (1 - r)
    du = du * u * (1 - u)
    dold = dy * u + dreset * (1 if wrong == "reset" else r)
    if wrong == "no mix":
        dold = dold - dy * u
    if wrong != "gates":
        dold = dold + (dr @ params["r"].T + du @ params["u"].T)[:, 2:]
    if wrong == "sum":
        dold = dold - (du @ params["u"].T)[:, 2:]
    dn = gated.T @ dnew if wrong != "input" else both.T @ dnew
    return {"r": both.T @ dr, "u": both.T @ du, "n": dn, "state": h.T @ dold}


net = Network("gru", loss_fn, inputs, grads, batch=4)


@net.fault("sign", at="mix")
def plus_in_the_update_gate(params, x, h, t):
    """(1 − u) n + u h, derived by u, is h − n."""
    return grads(params, x, h, t, "plus")


@net.fault("wrong_operand", at="mix")
def update_gate_for_its_complement(params, x, h, t):
    """The candidate's factor is 1 − u."""
    return grads(params, x, h, t, "u")


@net.fault("permuted", "wrong_operand", at=("gated", "concatenate"))
def concatenation_split_at_the_wrong_place(params, x, h, t):
    """The first three columns are taken for the state's; it stands behind the two inputs."""
    return grads(params, x, h, t, "split")


@net.fault("missing_term", "wrong_operand", at="gated", called=True)
def reset_gate_forgotten(params, x, h, t):
    """The gradient of r · old by old lacks the r."""
    return grads(params, x, h, t, "reset")


@net.fault("missing_term", "overwritten", at="mix")
def direct_path_forgotten(params, x, h, t):
    """The share u · dy is not added to the old state's gradient."""
    return grads(params, x, h, t, "no mix")


@net.fault("missing_term", at="concatenate")
def gates_do_not_reach_the_state(params, x, h, t):
    """The gates' gradients stop before the old state."""
    return grads(params, x, h, t, "gates")


@net.fault("missing_term", "overwritten", at=("update", "concatenate"))
def update_gate_does_not_reach_the_state(params, x, h, t):
    """Of the two gates only the reset gate's share is added."""
    return grads(params, x, h, t, "sum")


@net.fault("wrong_operand", at="new", single=True)
def ungated_input(params, x, h, t):
    """The candidate's weight gradient uses (x, h) for (x, r h)."""
    return grads(params, x, h, t, "input")
