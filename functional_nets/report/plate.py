"""Pictures in rows under a title, each above its label, with a scale of colours: a PNG file that needs no page."""

import importlib.util
import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from functional_nets.report.chart import DAY

MARGIN, GAP, LINE = 32, 16, 28  # Pixels, of which screens show two where paper shows one.
TITLE_SIZE, TEXT_SIZE = 32, 22
RAMP = (400, 24)
LETTERS = 12.5  # Pixels of an average letter, to break lines.
INK, PAPER, FAINT = DAY[0], DAY[1], DAY[2]


class Scale(NamedTuple):
    """What colours mean.

    Attributes:
        low: The value at one end, as text.
        high: That at the other.
        colours: RGB at equal distances from one end to the other.
    """

    low: str
    high: str
    colours: Sequence[tuple[int, int, int]]


def plate(
    title: str,
    pictures: Sequence[UInt8[np.ndarray, "height width ..."]],
    labels: Sequence[str] = (),
    *,
    columns: int,
    side: int,
    scale: Scale | None = None,
    note: str = "",
) -> bytes:
    """Returns a PNG file.

    Args:
        title: What is shown.
        pictures: Grey, RGB or RGBA pixels, all of one size.
        labels: What stands below each, in one or more lines; none for no labels.
        columns: How many stand in a row.
        side: How wide and high each is drawn, in pixels.
        scale: What the colours mean.
        note: What stands below all.
    """
    from PIL import Image, ImageDraw

    heading, font = _font(TITLE_SIZE), _font(TEXT_SIZE)
    columns = min(columns, len(pictures))
    lines = max((label.count("\n") + 1 for label in labels), default=0)
    across = GAP + max(side, *(font.getlength(line) for label in labels for line in label.split("\n")), 0)
    down = GAP + side + LINE * lines
    ramp = RAMP[0] + 2 * GAP + font.getlength(scale.low + scale.high) if scale else 0
    width = int(max(columns * across - GAP, heading.getlength(title), ramp)) + 2 * MARGIN
    notes = textwrap.wrap(note, int((width - 2 * MARGIN) / LETTERS))
    top, rows = MARGIN + 2 * LINE, -(-len(pictures) // columns)
    height = top + rows * down + 2 * LINE * bool(scale) + LINE * len(notes) + MARGIN
    image = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN), title, INK, heading)
    for number, pixels in enumerate(pictures):
        left, upper = int(MARGIN + number % columns * across), top + number // columns * down
        image.paste(
            Image.fromarray(pixels).convert("RGB").resize((side, side), Image.Resampling.NEAREST), (left, upper)
        )
        if labels:
            draw.multiline_text((left, upper + side + 2), labels[number], INK, font, spacing=4)
    below = top + rows * down
    if scale:
        _draw_scale(image, draw, font, scale, below)
        below += 2 * LINE
    draw.multiline_text((MARGIN, below), "\n".join(notes), FAINT, font, spacing=4)
    return _png(image)


def _draw_scale(image: Any, draw: Any, font: Any, scale: Scale, top: int) -> None:
    from PIL import Image

    draw.text((MARGIN, top), scale.low, INK, font)
    left = MARGIN + int(font.getlength(scale.low)) + GAP
    at = np.linspace(0, len(scale.colours) - 1, RAMP[0])
    channels = [np.interp(at, range(len(scale.colours)), channel) for channel in zip(*scale.colours, strict=True)]
    ramp = np.broadcast_to(np.stack(channels, axis=-1).astype(np.uint8), (RAMP[1], RAMP[0], 3))
    image.paste(Image.fromarray(np.ascontiguousarray(ramp)), (left, top + 2))
    draw.text((left + RAMP[0] + GAP, top), scale.high, INK, font)


def _font(size: int) -> Any:
    """A font that has all signs: matplotlib's, which need not be loaded for that; Pillow's own if it is elsewhere."""
    from PIL import ImageFont

    found = importlib.util.find_spec("matplotlib")
    path = Path(found.origin or "").parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf" if found else Path()
    return ImageFont.truetype(path, size) if path.is_file() else ImageFont.load_default(size)


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
