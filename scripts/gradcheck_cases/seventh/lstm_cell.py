"""An LSTM in the notation of the sequence-models course: columns are examples, a gate is W [a; x] + b."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

STEPS = 3


def loss_fn(p, xs, y):
    """Half the squared error of a linear readout of the last state, averaged over columns."""
    m = y.shape[1]
    a = jnp.zeros((4, m), y.dtype)
    c = jnp.zeros_like(a)
    for t in range(STEPS):
        concat = jnp.concatenate([a, xs[:, :, t]], axis=0)  # @concat
        ft = jax.nn.sigmoid(p["Wf"] @ concat + p["bf"])  # @forget
        it = jax.nn.sigmoid(p["Wi"] @ concat + p["bi"])  # @update
        cct = jnp.tanh(p["Wc"] @ concat + p["bc"])  # @candidate
        c = ft * c + it * cct  # @cell
        ot = jax.nn.sigmoid(p["Wo"] @ concat + p["bo"])  # @output
        a = ot * jnp.tanh(c)  # @state
    out = p["Wy"] @ a + p["by"]  # @readout
    return jnp.sum((out - y) ** 2) / (2 * m)  # @loss


def inputs(rng, n):
    """Four units, three inputs, two outputs."""
    p = {}
    for gate in "fico":
        p["W" + gate], p["b" + gate] = rng.normal(size=(4, 7)), rng.normal(size=(4, 1))
    p["Wy"], p["by"] = rng.normal(size=(2, 4)), rng.normal(size=(2, 1))
    return p, (rng.normal(size=(3, n, STEPS)), 2 * rng.normal(size=(2, n)))


def sigmoid(z):
    """The logistic function."""
    return 1 / (1 + np.exp(-z))


def grads(p, xs, y, slip=()):
    """Forward with caches, backward; `slip` holds the names of the mistakes."""
    m = y.shape[1]
    a = c = np.zeros((4, m), xs.dtype)
    caches = []
    for t in range(STEPS):
        concat = np.vstack((a, xs[:, :, t]))
        ft, it = sigmoid(p["Wf"] @ concat + p["bf"]), sigmoid(p["Wi"] @ concat + p["bi"])
        cct, ot = np.tanh(p["Wc"] @ concat + p["bc"]), sigmoid(p["Wo"] @ concat + p["bo"])
        c_next = ft * c + it * cct
        caches.append((concat, c, c_next, ft, it, cct, ot))
        c, a = c_next, ot * np.tanh(c_next)
    d = {key: np.zeros_like(value) for key, value in p.items()}
    dout = (p["Wy"] @ a + p["by"] - y) / m
    d["Wy"], d["by"] = dout @ a.T, dout.sum(axis=1, keepdims=True)
    da, dc = p["Wy"].T @ dout, np.zeros_like(a)
    for concat, c_prev, c_next, ft, it, cct, ot in reversed(caches):
        tanh_c = np.tanh(c_next)
        dot = da * (c_next if "c for tanh c" in slip else tanh_c) * ot * (1 - ot)
        dc = (0 if "cell cut" in slip else dc) + da * ot * (1 - tanh_c**2)
        dcct = dc * it * (1 - cct**2)
        dit = dc * cct * (1 if "no slope" in slip else it * (1 - it))
        dft = dc * (c_next if "cell after" in slip else c_prev) * ft * (1 - ft)
        dconcat = 0
        for gate, dz in zip("fico", (dft, dit, dcct, dot), strict=True):
            d["W" + gate] += dz @ concat.T
            d["b" + gate] += dz.sum(axis=1, keepdims=True)
            if not ("no output path" in slip and gate == "o"):
                dconcat = dconcat + p["W" + gate].T @ dz
        da = dconcat[-4:] if "last rows" in slip else dconcat[:4]
        dc = dc * ft
    return d


net = Network("lstm_cell", loss_fn, inputs, grads, batch=5)


@net.fault("wrong_operand", at=("cell", "forget"))
def cell_after_for_the_cell_before(p, xs, y):
    """dft by c_next."""
    return grads(p, xs, y, ["cell after"])


@net.fault("wrong_operand", at="state", called=True)
def output_gate_without_tanh(p, xs, y):
    """dot = da_next * c_next instead of tanh(c_next)."""
    return grads(p, xs, y, ["c for tanh c"])


@net.fault("missing_term", at=("cell", "state"))
def cell_gradient_not_carried(p, xs, y):
    """dc_prev is computed and never used."""
    return grads(p, xs, y, ["cell cut"])


@net.fault("permuted", "wrong_operand", at="concat")
def rows_of_the_input_for_those_of_the_state(p, xs, y):
    """da_prev is the first n_a rows; this takes the last, as for [x; a]."""
    return grads(p, xs, y, ["last rows"])


@net.fault("missing_term", at="output", single=True)
def output_gate_left_out_of_da_prev(p, xs, y):
    """da_prev sums three gates of the four."""
    return grads(p, xs, y, ["no output path"])


@net.fault("wrong_shape", at="forget")
def forget_bias_without_keepdims(p, xs, y):
    """(4,) for (4, 1)."""
    right = grads(p, xs, y)
    right["bf"] = right["bf"].sum(axis=1)
    return right


@net.fault("accumulated", at=None)
def minibatches_added_up(p, xs, y):
    """The gradients dictionary lives outside the training loop; two passes over the same batch."""
    total = grads(p, xs, y)
    for key, grad in grads(p, xs, y).items():
        total[key] += grad
    return total


@net.fault("wrong_derivative", "missing_term", "wrong_operand", at=("update", "cell", "forget"))
def no_update_slope_and_the_wrong_cell(p, xs, y):
    """Two slips: the update gate without its slope, the forget gate by the cell after."""
    return grads(p, xs, y, ["no slope", "cell after"])


@net.right(seed=2, n=3)
def other_columns(p, xs, y):
    """Other inputs, Fortran order."""
    return {key: np.asfortranarray(grad) for key, grad in grads(p, xs, y).items()}


@net.right(n=1, called=True)
def readout_by_outer_products(p, xs, y):
    """One column."""
    right = grads(p, xs, y)
    return {key: (grad @ np.eye(grad.shape[1])) for key, grad in right.items()}
