"""Photos and drawings of one digit or garment, brought into the form of MNIST's and Fashion-MNIST's images.

MNIST's digits are white on black, scaled so that the longer side of their box is 20 pixels, and placed so that their
centre of mass lies in the middle of 28 × 28 (http://yann.lecun.com/exdb/mnist/). Fashion-MNIST's garments fill all 28.
"""

import contextlib
import io
import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray

from functional_nets.data.contents import DataError

SIDE = 28
MOST_BYTES = 10 << 20
MOST_PIXELS = 60_000_000
WORKING_SIDE = 512
"""Larger images are made smaller first."""
FAINT, STRONG = 0.15, 0.5
"""Ink of at least `FAINT` belongs to the drawing if it hangs together with ink of at least `STRONG`."""
LEAST_CONTRAST = 0.08
SPECK = 0.02
"""Spots smaller than this share of the largest are dust."""
THIN, USUAL = 2.1, 2.6
"""Width of a stroke, in pixels of the result: 5 % of MNIST's digits are thinner than the first; the second is usual."""


class Form(NamedTuple):
    """How a data set's images lie in their field.

    Attributes:
        box: The longer side of what is shown, in pixels.
        by_mass: Whether its centre of mass, rather than its box, is centred.
        strokes: Whether it is drawn in strokes, which can be too thin.
    """

    box: int
    by_mass: bool
    strokes: bool


FORMS = {"mnist": Form(20, True, True), "fashion_mnist": Form(28, False, False)}


def read_drawing(content: bytes, dataset: str = "mnist") -> UInt8[np.ndarray, "28 28"]:
    """Returns what is drawn or photographed as an image of the data set: ink 255 on background 0.

    Args:
        content: An image file of any size, grey, coloured or with transparency, dark on light or light on dark.
        dataset: `"mnist"` or `"fashion_mnist"`.

    Raises:
        DataError: For a file that is too large, is no image or shows nothing.
    """
    if len(content) > MOST_BYTES:
        raise DataError(
            f"Expected an image file of at most {MOST_BYTES >> 20} MB, found {len(content) / 2**20:.1f} MB: "
            "make it smaller."
        )
    form = FORMS[dataset]
    ink = _ink(_grey(content), form)
    drawn = _drawn(ink)
    # A pen's stroke is as good as white in MNIST; a garment has its shades.
    full = np.median(ink[drawn & (ink > STRONG)]) if form.strokes else 1.0
    ink = np.where(drawn, np.clip(ink / full, 0, 1), 0)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if form.strokes:
        crop = _thickened(crop, form.box)
    return _placed(_resized(crop, form.box), form)


