"""Line charts: well-formed, within their frame, whatever the numbers."""

import itertools
import math
import re
from xml.etree import ElementTree

import hypothesis
import pytest
from hypothesis import strategies

from functional_nets.report.chart import DASHES, DAY, NIGHT, WIDTH, Line, line_chart, log_ticks, standalone, ticks

NUMBERS = strategies.floats(-(2.0**100), 2.0**100, width=32)  # Losses are float32.
POSITIVE = strategies.floats(2.0**-100, 2.0**100)


def chart(*lines, title="Loss", **options):
    return line_chart(title, lines, x_label="steps", y_label="loss, nats", **options)


def parsed(svg):
    return ElementTree.fromstring(svg.replace(' xmlns="http://www.w3.org/2000/svg"', ""))


def points(svg):
    """Every point of every line, across and down."""
    paths = [path for path in parsed(svg).iter("path") if path.get("stroke-linejoin")]
    pairs = [re.split("[ML]", path.get("d"))[1:] for path in paths]
    return [[tuple(map(float, pair.split())) for pair in line] for line in pairs]


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


@hypothesis.given(POSITIVE, POSITIVE)
@hypothesis.settings(deadline=None)
def test_ticks_of_a_logarithmic_axis_rise_and_cover_the_range(first, second):
    low, high = sorted((first, second))
    marks = log_ticks(low, high)
    assert all(a < b for a, b in itertools.pairwise(marks))
    assert marks[0] <= low * (1 + 1e-9)
    assert marks[-1] >= high * (1 - 1e-9)
    assert 2 <= len(marks) <= 9


def test_ticks_of_a_logarithmic_axis_are_powers_of_ten_or_for_short_ranges_their_halves_and_fifths():
    assert log_ticks(0.002, 30) == [0.001, 0.01, 0.1, 1, 10, 100]
    assert log_ticks(0.3, 0.9) == [0.2, 0.5, 1.0]
    assert log_ticks(1, 1) == [1, 2]
    assert log_ticks(1.1, 1.4) == [1.1, 1.2, 1.3, 1.4]


@hypothesis.given(strategies.lists(strategies.floats(width=32), min_size=1, max_size=6), strategies.booleans())
@hypothesis.settings(deadline=None)
def test_all_that_can_be_drawn_is_drawn_within_the_frame(values, log):
    svg = chart(Line("training", range(len(values)), values), log=log)
    drawable = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if not drawable:
        assert svg == ""
        return
    (line,) = points(svg)
    height = float(parsed(svg).get("viewBox").split()[3])
    assert len(line) == len(drawable)
    assert all(0 <= across <= WIDTH and 0 <= down <= height for across, down in line)


@pytest.mark.parametrize("log", [False, True])
def test_greater_values_stand_higher_and_later_steps_to_the_right(log):
    ((first, second),) = points(chart(Line("training", [100, 200], [2.0, 1.0]), log=log))
    assert first[0] < second[0]
    assert first[1] < second[1]  # Down the page.


def test_equal_ratios_are_equal_distances_on_a_logarithmic_axis():
    ((first, second, third),) = points(chart(Line("training", [1, 2, 3], [0.01, 0.1, 1.0]), log=True))
    assert second[1] - first[1] == pytest.approx(third[1] - second[1])


def test_an_axis_ends_where_no_value_can_lie():
    texts = {text.text for text in parsed(chart(Line("test", [1, 2], [100, 100]), most=100)).iter("text")}
    assert "100" in texts
    assert "120" not in texts


@pytest.mark.parametrize("values", [[0.692694, 0.692689], [0.1, 1234567.0], [1e-12, 3e-12], [2.5, 3]])
def test_the_marks_of_an_axis_differ_and_leave_room_for_its_name(values):
    svg = chart(Line("test", [1, 2], values))
    texts = [text for text in parsed(svg).iter("text") if text.get("text-anchor") == "end"]
    assert len({text.text for text in texts}) == len(texts)
    assert all(float(text.get("x")) - 7 * len(text.text) >= 20 for text in texts)  # The name ends there.
    if "e" not in texts[0].text:
        assert len({len(text.text.partition(".")[2]) for text in texts}) == 1


def test_several_lines_have_a_legend_and_colours_dashes_and_markers_of_their_own():
    root = parsed(chart(Line("training", [1, 2], [2, 1]), Line("test", [1, 2], [3, 2])))
    assert {"training", "test", "Loss", "steps", "loss, nats"} <= {text.text for text in root.iter("text")}
    drawn = [path for path in root.iter("path") if path.get("stroke-linejoin")]
    assert {path.get("stroke") for path in drawn} == {"var(--s0)", "var(--s1)"}
    assert [path.get("stroke-dasharray") for path in drawn] == list(DASHES[:2])
    markers = {path.get("d") for path in root.iter("path") if path.get("transform")}
    assert len(markers) == 2


def test_a_chart_is_told_in_words_to_those_who_do_not_see_it():
    root = parsed(chart(Line("training", [100, 1200], [2.5, 0.5])))
    assert "training" in {text.text for text in root.iter("text")}  # One line has a legend, too.
    assert root.get("role") == "img"
    assert root.find("title").text == "Loss"
    assert root.find("desc").text == "training: 2.5 at 100, 0.5 at 1,200, between 0.5 and 2.5."


def test_names_are_escaped():
    root = parsed(chart(Line("x < y", [1, 2], [1, 2]), Line("z", [1, 2], [1, 2]), title="<a> & b"))
    assert {"<a> & b", "x < y"} <= {text.text for text in root.iter("text")}


@pytest.mark.parametrize(("x", "values"), [([], []), ([1], [math.nan]), ([1, 2], [math.inf, -math.inf])])
def test_nothing_to_draw_is_no_chart(x, values):
    assert chart(Line("training", x, values)) == ""


def test_a_chart_on_its_own_needs_no_style_sheet():
    svg = standalone(chart(Line("training", [1, 2], [2, 1]))).decode()
    assert "var(" not in svg
    assert parsed(svg).find("rect").get("fill") == "#ffffff"


def luminance(colour):
    """Of a colour #rrggbb, by the Web Content Accessibility Guidelines 2.2."""
    channels = [int(colour[begin : begin + 2], 16) / 255 for begin in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first, second):
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [DAY, NIGHT], ids=["day", "night"])
def test_text_and_lines_stand_out_from_the_page(colours):
    ink, paper, faint, _, *series = colours
    assert contrast("#000000", "#ffffff") == 21
    assert min(contrast(each, paper) for each in (ink, faint, *series)) >= 4.5
