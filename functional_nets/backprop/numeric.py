"""Derivatives from differences of values: the witness that needs no rule, only the function.

Everything is in float64. Along a direction a derivative takes two evaluations, whatever the number of
parameters; `directional_check` tries many steps, and tells a wrong gradient from differences that cannot say:

    error of a central difference  ≈  h² f‴ / 6  +  ε |f| / h        a U over the step h

Parameters are a number, an array, or dicts, lists and tuples of them, at will one within another.
"""

import math
from typing import NamedTuple

import numpy as np

from functional_nets.backprop.packing import Packed, Tree
from functional_nets.backprop.ucurve import (
    EPSILON,
    Function,
    Kink,
    Line,
    Sweep,
    extrapolated,
    find_kink,
    kinked,
    sweep,
    taylor_order,
)

__all__ = [
    "central", "complex_step", "gradient", "random_direction", "directional_check", "DirectionalResult",
    "sweep", "Sweep", "find_kink", "Kink",
]  # fmt: skip


class DirectionalResult(NamedTuple):
    """A gradient along one direction against differences.

    Attributes:
        analytic: The given gradient times the direction.
        numeric: The derivative that differences give, extrapolated to the step zero.
        error: How far `numeric` may be off, as neighbouring steps differ.
        step: The step at which it is best known.
        order: How f(x + h d) - f(x) - h · analytic shrinks: 2 for a right gradient, 1 for a wrong one, NaN
            where rounding hides it, as for a linear function.
        verdict: `agrees`, `differs`, `too_noisy` where differences cannot tell, or `kink` where the gradient
            lies between two one-sided slopes.
        kink: One element in which the slopes differ, where there is a kink.
        sweep: The U-curve.
    """

    analytic: float
    numeric: float
    error: float
    step: float
    order: float
    verdict: str
    kink: Kink | None
    sweep: Sweep


def central(f: Function, params: Tree, direction: Tree = None, step: float = 1e-5) -> float:
    """Return (f(x + h d) - f(x - h d)) / 2h; for a single number the direction may be left out."""
    line = Line(f, params, direction)
    return (line(step) - line(-step)) / (2 * step)


def complex_step(f: Function, params: Tree, direction: Tree = None, step: float = 1e-30) -> float:
    """Return Im f(x + i h d) / h: nothing is subtracted, so the step can be tiny, and all digits are right.

    For functions that are made of analytic ones. Where `f` takes an absolute value, a maximum or a real part,
    the imaginary part is lost: `central` is the way then.

    Raises:
        TypeError: `f` returned no complex number.
    """
    line = Line(f, params, direction)
    value = np.asarray(line.f(line.packed.unpack(line.x + 1j * step * line.d)))
    if value.shape != () or value.dtype.kind != "c":
        raise TypeError(
            f"Expected a complex scalar from f at complex parameters, got {value.dtype} of {value.shape}: "
            "use central, if f drops the imaginary part."
        )
    return float(value.imag) / step


def gradient(f: Function, params: Tree, method: str = "central") -> Tree:
    """Return the gradient, one coordinate after another, as a tree like `params`.

    Args:
        f: A function of `params` that returns a scalar.
        params: Where.
        method: `central`, two evaluations a coordinate and about 10 right digits; or `complex`, one and all
            digits, for functions that allow it (see `complex_step`).
    """
    if method not in ("central", "complex"):
        raise ValueError(f"Expected the method 'central' or 'complex', got {method!r}.")
    packed = Packed(params)
    slopes = np.zeros_like(packed.vector)
    for i, x in enumerate(packed.vector):
        along = packed.unpack(np.eye(1, packed.vector.size, i)[0])
        if method == "complex":
            slopes[i] = complex_step(f, params, along)
        else:
            slopes[i] = central(f, params, along, EPSILON ** (1 / 3) * max(1.0, abs(x)))
    return packed.unpack(slopes)


def random_direction(params: Tree, seed: int = 0) -> Tree:
    """Return normal numbers like `params`, each leaf in the scale of its own numbers, 1 if all are zero."""
    packed = Packed(params)
    direction = np.random.default_rng(seed).normal(size=packed.vector.size)
    for leaf in packed.slices:
        part = packed.vector[leaf]
        direction[leaf] *= math.sqrt(float(np.mean(part**2))) or 1.0 if part.size else 1.0
    return packed.unpack(direction)


def directional_check(
    f: Function, params: Tree, grads: Tree, direction: Tree = None, *, tolerance: float = 1e-6, seed: int = 0
) -> DirectionalResult:
    """Compare a gradient with differences along one direction.

    Args:
        f: A function of `params` that returns a scalar.
        params: Where, in float64 or less.
        grads: The gradient that is claimed, a tree like `params`.
        direction: A tree like `params`; left out, a random one.
        tolerance: The relative error that is to be seen; relative to the root of the sum of squares over the
            coordinates at least, so that a direction along which they cancel is no worse than another.
        seed: Of the random direction.

    Raises:
        TypeError: A parameter is no float, or `f` returns no real scalar.
        ValueError: A shape does not fit, or a parameter or f(params) is not finite.
    """
    direction = random_direction(params, seed) if direction is None else direction
    line = Line(f, params, direction)
    given = line.packed.pack(grads, "gradient")
    analytic = float(given @ line.d)
    typical = math.sqrt(float(np.sum((given * line.d) ** 2)))

    curve = sweep(f, params, direction)
    best = int(np.argmin(curve.errors))
    numeric, error, step = (float(each[best]) for each in (extrapolated(curve.slopes), curve.errors, curve.steps))
    allowed = tolerance * max(abs(analytic), abs(numeric) if math.isfinite(numeric) else 0.0, typical)
    difference = abs(analytic - numeric)
    kink = None
    if error <= allowed and difference <= allowed + error:
        verdict = "agrees"
    # A kink that is far, so that smaller steps are conclusive, is no excuse.
    elif (at := kinked(curve, best if error <= allowed else 0, allowed)) is not None:
        low, high = sorted((float(curve.left[at]), float(curve.right[at])))
        margin = allowed + float(curve.errors[at])
        verdict = "kink" if low - margin <= analytic <= high + margin else "differs"
        kink = find_kink(f, params, direction, float(curve.steps[at])) if verdict == "kink" else None
    elif not math.isfinite(difference) or difference <= 10 * error:
        verdict = "too_noisy"
    else:
        verdict = "differs"
    return DirectionalResult(analytic, numeric, error, step, taylor_order(curve, analytic), verdict, kink, curve)
