"""The values of elementwise primitives."""

from typing import Any

import numpy as np

from functional_nets.backprop import special
from functional_nets.backprop.values.table import value


def divide(a: Any, b: Any) -> Any:
    """Return a / b; integers are rounded towards zero."""
    if a.dtype.kind not in "iu":
        return a / b
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def rounded(x: Any, *, rounding_method: Any) -> Any:
    """Round to the nearest integer: ties to even, or away from zero."""
    if getattr(rounding_method, "name", "") == "TO_NEAREST_EVEN":
        return np.round(x)
    whole = np.trunc(x)
    return whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0)


def select_n(which: Any, *cases: Any) -> Any:
    """Return for each element that of the case which `which` numbers."""
    chosen = cases[0]
    for k, case in enumerate(cases[1:], 1):
        chosen = np.where(which == k, case, chosen)
    return chosen


def polynomial(x: Any, *coefficients: Any) -> Any:
    """Return c₀ + c₁ x + c₂ x² + … by Horner's rule."""
    total = np.broadcast_to(coefficients[-1], np.broadcast_shapes(x.shape, *(c.shape for c in coefficients)))
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def total_order(x: Any) -> Any:
    """Return integers in the order that sorting gives floats, where -0 < 0 and NaN comes last."""
    if x.dtype.kind != "f":
        return x
    bits = x.view(np.int64)
    return np.where(bits < 0, bits ^ np.iinfo(np.int64).max, bits)


def shift_right_logical(a: Any, b: Any) -> Any:
    """Shift zeros in."""
    unsigned = f"u{a.dtype.itemsize}"
    return np.right_shift(a.view(unsigned), b.view(unsigned)).view(a.dtype)


def shift_right_arithmetic(a: Any, b: Any) -> Any:
    """Shift copies of the sign in."""
    signed = f"i{a.dtype.itemsize}"
    return np.right_shift(a.view(signed), b.view(signed)).view(a.dtype)


def leading_zeros(x: Any) -> Any:
    """Count the zeros before the first one bit."""
    bits = x.dtype.itemsize * 8
    unsigned = x.view(f"u{x.dtype.itemsize}")
    return sum((unsigned >> k) == 0 for k in range(bits)).astype(x.dtype)


# fmt: off
for name, ufunc in {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "rem": np.fmod, "pow": np.power,
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square, "sqrt": np.sqrt, "cbrt": np.cbrt,
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log1p": np.log1p,
    "logaddexp": np.logaddexp, "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2, "sinh": np.sinh,
    "cosh": np.cosh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "max": np.maximum, "min": np.minimum, "floor": np.floor, "ceil": np.ceil, "nextafter": np.nextafter,
    "is_finite": np.isfinite, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "not": np.invert, "shift_left": np.left_shift,
}.items():
    value(name, ufunc)

value("div",         divide)
value("integer_pow", lambda x, *, y: np.power(x, y))
value("rsqrt",       lambda x: 1 / np.sqrt(x))
value("logistic",    lambda x: 1 / (1 + np.exp(-x)))
value("erf",         special.erf)
value("erfc",        special.erfc)
value("erf_inv",     special.erf_inv)
value("lgamma",      special.lgamma)
value("digamma",     special.digamma)
value("polygamma",   special.polygamma)
value("clamp",       lambda low, x, high: np.minimum(np.maximum(x, low), high))
value("select_n",    select_n)
value("round",       rounded)
value("one_minus_square", lambda x: (1 - x) * (1 + x))
value("polynomial",  polynomial)
value("eq_to",       lambda a, b: total_order(a) == total_order(b))
value("le_to",       lambda a, b: total_order(a) <= total_order(b))
value("lt_to",       lambda a, b: total_order(a) < total_order(b))
value("real",        np.real)
value("imag",        np.imag)
value("complex",     lambda a, b: a + 1j * b)
value("conj",        lambda z: np.conj(z) + 0j)

value("shift_right_logical",    shift_right_logical)
value("shift_right_arithmetic", shift_right_arithmetic)
value("population_count",       lambda x: np.bitwise_count(x.view(f"u{x.dtype.itemsize}")).astype(x.dtype))
value("clz",                    leading_zeros)
# fmt: on
