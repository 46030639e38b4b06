"""Parallel coordinates as SVG text: an upright axis for each option and for the accuracy, a line for each trial."""

import html
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from functional_nets.report.chart import log_ticks, ticks

Value = str | int | float

WIDTH, TOP, BOTTOM, HEIGHT = 800, 64, 330, 372
LEFT, RIGHT = 70, 140
DIVERGED = BOTTOM + 22
LABELLED = 3
LABEL_STEP = 16.0
FAN = 9.0  # Half the height over which the lines through one value of a list are spread, to be told apart.
ACCURACIES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)


class Dimension(NamedTuple):
    """An option that trials differ in.

    Attributes:
        name: What its axis is called.
        ends: The ends of an interval; None for a list.
        log: Whether the interval's values stand by their logarithms.
        choices: The values of a list, the first at the bottom.
    """

    name: str
    ends: tuple[float, float] | None = None
    log: bool = False
    choices: tuple[str, ...] = ()


class Path(NamedTuple):
    """A trial.

    Attributes:
        name: What it is called.
        values: Its value on each dimension.
        accuracy: From 0 to 1; None if it has diverged.
        stopped: Whether it was stopped before its end.
    """

    name: str
    values: Sequence[Value]
    accuracy: float | None
    stopped: bool = False


class _Axis(NamedTuple):
    """Where an axis stands, what is written along it, and from its values to heights."""

    title: str
    x: float
    marks: list[tuple[float, str]]
    place: Callable[[Value], float]


def parallel_coordinates(title: str, dimensions: Sequence[Dimension], paths: Sequence[Path]) -> str:
    """Returns an SVG element.

    Args:
        title: What it shows.
        dimensions: The axes, from left to right.
        paths: The trials, the best first; these are drawn over the others, and the first three are labelled.
    """
    accuracy = _accuracy_axis([path.accuracy for path in paths if path.accuracy is not None])
    gap = (WIDTH - LEFT - RIGHT) / len(dimensions)
    axes = [_axis(dimension, LEFT + gap * number) for number, dimension in enumerate(dimensions)]
    heights = [
        _heights(axis, [path.values[number] for path in paths], dimensions[number].ends is None)
        for number, axis in enumerate(axes)
    ]
    lines = [_line(axes, [each[rank] for each in heights], accuracy, path, rank) for rank, path in enumerate(paths)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="12" '
        'font-family="system-ui, sans-serif" class="chart" style="min-width:40rem">'
        f"<title>{html.escape(title)}</title><desc>{html.escape(_in_words(dimensions, paths))}</desc>"
        f"{''.join(reversed(lines))}{''.join(map(_drawn, [*axes, accuracy]))}{_labels(accuracy, paths)}</svg>"
    )


def _axis(dimension: Dimension, x: float) -> _Axis:
    title = dimension.name.replace("_", " ")
    if dimension.ends is None:
        last = max(len(dimension.choices) - 1, 1)
        places = {choice: BOTTOM - (BOTTOM - TOP) * at / last for at, choice in enumerate(dimension.choices)}
        return _Axis(title, x, [(y, choice) for choice, y in places.items()], lambda value: places[str(value)])
    low, high = dimension.ends
    scale = math.log10 if dimension.log else float
    place = _between(scale(low), scale(high), scale)
    inner = log_ticks(low, high) if dimension.log else ticks(low, high)
    marks = _apart([(place(mark), f"{mark:g}") for mark in (low, high, *inner) if low <= mark <= high])
    return _Axis(title, x, marks, place)


def _accuracy_axis(accuracies: Sequence[float]) -> _Axis:
    """By the logarithm of the error: 98 and 99 % are as far apart as 80 and 90 %."""
    errors = [1 - accuracy for accuracy in accuracies if accuracy < 1]
    least = min(errors, default=1.0) / (2 if 1.0 in accuracies else 1)
    most = max(errors, default=1.0)

    def scale(accuracy: float) -> float:
        return -math.log10(max(1 - accuracy, least))

    low, high = scale(1 - most), -math.log10(least)
    place = _between(low, high if high > low else low + 1, scale)
    between = [each for each in ACCURACIES if accuracies and min(accuracies) <= each <= max(accuracies)]
    shown = [each for each in between if each == 1 or 1 - each > least]  # The others would stand where 100% does.
    marks = [(place(accuracy), f"{100 * accuracy:.4g}%") for accuracy in (*sorted(accuracies)[:1], *shown)]
    return _Axis("test accuracy", WIDTH - RIGHT, _apart(marks), place)


def _between(low: float, high: float, scale: Callable[..., float]) -> Callable[[Value], float]:
    return lambda value: BOTTOM - (BOTTOM - TOP) * (scale(value) - low) / (high - low)


