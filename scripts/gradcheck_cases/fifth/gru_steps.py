"""Three steps of a GRU as in cuDNN (reset after the product), read out linearly."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import sigmoid


def loss_fn(params, xs, target):
    """Mean squared error of the readout after the last step."""
    h = jnp.zeros((xs.shape[0], params["Un"].shape[0]), xs.dtype)
    for t in range(xs.shape[1]):
        x = xs[:, t]
        z = jax.nn.sigmoid(x @ params["Wz"] + h @ params["Uz"])  # @update
        r = jax.nn.sigmoid(x @ params["Wr"] + h @ params["Ur"])  # @reset
        hn = h @ params["Un"] + params["bn"]  # @inner
        cand = jnp.tanh(x @ params["Wn"] + r * hn)  # @candidate
        h = (1 - z) * cand + z * h  # @hidden
    out = h @ params["V"]  # @readout
    return jnp.mean((out - target) ** 2)  # @loss


def inputs(rng, n):
    """Three steps, 3 features, 4 units, 2 outputs."""
    params = {f"W{gate}": rng.normal(size=(3, 4)) / 2 for gate in "zrn"}
    params |= {f"U{gate}": rng.normal(size=(4, 4)) / 2 for gate in "zrn"}
    params |= {"bn": rng.normal(size=4), "V": rng.normal(size=(4, 2))}
    return params, (rng.normal(size=(n, 3, 3)), rng.normal(size=(n, 2)))


def forward(params, xs):
    """The last state and a record of each step."""
    h, records = np.zeros((len(xs), 4), xs.dtype), []
    for x in xs.swapaxes(0, 1):
        z = sigmoid(x @ params["Wz"] + h @ params["Uz"])
        r = sigmoid(x @ params["Wr"] + h @ params["Ur"])
        hn = h @ params["Un"] + params["bn"]
        cand = np.tanh(x @ params["Wn"] + r * hn)
        records.append((x, h, z, r, hn, cand))
        h = (1 - z) * cand + z * h
    return h, records


def step_backward(params, record, dh):
    """The gates' gradients (before their activations), that of hn, and dh of the step before."""
    _, h, z, r, hn, cand = record
    dn = dh * (1 - z) * (1 - cand**2)
    dz = dh * (h - cand) * z * (1 - z)
    dr = dn * hn * r * (1 - r)
    dhn = dn * r
    return dz, dr, dn, dhn, dh * z + dz @ params["Uz"].T + dr @ params["Ur"].T + dhn @ params["Un"].T


def grads(params, xs, target, step=step_backward):
    """Backward through time with the given step."""
    h, records = forward(params, xs)
    dout = 2 * (h @ params["V"] - target) / target.size
    result = {key: np.zeros_like(value) for key, value in params.items()}
    result["V"] += h.T @ dout
    dh = dout @ params["V"].T
    for record in reversed(records):
        x, h_prev = record[:2]
        dz, dr, dn, dhn, dh = step(params, record, dh)
        for gate, d_x, d_h in (("z", dz, dz), ("r", dr, dr), ("n", dn, dhn)):
            result[f"W{gate}"] += x.T @ d_x
            result[f"U{gate}"] += h_prev.T @ d_h
        result["bn"] += dhn.sum(axis=0)
    return result


net = Network("gru_steps", loss_fn, inputs, grads, batch=3)


@net.fault("wrong_operand", at="hidden")
def z_and_its_complement_confused(params, xs, target):
    """The other convention: h = z cand + (1 - z) h in backward."""

    def step(params, record, dh):
        _, h, z, r, hn, cand = record
        dn = dh * z * (1 - cand**2)
        dz = dh * (h - cand) * z * (1 - z)
        dr, dhn = dn * hn * r * (1 - r), dn * r
        dh_prev = dh * (1 - z) + dz @ params["Uz"].T + dr @ params["Ur"].T + dhn @ params["Un"].T
        return dz, dr, dn, dhn, dh_prev

    return grads(params, xs, target, step)


