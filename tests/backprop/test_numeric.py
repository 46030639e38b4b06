"""Finite differences: right ones, and how a wrong gradient differs from differences that cannot tell."""

import math
from typing import NamedTuple

import numpy as np
import pytest

from functional_nets.backprop.numeric import (
    central,
    complex_step,
    directional_check,
    find_kink,
    gradient,
    random_direction,
    sweep,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 5))
PARAMS = {"w": RNG.normal(size=(5, 4)), "b": np.zeros(4)}


def loss(params):
    return np.sum(np.tanh(X @ params["w"] + params["b"]) ** 2)


def loss_gradient(params):
    y = np.tanh(X @ params["w"] + params["b"])
    d = 2 * y * (1 - y * y)
    return {"w": X.T @ d, "b": d.sum(0)}


GRADS = loss_gradient(PARAMS)


def test_the_slope_of_a_square_at_four_is_eight():
    assert central(lambda x: x**2, 4.0) == pytest.approx(8.0, rel=1e-9)
    assert complex_step(lambda x: x**2, 4.0) == 8.0


def test_a_complex_step_has_all_digits():
    assert complex_step(lambda x: np.exp(x) / np.sqrt(x), 1.5) == pytest.approx(
        math.exp(1.5) / math.sqrt(1.5) * (1 - 1 / 3), rel=1e-15
    )
    direction = random_direction(PARAMS)
    expected = sum(np.sum(GRADS[key] * direction[key]) for key in GRADS)
    assert complex_step(loss, PARAMS, direction) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("method", "digits"), [("central", 1e-8), ("complex", 1e-13)])
def test_a_gradient_coordinate_by_coordinate(method, digits):
    found = gradient(loss, PARAMS, method)
    assert list(found) == list(PARAMS)
    for key in PARAMS:
        np.testing.assert_allclose(found[key], GRADS[key], rtol=digits, atol=digits)


def test_central_differences_take_two_evaluations_whatever_the_size():
    calls = []

    def counted(x):
        calls.append(1)
        return np.sum(x)

    central(counted, np.zeros(1000), np.ones(1000))
    assert len(calls) == 3  # Two, and one at the point itself, where f must be finite.


class Pair(NamedTuple):
    first: float
    second: list


def test_parameters_may_be_nested_at_will():
    params = {"b": [np.ones(2), (3.0, None)], "a": Pair(np.float32(2), [np.zeros((0, 2))])}

    def f(p):
        assert isinstance(p["a"], Pair)
        assert list(p) == ["b", "a"]
        return np.sum(p["b"][0]) * p["b"][1][0] ** 2 + p["a"].first

    found = gradient(f, params, "complex")
    assert found["b"][0].tolist() == [9.0, 9.0]
    assert found["b"][1] == (12.0, None)
    assert found["a"].first == 1.0
    assert found["a"].second[0].shape == (0, 2)


def test_a_function_may_change_its_arguments():
    def f(x):
        x *= 2
        return np.sum(x)

    assert gradient(f, np.ones(3)) == pytest.approx(2 * np.ones(3), rel=1e-9)


def scaled(factor, key="w"):
    return {name: g * (factor if name == key else 1) for name, g in GRADS.items()}


def test_a_right_gradient_agrees_at_second_order():
    result = directional_check(loss, PARAMS, GRADS)
    assert result.verdict == "agrees"
    assert result.order == pytest.approx(2, abs=0.1)
    assert abs(result.analytic - result.numeric) <= 1e-9 * abs(result.analytic)


@pytest.mark.parametrize("grads", [scaled(2), scaled(2, "b"), scaled(-1), scaled(1 + 1e-5), scaled(0)])
def test_a_wrong_gradient_differs_at_first_order(grads):
    result = directional_check(loss, PARAMS, grads)
    assert result.verdict == "differs"
    assert result.order == pytest.approx(1, abs=0.1)
    assert result.numeric == pytest.approx(directional_check(loss, PARAMS, GRADS).analytic, rel=1e-8)


def in_float32(params):
    w, b = (params[key].astype(np.float32) for key in ("w", "b"))
    return np.sum(np.tanh(X.astype(np.float32) @ w + b) ** 2)


@pytest.mark.parametrize(
    ("f", "verdict"),
    [
        (in_float32, "too_noisy"),
        (lambda params: loss(params) + 1e10, "too_noisy"),
        (lambda params: loss(params) + 1e-5 * np.sin(1e12 * params["w"][0, 0]), "too_noisy"),
    ],
)
def test_differences_that_cannot_tell_say_so(f, verdict):
    assert directional_check(f, PARAMS, GRADS).verdict == verdict
    assert directional_check(f, PARAMS, scaled(1 + 1e-5)).verdict == verdict


def test_a_gradient_twice_too_large_is_seen_in_float32_too():
    result = directional_check(in_float32, PARAMS, {key: 2 * g for key, g in GRADS.items()})
    assert result.verdict == "differs"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_scale_of_parameters_and_values_does_not_matter(scale):
    def f(params):
        return scale**2 * loss({"w": params["w"] / scale, "b": params["b"]})

    params = {"w": PARAMS["w"] * scale, "b": PARAMS["b"]}
    grads = {"w": GRADS["w"] * scale, "b": GRADS["b"] * scale**2}
    assert directional_check(f, params, grads).verdict == "agrees"
    assert directional_check(f, params, {**grads, "w": grads["w"] * 1.001}).verdict == "differs"


