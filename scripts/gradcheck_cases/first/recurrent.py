"""A vanilla recurrent network in a Python loop, with an error at every time step."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, x, t):
    """Squared error at each step, summed over steps."""
    h = params["h0"]
    loss = 0.0
    for step in range(x.shape[0]):
        z = x[step] @ params["wx"] + h @ params["wh"] + params["b"]  # @cell
        h = jnp.tanh(z)  # @tanh
        y = h @ params["wy"]  # @output
        loss = loss + 0.5 * jnp.sum((y - t[step]) ** 2)  # @loss
    return loss


def inputs(rng, n):
    """One sequence of n steps, 3 inputs, 4 units, 2 outputs."""
    params = {
        "h0": rng.normal(size=4),
        "wx": rng.normal(size=(3, 4)),
        "wh": 0.5 * rng.normal(size=(4, 4)),
        "b": rng.normal(size=4),
        "wy": rng.normal(size=(4, 2)),
    }
    return params, (rng.normal(size=(n, 3)), rng.normal(size=(n, 2)))


def forward(params, x):
    """All states, the initial one first."""
    hs = [params["h0"]]
    for step in range(len(x)):
        hs.append(np.tanh(x[step] @ params["wx"] + hs[-1] @ params["wh"] + params["b"]))
    return hs


def grads(params, x, t):
    """Backpropagation through time."""
    hs = forward(params, x)
    result = {key: np.zeros_like(value) for key, value in params.items()}
    dh_next = np.zeros_like(hs[0])
    for step in reversed(range(len(x))):
        dy = hs[step + 1] @ params["wy"] - t[step]
        result["wy"] += np.outer(hs[step + 1], dy)
        dh = dy @ params["wy"].T + dh_next
        dz = dh * (1 - hs[step + 1] ** 2)
        result["wx"] += np.outer(x[step], dz)
        result["wh"] += np.outer(hs[step], dz)
        result["b"] += dz
        dh_next = dz @ params["wh"].T
    result["h0"] = dh_next
    return result


net = Network("recurrent", loss_fn, inputs, grads, batch=4)


@net.fault("missing_term", "overwritten", at="cell")
def not_through_time(params, x, t):
    """`dh_next` is never added: every step learns alone."""
    hs = forward(params, x)
    dw = {key: np.zeros_like(value) for key, value in params.items()}
    for step in reversed(range(len(x))):
        dy = hs[step + 1] @ params["wy"] - t[step]
        dw["wy"] += np.outer(hs[step + 1], dy)
        dz = dy @ params["wy"].T * (1 - hs[step + 1] ** 2)
        dw["wx"] += np.outer(x[step], dz)
        dw["wh"] += np.outer(hs[step], dz)
        dw["b"] += dz
        dw["h0"] = dz @ params["wh"].T
    return dw


@net.fault("overwritten", "missing_term", at=("tanh", "output", "cell"))
def output_gradient_overwritten(params, x, t):
    """At all steps but the last, `dh = dh_next` replaces what came from the output."""
    hs = forward(params, x)
    dw = {key: np.zeros_like(value) for key, value in params.items()}
    dh = None
    for step in reversed(range(len(x))):
        dy = hs[step + 1] @ params["wy"] - t[step]
        dw["wy"] += np.outer(hs[step + 1], dy)
        if dh is None:
            dh = dy @ params["wy"].T
        dz = dh * (1 - hs[step + 1] ** 2)
        dw["wx"] += np.outer(x[step], dz)
        dw["wh"] += np.outer(hs[step], dz)
        dw["b"] += dz
        dh = dz @ params["wh"].T
    dw["h0"] = dh
    return dw


def through_time(params, x, t, matrix=None, clip=np.inf, before=False, first=0):
    """Backward through time, with the choices that people make along the way."""
    matrix = params["wh"].T if matrix is None else matrix
    hs = forward(params, x)
    dwx, dwh, dwy = (np.zeros_like(params[key]) for key in ("wx", "wh", "wy"))
    db = np.zeros_like(params["b"])
    dh_next = np.zeros_like(hs[0])
    for step in reversed(range(first, len(x))):
        dy = hs[step + 1] @ params["wy"] - t[step]
        dwy += np.outer(hs[step + 1], dy)
        slope = 1 - hs[step if before else step + 1] ** 2
        dz = (dy @ params["wy"].T + dh_next) * slope
        dwx += np.outer(x[step], dz)
        dwh += np.outer(hs[step], dz)
        db += dz
        dh_next = np.clip(dz @ matrix, -clip, clip)
    return {"h0": dh_next, "wx": dwx, "wh": dwh, "b": db, "wy": dwy}


@net.fault("transposed", at="cell")
def recurrent_matrix_not_transposed(params, x, t):
    """`dz @ wh`."""
    return through_time(params, x, t, matrix=params["wh"])


@net.fault("wrong_derivative", at="tanh", called=True)
def slope_of_the_state_before(params, x, t):
    """1 − h² of the previous state."""
    return through_time(params, x, t, before=True)


@net.fault("upstream", at=("cell", "tanh"))
def clipped_at_every_step(params, x, t):
    """Gradients are clipped inside the loop, between time steps."""
    return through_time(params, x, t, clip=0.3)


@net.fault("missing_term", "wrong_reduction", at=("cell", "output"))
def first_step_left_out(params, x, t):
    """`range(T - 1, 0, -1)` stops at 1."""
    return through_time(params, x, t, first=1)


@net.fault("wrong_operand", at="cell")
def state_after_for_state_before(params, x, t):
    """The recurrent weight's gradient uses h_t instead of h_{t−1}."""
    hs = forward(params, x)
    right = grads(params, x, t)
    dwh = np.zeros_like(right["wh"])
    dh_next = 0
    for step in reversed(range(len(x))):
        dy = hs[step + 1] @ params["wy"] - t[step]
        dz = (dy @ params["wy"].T + dh_next) * (1 - hs[step + 1] ** 2)
        dwh += np.outer(hs[step + 1], dz)
        dh_next = dz @ params["wh"].T
    return {**right, "wh": dwh}


