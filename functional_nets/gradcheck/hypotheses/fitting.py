"""Numbers that are read off the gradient given, where guessing them would take a list of all numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence

STEPS = 8
WIDTH = 1e-5  # Of the difference that stands for a slope; the last steps correct what it gets wrong.


def fitted(
    evidence: Evidence, gradient_at: Callable[[np.ndarray], Sequence[Any]], start: Sequence[float]
) -> np.ndarray | None:
    """Returns the numbers for which a gradient becomes the one given, found by Gauss and Newton's method, or None.

    Args:
        evidence: What is compared.
        gradient_at: The whole gradient, as a function of the numbers.
        start: Where to begin; there, the gradient is usually the right one.
    """
    theta = np.array(start, float)
    off = _off(evidence, gradient_at(theta))
    if off.size < theta.size + 2:
        return None  # So few numbers fit anything.
    first = size = float(np.linalg.norm(off))
    for step in range(STEPS):
        columns = [(_off(evidence, gradient_at(theta + move)) - off) / np.sum(move) for move in _moves(theta)]
        slopes = np.stack(columns, axis=1)
        if not np.all(np.isfinite(slopes)) or not np.any(slopes):
            return None
        theta = theta - np.linalg.lstsq(slopes, off, rcond=1e-10)[0]
        found = gradient_at(theta)
        off = _off(evidence, found)
        before, size = size, float(np.linalg.norm(off))
        if not np.isfinite(size) or (step == 1 and size > 0.3 * first) or size > 4 * before:
            return None
        if evidence.reproduces(found) and size >= 0.1 * before:
            break
        if size <= 1e-14 * first:
            break
    return theta if evidence.reproduces(gradient_at(theta)) else None


def _moves(theta: np.ndarray) -> np.ndarray:
    return np.diag(WIDTH * np.maximum(np.abs(theta), 1e-3))


def _off(evidence: Evidence, found: Sequence[Any]) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.concatenate(
            [((found[leaf] - evidence.given[leaf]) / evidence.scales[leaf]).ravel() for leaf in evidence.compared]
        )


def simple(number: float, others: Sequence[float] = (), rounding: float = 0.0) -> tuple[float, bool]:
    """Returns the number that a person would have written, and whether there is one.

    Args:
        number: What was solved for.
        others: Numbers that the person had at hand.
        rounding: The relative error of the gradient that it was solved from.
    """
    room = max(1e-6, 32 * rounding)
    nearest = [0.0, *others, *(sign * other for other in others for sign in (-1, 0.5, 2))]
    nearest += [round(number), round(2 * number) / 2, float(f"{number:.2g}")]
    for candidate in nearest:
        if (
            abs(number - candidate) <= room * max(abs(number), abs(candidate))
            or abs(number - candidate) < 1e-12 + room - 1e-6
        ):
            return float(candidate), True
    return number, False
