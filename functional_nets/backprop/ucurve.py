"""The U-curve: differences of a function along a line, for one step after another."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.packing import Packed, Tree

Function = Callable[[Any], Any]

EPSILON = float(np.finfo(np.float64).eps)


class Line:
    """A function along a direction: h ↦ f(x + h d)."""

    def __init__(self, f: Function, params: Tree, direction: Tree):
        self.f, self.packed = f, Packed(params)
        self.x = self.packed.vector
        if direction is None and self.x.size != 1:
            raise ValueError(f"Expected a direction for {self.x.size} parameters, got none: see random_direction.")
        self.d = np.ones(1) if direction is None else self.packed.pack(direction, "direction")
        self.value = self(0.0)

    def along(self, d: np.ndarray) -> Callable[[float], float]:
        """Return the function along another direction."""
        return lambda step: self._evaluate(self.x + step * d)

    def __call__(self, step: float, finite: bool = True) -> float:
        """Return f(x + step · d), which must be finite if `finite`."""
        value = self._evaluate(self.x + step * self.d)
        if finite and not math.isfinite(value):
            where = "the parameters" if step == 0 else f"the step {step:g}"
            raise ValueError(f"Expected a finite value of f at {where}, got {value}.")
        return value

    def _evaluate(self, x: np.ndarray) -> float:
        with np.errstate(all="ignore"):  # A step may be large enough to overflow; it is then not used.
            value = np.asarray(self.f(self.packed.unpack(x)))
        if value.shape != () or value.dtype.kind not in "fiu":
            raise TypeError(f"Expected a real scalar from f, got {value.dtype} of shape {value.shape}: sum it first.")
        return float(value)


@dataclass(frozen=True)
class Kink:
    """An element in which the function has one slope to the left and another to the right."""

    path: str
    index: tuple[int, ...]
    left: float
    right: float


class Sweep(NamedTuple):
    """Central differences for steps that shrink by four, and how far each is from its neighbours.

    `left` and `right` are the one-sided slopes; `rounding` is what the rounding of `f` alone makes of a
    slope. An error is infinite where a value was not finite.
    """

    steps: np.ndarray
    slopes: np.ndarray
    errors: np.ndarray
    left: np.ndarray
    right: np.ndarray
    rounding: np.ndarray


def sweep(f: Function, params: Tree, direction: Tree = None, steps: Sequence[float] | None = None) -> Sweep:
    """Return the differences along one direction for steps that shrink by four: the U-curve."""
    line = Line(f, params, direction)
    if steps is None:
        # From a quarter of the parameters' size down to where rounding leaves a few digits.
        size = math.sqrt(float(line.x @ line.x)) or 1.0
        scale = size / (math.sqrt(float(line.d @ line.d)) or 1.0)
        steps = [scale * 4.0**-k for k in range(1, 19)]
    h = np.asarray(steps, float)
    ahead, behind = (np.array([line(sign * step, finite=False) for step in h]) for sign in (1, -1))
    with np.errstate(all="ignore"):
        right, left = (ahead - line.value) / h, (line.value - behind) / h
        slopes = (right + left) / 2
        better = extrapolated(slopes)
        # An estimate is as good as its worse neighbour says, and no better than rounding allows.
        apart = np.abs(np.diff(better, prepend=np.nan))
        rounding = 4 * _resolution(np.array([line.value, *ahead, *behind])) / h
        errors = np.maximum(apart, np.append(apart[1:], np.nan)) + rounding
    return Sweep(h, slopes, np.where(np.isfinite(errors), errors, np.inf), left, right, rounding)


def find_kink(f: Function, params: Tree, direction: Tree, step: float) -> Kink | None:
    """Return an element in which the one-sided slopes differ, by halving the direction again and again."""
    line = Line(f, params, direction)
    support = np.flatnonzero(line.d)

    def slopes(places: np.ndarray) -> tuple[float, float]:
        part = line.along(np.where(np.isin(np.arange(line.d.size), places), line.d, 0.0))
        return (line.value - part(-step)) / step, (part(step) - line.value) / step

    noise = 16 * EPSILON * abs(line.value) / step
    while support.size > 1:
        halves = np.array_split(support, 2)
        jumps = [abs(right - left) for left, right in map(slopes, halves)]
        if max(jumps) <= noise:
            return None
        support = halves[int(np.argmax(jumps))]
    left, right = slopes(support)
    if support.size == 0 or abs(right - left) <= noise:
        return None
    element = int(support[0])
    sides = left / line.d[element], right / line.d[element]
    return Kink(*line.packed.place(element), *(sides if line.d[element] > 0 else sides[::-1]))


def _resolution(values: np.ndarray) -> float:
    """Return the rounding error of the first value, by the digits that all have: a bfloat16's or more."""
    values = values[np.isfinite(values)]
    if np.all(values == values[0]):
        return 0.0  # A constant: nothing is rounded away, however few digits it has.
    mantissas, _ = np.frexp(values)
    digits = next((d for d in (8, 11, 24) if np.all(np.ldexp(mantissas, d) % 1 == 0)), 53)
    return abs(float(values[0])) * 2.0 ** (1 - digits)


def extrapolated(slopes: np.ndarray) -> np.ndarray:
    """Richardson: (16 c(h/4) - c(h)) / 15 has no error of order h² left."""
    with np.errstate(all="ignore"):
        return np.append((16 * slopes[1:] - slopes[:-1]) / 15, np.nan)


def kinked(curve: Sweep, first: int, allowed: float) -> int | None:
    """Return a step, from the `first` on, about which the one-sided slopes stay apart by the same; or None.

    For a smooth function they approach each other with the step.
    """
    with np.errstate(all="ignore"):
        jumps = np.abs(curve.right - curve.left)
        known = jumps > np.maximum(allowed, 4 * curve.errors)
        steady = known[1:] & known[:-1] & (np.abs(np.log(jumps[1:] / jumps[:-1])) < 0.35)
    triples = [k + 1 for k in range(first, steady.size - 1) if steady[k] and steady[k + 1]]
    return min(triples, key=lambda k: float(curve.errors[k]), default=None)


def taylor_order(curve: Sweep, analytic: float) -> float:
    """Return the exponent with which f(x + h d) - f(x) - h · analytic shrinks, the median over steps."""
    remainders = np.abs(curve.right - analytic) * curve.steps
    noise = 25 * curve.rounding * curve.steps + 100 * EPSILON * np.abs(curve.right * curve.steps)
    with np.errstate(all="ignore"):
        seen = np.isfinite(remainders) & (remainders > noise)
        rates = np.log(remainders[:-1] / remainders[1:]) / math.log(4)
    rates = rates[seen[:-1] & seen[1:]]
    # The rate is that of small steps: the last ones above the noise.
    return float(np.median(rates[-3:])) if rates.size else math.nan
