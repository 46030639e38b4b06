"""A neural ODE by Euler's method: the same small field, a quarter of it at each of four steps."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

STEPS = 4
DT = 0.25


def loss_fn(params, x, t):
    """Half the squared distance of the decoded end state, over the batch."""
    h = x @ params["encode"]  # @encode
    for _ in range(STEPS):
        f = jnp.tanh(h @ params["w"] + params["b"])  # @field
        h = h + DT * f  # @euler
    out = h @ params["decode"]  # @decode
    return jnp.sum((out - t) ** 2) / (2 * len(t))  # @loss


def inputs(rng, n):
    """Three features, a state of 4, two outputs."""
    params = {
        "encode": rng.normal(size=(3, 4)),
        "w": rng.normal(size=(4, 4)),
        "b": rng.normal(size=4),
        "decode": rng.normal(size=(4, 2)),
    }
    return params, (rng.normal(size=(n, 3)), rng.normal(size=(n, 2)))


def forward(params, x):
    """The states (one more than steps) and the fields."""
    states, fields = [x @ params["encode"]], []
    for _ in range(STEPS):
        fields.append(np.tanh(states[-1] @ params["w"] + params["b"]))
        states.append(states[-1] + DT * fields[-1])
    return states, fields


def grads(params, x, t):
    """The discrete adjoint."""
    states, fields = forward(params, x)
    dout = (states[-1] @ params["decode"] - t) / len(t)
    dh = dout @ params["decode"].T
    dw, db = np.zeros_like(params["w"]), np.zeros_like(params["b"])
    for h, f in zip(states[-2::-1], fields[::-1], strict=True):
        dz = DT * dh * (1 - f**2)
        dw += h.T @ dz
        db += dz.sum(axis=0)
        dh = dh + dz @ params["w"].T
    return {"encode": x.T @ dh, "w": dw, "b": db, "decode": states[-1].T @ dout}


net = Network("euler_flow", loss_fn, inputs, grads, batch=5)


@net.fault("scale", at="euler")
def step_size_forgotten(params, x, t):
    """The field's gradient lacks the factor DT."""
    states, fields = forward(params, x)
    dout = (states[-1] @ params["decode"] - t) / len(t)
    dh = dout @ params["decode"].T
    dw, db = np.zeros_like(params["w"]), np.zeros_like(params["b"])
    for h, f in zip(states[-2::-1], fields[::-1], strict=True):
        dz = dh * (1 - f**2)
        dw += h.T @ dz
        db += dz.sum(axis=0)
        dh = dh + dz @ params["w"].T
    return {"encode": x.T @ dh, "w": dw, "b": db, "decode": states[-1].T @ dout}


@net.fault("missing_term", "overwritten", at="euler")
def identity_path_forgotten(params, x, t):
    """`dh = dz @ w.T`: the state's own way past the field is lost."""
    states, fields = forward(params, x)
    dout = (states[-1] @ params["decode"] - t) / len(t)
    dh = dout @ params["decode"].T
    dw, db = np.zeros_like(params["w"]), np.zeros_like(params["b"])
    for h, f in zip(states[-2::-1], fields[::-1], strict=True):
        dz = DT * dh * (1 - f**2)
        dw += h.T @ dz
        db += dz.sum(axis=0)
        dh = dz @ params["w"].T
    return {"encode": x.T @ dh, "w": dw, "b": db, "decode": states[-1].T @ dout}


def adjoint(params, x, t, records, transpose=True, clear=False):
    """As above over (state, field) of the steps, with a piece replaced."""
    end = forward(params, x)[0][-1]
    dout = (end @ params["decode"] - t) / len(t)
    dh = dout @ params["decode"].T
    dw, db = np.zeros_like(params["w"]), np.zeros_like(params["b"])
    for h, f in records[::-1]:
        dz = DT * dh * (1 - f**2)
        if clear:
            dw[:] = 0
            db[:] = 0
        dw += h.T @ dz
        db += dz.sum(axis=0)
        dh = dh + dz @ (params["w"].T if transpose else params["w"])
    return {"encode": x.T @ dh, "w": dw, "b": db, "decode": end.T @ dout}


def steps(params, x):
    """(state before, field) of each step."""
    states, fields = forward(params, x)
    return list(zip(states[:-1], fields, strict=True))


@net.fault("overwritten", at=("field", "euler"))
def gradients_cleared_inside_the_loop(params, x, t):
    """`zero_grad()` stands inside the loop over the steps: only the first step's share is left."""
    return adjoint(params, x, t, steps(params, x), clear=True)


@net.fault("transposed", at="field", single=True)
def field_weights_not_transposed(params, x, t):
    """Dz @ w."""
    return adjoint(params, x, t, steps(params, x), transpose=False)


@net.fault("mutated", "wrong_operand", at=("euler", "field", "encode"))
def state_updated_in_place(params, x, t):
    """`h += DT * f` after `states.append(h)`: all saved states are the end state."""
    h, records = x @ params["encode"], []
    for _ in range(STEPS):
        f = np.tanh(h @ params["w"] + params["b"])
        records.append((h, f))
        h += DT * f
    return adjoint(params, x, t, records)


@net.fault("accumulated", at=None)
def buffers_never_zeroed(params, x, t):
    """The buffers are attributes made in the constructor; backward is run three times."""
    buffers = {key: np.zeros_like(value) for key, value in params.items()}
    for _ in range(3):
        for key, grad in grads(params, x, t).items():
            buffers[key] += grad
    return buffers


@net.fault("scale", "sign", at=("euler", "loss"))
def without_the_step_size_and_with_the_wrong_sign(params, x, t):
    """Two mistakes: t − out, and DT left out."""
    states, fields = forward(params, x)
    dout = (t - states[-1] @ params["decode"]) / len(t)
    dh = dout @ params["decode"].T
    dw, db = np.zeros_like(params["w"]), np.zeros_like(params["b"])
    for h, f in zip(states[-2::-1], fields[::-1], strict=True):
        dz = dh * (1 - f**2)
        dw += h.T @ dz
        db += dz.sum(axis=0)
        dh += dz @ params["w"].T
    return {"encode": x.T @ dh, "w": dw, "b": db, "decode": states[-1].T @ dout}


@net.right()
def with_the_loop_in_a_function(params, x, t):
    """In pieces."""
    return adjoint(params, x, t, steps(params, x))


@net.right(called=True, seed=3)
def forward_is_run_again(params, x, t):
    """Checkpointing: each state is computed anew from the start."""
    end = forward(params, x)[0][-1]
    dout = (end @ params["decode"] - t) / len(t)
    dh = dout @ params["decode"].T
    dw, db = 0, 0
    for step in reversed(range(STEPS)):
        h = forward(params, x)[0][step]
        jacobian = DT * (1 - np.tanh(h @ params["w"] + params["b"]) ** 2)
        dz = dh * jacobian
        dw, db, dh = dw + h.T @ dz, db + dz.sum(axis=0), dh + np.einsum("nj,ij->ni", dz, params["w"])
    return {"encode": x.T @ dh, "w": dw, "b": db, "decode": end.T @ dout}
