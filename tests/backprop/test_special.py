"""Special functions against closed forms and against SciPy's."""

import math

import numpy as np
import pytest
import scipy.special

from functional_nets.backprop import special
from functional_nets.backprop.values import evaluate

EULER = 0.5772156649015329
APERY = 1.2020569031595943


def assert_digits(found, expected, relative=4e-15, absolute=1e-15):
    np.testing.assert_allclose(found, expected, rtol=relative, atol=absolute)


def test_erf_inv_undoes_erf_to_the_last_digits():
    x = np.concatenate([np.linspace(-5, 5, 1001), np.geomspace(1e-300, 1, 101)])
    y = special.erf(x)
    slope = 2 / math.sqrt(math.pi) * np.exp(-x * x)
    error = np.abs(special.erf_inv(y) - x)
    # A last digit of erf(x) is worth 1 / slope of them in x.
    assert np.all(error <= 4e-16 * (np.abs(x) + np.abs(y) / slope))


def test_erf_inv_beyond_and_at_its_ends():
    assert special.erf_inv(np.array([1.0, -1.0, 0.0])).tolist() == [math.inf, -math.inf, 0.0]
    assert np.isnan(special.erf_inv(np.array([1.5, math.nan]))).all()


def test_erf_and_erfc_are_those_of_the_standard_library():
    assert special.erf(np.array([0.0, 0.5])).tolist() == [0.0, math.erf(0.5)]
    assert special.erfc(np.array([10.0])).tolist() == [math.erfc(10.0)]
    assert special.erf(np.zeros((0, 2))).shape == (0, 2)


def test_digamma_and_polygamma_have_their_closed_forms():
    assert_digits(special.digamma(np.array([1.0, 0.5])), [-EULER, -EULER - 2 * math.log(2)])
    assert_digits(special.polygamma(1, np.array([1.0, 0.5])), [math.pi**2 / 6, math.pi**2 / 2])
    assert_digits(special.polygamma(2, 1.0), -2 * APERY)
    assert_digits(special.polygamma(3, 1.0), math.pi**4 / 15)
    assert_digits(special.polygamma(0, 3.0), special.digamma(3.0))


@pytest.mark.parametrize("x", [np.linspace(0.01, 30, 500), np.geomspace(1e-8, 1e8, 200), -np.linspace(0.05, 9, 200)])
def test_gamma_functions_agree_with_scipy(x):
    assert_digits(special.lgamma(x), scipy.special.gammaln(x), 1e-13, 1e-14)
    assert_digits(special.digamma(x), scipy.special.digamma(x), 1e-11, 1e-13)
    for m in (1, 2, 3, 6):
        if (x > 0).all():
            assert_digits(special.polygamma(m, x), scipy.special.polygamma(m, x))


def test_the_recurrence_holds_left_of_zero():
    x = np.array([-0.3, -1.5, -7.75])
    assert_digits(special.digamma(x), special.digamma(x + 1) - 1 / x, 1e-13, 1e-14)
    assert_digits(special.polygamma(1, x), special.polygamma(1, x + 1) + 1 / x**2)


def test_poles_are_infinite_or_undefined():
    assert special.lgamma(np.array([0.0, -1.0])).tolist() == [math.inf, math.inf]
    assert np.isnan(special.digamma(np.array([0.0, -1.0]))).all()
    assert np.isnan(special.polygamma(-1, np.array([1.0]))).all()


def test_reduce_precision_rounds_like_the_type_of_that_size():
    x = np.concatenate([np.random.default_rng(0).normal(size=500) * 10.0 ** np.arange(-4, 6).repeat(50), [0.0, np.inf]])
    with np.errstate(over="ignore"):
        half = x.astype(np.float16).astype(float)
    normal = (np.abs(half) >= 2.0**-14) | (half == 0)
    found = evaluate("reduce_precision", (x,), {"exponent_bits": 5, "mantissa_bits": 10})
    assert np.array_equal(found[normal], half[normal])
    assert not found[~normal].any()
    assert np.array_equal(evaluate("reduce_precision", (x,), {"exponent_bits": 11, "mantissa_bits": 52}), x)
