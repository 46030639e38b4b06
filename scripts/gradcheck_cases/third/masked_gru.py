"""A GRU over a padded batch: where the mask is 0 the state is carried on, and the last one is classified."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .tools import sigmoid, softmax

H = 4


def loss_fn(params, x, mask, labels):
    """Mean cross-entropy; `x` is (batch, time, feature), `mask` (batch, time)."""
    h = jnp.zeros((x.shape[0], H), x.dtype)
    for t in range(x.shape[1]):
        wx = x[:, t] @ params["W"] + params["b"]  # @inputs
        rz = jax.nn.sigmoid(wx[:, : 2 * H] + h @ params["U"])  # @gates
        r, z = rz[:, :H], rz[:, H:]  # @split
        c = jnp.tanh(wx[:, 2 * H :] + (r * h) @ params["V"])  # @candidate
        new = z * h + (1 - z) * c  # @mix
        m = mask[:, t, None]
        h = m * new + (1 - m) * h  # @carry
    logits = h @ params["out"] + params["c"]  # @readout
    log_p = jax.nn.log_softmax(logits)  # @softmax
    return -jnp.mean(log_p[jnp.arange(len(labels)), labels])  # @loss


def inputs(rng, n):
    """At most five steps of 3 features, 4 units, three classes."""
    params = {
        "W": rng.normal(size=(3, 3 * H)),
        "U": rng.normal(size=(H, 2 * H)),
        "V": rng.normal(size=(H, H)),
        "b": rng.normal(size=3 * H),
        "out": rng.normal(size=(H, 3)),
        "c": rng.normal(size=3),
    }
    lengths = np.array([5, 3, 4, 2, 5, 1])[np.arange(n) % 6]
    mask = (np.arange(5) < lengths[:, None]).astype(float)
    return params, (rng.normal(size=(n, 5, 3)), mask, np.arange(n) % 3)


def forward(params, x, mask):
    """One record a step: h before, r, z, candidate, mask, h after."""
    h = np.zeros((len(x), H), x.dtype)
    records = []
    for t in range(x.shape[1]):
        wx = x[:, t] @ params["W"] + params["b"]
        rz = sigmoid(wx[:, : 2 * H] + h @ params["U"])
        r, z = rz[:, :H], rz[:, H:]
        c = np.tanh(wx[:, 2 * H :] + (r * h) @ params["V"])
        m = mask[:, t, None]
        after = m * (z * h + (1 - z) * c) + (1 - m) * h
        records.append((h, r, z, c, m, after))
        h = after
    return h, records


def grads(params, x, mask, labels, slip=""):
    """Backward through time, with the slip of that name."""
    h, records = forward(params, x, mask)
    d = softmax(h @ params["out"] + params["c"])
    d[np.arange(len(x)), labels] -= 1
    d /= len(x)
    g = {key: np.zeros_like(value) for key, value in params.items()}
    g["out"], g["c"] = h.T @ d, d.sum(axis=0)
    dh = d @ params["out"].T
    for t in reversed(range(x.shape[1])):
        h, r, z, c, m, after = records[t]
        dnew = dh * m
        dprev = dh * (1 - m)
        if slip == "no mask":
            dnew, dprev = dh, np.zeros_like(dh)
        if slip == "nothing through padding":
            dprev = np.zeros_like(dh)
        dz = dnew * (c - h) if slip in ("update sign", "update sign, h after") else dnew * (h - c)
        da = dnew * (1 - z) * (1 - c**2)
        drh = da @ params["V"] if slip == "V" else da @ params["V"].T
        dr = drh * (r if slip == "reset factor" else h)
        dr, dz = dr * r * (1 - r), dz * z * (1 - z)
        gates = np.hstack([dz, dr] if slip == "order" else [dr, dz])
        if slip == "gates only":
            dprev = gates @ params["U"].T
        else:
            dprev = dprev + dnew * z + gates @ params["U"].T + drh * r
        dwx = np.hstack([gates, da])
        g["W"] += x[:, t].T @ dwx
        g["b"] += dwx.sum(axis=0)
        g["U"] += (after if slip in ("h after", "update sign, h after") else h).T @ gates
        g["V"] += (r * h).T @ da
        dh = np.clip(dprev, -0.05, 0.05) if slip == "clip" else dprev
    return g


net = Network("masked_gru", loss_fn, inputs, grads, batch=5)


@net.fault("wrong_mask", "missing_term", at="carry")
def mask_ignored(params, x, mask, labels):
    """Forward with the mask, backward as if all sequences were full."""
    return grads(params, x, mask, labels, "no mask")


@net.fault("missing_term", at="carry")
def nothing_through_the_padding(params, x, mask, labels):
    """`dh *= m`: the way of the carried state is left out, shorter sequences get no gradient."""
    return grads(params, x, mask, labels, "nothing through padding")


@net.fault("sign", "wrong_derivative", at="mix")
def update_gate_of_the_other_convention(params, x, mask, labels):
    """Dz has c − h, as for (1 − z) h + z c."""
    return grads(params, x, mask, labels, "update sign")


@net.fault("wrong_operand", at="candidate", single=True)
def reset_gate_times_itself(params, x, mask, labels):
    """d(r h)/dr is h, not r."""
    return grads(params, x, mask, labels, "reset factor")


@net.fault("transposed", at="candidate")
def square_matrix_not_transposed(params, x, mask, labels):
    """`da @ V`: V is square and nothing complains."""
    return grads(params, x, mask, labels, "V")


@net.fault("permuted", at=("split", "gates"))
def gates_stacked_in_the_other_order(params, x, mask, labels):
    """`hstack([dz, dr])`."""
    return grads(params, x, mask, labels, "order")


@net.fault("overwritten", "missing_term", at=("mix", "candidate", "gates", "carry"))
def state_keeps_the_last_contribution(params, x, mask, labels):
    """`dh_prev =` for `+=` when the gates' contribution comes."""
    return grads(params, x, mask, labels, "gates only")


@net.fault("wrong_operand", at="gates")
def state_after_the_step(params, x, mask, labels):
    """DU from the state after the step, `hs[t]` for `hs[t - 1]`."""
    return grads(params, x, mask, labels, "h after")


@net.fault("sign", "wrong_operand", "wrong_derivative", at=("mix", "gates"))
def update_sign_and_state_after(params, x, mask, labels):
    """Two slips: the sign of dz, and dU from the state after the step."""
    return grads(params, x, mask, labels, "update sign, h after")


@net.fault("upstream", at=("carry", "mix"))
def clipped_at_each_step(params, x, mask, labels):
    """Dh is clipped on its way from step to step."""
    return grads(params, x, mask, labels, "clip")


@net.right()
def one_sequence_at_a_time(params, x, mask, labels):
    """Each sequence cut to its length, no mask at all, gradients averaged."""
    total = {key: np.zeros_like(value) for key, value in params.items()}
    for i in range(len(x)):
        steps = int(mask[i].sum())
        one = grads(params, x[i : i + 1, :steps], np.ones((1, steps)), labels[i : i + 1])
        for key in total:
            total[key] += one[key] / len(x)
    return total


@net.right(n=1, seed=1)
def one_full_sequence(params, x, mask, labels):
    """No padding."""
    return grads(params, x, mask, labels)


@net.right(single=True, called=True)
def float32(params, x, mask, labels):
    """The same in float32."""
    return grads(params, x, mask, labels)