def test_linear_and_constant_functions_have_nothing_to_shrink():
    linear = directional_check(lambda x: 3 * np.sum(x), np.ones(4), 3 * np.ones(4))
    assert (linear.verdict, math.isnan(linear.order)) == ("agrees", True)
    assert directional_check(lambda x: 5.0, np.ones(4), np.zeros(4)).verdict == "agrees"
    assert directional_check(lambda x: 5.0, np.ones(4), np.ones(4)).verdict == "differs"
    assert directional_check(lambda x: np.sum(x), np.zeros((0, 2)), np.zeros((0, 2))).verdict == "agrees"


def hinge(x):
    return np.sum(np.maximum(x, 0) * np.exp(x))


def hinge_gradient(x, at_zero):
    return np.where(x == 0, at_zero, (x > 0) * (1 + x) * np.exp(x))


@pytest.mark.parametrize("at_zero", [0.0, 0.3, 1.0])
def test_at_a_kink_any_slope_between_the_two_is_no_mistake(at_zero):
    x = np.array([[1.0, -1.0], [0.0, 2.0]])
    result = directional_check(hinge, x, hinge_gradient(x, at_zero))
    assert result.verdict == "kink"
    assert (result.kink.path, result.kink.index) == ("params", (1, 0))
    assert (result.kink.left, result.kink.right) == pytest.approx((0.0, 1.0), abs=1e-5)


def test_a_slope_beyond_those_of_the_kink_differs():
    x = np.array([[1.0, -1.0], [0.0, 2.0]])
    assert directional_check(hinge, x, hinge_gradient(x, 2.0)).verdict == "differs"
    assert directional_check(hinge, x, hinge_gradient(x, -1.0)).verdict == "differs"


def test_a_kink_within_reach_of_the_steps_is_one_and_one_beyond_is_none():
    verdicts = [
        directional_check(hinge, np.array([-d, 1.0]), np.array([0.0, 2 * math.e])).verdict for d in (1e-12, 1e-2)
    ]
    assert verdicts == ["kink", "agrees"]


def test_a_wrong_gradient_is_not_excused_by_a_kink_further_off():
    x = np.array([-1e-2, 1.0])
    assert directional_check(hinge, x, np.array([0.5, 2 * math.e])).verdict == "differs"


def test_a_kink_is_found_in_its_leaf():
    params = {"a": np.ones(3), "b": {"c": np.array([1.0, 0.0, -2.0])}}

    def f(p):
        return np.sum(p["a"] ** 2) + np.sum(np.abs(p["b"]["c"]))

    kink = find_kink(f, params, random_direction(params), 1e-4)
    assert (kink.path, kink.index) == ("b/c", (1,))
    assert (kink.left, kink.right) == pytest.approx((-1.0, 1.0))
    assert find_kink(loss, PARAMS, random_direction(PARAMS), 1e-9) is None


def test_the_error_of_a_sweep_is_a_u():
    curve = sweep(np.exp, 1.0)
    error = np.abs(curve.slopes - math.e)
    best = int(np.argmin(error))
    assert 2 < best < 15
    assert error[0] > 1e3 * error[best] < error[-1]
    assert np.allclose(curve.steps[:-1] / curve.steps[1:], 4)
    # Where truncation reigns, the error is h² f''' / 6.
    assert error[1] / error[2] == pytest.approx(16, rel=0.05)


def test_a_direction_is_reproducible_and_in_the_scale_of_each_leaf():
    params = {"small": np.full(1000, 1e-3), "zero": np.zeros(1000), "none": np.zeros(0)}
    direction = random_direction(params, seed=3)
    assert np.std(direction["small"]) == pytest.approx(1e-3, rel=0.1)
    assert np.std(direction["zero"]) == pytest.approx(1, rel=0.1)
    assert np.array_equal(direction["zero"], random_direction(params, seed=3)["zero"])
    assert not np.array_equal(direction["zero"], random_direction(params, seed=4)["zero"])


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match=r"Expected floats at 'b/0' to take a gradient of, found int64"):
        gradient(lambda p: 0.0, {"a": np.ones(1), "b": [np.arange(3)]})
    with pytest.raises(ValueError, match=r"Expected finite numbers at 'params', found nan at \(1, 0\)"):
        central(np.sum, np.array([[1.0], [np.nan]]), np.ones((2, 1)))
    with pytest.raises(TypeError, match=r"Expected a real scalar from f, got float64 of shape \(3,\)"):
        gradient(lambda x: x, np.ones(3))
    with pytest.raises(ValueError, match=r"Expected a finite value of f at the parameters, got inf"):
        directional_check(lambda x: np.inf, np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"Expected a gradient of shape \(5, 4\) at 'w', found \(4, 5\)"):
        directional_check(loss, PARAMS, {"w": GRADS["w"].T, "b": GRADS["b"]})
    with pytest.raises(ValueError, match=r"Expected a gradient of shape \(4,\) at 'b', found nothing"):
        directional_check(loss, PARAMS, {"w": GRADS["w"]})
    with pytest.raises(ValueError, match="Expected a direction for 3 parameters, got none"):
        central(np.sum, np.ones(3))
    with pytest.raises(ValueError, match="Expected the method 'central' or 'complex', got 'forward'"):
        gradient(loss, PARAMS, "forward")
    with pytest.raises(TypeError, match="Expected a complex scalar from f at complex parameters, got float64"):
        complex_step(np.abs, 1.0)
