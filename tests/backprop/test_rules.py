"""Each backward rule alone: against JAX, against differences, on values that record, and at its ties."""

import numpy as np
import pytest

from functional_nets.backprop.rules import RULES, NoRuleError, Rule, backward, unbroadcast
from functional_nets.backprop.values import VALUES, NoValueError, evaluate
from tests.backprop.rule_cases import CASES
from tests.backprop.rule_cases.check import (
    cases,
    check_gradients,
    check_recorded,
    check_refused,
    check_slopes,
    check_value,
    solutions,
)

NAMES = sorted({case.name for case in CASES})
# Random numbers are JAX's own: they pass nothing on, and the table does not make them.
RANDOM = {name for name in RULES if name.startswith(("random_", "threefry", "rng_"))}


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_agrees_with_jax(name):
    for case, solution in solutions(name).items():
        check_gradients(case, solution)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_agrees_with_differences(name):
    for case in cases(name):
        if case.smooth and case.valued and not case.refused:
            check_slopes(case)


@pytest.mark.parametrize("name", NAMES)
def test_a_value_agrees_with_jax(name):
    for case, solution in solutions(name).items():
        check_value(case, solution)


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=str)
def test_a_rule_refuses_what_it_does_not_hold_for(case):
    check_refused(case)


# All that a tape must be able to record for second derivatives, beside NumPy's operators.
RECORDED = {
    "add", "subtract", "multiply", "divide", "negative", "power", "exp", "log", "sin", "cos", "sinh",
    "cosh", "sqrt", "conjugate", "trunc", "maximum", "minimum", "logaddexp", "where", "sum", "cumsum",
    "cumprod", "reshape", "transpose", "moveaxis", "flip", "broadcast_to", "concatenate", "stack", "real",
    "imag", "ravel", "take", "scatter_add", "windows", "fold", "contract", "digamma", "polygamma",
    "reduce_precision",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_can_be_recorded(name):
    for case in cases(name):
        if case.valued and not case.refused:
            assert check_recorded(case) - RECORDED <= {
                "equal",
                "less",
                "less_equal",
                "greater",
                "greater_equal",
            }


def test_every_rule_and_every_value_has_a_case():
    assert set(RULES) - set(NAMES) == RANDOM
    assert set(VALUES) <= set(NAMES)
    assert set(RULES) - set(VALUES) == RANDOM | {"mulhi"}


def gradients(name, *inputs, g=1.0, **params):
    """The gradients of a primitive for the cotangent `g` of every output."""
    y = evaluate(name, inputs, params)
    return backward(name, np.full(np.shape(y), g), y, inputs, params)


def test_max_splits_a_tie_in_halves():
    x, y = gradients("max", np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
    assert x.tolist() == [0.5, 0.0, 1.0]
    assert y.tolist() == [0.5, 1.0, 0.0]


def test_reduce_max_shares_a_tie_equally():
    (x,) = gradients("reduce_max", np.array([[2.0, 1.0, 2.0, 2.0], [0.0, 5.0, 1.0, 2.0]]), axes=(1,), g=3.0)
    assert x.tolist() == [[1.0, 0.0, 1.0, 1.0], [0.0, 3.0, 0.0, 0.0]]


def test_max_pooling_picks_the_first_of_a_tie():
    window = {"window_dimensions": (2,), "window_strides": (2,), "padding": ((0, 0),)}
    window |= {"base_dilation": (1,), "window_dilation": (1,)}
    (x,) = gradients("reduce_window_max", np.array([7.0, 7.0, 1.0, 2.0]), **window)
    assert x.tolist() == [1.0, 0.0, 0.0, 1.0]


def test_cummax_splits_ties_in_the_order_of_a_tree():
    (x,) = gradients("cummax", np.ones(4), axis=0, reverse=False)
    # y1: x1. y2: half of x1 and x2 each. y3: half of y2, half x3. y4: half of (x1, x2), half of (x3, x4).
    assert x.tolist() == [1 + 1 / 2 + 1 / 4 + 1 / 4, 1 / 2 + 1 / 4 + 1 / 4, 1 / 2 + 1 / 4, 1 / 4]


def test_abs_has_the_slope_on_the_right_at_zero_and_relu_that_on_the_left():
    assert gradients("abs", np.array([0.0, -0.0, -2.0]))[0].tolist() == [1.0, 1.0, -1.0]
    assert gradients("relu", np.array([0.0, -0.0, 2.0]))[0].tolist() == [0.0, 0.0, 1.0]


def test_clamp_passes_nothing_at_its_bounds():
    low, x, high = gradients("clamp", 0.0, np.array([-1.0, 0.0, 0.5, 1.0, 2.0]), 1.0)
    assert x.tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert (low, high) == (1.0, 1.0)


def test_an_integer_power_of_zero_has_a_slope():
    assert gradients("integer_pow", np.zeros(1), y=0)[0].tolist() == [0.0]
    assert gradients("integer_pow", np.zeros(1), y=1)[0].tolist() == [1.0]
    assert gradients("pow", np.zeros(3), np.array([0, 1, 2]))[0].tolist() == [0.0, 1.0, 0.0]


def test_a_product_with_zeros_has_the_product_of_the_others():
    (x,) = gradients("reduce_prod", np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 3.0]]), axes=(1,))
    assert x.tolist() == [[0.0, 6.0, 0.0], [0.0, 0.0, 0.0]]


