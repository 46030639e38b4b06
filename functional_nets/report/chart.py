"""Line charts as SVG text: in a page they take its colours, on their own they bring them along.

Drawn without a plotting library, so that a run of two seconds need not wait for one to load.
"""

import html
import itertools
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

WIDTH, PLOT_HEIGHT = 400, 190
LEFT, RIGHT, BOTTOM = 62, 24, 44
BESIDE_MARKS = 34  # What the axis's name takes, left of its marks.
LEGEND_TOP, LEGEND_STEP = 38, 17
LETTER = 7.0  # Width of an average letter at 12 pixels, to lay out the legend without a font.
MARKED = 40  # A line of more points has no markers: they would hide it.

# Told apart by colour-blind readers, and 4.5:1 against the page, by day and by night; dashes and markers say it again.
NAMES = ("ink", "paper", "faint", "line", "s0", "s1", "s2", "s3", "s4", "s5")
DAY = ["#1b2733", "#ffffff", "#5b6773", "#d5dde5", "#0a5fc4", "#b1480a", "#1a7535", "#7a3fd0", "#a3195b", "#4d5a66"]
NIGHT = ["#e6edf3", "#0f151c", "#9aa7b4", "#2c3743", "#6cb6ff", "#f2a65a", "#6bd98a", "#c3a0ff", "#ff8fc0", "#aebbc8"]
SERIES = 6
DASHES = ("", "7 4", "2 3", "9 3 2 3", "4 2", "12 4")
MARKERS = (
    "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0",
    "M-2.6-2.6h5.2v5.2h-5.2z",
    "M0-3.4L3.2 2.6H-3.2z",
    "M0-3.8L3.4 0L0 3.8L-3.4 0z",
    "M-3.2-2.6H3.2L0 3.4z",
    "M-1-3.4h2v2.4h2.4v2h-2.4v2.4h-2v-2.4h-2.4v-2h2.4z",
)


