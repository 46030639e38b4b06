"""Two mistakes at once, in loops and beside them, and gates whose coefficients are mixed up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.gradcheck import check, search
from functional_nets.gradcheck.hypotheses import careful
from tests.gradcheck.causes import found, line_of

RANDOM = np.random.default_rng(8)
XS, T = RANDOM.normal(size=(3, 2, 3)), RANDOM.normal(size=(2, 3))
U, V, G = (RANDOM.normal(size=(3, 3)) / 2 for _ in range(3))


@pytest.fixture(autouse=True)
def raise_errors_of_the_search(monkeypatch):
    monkeypatch.setattr(careful, "STRICT", True)


@pytest.fixture
def single_mistakes_apart(monkeypatch):
    """Without the search for single mistakes, which finds nothing here and takes seconds; and with time to spare."""
    monkeypatch.setattr(search, "STAGES", ())
    monkeypatch.setattr(search, "SECONDS", 300.0)


def gated(params, xs, t):
    h = jnp.zeros((2, 3))
    for x in xs:
        z = jax.nn.sigmoid((x + h) @ params["g"])
        new = jnp.tanh(x @ params["u"] + h @ params["v"])
        h = (1 - z) * new + z * h
    return jnp.sum((h - t) ** 2)


PARAMS = {"g": G, "u": U, "v": V}


def gated_gradient(confused=False, turned=False, slope=lambda new: 1 - new**2, matrix=V.T, direct=1.0):
    h, kept = np.zeros((2, 3)), []
    for x in XS:
        z = 1 / (1 + np.exp(-(x + h) @ G))
        new = np.tanh(x @ U + h @ V)
        kept.append((x, h, z, new))
        h = (1 - z) * new + z * h
    wrong, dh = {name: np.zeros((3, 3)) for name in "guv"}, 2 * (h - T)
    for x, h, z, new in reversed(kept):
        dz = dh * (new - h if turned else h - new) * z * (1 - z)
        d = dh * (z if confused else 1 - z) * slope(new)
        wrong["g"] += (x + h).T @ dz
        wrong["u"] += x.T @ d
        wrong["v"] += h.T @ d
        dh = direct * dh * (1 - z if confused else z) + d @ matrix + dz @ G.T
    return wrong


def test_the_gradient_by_hand_is_right_without_a_slip():
    assert check(gated, PARAMS, XS, T, manual=gated_gradient()).ok


def test_a_gate_and_its_complement_confused_in_backward_are_found_at_the_sum():
    cause = found(gated, PARAMS, XS, T, manual=gated_gradient(confused=True))
    assert (cause.mistake, cause.line) == ("wrong_operand", line_of(gated, "h = (1 - z)"))


def test_a_difference_taken_the_other_way_round_is_found_at_the_sum_and_not_at_the_gate():
    cause = found(gated, PARAMS, XS, T, manual=gated_gradient(turned=True))
    assert (cause.mistake, cause.line) == ("sign", line_of(gated, "h = (1 - z)"))


@pytest.mark.usefixtures("single_mistakes_apart")
def test_two_mistakes_that_compound_in_a_loop_are_both_found():
    report = check(gated, PARAMS, XS, T, manual=gated_gradient(matrix=V, direct=0.0))
    assert {cause.mistake for cause in report.causes} == {"transposed", "missing_term"}
    assert all("one of two mistakes" in cause.message for cause in report.causes)


def blocks(params, x, t):
    for w in params["w"]:
        y = x / jnp.sqrt(jnp.mean(x**2, axis=1, keepdims=True) + 0.1)
        x = x + jax.nn.silu(y @ w) @ params["v"]
    return jnp.sum((x - t) ** 2)


@pytest.mark.usefixtures("single_mistakes_apart")
def test_a_mistake_that_runs_once_is_found_beside_one_that_runs_in_every_block():
    """The statistics of the first block do not depend on the parameters: they are left out in the second only."""
    x, kept = XS[0], []
    for w in (U, G):
        inverse = 1 / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 0.1)
        a = x * inverse @ w
        s = 1 / (1 + np.exp(-a))
        kept.append((x, inverse, a, s, w))
        x = x + a * s @ V
    d, wrong = 2 * (x - T), {"w": [], "v": np.zeros((3, 3))}
    for x, inverse, a, s, w in reversed(kept):
        wrong["v"] += (a * s).T @ d
        da = d @ V.T * s * (1 - s)  # The sigmoid's slope for the SiLU's.
        wrong["w"].insert(0, (x * inverse).T @ da)
        d = d + da @ w.T * inverse  # The norm's statistics are constants.
    report = check(blocks, {"w": [U, G], "v": V}, XS[0], T, manual=wrong)
    assert {cause.mistake for cause in report.causes} == {"missing_term", "wrong_derivative"}
    assert {cause.line for cause in report.causes} == {line_of(blocks, "jnp.mean"), line_of(blocks, "silu")}


def cubic(params, x):
    u = jnp.tanh(x @ params["w"] + params["b"])
    inside = jnp.mean((u[1:] - u[:-1] ** 3) ** 2)
    edge = u[0] ** 2
    return inside + 3 * edge


@pytest.mark.usefixtures("single_mistakes_apart")
def test_a_term_that_is_left_out_and_a_cube_with_a_squares_slope_are_both_found():
    x, w, b = RANDOM.normal(size=(8, 5)), RANDOM.normal(size=5), np.array(0.3)
    u = np.tanh(x @ w + b)
    d = 2 * (u[1:] - u[:-1] ** 3) / 7
    du = np.zeros(8)
    du[1:] += d
    du[:-1] -= d * 2 * u[:-1]
    da = du * (1 - u**2)
    report = check(cubic, {"w": w, "b": b}, x, manual={"w": x.T @ da, "b": da.sum()})
    assert {cause.mistake for cause in report.causes} == {"missing_term", "wrong_derivative"}