def _apart(marks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The marks, without those that would be written over an earlier one."""
    kept: list[tuple[float, str]] = []
    for y, text in marks:
        if all(abs(y - other) >= LABEL_STEP for other, _ in kept):
            kept.append((y, text))
    return kept


def _drawn(axis: _Axis) -> str:
    marks = "".join(
        f'<path d="M{axis.x - 4:.1f} {y:.1f}h8" stroke="var(--ink)"/>'
        # A halo of the page's colour, so that the lines behind do not hide it.
        f'<text x="{axis.x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end" fill="var(--ink)" stroke="var(--paper)" '
        f'stroke-width="5" paint-order="stroke" stroke-linejoin="round">{html.escape(text)}</text>'
        for y, text in axis.marks
    )
    return (
        f'<text x="{axis.x:.1f}" y="{TOP - 28}" text-anchor="middle" font-size="14" font-weight="600" '
        f'fill="var(--ink)">{html.escape(axis.title)}</text>'
        f'<path d="M{axis.x:.1f} {TOP - 8}V{BOTTOM + 8}" stroke="var(--ink)"/>{marks}'
    )


def _heights(axis: _Axis, values: Sequence[Value], fanned: bool) -> list[float]:
    """Where each line crosses an axis; those through one value of a list are fanned out, the first at the top."""
    if not fanned:
        return [axis.place(value) for value in values]
    heights = []
    for at, value in enumerate(values):
        before, others = values[:at].count(value), values.count(value) - 1
        heights.append(axis.place(value) + (FAN * (2 * before / others - 1) if others else 0))
    return heights


def _line(axes: Sequence[_Axis], heights: Sequence[float], accuracy: _Axis, path: Path, rank: int) -> str:
    ends = DIVERGED if path.accuracy is None else accuracy.place(path.accuracy)
    points = [(axis.x, y) for axis, y in zip(axes, heights, strict=True)]
    route = "L".join(f"{x:.1f} {y:.1f}" for x, y in [*points, (accuracy.x, ends)])
    if path.accuracy is None:
        look = 'stroke="var(--s1)" stroke-width="1" stroke-dasharray="4 4"'
    else:
        share = (BOTTOM - ends) / (BOTTOM - TOP)
        width = 4.0 if rank < LABELLED else 1 + 1.2 * share
        mixed = f"color-mix(in srgb,var(--s0) {25 + 75 * share:.0f}%,var(--line))"
        look = f'stroke="{mixed}" stroke-width="{width:.1f}"' + ' stroke-dasharray="1 4"' * path.stopped
    return (
        f'<path d="M{route}" fill="none" stroke-linejoin="round" {look}>'
        f"<title>{html.escape(_told(axes, path))}</title></path>"
    )


def _told(axes: Sequence[_Axis], path: Path) -> str:
    values = ", ".join(f"{axis.title} {value}" for axis, value in zip(axes, path.values, strict=True))
    return f"{path.name}: {values}: {_found(path)}"


def _found(path: Path) -> str:
    if path.accuracy is None:
        return "diverged"
    return f"{path.accuracy:.2%}" + ", stopped early" * path.stopped


def _labels(accuracy: _Axis, paths: Sequence[Path]) -> str:
    """The best trials' names beside the accuracy, one below the other where they would overlap."""
    parts, above = [], -math.inf
    for path in paths[:LABELLED]:
        if path.accuracy is None:
            continue
        at = accuracy.place(path.accuracy)
        y = above = max(at, above + LABEL_STEP)
        parts.append(
            f'<path d="M{accuracy.x:.1f} {at:.1f}L{accuracy.x + 14:.1f} {y:.1f}" stroke="var(--s0)"/>'
            f'<text x="{accuracy.x + 18:.1f}" y="{y + 4:.1f}" font-weight="600" fill="var(--ink)">'
            f"{html.escape(path.name)}, {_found(path)}</text>"
        )
    if any(path.accuracy is None for path in paths):
        parts.append(f'<text x="{accuracy.x + 8:.1f}" y="{DIVERGED + 4}" fill="var(--s1)">✗ diverged</text>')
    return "".join(parts)


def _in_words(dimensions: Sequence[Dimension], paths: Sequence[Path]) -> str:
    names = [dimension.name.replace("_", " ") for dimension in dimensions]
    told = [
        f"{path.name}: "
        + ", ".join(f"{name} {value}" for name, value in zip(names, path.values, strict=True))
        + f", {_found(path)}."
        for path in paths[:LABELLED]
    ]
    return " ".join([f"{len(paths)} trials; the best are", *told])
