"""Three steps of the course's LSTM cell: [a; x] stacked, one matrix for each gate, examples in columns."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

A = 3
STEPS = 3


def loss_fn(params, x, y):
    """Half the squared error of the last hidden state; x is (features, m, time)."""
    a = jnp.zeros((A, x.shape[1]), x.dtype)
    c = jnp.zeros_like(a)
    for t in range(STEPS):
        concat = jnp.concatenate([a, x[:, :, t]], axis=0)  # @concat
        f = jax.nn.sigmoid(params["Wf"] @ concat + params["bf"])  # @forget
        i = jax.nn.sigmoid(params["Wi"] @ concat + params["bi"])  # @update
        g = jnp.tanh(params["Wc"] @ concat + params["bc"])  # @candidate
        c = f * c + i * g  # @cell
        o = jax.nn.sigmoid(params["Wo"] @ concat + params["bo"])  # @output
        a = o * jnp.tanh(c)  # @hidden
    return 0.5 * jnp.sum((a - y) ** 2) / x.shape[1]  # @loss


def inputs(rng, n):
    """As many features as hidden units."""
    params = {}
    for gate in "fico":
        params["W" + gate] = rng.normal(size=(A, A + 3))
        params["b" + gate] = rng.normal(size=(A, 1))
    return params, (rng.normal(size=(3, n, STEPS)), rng.uniform(-1, 1, size=(A, n)))


def sigmoid(z):
    """Logistic function."""
    return 1 / (1 + np.exp(-z))


def forward(params, x):
    """The caches of all steps."""
    a = np.zeros((A, x.shape[1]), x.dtype)
    c = np.zeros_like(a)
    caches = []
    for t in range(STEPS):
        concat = np.concatenate([a, x[:, :, t]])
        f, i, o = (sigmoid(params["W" + k] @ concat + params["b" + k]) for k in "fio")
        g = np.tanh(params["Wc"] @ concat + params["bc"])
        c_prev, c = c, f * c + i * g
        a = o * np.tanh(c)
        caches.append((concat, f, i, g, o, c_prev, c))
    return a, caches


def cell_backward(da, dc, cache):
    """Gradients of the four pre-activations and of the cell before."""
    _, f, i, g, o, c_prev, c = cache
    do = da * np.tanh(c) * o * (1 - o)
    dc = dc + da * o * (1 - np.tanh(c) ** 2)
    df = dc * c_prev * f * (1 - f)
    di = dc * g * i * (1 - i)
    dg = dc * i * (1 - g**2)
    return {"f": df, "i": di, "c": dg, "o": do}, dc * f


def state_backward(params, dz):
    """To the hidden state before: the first columns of each matrix."""
    return sum(params["W" + k][:, :A].T @ dz[k] for k in "fico")


def grads(params, x, y, cell=cell_backward, state=state_backward, add=True, caches=None):
    """Backward through the three steps."""
    a, right_caches = forward(params, x)
    caches = caches or right_caches
    total = {key: np.zeros_like(value) for key, value in params.items()}
    da, dc = (a - y) / x.shape[1], np.zeros_like(a)
    for cache in reversed(caches):
        dz, dc = cell(da, dc, cache)
        da = state(params, dz)
        for k in "fico":
            dw, db = dz[k] @ cache[0].T, dz[k].sum(axis=1, keepdims=True)
            total["W" + k] = total["W" + k] + dw if add else dw
            total["b" + k] = total["b" + k] + db if add else db
    return total


net = Network("lstm_columns", loss_fn, inputs, grads, batch=4)


@net.fault("missing_term", at="output")
def output_gate_missing_in_da_prev(params, x, y):
    """The sum for da_prev has three of its four products."""

    def state(params, dz):
        return params["Wf"][:, :A].T @ dz["f"] + params["Wi"][:, :A].T @ dz["i"] + params["Wc"][:, :A].T @ dz["c"]

    return grads(params, x, y, state=state)


@net.fault("permuted", "wrong_operand", at=("concat", "forget", "update", "candidate", "output"))
def columns_of_x_for_those_of_a(params, x, y):
    """da_prev takes `W[:, n_a:]`: as if the stack were [x; a]."""
    return grads(params, x, y, state=lambda params, dz: sum(params["W" + k][:, A:].T @ dz[k] for k in "fico"))


@net.fault("wrong_operand", "missing_term", at="cell")
def factor_of_the_update_gate_missing(params, x, y):
    """Dit = dc i (1 − i), without the candidate."""

    def cell(da, dc, cache):
        _, f, i, g, o, c_prev, c = cache
        dc = dc + da * o * (1 - np.tanh(c) ** 2)
        dz = {"f": dc * c_prev * f * (1 - f), "i": dc * i * (1 - i), "c": dc * i * (1 - g**2)}
        return dz | {"o": da * np.tanh(c) * o * (1 - o)}, dc * f

    return grads(params, x, y, cell=cell)


@net.fault("wrong_derivative", at="forget", single=True)
def forget_gate_slope_missing(params, x, y):
    """Dft = dc c_prev without f (1 − f)."""

    def cell(da, dc, cache):
        dz, dc_prev = cell_backward(da, dc, cache)
        _, f, _, _, o, c_prev, c = cache
        dz["f"] = (dc + da * o * (1 - np.tanh(c) ** 2)) * c_prev
        return dz, dc_prev

    return grads(params, x, y, cell=cell)


@net.fault("overwritten", at=("forget", "update", "candidate", "output"))
def gradients_of_the_first_step_only(params, x, y):
    """`dWf = gradients['dWf']` in the loop over time, not `+=`."""
    return grads(params, x, y, add=False)


@net.fault("mutated", at="cell")
def cell_updated_in_place(params, x, y):
    """`c *= f; c += i * g`: the cached c_prev is the same array as the c that follows."""
    c = np.zeros((A, x.shape[1]), x.dtype)
    a = np.zeros_like(c)
    caches = []
    for t in range(STEPS):
        concat = np.concatenate([a, x[:, :, t]])
        f, i, o = (sigmoid(params["W" + k] @ concat + params["b" + k]) for k in "fio")
        g = np.tanh(params["Wc"] @ concat + params["bc"])
        c_prev = c
        c *= f
        c += i * g
        a = o * np.tanh(c)
        caches.append((concat, f, i, g, o, c_prev, c))
    return grads(params, x, y, caches=caches)


@net.fault("wrong_derivative", "missing_term", at=("candidate", "cell", "hidden"))
def candidate_slope_and_no_cell_from_later(params, x, y):
    """Two slips: 1 − g for the tanh's slope, and dc of the later step is not added."""

    def cell(da, dc, cache):
        _, f, i, g, o, c_prev, c = cache
        dc = da * o * (1 - np.tanh(c) ** 2)
        dz = {"f": dc * c_prev * f * (1 - f), "i": dc * g * i * (1 - i), "c": dc * i * (1 - g)}
        return dz | {"o": da * np.tanh(c) * o * (1 - o)}, dc * f

    return grads(params, x, y, cell=cell)


@net.right()
def one_stacked_matrix(params, x, y):
    """The four matrices stacked into one."""
    big = np.vstack([params["W" + k] for k in "fico"])

    def state(params, dz):
        return (big.T @ np.vstack([dz[k] for k in "fico"]))[:A]

    return grads(params, x, y, state=state)


@net.right(n=1, single=True)
def one_column(params, x, y):
    """One example in float32."""
    return grads(params, x, y)
