"""Photos and drawings become images as the data sets have them, whatever their size, polarity and paper."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from functional_nets.data import DataError
from functional_nets.data.drawing import read_drawing


def file_of(image, kind="PNG", **options):
    """The image as the bytes of a file."""
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def seven(size=(400, 300), at=(150, 60), *, width=14):
    """A seven of strokes in white on black, 100 high."""
    image = Image.new("L", size, 0)
    x, y = at
    ImageDraw.Draw(image).line([(x, y), (x + 70, y), (x + 25, y + 100)], fill=255, width=width, joint="curve")
    return image


def box(field):
    rows, columns = (np.flatnonzero(field.max(axis=axis) > 60) for axis in (1, 0))
    return np.ptp(rows) + 1, np.ptp(columns) + 1


def centre(field):
    field = field.astype(float)
    return [np.average(np.arange(28), weights=field.sum(axis=1 - axis)) for axis in (0, 1)]


def test_a_drawing_is_20_pixels_large_with_its_mass_in_the_middle():
    field = read_drawing(file_of(seven()))
    assert field.shape == (28, 28)
    assert field.dtype == np.uint8
    assert field.max() == 255
    assert max(box(field)) == 20
    assert centre(field) == pytest.approx([14, 14], abs=0.6)  # As MNIST's, to a whole pixel.


def near(first, second):
    return np.abs(first.astype(int) - second.astype(int)).mean() < 6


@pytest.mark.parametrize("at", [(5, 5), (320, 190), (150, 60)])
def test_it_does_not_matter_where_it_stands(at):
    assert near(read_drawing(file_of(seven(at=at))), read_drawing(file_of(seven())))


@pytest.mark.parametrize("enlarged", [0.5, 3])
def test_it_does_not_matter_how_large_it_is(enlarged):
    image = seven()
    other = image.resize((int(400 * enlarged), int(300 * enlarged)), Image.Resampling.BICUBIC)
    assert near(read_drawing(file_of(other)), read_drawing(file_of(image)))


def on_paper(paint):
    ink = np.asarray(seven(), float)[..., None] / 255
    return np.uint8(np.clip(paint(ink), 0, 255))


def lit(ink):
    """A photo: light falls off to one side, and the paper has a grain."""
    light = np.linspace(110, 240, 400)[None, :, None] * (1 + np.random.RandomState(0).randn(300, 400, 1) / 40)
    return (light * (1 - 0.7 * ink))[..., 0]


@pytest.mark.parametrize(
    "paint",
    [
        lambda ink: (255 * (1 - ink))[..., 0],
        lambda ink: 200 - 120 * ink[..., 0],
        lambda ink: [250, 240, 200] * (1 - ink) + [20, 30, 160] * ink,
        lambda ink: np.concatenate([0 * ink, 0 * ink, 0 * ink, 255 * ink], axis=2),
        lambda ink: np.concatenate([0 * ink + 255, 0 * ink + 255, 0 * ink + 255, 255 * ink], axis=2),
        lit,
    ],
    ids=["dark on light", "faint", "blue ink", "black on transparency", "white on transparency", "lamp-lit page"],
)
def test_it_does_not_matter_what_it_is_drawn_on(paint):
    assert near(read_drawing(file_of(on_paper(paint))), read_drawing(file_of(seven())))


def test_sixteen_bits_and_jpeg_and_a_turned_photo_are_read():
    plain = read_drawing(file_of(seven()))
    assert near(read_drawing(file_of(np.asarray(seven()).astype(np.uint16) * 257)), plain)
    assert near(read_drawing(file_of(seven(), "JPEG")), plain)
    turned = seven().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # A camera's way of saying that the picture is to be turned back.
    assert near(read_drawing(file_of(turned, "JPEG", exif=exif)), plain)


def test_a_thin_pen_draws_as_broadly_as_mnists():
    thin, broad = (read_drawing(file_of(seven(width=width))) for width in (2, 14))
    assert 0.5 < (thin > 128).sum() / (broad > 128).sum() < 1.2


def test_dust_is_left_out():
    dusty = seven()
    ImageDraw.Draw(dusty).rectangle((385, 285, 387, 287), fill=255)
    assert near(read_drawing(file_of(dusty)), read_drawing(file_of(seven())))


def test_a_garment_fills_its_field_and_keeps_its_shades():
    garment = np.full((140, 140), 255, np.uint8)
    garment[:, 35:70], garment[:, 70:105] = 155, 55
    field = read_drawing(file_of(garment), "fashion_mnist")
    assert box(field) == (28, 14)
    assert field[14, 9] == pytest.approx(255 / 2, abs=8)
    assert field[14, 18] == 255


NOISE = (30_000 + np.random.RandomState(0).randint(0, 200, (60, 60))).astype(np.uint16)  # Of a scanner, on nothing.


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"no image", "8 bytes that are none"),
        (file_of(seven())[:300], "found a damaged PNG file of 300 bytes"),
        (file_of(seven(), "JPEG")[:900], "found a damaged JPEG file of 900 bytes"),
        (file_of(NOISE), "a blank one"),
        (file_of(NOISE, "TIFF"), "a blank one"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "108 bytes that are none"),
        (file_of(Image.new("L", (50, 50), 100)), "a blank one"),
        (file_of(Image.new("1", (20_000, 3_001))), "20000 × 3001"),
        (bytes((10 << 20) + 1), "10.0 MB"),
    ],
    ids=["empty", "text", "cut", "cut photo", "noise", "noise as TIFF", "broken", "blank", "bomb", "large"],
)
def test_what_cannot_be_read_is_refused_in_one_line(content, found):
    with pytest.raises(DataError, match=r"^Expected ") as refused:
        read_drawing(content)
    assert found in str(refused.value)
    assert "\n" not in str(refused.value)
