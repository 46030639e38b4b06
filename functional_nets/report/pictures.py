"""Pictures of arrays: PNG files, sheets of small images, and the colours of signed values."""

import base64
import html
import io
import math

import numpy as np
from jaxtyping import Float, UInt8

COLUMNS = 16
"""Images of a sheet's row."""
# From dark blue by grey to yellow, as the map "cividis": lightness rises all the way and reads without colours.
LOW, MIDDLE, HIGH = COLOURS = (0, 34, 78), (125, 124, 120), (255, 234, 70)


def png(pixels: UInt8[np.ndarray, "height width ..."], *, enlarged: int = 1) -> bytes:
    """Returns a PNG file of grey, RGB or RGBA pixels, each drawn as a square of `enlarged` by `enlarged`."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels.repeat(enlarged, 0).repeat(enlarged, 1)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def data_uri(content: bytes) -> str:
    """Returns a PNG file as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def sheet(images: np.ndarray, *, columns: int = COLUMNS, gap: int = 0) -> np.ndarray:
    """Returns images [n, height, width, …] side by side in rows, `gap` pixels of zeros between them."""
    rows = -(-len(images) // columns)
    margins = [(0, gap), (0, gap), *[(0, 0)] * (images.ndim - 3)]
    padded = np.pad(images, [(0, rows * columns - len(images)), *margins])
    grid = padded.reshape(rows, columns, *padded.shape[1:]).swapaxes(1, 2)
    grid = grid.reshape(rows * grid.shape[1], columns * grid.shape[3], *padded.shape[3:])
    return grid[: grid.shape[0] - gap, : grid.shape[1] - gap]


class Sheet:
    """Many small images in one PNG file, of which a page shows tiles.

    Args:
        images: uint8 `[n, height, width]`, at least one.
    """

    def __init__(self, images: UInt8[np.ndarray, "n height width"]):
        self._rows = math.ceil(len(images) / COLUMNS)
        self.content = png(sheet(images))

    def style(self) -> str:
        """Returns the style of the element that holds the tiles."""
        return f"--sheet:url({data_uri(self.content)});--size:{COLUMNS}00% {self._rows}00%"

    def tile(self, number: int, label: str) -> str:
        """Returns the element that shows one image and is read out as `label`."""
        across, down = number % COLUMNS / (COLUMNS - 1), number // COLUMNS / max(1, self._rows - 1)
        text = html.escape(label)
        return (
            f'<span class="tile" role="img" aria-label="{text}" title="{text}" '
            f'style="background-position:{across:.4%} {down:.4%}"></span>'
        )


def signed_colours(values: Float[np.ndarray, "..."], limit: float) -> UInt8[np.ndarray, "... 4"]:
    """Returns RGB and full opacity: dark blue at `-limit`, grey at 0, yellow at `limit`, and beyond as there."""
    share = np.clip(values / (limit or 1.0), -1, 1)[..., None]
    low, middle, high = (np.array(colour, float) for colour in (LOW, MIDDLE, HIGH))
    colours = np.where(share < 0, middle + share * (middle - low), middle + share * (high - middle))
    return np.concatenate([colours, np.full_like(share, 255)], axis=-1).astype(np.uint8)


def signed_scale(limit: float) -> str:
    """Returns the legend of `signed_colours`."""
    stops = ", ".join(f"rgb{colour}" for colour in (LOW, MIDDLE, HIGH))
    return (
        f'<p class="scale"><span>−{limit:.3g}</span><span class="ramp" role="img" '
        f'aria-label="From dark blue, negative, by grey to yellow, positive" '
        f'style="background:linear-gradient(to right, {stops})"></span><span>+{limit:.3g}</span></p>'
    )
