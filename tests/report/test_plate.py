"""Pictures saved on their own: each above its label, with what the colours mean."""

import io

import numpy as np
from PIL import Image

from functional_nets.report.plate import Scale, plate

COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
SIDE = 40


def drawn(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def box(pixels, colour):
    """Top, left, height and width of what has this colour."""
    rows, columns = np.nonzero((pixels == colour).all(axis=-1))
    return rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1


def test_each_picture_stands_in_its_row_above_its_own_label():
    pictures = [np.full((2, 2, 3), colour, np.uint8) for colour in COLOURS]
    pixels = drawn(plate("Three", pictures, ["one", "", "three\nlines\nlong"], columns=2, side=SIDE))
    places = [box(pixels, colour) for colour in COLOURS]
    assert [place[2:] for place in places] == [(SIDE, SIDE)] * 3
    (first, second, third) = (place[:2] for place in places)
    assert first[0] == second[0] < third[0]
    assert first[1] == third[1] < second[1]
    below = [pixels[top + SIDE : top + SIDE + 28, left : left + SIDE] for top, left in (first, second, third)]
    assert [each.min() < 100 for each in below] == [True, False, True]
    assert (pixels[: first[0]] < 100).any()  # The title.


def test_the_scale_goes_from_one_end_to_the_other_and_the_note_is_within_the_picture():
    picture = [np.zeros((2, 2), np.uint8)]
    scale = Scale("-1", "+1", COLOURS)
    plain, noted = (
        drawn(plate("One", picture, columns=1, side=SIDE, scale=scale, note=note)) for note in ("", "words " * 40)
    )
    (top, left, *_), (_, right, *_) = (box(plain, COLOURS[end]) for end in (0, 2))
    ramp = plain[top, left:right]
    assert np.all(np.diff(ramp[:, 0]) <= 0)
    assert np.all(np.diff(ramp[:, 2]) >= 0)
    assert noted.shape[0] > plain.shape[0]
    assert (noted[:, -30:] > 250).all()  # Nothing is cut at the edge.
