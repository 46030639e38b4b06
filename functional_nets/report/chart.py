"""Line charts as SVG text, drawn without a plotting library so that a run need not wait for one to load."""

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 440, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 34, 34
COLOURS = (
    "#2f81f7",
    "#d2691e",
    "#3fa34d",
    "#a259d9",
)  # Told apart by colour-blind readers, on light and dark.


def line_chart(title: str, x: Sequence[float], lines: Mapping[str, Sequence[float]]) -> str:
    """Returns an SVG element with one line per series over steps; NaN and infinite values leave gaps."""
    finite = [value for series in lines.values() for value in series if math.isfinite(value)]
    if not x or not finite:
        return ""
    x_ticks, y_ticks = ticks(0, max(x)), ticks(min(finite), max(finite))
    x_high, y_low, y_high = (
        max(x_ticks[-1], max(x)),
        min(y_ticks[0], min(finite)),
        max(y_ticks[-1], max(finite)),
    )

    def across(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / x_high

    def down(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - y_low) / (y_high - y_low)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" font-size="12" fill="currentColor">',
        f'<text x="{LEFT}" y="16" font-weight="600">{html.escape(title)}</text>',
    ]
    for value in y_ticks:
        y = down(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in x_ticks:
        parts.append(f'<text x="{across(value):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{value:,g}</text>')
    for series, colour in zip(lines.values(), COLOURS, strict=False):
        points = [(across(a), down(b)) for a, b in zip(x, series, strict=True) if math.isfinite(b)]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2" fill="{colour}"/>' for a, b in points]
    parts += _legend(list(lines))
    return "".join(parts) + "</svg>"


def _legend(names: list[str]) -> list[str]:
    if len(names) < 2:
        return []
    return [
        f'<text x="{WIDTH - RIGHT - 70 * (len(names) - number - 1)}" y="16" text-anchor="end" '
        f'fill="{COLOURS[number]}">{html.escape(name)}</text>'
        for number, name in enumerate(names)
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