def _grey(content: bytes) -> Float[np.ndarray, "height width"]:
    """The image's lightness from 0 to 1, upright, at most `WORKING_SIDE` large."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own about size: refused below, in words of this package.
            image: Image.Image = Image.open(io.BytesIO(content))
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise DataError(f"Expected an image of at most {MOST_PIXELS:,} pixels, found {width} × {height}.")
            image.draft("L", (WORKING_SIDE, WORKING_SIDE))
            image = ImageOps.exif_transpose(image)
            if image.mode[0] in "IF":  # Sixteen bits or more, of which Pillow would keep the lowest.
                image = Image.fromarray(_eight_bits(np.asarray(image)))
            image = image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "L")
            image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX)
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a broken file leads them to.
        found = _found(content, error)
        raise DataError(f"Expected an image file such as PNG or JPEG, found {found}: choose another.") from None
    if image.mode == "L":
        return np.asarray(image, float) / 255
    return _on_paper(np.asarray(image, float) / 255)


def _eight_bits(values: NDArray) -> NDArray[np.uint8]:
    """The values in 256 steps: 16 bits from black to white; of floats and wider integers all that occurs."""
    low, high = (0, 2**16 - 1) if values.dtype.itemsize == 2 else (values.min(), values.max())
    return (255 * (values.astype(float) - low) / ((high - low) or 1)).astype(np.uint8)


def _found(content: bytes, error: Exception) -> str:
    """What a file is that cannot be read."""
    from PIL import Image, UnidentifiedImageError

    if not content:
        return "an empty file"
    if isinstance(error, UnidentifiedImageError):
        return f"{len(content):,} bytes that are none"
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f"a damaged {Image.open(io.BytesIO(content)).format} file of {len(content):,} bytes"
    return f"a damaged file of {len(content):,} bytes"


def _on_paper(rgba: Float[np.ndarray, "height width 4"]) -> Float[np.ndarray, "height width"]:
    """On white paper or on black, whichever shows more: a drawing in white may lie on transparency."""
    lightness, alpha = rgba[..., :3] @ (0.299, 0.587, 0.114), rgba[..., 3]
    return max((lightness * alpha + paper * (1 - alpha) for paper in (1.0, 0.0)), key=np.std)


def _ink(grey: Float[np.ndarray, "height width"], form: Form) -> Float[np.ndarray, "height width"]:
    """How far each pixel differs from the paper around it, in the direction of the ink, from 0 to 1."""
    light_paper = _border(grey) > (grey.min() + grey.max()) / 2
    dark_on_light = 1 - grey if light_paper else grey
    paper = _paper(dark_on_light) if form.strokes and min(grey.shape) >= 2 * SIDE else _border(dark_on_light)
    ink = np.clip(dark_on_light - paper, 0, 1)
    if ink.max() < LEAST_CONTRAST:
        raise DataError("Expected an image with something drawn in it, found a blank one: draw darker, or closer.")
    return ink / ink.max()


def _border(grey: Float[np.ndarray, "height width"]) -> float:
    return float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))


def _paper(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """The paper's own darkness, which in a photo of a lamp-lit page is not the same everywhere.

    What is narrower than a third of the image is taken off (a morphological opening); strokes are.
    """
    from PIL import Image
    from scipy import ndimage

    small = Image.fromarray(np.float32(grey)).resize((48, 48), Image.Resampling.BOX)
    opened = ndimage.gaussian_filter(ndimage.grey_opening(np.asarray(small), 17, mode="nearest"), 4, mode="nearest")
    size = (grey.shape[1], grey.shape[0])
    return np.asarray(Image.fromarray(np.float32(opened)).resize(size, Image.Resampling.BILINEAR), float)


def _drawn(ink: Float[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Where the drawing is: spots of ink that are strong somewhere, without specks of dust."""
    from scipy import ndimage

    spots, count = ndimage.label(ink > FAINT, np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    areas = ndimage.sum_labels(ink > FAINT, spots, numbers)
    strong = ndimage.maximum(ink, spots, numbers) > STRONG
    kept = numbers[strong & (areas >= SPECK * areas[strong].max())]
    return np.isin(spots, kept)


def _thickened(crop: Float[np.ndarray, "height width"], box: int) -> Float[np.ndarray, "height width"]:
    """The drawing with strokes of a pen as wide as those of MNIST, which would all but vanish at 20 pixels."""
    from scipy import ndimage

    if max(crop.shape) < 2 * box:
        return crop
    scale = max(crop.shape) / box
    # The mean distance to the edge is a quarter of the width in a long stroke.
    width = 4 * ndimage.distance_transform_edt(np.pad(crop > STRONG, 1))[np.pad(crop > STRONG, 1)].mean() / scale
    if width >= THIN:
        return crop
    margin = max(1, round((USUAL - width) * scale / 2))
    disc = np.hypot(*np.mgrid[-margin : margin + 1, -margin : margin + 1]) <= margin + 0.5
    return ndimage.grey_dilation(np.pad(crop, margin), footprint=disc)


def _resized(crop: Float[np.ndarray, "height width"], box: int) -> Float[np.ndarray, "h w"]:
    from PIL import Image

    height, width = (max(1, round(side * box / max(crop.shape))) for side in crop.shape)
    if (height, width) == crop.shape:
        return crop
    resized = Image.fromarray(np.float32(crop)).resize((width, height), Image.Resampling.HAMMING)
    return np.clip(np.asarray(resized, float), 0, 1)


def _placed(ink: Float[np.ndarray, "height width"], form: Form) -> NDArray[np.uint8]:
    """The drawing in its field of 28 × 28."""
    field = np.zeros((SIDE, SIDE), np.uint8)
    begins = []
    for axis, length in enumerate(ink.shape):
        along = ink.sum(axis=1 - axis)
        middle = (along * (np.arange(length) + 0.5)).sum() / along.sum() if form.by_mass else length / 2
        # MNIST's centres of mass lie on the pixel of index 14, half a pixel beyond the middle.
        begin = round(SIDE / 2 + 0.5 * form.by_mass - middle)
        begins.append(min(max(begin, 0), SIDE - length))
    top, left = begins
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = np.round(255 * ink)
    return field
