"""Kinks: where a function has a slope on either side, and any gradient between them is right."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Evaluate = Callable[[Any], Any]  # What is differentiated, of one array; if it is an array, its sum is.

STEP = 1e-7
APART = 1e-4  # Slopes that differ by less, relative to the largest gradient, are one slope, measured.
MOST = 400  # Elements of a leaf that are looked at one by one.


def between(evaluate: Evaluate, x: Any, given: Any, reference: Any, tolerance: float) -> bool:
    """Whether the gradient at x differs from the reference only where a kink leaves a choice.

    At each element that differs the slopes on both sides must differ, and the gradient must lie between them:
    along the element, along all that differ together, and along random directions of them. The last two tell a
    maximum's tie, shared out, from one given whole to each.
    """
    given, reference = np.asarray(given, np.float64), np.asarray(reference, np.float64)
    off = np.argwhere(~(np.abs(given - reference) <= tolerance))
    if not 0 < len(off) <= MOST or not np.all(np.isfinite(given)):
        return False
    scale = max(float(np.max(np.abs(given))), float(np.max(np.abs(reference))))
    x = np.asarray(x, np.float64)
    here = np.asarray(evaluate(x))

    def sides(direction: Any) -> tuple[float, float]:
        step = STEP * max(1.0, float(np.max(np.abs(x), initial=0.0)))
        right, left = (sign * (np.asarray(evaluate(x + sign * step * direction)) - here) / step for sign in (1.0, -1.0))
        return float(np.sum(np.minimum(left, right))), float(np.sum(np.maximum(left, right)))

    for index in off:
        direction = np.zeros(given.shape)
        direction[tuple(index)] = 1.0
        low, high = sides(direction)
        if high - low <= APART * scale or not low - APART * scale <= given[tuple(index)] <= high + APART * scale:
            return False
    random = np.random.default_rng(3)
    where = np.zeros(given.shape, bool)
    where[tuple(off.T)] = True
    if here.size == 1:
        return True  # Of a single number's slopes those of several kinks together say nothing: they may cancel.
    trials: Sequence[Any] = [np.ones(given.shape), where * 1.0]
    trials = [*trials, *(where * random.choice([-1.0, 1.0], given.shape) for _ in range(6))]
    for direction in trials:
        low, high = sides(direction)
        slope = float(np.vdot(given, direction))
        room = APART * scale * np.sqrt(given.size)
        if not low - room <= slope <= high + room:
            return False
    return True


def agrees(evaluate: Evaluate, x: Any, gradient: Any) -> bool:
    """Whether a gradient has the slope that the code itself has along a random direction, wherever it has one."""
    x = np.asarray(x, np.float64)
    size = max(1.0, float(np.max(np.abs(x), initial=0.0)))
    direction = np.random.default_rng(11).standard_normal(x.shape)

    def total(value: Any) -> float:
        return float(np.sum(evaluate(value)))

    here = total(x)
    slopes, sides = [], []
    for step in (1e-4, 1e-6):
        above, below = (total(x + sign * step * size * direction) for sign in (1.0, -1.0))
        slopes.append((above - below) / (2 * step * size))
        sides.append((above - 2 * here + below) / (step * size))
    noise = 1e-9 * max(abs(here), 1e-300) / size
    expected = float(np.vdot(gradient, direction))
    largest = max(abs(slope) for slope in (*slopes, expected))
    if max(abs(slopes[0] - slopes[1]), abs(sides[1])) > 1e-3 * largest + noise:
        return True  # A kink is near: the measurement says nothing.
    return abs(expected - slopes[1]) <= 1e-2 * largest + noise
