"""Two steps of an LSTM with all gates in one matrix."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import sigmoid


def loss_fn(params, xs, t):
    """Squared error of the hidden state after the last step; `xs` is (time, batch, feature)."""
    h = c = jnp.zeros((xs.shape[1], 3), xs.dtype)
    for x in xs:
        z = x @ params["wx"] + h @ params["wh"] + params["b"]  # @gates
        zi, zf, zo, zg = jnp.split(z, 4, axis=1)  # @split
        i = jax.nn.sigmoid(zi)  # @input
        f = jax.nn.sigmoid(zf)  # @forget
        o = jax.nn.sigmoid(zo)  # @output
        g = jnp.tanh(zg)  # @candidate
        c = f * c + i * g  # @cell
        h = o * jnp.tanh(c)  # @hidden
    return jnp.sum((h - t) ** 2) / len(t)  # @loss


def inputs(rng, n):
    """Three steps, 2 features, 3 units."""
    params = {"wx": rng.normal(size=(2, 12)), "wh": rng.normal(size=(3, 12)), "b": rng.normal(size=12)}
    return params, (rng.normal(size=(3, n, 2)), rng.uniform(-1, 1, size=(n, 3)))


def forward(params, xs):
    """One record a step: x, h before, c before, the gates, c after."""
    h = c = np.zeros((xs.shape[1], 3), xs.dtype)
    records = []
    for x in xs:
        zi, zf, zo, zg = np.split(x @ params["wx"] + h @ params["wh"] + params["b"], 4, axis=1)
        i, f, o, g = sigmoid(zi), sigmoid(zf), sigmoid(zo), np.tanh(zg)
        new = f * c + i * g
        records.append((x, h, c, i, f, o, g, new))
        h, c = o * np.tanh(new), new
    return h, records


def grads(params, xs, t, wrong=""):
    """Backward through time; `wrong` names the slip to make."""
    h, records = forward(params, xs)
    dwx, dwh, db = np.zeros_like(params["wx"]), np.zeros_like(params["wh"]), np.zeros_like(params["b"])
    dh, dc = 2 * (h - t) / len(t), np.zeros_like(h)
    for x, h_prev, c_prev, i, f, o, g, c in reversed(records):
        do = dh * np.tanh(c)
        through_h = dh * o * (1 - (c if wrong == "slope at c" else np.tanh(c)) ** 2)
        if wrong == "no slope":
            through_h = dh * o
        dc = through_h if wrong == "cell forgotten" else dc + through_h
        di, dg = (dc * i, dc * g) if wrong == "same factor" else (dc * g, dc * i)
        df = dc * (c if wrong == "cell after" else c_prev)
        slopes = [di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)]
        if wrong == "candidate":
            slopes[3] = dg * g * (1 - g)
        if wrong == "output gate":
            slopes[2] = do
        if wrong == "order":
            slopes[2], slopes[3] = slopes[3], slopes[2]
        dz = np.hstack(slopes)
        dwx += x.T @ dz
        dwh += h_prev.T @ dz
        db += dz.sum(axis=0)
        dh = dz @ params["wh"].T
        dc = dc * f if wrong != "no forget gate" else dc
    return {"wx": dwx, "wh": dwh, "b": db}


net = Network("lstm", loss_fn, inputs, grads, batch=4)


@net.fault("missing_term", "overwritten", at=("cell", "hidden"))
def cell_state_not_carried_back(params, xs, t):
    """`dc =` at each step: the constant error carousel is cut."""
    return grads(params, xs, t, "cell forgotten")


@net.fault("wrong_operand", "missing_term", at="cell", called=True)
def forget_gate_forgotten(params, xs, t):
    """The gradient of the cell before lacks the factor f."""
    return grads(params, xs, t, "no forget gate")


@net.fault("wrong_derivative", at="hidden")
def slope_of_tanh_at_c(params, xs, t):
    """1 − c² for 1 − tanh(c)²."""
    return grads(params, xs, t, "slope at c")


@net.fault("wrong_derivative", at="hidden")
def tanh_of_the_cell_taken_as_linear(params, xs, t):
    """No slope for tanh(c)."""
    return grads(params, xs, t, "no slope")


@net.fault("wrong_operand", at="cell")
def factors_of_the_product_not_swapped(params, xs, t):
    """The input gate's gradient has i for a factor, the candidate's g."""
    return grads(params, xs, t, "same factor")


@net.fault("wrong_operand", at="cell")
def cell_after_for_cell_before(params, xs, t):
    """The forget gate multiplies the cell state before the step."""
    return grads(params, xs, t, "cell after")


@net.fault("wrong_derivative", at="candidate", single=True)
def candidate_is_no_sigmoid(params, xs, t):
    """All four gates get g(1 − g)."""
    return grads(params, xs, t, "candidate")


@net.fault("wrong_derivative", at="output")
def output_gate_without_slope(params, xs, t):
    """The sigmoid of the output gate is skipped."""
    return grads(params, xs, t, "output gate")


@net.fault("permuted", at="split")
def gates_in_another_order(params, xs, t):
    """The blocks i, f, o, g are put together as i, f, g, o, PyTorch's order."""
    return grads(params, xs, t, "order")


@net.fault("accumulated", "scale", at="gates")
def bias_of_both_products(params, xs, t):
    """PyTorch has a bias for the input and one for the state; here both gradients go into one."""
    right = grads(params, xs, t)
    right["b"] += grads(params, xs, t)["b"]
    return right


@net.fault("upstream", at=None)
def clipped_at_the_end(params, xs, t):
    """Every gradient is clipped, as min-char-rnn does before its update; the limit is too low."""
    result = grads(params, xs, t)
    for grad in result.values():
        np.clip(grad, -0.2, 0.2, out=grad)
    return result
