"""Elementwise primitives: the derivative, times the cotangent."""

import math
from typing import Any

import numpy as np

from functional_nets.backprop.rules.table import rule
from functional_nets.backprop.special import digamma, polygamma


def larger(a: Any, b: Any) -> Any:
    """Return 1 where a > b, 0 where a < b, and one half where they tie: each gets half of the gradient."""
    return np.where(a == b, 0.5, a > b)


def zero_to_one(x: Any) -> Any:
    """Return x, with 1 in place of 0."""
    return np.where(x == 0, 1, x)


def power_of_base(g: Any, a: Any, b: Any) -> Any:
    """Return the gradient b a^(b-1) of the base; an integer exponent 0 gives 0 even at a = 0."""
    if b.dtype.kind == "f":
        return g * b * a ** (b - 1)
    return np.where(b == 0, 0, g * zero_to_one(b) * a ** (b - 1))


def sign(g: Any, y: Any, x: Any) -> tuple[Any]:
    """Return no gradient: a step is flat almost everywhere; but the sign x / |x| of a complex x turns with it."""
    if x.dtype.kind != "c":
        return (None,)
    across = g - np.real(g * y) * np.conj(y)  # What moves x along itself leaves its sign alone.
    return (np.where(x == 0, 0, across / zero_to_one(np.real(x * np.conj(y)))),)


def direction(x: Any, y: Any) -> Any:
    """Return the derivative of y = |x|: at 0 that on the right, as in JAX; conj(x) / y for a complex x."""
    return np.conj(x) / zero_to_one(y) if x.dtype.kind == "c" else np.where(x >= 0, 1.0, -1.0)


# fmt: off
# Arithmetic. An integer exponent is a param of integer_pow, whose name in JAX is `y`.
rule("add",         lambda g, y, a, b: (g, g))
rule("add_any",     lambda g, y, a, b: (g, g))
rule("sub",         lambda g, y, a, b: (g, -g))
rule("mul",         lambda g, y, a, b: (g * b, g * a))
rule("div",         lambda g, y, a, b: (g / b, -g * a / (b * b)))
rule("rem",         lambda g, y, a, b: (g, -g * np.trunc(a / b)))
rule("pow",         lambda g, y, a, b: (power_of_base(g, a, b), g * y * np.log(zero_to_one(a))))
rule("integer_pow", lambda g, out, x, *, y: (g * y * x ** (y - 1) if y else 0 * g,))
rule("neg",         lambda g, y, x: (-g,))
rule("abs",         lambda g, y, x: (g * direction(x, y),))
rule("sign",        sign)
rule("square",      lambda g, y, x: (g * 2 * x,))
rule("sqrt",        lambda g, y, x: (g / (2 * y),))
rule("rsqrt",       lambda g, y, x: (-g * y / (2 * x),))
rule("cbrt",        lambda g, y, x: (g / (3 * y * y),))

# Exponentials and logarithms.
rule("exp",         lambda g, y, x: (g * y,))
rule("exp2",        lambda g, y, x: (g * y * math.log(2),))
rule("expm1",       lambda g, y, x: (g * (y + 1),))
rule("log",         lambda g, y, x: (g / x,))
rule("log2",        lambda g, y, x: (g / (x * math.log(2)),))
rule("log1p",       lambda g, y, x: (g / (1 + x),))

# Activations. 1 - y² as a product keeps its digits where y is near 1.
rule("logistic",    lambda g, y, x: (g * y * (1 - y),))
rule("tanh",        lambda g, y, x: (g * (1 - y) * (1 + y),))
rule("erf",         lambda g, y, x: (g * 2 / math.sqrt(math.pi) * np.exp(-x * x),))
rule("erfc",        lambda g, y, x: (-g * 2 / math.sqrt(math.pi) * np.exp(-x * x),))
rule("erf_inv",     lambda g, y, x: (g * math.sqrt(math.pi) / 2 * np.exp(y * y),))
rule("lgamma",      lambda g, y, x: (g * digamma(x),))
rule("digamma",     lambda g, y, x: (g * polygamma(1.0, x),))
rule("polygamma",   lambda g, y, m, x: (None, g * polygamma(m + 1, x)))  # The order m is an integer.

# Trigonometry.
rule("sin",         lambda g, y, x: (g * np.cos(x),))
rule("cos",         lambda g, y, x: (-g * np.sin(x),))
rule("tan",         lambda g, y, x: (g * (1 + y * y),))
rule("asin",        lambda g, y, x: (g / np.sqrt((1 - x) * (1 + x)),))
rule("acos",        lambda g, y, x: (-g / np.sqrt((1 - x) * (1 + x)),))
rule("atan",        lambda g, y, x: (g / (1 + x * x),))
rule("atan2",       lambda g, y, a, b: (g * b / (a * a + b * b), -g * a / (a * a + b * b)))
rule("sinh",        lambda g, y, x: (g * np.cosh(x),))
rule("cosh",        lambda g, y, x: (g * np.sinh(x),))
rule("asinh",       lambda g, y, x: (g / np.sqrt(x * x + 1),))
rule("acosh",       lambda g, y, x: (g / np.sqrt(x * x - 1),))
rule("atanh",       lambda g, y, x: (g / ((1 - x) * (1 + x)),))

# Choices. A tie of `max` and `min` is split; `clamp` passes nothing where it touches a bound.
rule("max",         lambda g, y, a, b: (g * larger(a, b), g * larger(b, a)))
rule("min",         lambda g, y, a, b: (g * larger(b, a), g * larger(a, b)))
rule("clamp",       lambda g, y, low, x, high: (
                        np.where((low > x) & (low < high), g, 0),
                        np.where((x > low) & (x < high), g, 0),
                        np.where(high < x, g, 0)))
rule("select_n",    lambda g, y, which, *cases: (
                        None, *(np.where(which == k, g, 0) for k in range(len(cases)))))

# Polynomials c₀ + c₁ x + c₂ x² + …, and 1 - x².
rule("one_minus_square", lambda g, y, x: (-g * 2 * x,))
rule("polynomial",  lambda g, y, x, *c: (
                        g * sum(k * c[k] * x ** (k - 1) for k in range(1, len(c))),
                        *(g * x**k for k in range(len(c)))))

# Complex numbers, with JAX's convention: the cotangent of a + ib is ∂/∂a - i ∂/∂b.
rule("real",        lambda g, y, z: (g + 0j,))
rule("imag",        lambda g, y, z: (g * -1j,))
rule("complex",     lambda g, y, a, b: (np.real(g), -np.imag(g)))
rule("conj",        lambda g, y, z: (np.conj(g) if z.dtype.kind == "c" else np.real(g),))
# fmt: on