@net.fault("sign", at="hidden", called=True)
def candidate_minus_state(params, xs, target):
    """dz = dh (cand - h)."""

    def step(params, record, dh):
        _, h, z, r, hn, cand = record
        dn = dh * (1 - z) * (1 - cand**2)
        dz = dh * (cand - h) * z * (1 - z)
        dr, dhn = dn * hn * r * (1 - r), dn * r
        return dz, dr, dn, dhn, dh * z + dz @ params["Uz"].T + dr @ params["Ur"].T + dhn @ params["Un"].T

    return grads(params, xs, target, step)


@net.fault("missing_term", at="hidden")
def direct_path_forgotten(params, xs, target):
    """dh of the step before comes through the three matrices only; z h is left out."""

    def step(params, record, dh):
        dz, dr, dn, dhn, _ = step_backward(params, record, dh)
        return dz, dr, dn, dhn, dz @ params["Uz"].T + dr @ params["Ur"].T + dhn @ params["Un"].T

    return grads(params, xs, target, step)


@net.fault("wrong_operand", at="candidate")
def reset_gate_times_the_state(params, xs, target):
    """dr = dn h, for a gate that multiplied h Un + bn."""

    def step(params, record, dh):
        _, h, z, r, _, cand = record
        dn = dh * (1 - z) * (1 - cand**2)
        dz = dh * (h - cand) * z * (1 - z)
        dr, dhn = dn * h * r * (1 - r), dn * r
        return dz, dr, dn, dhn, dh * z + dz @ params["Uz"].T + dr @ params["Ur"].T + dhn @ params["Un"].T

    return grads(params, xs, target, step)


@net.fault("wrong_derivative", at="update", single=True)
def update_gate_without_slope(params, xs, target):
    """z (1 - z) is missing."""

    def step(params, record, dh):
        _, h, z, r, hn, cand = record
        dn = dh * (1 - z) * (1 - cand**2)
        dz = dh * (h - cand)
        dr, dhn = dn * hn * r * (1 - r), dn * r
        return dz, dr, dn, dhn, dh * z + dz @ params["Uz"].T + dr @ params["Ur"].T + dhn @ params["Un"].T

    return grads(params, xs, target, step)


@net.fault("upstream", "wrong_operand", "missing_term", at=("candidate", "inner"))
def bias_bypasses_the_reset_gate(params, xs, target):
    """dhn = dn: Un and bn do not see the factor r."""

    def step(params, record, dh):
        dz, dr, dn, _, _ = step_backward(params, record, dh)
        dhn = dn
        z = record[2]
        return dz, dr, dn, dhn, dh * z + dz @ params["Uz"].T + dr @ params["Ur"].T + dhn @ params["Un"].T

    return grads(params, xs, target, step)


@net.fault("transposed", "missing_term", at=("reset", "update"))
def two_slips_in_dh(params, xs, target):
    """Two mistakes in dh: Ur is not transposed, and the update gate's share is not added."""

    def step(params, record, dh):
        dz, dr, dn, dhn, _ = step_backward(params, record, dh)
        return dz, dr, dn, dhn, dh * record[2] + dr @ params["Ur"] + dhn @ params["Un"].T

    return grads(params, xs, target, step)


@net.right()
def gates_in_one_matrix(params, xs, target):
    """z and r side by side."""
    both = np.hstack([params["Uz"], params["Ur"]])

    def step(params, record, dh):
        dz, dr, dn, dhn, _ = step_backward(params, record, dh)
        return dz, dr, dn, dhn, record[2] * dh + np.hstack([dz, dr]) @ both.T + np.dot(dhn, params["Un"].T)

    return grads(params, xs, target, step)


@net.right(n=1, seed=1, called=True)
def a_single_sequence(params, xs, target):
    """Called, one sequence."""
    return grads(params, xs, target)
