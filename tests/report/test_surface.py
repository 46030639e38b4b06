"""The decision surface: each frame shows the function that the network computes there."""

import re

import numpy as np

from functional_nets.report.surface import BORDER, SIDE, Frame, surface_section
from tests.report.reading import picture, read

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
LABELS = np.array([0, 1, 1, 0])


def apply(slope, x):
    """A network whose output rises from left to right, the steeper the larger its parameter."""
    return 1 / (1 + np.exp(-slope * (x[:, 0] - 0.5)))


def test_each_frame_shows_its_own_surface_from_blue_to_yellow():
    body = surface_section(apply, [Frame(0, 0.1), Frame(100, 50.0)], INPUTS, LABELS).body
    first, last = (picture(uri).astype(int) for uri in re.findall('<img src="(.*?)"', body))
    assert first.shape == last.shape == (SIDE, SIDE, 3)
    middle = SIDE // 2
    assert np.ptp(first[:, : middle - 2].sum(axis=2)) < 40  # Nearly one shade.
    assert tuple(last[middle, 0]) == (0, 34, 78)
    assert tuple(last[middle, -1]) == (255, 234, 70)


def test_the_line_parts_the_answers_and_the_second_input_points_up():
    def rising(_, x):
        return x[:, 1] - 0.25  # ½ where the second input is 0.75.

    body = surface_section(rising, [Frame(0, None)], INPUTS, LABELS).body
    (pixels,) = (picture(uri).astype(int) for uri in re.findall('<img src="(.*?)"', body))
    dark = np.flatnonzero((pixels[:, 0] == (10, 14, 18)).all(axis=1))
    heights = 1 + BORDER - dark * (1 + 2 * BORDER) / (SIDE - 1)
    assert len(dark)
    assert np.abs(heights - 0.75).max() < 0.03


def test_the_outputs_are_those_of_the_last_frame_with_a_verdict():
    section = surface_section(apply, [Frame(0, 0.0), Frame(1234, 50.0)], INPUTS, LABELS)
    text = read(section.body).text
    assert "0 xor 0 0 0.0000 right" in text
    assert "0 xor 1 1 0.0000 WRONG" in text
    assert "1 xor 0 1 1.0000 right" in text
    assert "Step 1,234" in text
    assert set(section.pictures) == {"surface.png", "outputs.svg"}