@net.fault("overwritten", at="cell", single=True)
def weight_gradient_of_one_step(params, x, t):
    """`dwx =` in the loop: only the step handled last remains, the first in time."""
    hs = forward(params, x)
    right = grads(params, x, t)
    dh_next = 0
    for step in reversed(range(len(x))):
        dy = hs[step + 1] @ params["wy"] - t[step]
        dz = (dy @ params["wy"].T + dh_next) * (1 - hs[step + 1] ** 2)
        dwx = np.outer(x[step], dz)
        dh_next = dz @ params["wh"].T
    return {**right, "wx": dwx}


@net.fault("missing_term", at="cell")
def initial_state_does_not_learn(params, x, t):
    """The initial state is a parameter here."""
    return {**grads(params, x, t), "h0": np.zeros_like(params["h0"])}


@net.fault("mutated", at=("cell", "tanh"))
def states_share_a_buffer(params, x, t):
    """`states.append(h)` without a copy, and h is overwritten at the next step."""
    h = params["h0"].copy()
    states, ys = [h], []
    for each in x:
        h[:] = np.tanh(each @ params["wx"] + h @ params["wh"] + params["b"])
        states.append(h)
        ys.append(h @ params["wy"])
    dw = {key: np.zeros_like(value) for key, value in params.items()}
    for step in reversed(range(len(x))):
        dy = ys[step] - t[step]
        dw["wy"] += np.outer(states[step + 1], dy)
        dz = (dy @ params["wy"].T + dw["h0"]) * (1 - states[step + 1] ** 2)
        dw["wx"] += np.outer(x[step], dz)
        dw["wh"] += np.outer(states[step], dz)
        dw["b"] += dz
        dw["h0"] = dz @ params["wh"].T
    return dw


@net.right()
def forward_in_time(params, x, t):
    """The loop written once more, with the choices all right."""
    return through_time(params, x, t)