class Line(NamedTuple):
    """A series of a chart; values that are not finite leave gaps.

    Attributes:
        name: What the legend calls it.
        x: Where, rising.
        y: What, as many as `x`.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]


class _Axis(NamedTuple):
    """From values to pixels: the marks, what stands beside them, and where a value stands."""

    ticks: list[float]
    names: list[str]
    place: Callable[[float], float]


def line_chart(
    title: str, lines: Sequence[Line], *, x_label: str, y_label: str, log: bool = False, most: float = math.inf
) -> str:
    """Returns an SVG element, or nothing when there is nothing to draw.

    Args:
        title: What it shows.
        lines: What is drawn; more than six repeat the colours, dashes and markers.
        x_label: What stands along the axis, with its unit.
        y_label: What stands up the axis, with its unit.
        log: Whether the values stand by their logarithms; those of 0 or less leave gaps.
        most: What no value can exceed, so that the axis ends there.
    """
    kept = [Line(textwrap.shorten(line.name, 56, placeholder="…"), *_drawable(line, log)) for line in lines]
    kept = [line for line in kept if line.x]
    if not kept:
        return ""
    places, legend_rows = _legend_places([line.name for line in kept])
    top = LEGEND_TOP + LEGEND_STEP * legend_rows
    height = top + PLOT_HEIGHT + BOTTOM
    values = list(itertools.chain(*(line.y for line in kept)))
    marks = log_ticks(min(values), max(values)) if log else _up_to(most, values)
    y_axis = _axis(marks, values, top + PLOT_HEIGHT, top, log)
    left = max(LEFT, BESIDE_MARKS + LETTER * max(map(len, y_axis.names)))
    x_axis = _steps(max(line.x[-1] for line in kept), left)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-size="12" '
        'font-family="system-ui, sans-serif" class="chart">',
        f"<title>{html.escape(title)}</title><desc>{html.escape(' '.join(map(_in_words, kept)))}</desc>",
        f'<text x="6" y="18" font-size="14" font-weight="600" fill="var(--ink)">{html.escape(title)}</text>',
        *_grid(x_axis, y_axis, x_label, y_label, left, top),
    ]
    for number, (line, place) in enumerate(zip(kept, places, strict=True)):
        parts += _drawn(line, number % SERIES, x_axis, y_axis)
        parts += _legend(line.name, number % SERIES, *place)
    return "".join(parts) + "</svg>"


def colours() -> str:
    """Returns the style sheet that gives the names of the colours their values."""
    day, night = (
        "".join(f"--{name}:{value};" for name, value in zip(NAMES, each, strict=True)) for each in (DAY, NIGHT)
    )
    return f":root{{{day}}} @media (prefers-color-scheme: dark) {{ :root{{{night}}} }}\n"


def standalone(svg: str) -> bytes:
    """Returns an SVG element as a file of its own for programs that know no style sheets: dark on white."""
    for name, value in zip(NAMES, DAY, strict=True):
        svg = svg.replace(f"var(--{name})", value)
    return svg.replace("<title>", f'<rect width="100%" height="100%" fill="{DAY[1]}"/><title>', 1).encode() + b"\n"


def _drawable(line: Line, log: bool) -> tuple[list[float], list[float]]:
    points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y) and not (log and y <= 0)]
    return [x for x, _ in points], [y for _, y in points]


def _in_words(line: Line) -> str:
    return (
        f"{line.name}: {line.y[0]:.4g} at {line.x[0]:,g}, {line.y[-1]:.4g} at {line.x[-1]:,g}, "
        f"between {min(line.y):.4g} and {max(line.y):.4g}."
    )


def _up_to(most: float, values: Sequence[float]) -> list[float]:
    marks = [mark for mark in ticks(min(values), max(values)) if mark <= most]
    return marks if len(marks) > 1 else ticks(0, max(values))


def _axis(marks: list[float], values: Sequence[float], begin: float, end: float, log: bool) -> _Axis:
    scale: Callable[[float], float] = math.log10 if log else float
    names = [f"{mark:.12g}" for mark in marks]
    decimals = max(len(name.partition(".")[2]) for name in names)
    if not log and "e" not in "".join(names):  # As many decimals everywhere.
        names = [f"{mark:.{decimals}f}" for mark in marks]
    low, high = scale(min(marks[0], *values)), scale(max(marks[-1], *values))
    return _Axis(marks, names, lambda value: begin + (end - begin) * (scale(value) - low) / (high - low))


def _steps(last: float, left: float) -> _Axis:
    """From 0 to the last value and not beyond."""
    marks = [mark for mark in ticks(0, last) if mark <= last]
    names = [f"{mark:,g}" for mark in marks]
    return _Axis(marks, names, lambda value: left + (WIDTH - left - RIGHT) * value / (last or 1))


def _grid(x_axis: _Axis, y_axis: _Axis, x_label: str, y_label: str, left: float, top: float) -> list[str]:
    bottom, middle = top + PLOT_HEIGHT, top + PLOT_HEIGHT / 2
    parts = [
        f'<path d="M{left} {y_axis.place(value):.1f}H{WIDTH - RIGHT}" stroke="var(--line)"/>' for value in y_axis.ticks
    ]
    parts.append('<g fill="var(--faint)">')
    parts += [
        f'<text x="{left - 6}" y="{y_axis.place(value) + 4:.1f}" text-anchor="end">{name}</text>'
        for name, value in zip(y_axis.names, y_axis.ticks, strict=True)
    ]
    parts += [
        f'<text x="{x_axis.place(value):.1f}" y="{bottom + 18}" text-anchor="middle">{name}</text>'
        for name, value in zip(x_axis.names, x_axis.ticks, strict=True)
    ]
    parts.append(
        f'<text x="{(left + WIDTH - RIGHT) / 2}" y="{bottom + 36}" text-anchor="middle">{html.escape(x_label)}</text>'
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{html.escape(y_label)}</text></g>'
    )
    return parts


def _drawn(line: Line, number: int, x_axis: _Axis, y_axis: _Axis) -> list[str]:
    points = [(x_axis.place(x), y_axis.place(y)) for x, y in zip(line.x, line.y, strict=True)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    stroke = f'stroke="var(--s{number})" stroke-width="2" stroke-dasharray="{DASHES[number]}"'
    parts = [f'<path d="M{path}" fill="none" stroke-linejoin="round" {stroke}/>']
    if len(points) <= MARKED:
        parts += [
            f'<path d="{MARKERS[number]}" transform="translate({x:.1f} {y:.1f})" fill="var(--s{number})">'
            f"<title>{html.escape(line.name)}, {at:,g}: {value:.5g}</title></path>"
            for (x, y), at, value in zip(points, line.x, line.y, strict=True)
        ]
    return parts


def _legend_places(names: Sequence[str]) -> tuple[list[tuple[float, float]], int]:
    """Where each name stands, from left to right and then in the next row, and how many rows that makes."""
    places: list[tuple[float, float]] = []
    x, row = 6.0, 0
    for name in names:
        width = 34 + LETTER * len(name)
        if x > 6 and x + width > WIDTH:
            x, row = 6.0, row + 1
        places.append((x, LEGEND_TOP + LEGEND_STEP * row))
        x += width + 8
    return places, row + 1


def _legend(name: str, number: int, x: float, y: float) -> list[str]:
    return [
        f'<path d="M{x} {y - 4}h24" stroke="var(--s{number})" stroke-width="2" stroke-dasharray="{DASHES[number]}" '
        'class="sample"/>',
        f'<path d="{MARKERS[number]}" transform="translate({x + 12} {y - 4})" fill="var(--s{number})"/>',
        f'<text x="{x + 30}" y="{y}" fill="var(--ink)">{html.escape(name)}</text>',
    ]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Returns about `count` round numbers that cover the range from `low` to `high`.

    A range too narrow to be divided, below a millionth of its ends, counts as one number.
    """
    size = max(abs(low), abs(high))
    span = high - low if high - low > 1e-6 * size else size or 1.0
    rough = span / count
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{number * step:.12g}") for number in range(first, max(last, first + 1) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Returns powers of ten that cover the range from `low` to `high`, above 0.

    If it is short, 2 and 5 times them, too; and round numbers at equal distances, if those would be but two.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first > 2:
        every = -(-(last - first) // 6)
        return [10.0**power for power in range(first, last + every, every)]
    marks = [float(f"{factor}e{power}") for power in range(first, last + 1) for factor in (1, 2, 5)]
    begin = max(number for number, mark in enumerate(marks) if mark <= low or not number)
    end = min((number for number, mark in enumerate(marks) if mark >= high and number > begin), default=len(marks) - 1)
    marks = marks[begin : end + 1]
    return ticks(low, high) if len(marks) < 3 and high > (1 + 1e-6) * low else marks
