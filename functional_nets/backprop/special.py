"""Special functions that NumPy lacks, in float64, to a few units in the last place."""

import math
from typing import Any

import numpy as np

from functional_nets.backprop.primitive import primitive

_erf, _erfc, _lgamma = (np.frompyfunc(f, 1, 1) for f in (math.erf, math.erfc, math.lgamma))


def _real(elementwise: np.ufunc, x: Any) -> np.ndarray:
    return np.asarray(elementwise(np.asarray(x, float)), float)


@primitive
def erf(x: Any) -> np.ndarray:
    """Return the error function."""
    return _real(_erf, x)


@primitive
def erfc(x: Any) -> np.ndarray:
    """Return 1 - erf(x), accurate where it is tiny."""
    return _real(_erfc, x)


@primitive
@np.errstate(all="ignore")
def erf_inv(x: Any) -> np.ndarray:
    """Return the inverse of `erf`: ±inf at ±1, NaN beyond.

    Winitzki's approximation, then Halley's method: the error is about cubed by each step. Near 1 it solves
    erfc(y) = 1 - x, which loses nothing, for 1 - x is exact from one half on.
    """
    x = np.asarray(x, float)
    inner = np.where(np.abs(x) < 1, x, 0.0)
    small = np.abs(inner) < 0.5
    log = np.log1p(-inner * inner)
    half = 2 / (math.pi * 0.147) + log / 2
    y = np.sqrt(np.sqrt(half * half - log / 0.147) - half)
    for _ in range(3):
        error = np.where(small, erf(y) - np.abs(inner), (1 - np.abs(inner)) - erfc(y))
        newton = error * (math.sqrt(math.pi) / 2) * np.exp(y * y)
        y = y - newton / (1 + y * newton)
    beyond = np.where(np.abs(x) == 1, x * math.inf, math.nan)
    return np.where(np.abs(x) < 1, np.copysign(y, x), beyond)


@primitive
def lgamma(x: Any) -> np.ndarray:
    """Return log|Γ(x)|; it is +inf at 0, -1, -2 and so on."""
    x = np.asarray(x, float)
    pole = (x <= 0) & (x == np.floor(x))
    return np.where(pole, math.inf, _real(_lgamma, np.where(pole, 1.0, x)))


# B₂, B₄, …: the Bernoulli numbers of the asymptotic series below.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


@primitive
@np.errstate(all="ignore")
def digamma(x: Any) -> np.ndarray:
    """Return the derivative of `lgamma`; it is NaN at 0, -1, -2 and so on.

    The asymptotic series from 10 on; the recurrence ψ(x) = ψ(x + 1) - 1/x up to there; left of 1/2 the
    reflection ψ(1 - x) - ψ(x) = π cot πx (Abramowitz and Stegun, 6.3).
    """
    x = np.asarray(x, float)
    left = x < 0.5
    z = np.where(left, 1 - x, x)
    total = np.zeros_like(z)
    for _ in range(10):
        low = z < 10
        total -= np.where(low, 1 / z, 0.0)
        z = np.where(low, z + 1, z)
    series = sum(b / (2 * k * z ** (2 * k)) for k, b in enumerate(_BERNOULLI, 1))
    value = total + np.log(z) - 1 / (2 * z) - series
    # cot(πx) from the distance to the nearest integer, which is exact, keeps its digits far from zero.
    reflected = value - math.pi / np.tan(math.pi * (x - np.round(x)))
    pole = (x <= 0) & (x == np.floor(x))
    return np.where(pole, math.nan, np.where(left, reflected, value))


@primitive
@np.errstate(all="ignore")
def polygamma(m: Any, x: Any) -> np.ndarray:
    """Return the m-th derivative of `digamma`, m = 0, 1, 2, …: from 1 on, (-1)^(m+1) m! ζ(m + 1, x).

    The Hurwitz zeta function ζ(s, x) = Σ (x + k)^(-s) by the Euler-Maclaurin formula; NaN left of -1000,
    where the sum is too long.
    """
    m, x = np.broadcast_arrays(np.asarray(m, float), np.asarray(x, float))
    s = m + 1
    terms = 10 + math.ceil(min(1000.0, max(0.0, -np.min(x, initial=0.0))))
    total = sum((x + k) ** -s for k in range(terms))
    z = x + terms
    total = total + z ** (1 - s) / (s - 1) + z**-s / 2
    rising = s / z ** (s + 1)  # s(s + 1)…(s + 2k - 2) / z^(s + 2k - 1)
    for k, b in enumerate(_BERNOULLI, 1):
        total = total + b / math.factorial(2 * k) * rising
        rising = rising * (s + 2 * k - 1) * (s + 2 * k) / z**2
    value = np.where(m % 2 == 1, 1.0, -1.0) * np.exp(lgamma(s)) * total
    known = (m >= 1) & (m == np.floor(m)) & (z >= 10)
    return np.where(m == 0, digamma(x), np.where(known, value, math.nan))


@primitive
def reduce_precision(x: Any, *, exponent_bits: int, mantissa_bits: int) -> np.ndarray:
    """Round to a binary format of so many bits: ties to even, overflow to infinity, subnormals to zero."""
    mantissa, exponent = np.frexp(x)
    rounded = np.ldexp(np.round(np.ldexp(mantissa, mantissa_bits + 1)), exponent - mantissa_bits - 1)
    largest = 2.0 ** (2 ** (exponent_bits - 1) - 1) * (2 - 2.0**-mantissa_bits)
    smallest = 2.0 ** (2 - 2 ** (exponent_bits - 1))
    rounded = np.where(np.abs(rounded) > largest, np.copysign(math.inf, x), rounded)
    return np.where(np.abs(rounded) < smallest, np.copysign(0.0, x), rounded)
