"""Arrays that the backward pass changes while it still needs them: what they hold by then is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.gradcheck.hypotheses import careful
from tests.gradcheck.causes import found, line_of

RANDOM = np.random.default_rng(3)
X, T = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(5, 3))
U, V = RANDOM.normal(size=(3, 3)), RANDOM.normal(size=(3, 3))


@pytest.fixture(autouse=True)
def raise_errors_of_the_search(monkeypatch):
    monkeypatch.setattr(careful, "STRICT", True)


def decayed(params, x, t):
    h = jnp.tanh(x @ params["u"])
    y = h @ params["v"]
    return jnp.mean((y - t) ** 2) + 0.1 * jnp.sum(params["v"] ** 2)


def decayed_gradient(x, t, u, v, write_into_v):
    h = np.tanh(x @ u)
    d = 2 * (h @ v - t) / t.size
    dv = v if write_into_v else v.copy()
    dv *= 0.2
    dv += h.T @ d
    return {"u": x.T @ (d @ v.T * (1 - h**2)), "v": dv}


def test_a_gradient_that_is_written_into_its_parameter_is_found_where_the_parameter_is_needed_again():
    wrong = decayed_gradient(X, T, U, V.copy(), write_into_v=True)
    cause = found(decayed, {"u": U, "v": V}, X, T, manual=wrong)
    assert (cause.mistake, cause.line) == ("mutated", line_of(decayed, "h @"))


def mixing(params, x, t):
    weights = jax.nn.softmax(x @ params["u"], axis=1)
    return jnp.sum((weights @ params["v"] - t) ** 2)


def test_an_output_whose_array_serves_for_its_inputs_gradient_is_found_at_the_product_that_reads_it():
    e = np.exp(X @ U)
    weights = e / e.sum(axis=1, keepdims=True)
    d = 2 * (weights @ V - T)
    back = d @ V.T
    weights *= back - (weights * back).sum(axis=1, keepdims=True)
    cause = found(mixing, {"u": U, "v": V}, X, T, manual={"u": X.T @ weights, "v": weights.T @ d})
    assert (cause.mistake, cause.line) == ("mutated", line_of(mixing, "weights @"))


def hidden(params, x, t):
    h = jnp.tanh(x @ params["u"])
    y = h @ params["v"]
    return jnp.sum((y - t) ** 2)


def test_an_output_that_is_squared_for_its_own_derivative_is_found_at_the_product_that_reads_it():
    h = np.tanh(X @ U)
    d = 2 * (h @ V - T)
    wrong = {"u": X.T @ (d @ V.T * (1 - h * h)), "v": (h * h).T @ d}
    cause = found(hidden, {"u": U, "v": V}, X, T, manual=wrong)
    assert (cause.mistake, cause.line) == ("mutated", line_of(hidden, "h @"))


def residual(params, x, t):
    for block in params:
        inner = jnp.tanh(x @ block["u"])
        x = x + inner @ block["v"]
    return jnp.sum((x - t) ** 2)


def residual_gradient(blocks, x, t, too_early):
    kept = []
    for block in blocks:
        inner = np.tanh(x @ block["u"])
        kept.append((x, inner))
        x = x + inner @ block["v"]
    dx, grads = 2 * (x - t), []
    for block, (x, inner) in zip(blocks[::-1], kept[::-1], strict=True):
        d = dx @ block["v"].T * (1 - inner**2)
        after = dx + d @ block["u"].T
        grads.insert(0, {"u": x.T @ d, "v": inner.T @ (after if too_early else dx)})
        dx = after
    return grads


BLOCKS = [{"u": U, "v": V / 2}, {"u": V, "v": U / 2}]


@pytest.mark.parametrize("blocks", [BLOCKS, BLOCKS[:1]], ids=["two blocks", "one block"])
def test_a_skip_that_is_added_in_place_before_the_branch_has_read_the_gradient_is_found_at_its_line(blocks):
    wrong = residual_gradient(blocks, X, T, too_early=True)
    cause = found(residual, blocks, X, T, manual=wrong)
    assert (cause.mistake, cause.line) == ("mutated", line_of(residual, "x = x +"))


def recurrent(params, xs):
    h = jnp.zeros(3)
    total = 0.0
    for t in range(3):
        h = jnp.tanh(xs[t] @ params["u"] + h @ params["v"] + params["b"])
        total = total + jnp.sum(h**2)
    return total


def test_a_bias_that_gets_the_gradient_before_the_derivative_of_the_activation_is_found_in_a_loop():
    b = RANDOM.normal(size=3)
    hs = [np.zeros(3)]
    for x in X[:3]:
        hs.append(np.tanh(x @ U + hs[-1] @ V + b))
    wrong, back = {name: np.zeros_like(p) for name, p in (("u", U), ("v", V), ("b", b))}, np.zeros(3)
    for t in (2, 1, 0):
        dh = 2 * hs[t + 1] + back
        d = dh * (1 - hs[t + 1] ** 2)
        wrong["u"] += np.outer(X[t], d)
        wrong["v"] += np.outer(hs[t], d)
        wrong["b"] += dh
        back = d @ V.T
    cause = found(recurrent, {"u": U, "v": V, "b": b}, X[:3], manual=wrong)
    assert (cause.mistake, cause.line) == ("wrong_derivative", line_of(recurrent, "tanh"))
