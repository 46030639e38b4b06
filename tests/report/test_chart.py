"""Line charts: well-formed, within their frame, whatever the numbers."""

import itertools
import math
import re
from xml.etree import ElementTree

import hypothesis
import pytest
from hypothesis import strategies

from functional_nets.report.chart import COLOURS, HEIGHT, WIDTH, line_chart, ticks

NUMBERS = strategies.floats(-(2.0**100), 2.0**100, width=32)  # Losses are float32.


@hypothesis.given(NUMBERS, NUMBERS)
@hypothesis.settings(deadline=None)
def test_ticks_rise_and_cover_the_range_and_are_about_five(first, second):
    low, high = sorted((first, second))
    marks = ticks(low, high)
    assert all(a < b for a, b in itertools.pairwise(marks))
    assert marks[0] <= low + 1e-5 * (high - low)
    assert marks[-1] >= high - 1e-5 * (high - low)
    assert 2 <= len(marks) <= 8


def test_ticks_are_round_numbers():
    assert ticks(0, 938) == [0, 200, 400, 600, 800, 1000]
    assert ticks(0.91, 0.97) == [0.9, 0.92, 0.94, 0.96, 0.98]
    assert ticks(0.25, 0.25) == [0.25, 0.3]


def points(svg):
    """Every point of every line, across and down."""
    paths = [path for path in ElementTree.fromstring(svg).iter("path") if path.get("stroke-width") == "2"]
    pairs = [re.split("[ML]", path.get("d"))[1:] for path in paths]
    return [[tuple(map(float, pair.split())) for pair in line] for line in pairs]


@hypothesis.given(strategies.lists(strategies.floats(width=32), min_size=1, max_size=6))
@hypothesis.settings(deadline=None)
def test_all_that_is_finite_is_drawn_within_the_frame(values):
    svg = line_chart("Loss", range(len(values)), {"training": values})
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        assert svg == ""
        return
    (line,) = points(svg)
    assert len(line) == len(finite)
    assert all(0 <= across <= WIDTH and 0 <= down <= HEIGHT for across, down in line)


def test_greater_values_stand_higher_and_later_steps_to_the_right():
    ((first, second),) = points(line_chart("Loss", [100, 200], {"training": [2.0, 1.0]}))
    assert first[0] < second[0]
    assert first[1] < second[1]  # Down the page.


def test_several_lines_have_a_legend_and_colours_of_their_own():
    svg = line_chart("Loss", [1, 2], {"training": [2, 1], "test": [3, 2]})
    root = ElementTree.fromstring(svg)
    texts = [text.text for text in root.iter("text")]
    assert {"training", "test", "Loss"} <= set(texts)
    drawn = {path.get("stroke") for path in root.iter("path") if path.get("stroke-width") == "2"}
    assert drawn == set(COLOURS[:2])


def test_names_are_escaped():
    root = ElementTree.fromstring(line_chart("<a> & b", [1, 2], {"x < y": [1, 2], "z": [1, 2]}))
    assert {"<a> & b", "x < y"} <= {text.text for text in root.iter("text")}


@pytest.mark.parametrize(("x", "values"), [([], []), ([1], [math.nan]), ([1, 2], [math.inf, -math.inf])])
def test_nothing_to_draw_is_no_chart(x, values):
    assert line_chart("Loss", x, {"training": values}) == ""