def test_a_row_that_is_taken_twice_gets_both_cotangents():
    index = (np.array([0, 2, 0]),)
    (x,) = gradients("take", np.zeros((3, 2)), index=index)
    assert x.tolist() == [[2.0, 2.0], [0.0, 0.0], [1.0, 1.0]]


def test_integers_have_no_gradient():
    base, exponent = gradients("pow", np.array([2.0, 3.0]), np.array([2, 3]))
    assert base.tolist() == [4.0, 27.0]
    assert exponent is None
    assert gradients("mul", np.array([2.0]), np.array([3]))[1] is None


def test_a_gradient_has_the_shape_of_its_input_whatever_is_broadcast():
    a, b = gradients("mul", np.ones((3, 1)), np.full((2, 1, 4), 5.0))
    assert a.tolist() == [[40.0]] * 3
    assert b.tolist() == [[[3.0] * 4]] * 2
    assert gradients("add", 1.0, np.ones((2, 2)))[0] == 4.0


def test_unbroadcast_sums_what_was_added_or_stretched():
    g = np.arange(24.0).reshape(2, 3, 4)
    assert unbroadcast(g, (2, 3, 4)) is g
    assert np.array_equal(unbroadcast(g, (3, 4)), g.sum(0))
    assert np.array_equal(unbroadcast(g, (3, 1)), g.sum((0, 2)).reshape(3, 1))
    assert np.array_equal(unbroadcast(g, (1, 1, 4)), g.sum((0, 1), keepdims=True))
    assert unbroadcast(g, ()) == g.sum()
    assert unbroadcast(np.zeros((0, 3)), (1, 3)).tolist() == [[0.0, 0.0, 0.0]]
    assert unbroadcast(np.zeros((0, 3)), (0, 1)).shape == (0, 1)


@pytest.mark.parametrize("shape", [(2,), (5, 2, 3), (2, 4)])
def test_unbroadcast_refuses_a_shape_that_does_not_fit(shape):
    with pytest.raises(ValueError, match=r"Expected a gradient whose shape .* broadcasts to, got \(2, 3\)"):
        unbroadcast(np.zeros((2, 3)), shape)


def test_a_primitive_without_a_rule_or_value_is_named():
    with pytest.raises(NoRuleError, match="'cholesky'"):
        backward("cholesky", np.ones(1), np.ones(1), (np.ones(1),), {})
    with pytest.raises(NoValueError, match="'random_bits'"):
        evaluate("random_bits", (np.ones(1),), {})


def test_a_rule_that_returns_too_few_gradients_is_named(monkeypatch):
    monkeypatch.setitem(RULES, "half", Rule("half", lambda g, y, a, b: (g,), frozenset()))
    with pytest.raises(ValueError, match="Expected 2 entries from the rule of 'half', got 1"):
        backward("half", np.ones(1), np.ones(1), (np.ones(1), np.ones(1)), {})


def test_no_warning_leaks_where_infinities_are_values():
    assert evaluate("log", (np.zeros(1),), {}).tolist() == [-np.inf]
    assert gradients("log", np.zeros(1))[0].tolist() == [np.inf]
    assert np.isnan(gradients("div", np.zeros(1), np.zeros(1))[1]).all()
