"""The search finds mistakes that no list holds: numbers and arrays are solved for, and two mistakes are told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.gradcheck import check, search
from functional_nets.gradcheck.hypotheses import careful
from tests.gradcheck.causes import found, line_of

RANDOM = np.random.default_rng(5)
X, T = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(6, 3))
W, V, B = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(3, 3)), RANDOM.normal(size=3)
WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0, 0.7, 1.3])


@pytest.fixture(autouse=True)
def raise_errors_of_the_search(monkeypatch):
    monkeypatch.setattr(careful, "STRICT", True)


def weighted_loss(params, x, t, weights):
    error = jnp.tanh(x @ params["w"] + params["b"]) - t
    each = jnp.sum(error**2, axis=1)
    return jnp.sum(weights * each) / jnp.sum(weights)


def weighted_gradient(params, x, t, weights, mean_of=None):
    y = np.tanh(x @ params["w"] + params["b"])
    d = 2 * (y - t) * (1 - y**2) * weights[:, None] / (weights.sum() if mean_of is None else mean_of)
    return {"w": x.T @ d, "b": d.sum(axis=0)}


PARAMS = {"w": W, "b": B}


def test_weights_that_are_left_out_everywhere_are_named_at_a_line_that_uses_them():
    wrong = weighted_gradient(PARAMS, X, T, np.ones(6))
    cause = found(weighted_loss, PARAMS, X, T, WEIGHTS, manual=wrong)
    assert cause.line in (line_of(weighted_loss, "weights * each"), line_of(weighted_loss, "each = "))


def test_examples_that_are_not_counted_are_counted_out():
    wrong = weighted_gradient(PARAMS, X, T, WEIGHTS * (np.arange(6) < 4), mean_of=WEIGHTS.sum())
    cause = found(weighted_loss, PARAMS, X, T, WEIGHTS, manual=wrong)
    assert cause.mistake == "wrong_reduction"
    assert "only 0 to 3 of the 6" in cause.message


def smooth_loss(params, x, t):
    error = x @ params["w"] + params["b"] - t
    return jnp.mean(jnp.sqrt(error**2 + 1e-2))


def smooth_gradient(params, x, t, eps):
    error = x @ params["w"] + params["b"] - t
    d = error / np.sqrt(error**2 + eps) / error.size
    return {"w": x.T @ d, "b": d.sum(axis=0)}


@pytest.mark.parametrize("eps", [1e-3, 0.037])
def test_another_epsilon_is_read_off_the_gradient(eps):
    cause = found(smooth_loss, PARAMS, X, T, manual=smooth_gradient(PARAMS, X, T, eps))
    assert cause.mistake == "wrong_loss"
    assert f"is {eps:.6g}" in cause.message
    assert cause.line == line_of(smooth_loss, "1e-2")


def cubic_loss(params, x, t):
    a = x @ params["w"] + params["b"]
    y = a + a**3
    return jnp.mean((y - t) ** 2)


def test_a_slope_that_no_table_holds_is_written_as_a_formula():
    a = X @ W + B
    d = 2 * (a + a**3 - T) / T.size * (3 * a**2 - 1)
    cause = found(cubic_loss, PARAMS, X, T, manual={"w": X.T @ d, "b": d.sum(axis=0)})
    assert cause.mistake in ("wrong_derivative", "sign", "missing_term")
    assert cause.line == line_of(cubic_loss, "a**3")


def two_terms(params, x, t):
    error = x @ params["w"] + params["b"] - t
    data = jnp.mean(error**2)
    decay = 0.3 * jnp.sum(params["w"] ** 2)
    return data + decay


def test_two_terms_that_are_wrong_in_different_ways_are_weighed_together():
    d = 2 * (X @ W + B - T) / T.size
    wrong = {"w": -X.T @ d, "b": -d.sum(axis=0)}  # The sign of the data's term; no decay.
    cause = found(two_terms, PARAMS, X, T, manual=wrong)
    assert cause.mistake in ("sign", "missing_term")


def two_layers(params, x, t):
    h = jax.nn.sigmoid(x @ params["w"])
    y = jnp.tanh(h @ params["v"])
    return 0.5 * jnp.mean(jnp.sum((y - t) ** 2, axis=1))


DEEP = {"w": W, "v": V}


def two_layers_gradient(x, t, slope=None, count=None, hidden=None):
    h = 1 / (1 + np.exp(-x @ W))
    y = np.tanh(h @ V)
    d = (y - t) / (count or len(x)) * (1 - y**2)
    dh = d @ V.T * (h * (1 - h) if slope is None else slope(h))
    return {"w": x.T @ dh, "v": (h if hidden is None else hidden(h)).T @ d}


def test_a_wrong_slope_and_a_wrong_factor_above_it_are_both_found():
    wrong = two_layers_gradient(X, T, slope=lambda h: h, count=1)
    report = check(two_layers, DEEP, X, T, manual=wrong)
    assert {cause.mistake for cause in report.causes} == {"wrong_derivative", "scale"}
    assert all("one of two mistakes" in cause.message for cause in report.causes)


def test_two_mistakes_on_different_leaves_are_both_found():
    wrong = two_layers_gradient(X, T, slope=lambda h: 1 - h, hidden=lambda h: 2 * h)
    report = check(two_layers, DEEP, X, T, manual=wrong)
    assert {cause.line for cause in report.causes} >= {line_of(two_layers, "sigmoid"), line_of(two_layers, "tanh")}


def test_a_value_changed_in_place_before_it_is_used_is_named():
    wrong = two_layers_gradient(X, T, hidden=lambda h: h * (1 - h))
    cause = found(two_layers, DEEP, X, T, manual=wrong)
    assert (cause.mistake, cause.line) == ("mutated", line_of(two_layers, "tanh"))


def recurrent(params, xs, t):
    h = jnp.zeros(3)
    for step in range(4):
        h = jnp.tanh(xs[step] @ params["w"] + h @ params["v"])
    return jnp.sum((h - t) ** 2)


def recurrent_gradient(xs, t, previous=0, through=1.0, clip=np.inf):
    hs = [np.zeros(3)]
    for step in range(4):
        hs.append(np.tanh(xs[step] @ W + hs[-1] @ V))
    dh, dw, dv = 2 * (hs[-1] - t), np.zeros_like(W), np.zeros_like(V)
    for step in reversed(range(4)):
        dz = dh * (1 - hs[step + 1 - previous] ** 2)
        dw += np.outer(xs[step], dz)
        dv += np.outer(hs[step], dz)
        dh = np.clip(through * (dz @ V.T), -clip, clip)
    return {"w": dw, "v": dv}


@pytest.mark.parametrize(
    ("slip", "mistake"),
    [({"previous": 1}, "wrong_derivative"), ({"through": 0.0}, "missing_term"), ({"clip": 0.3}, "upstream")],
)
def test_a_mistake_that_is_made_at_each_step_of_a_loop_is_one_mistake(slip, mistake):
    cause = found(recurrent, DEEP, X[:4], T[0], manual=recurrent_gradient(X[:4], T[0], **slip))
    assert (cause.mistake, cause.line) == (mistake, line_of(recurrent, "tanh"))


def noisy(params, x, t, noise):
    h = jnp.tanh(x @ params["w"])
    y = (h * noise) @ params["v"]
    return jnp.mean((y - t) ** 2)


def test_noise_that_was_drawn_anew_is_found_where_it_enters():
    x, t, noise = X[:2], T[:2], RANDOM.normal(size=(2, 3))
    h = np.tanh(x @ W)
    d = 2 * ((h * noise) @ V - t) / t.size
    again = RANDOM.normal(size=(2, 3))
    wrong = {"w": x.T @ ((d @ V.T) * again * (1 - h**2)), "v": (h * noise).T @ d}
    cause = found(noisy, DEEP, x, t, noise, manual=wrong)
    assert (cause.mistake, cause.line) == ("wrong_operand", line_of(noisy, "h * noise"))


def detached(params, x, t):
    y = jnp.tanh(x @ params["w"] + params["b"])
    weight = jax.lax.stop_gradient(y)
    return jnp.sum(weight * (y - t) ** 2)


def test_a_gradient_that_goes_through_a_stop_gradient_is_an_extra_term():
    y = np.tanh(X @ W + B)
    d = (2 * y * (y - T) + (y - T) ** 2) * (1 - y**2)
    cause = found(detached, PARAMS, X, T, manual={"w": X.T @ d, "b": d.sum(axis=0)})
    assert (cause.mistake, cause.line) == ("extra_term", line_of(detached, "stop_gradient"))


def test_a_gradient_made_of_random_numbers_has_no_cause():
    random = {"w": RANDOM.normal(size=W.shape), "v": RANDOM.normal(size=V.shape)}
    report = check(two_layers, DEEP, X, T, manual=random)
    assert not report.ok
    assert not report.causes
    assert report.suspects


def test_an_error_in_the_search_costs_its_own_hypotheses_only(monkeypatch):
    def stumble(evidence):
        yield from ()
        raise ValueError("an operation nobody thought of")

    monkeypatch.setattr(careful, "STRICT", False)
    monkeypatch.setattr(search.regression, "propose", stumble)
    monkeypatch.setattr(search.factors, "propose", stumble)
    report = check(two_layers, DEEP, X, T, manual=two_layers_gradient(X, T, slope=lambda h: h))
    assert report.causes[0].mistake == "wrong_derivative"
    assert any("factors stopped early" in note for note in report.notes)
