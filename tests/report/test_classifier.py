"""What a report shows of a classifier: its confusion matrix, worst mistakes and first weights."""

import collections
import io
import re

import numpy as np
import pytest
from PIL import Image

from functional_nets.report.classifier import classifier_sections, mistakes_section, weights_section
from functional_nets.report.confusion import Answers, confusion_section
from tests.report.reading import picture, read, tiles

NAMES = ("shirt", "<b>", "shoe")


@pytest.fixture
def answers():
    """Sixty images, each of one grey that no other has, and logits drawn at random."""
    random = np.random.RandomState(0)
    images = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None] * 4, (60, 28, 28, 1))
    return Answers(images, random.randint(0, 3, 60), random.randn(60, 3).astype(np.float32), NAMES)


def test_the_matrix_counts_each_image_once(answers):
    body = confusion_section(answers).body
    counts = collections.Counter(zip(answers.labels, answers.logits.argmax(axis=1), strict=True))
    cells = re.findall(r'data-cell="cell-(\d)-(\d)".*?</span></span>(\d+)</button>', body)
    assert {(int(a), int(b)): int(count) for a, b, count in cells} == counts
    assert sum(int(count) for *_, count in cells) == 60


def test_a_cell_shows_its_own_images_the_surest_first(answers):
    body = confusion_section(answers).body
    figures = re.findall(r'<figure id="cell-(\d)-(\d)">(.*?)</figure>', body)
    sheet = body[: body.index('"><div class="wide"')]
    for true, taken, figure in figures:
        shown = list(tiles(sheet + figure))
        numbers = [int(pixels[0, 0]) // 4 for _, pixels in shown]
        assert all(len(np.unique(pixels)) == 1 for _, pixels in shown)  # No tile shows a part of two.
        assert {answers.labels[number] for number in numbers} == {int(true)}
        assert {answers.logits[number].argmax() for number in numbers} == {int(taken)}
        sure = [answers.probabilities[number, int(taken)] for number in numbers]
        assert sure == sorted(sure, reverse=True)
        assert [f"image {number}" in label for number, (label, _) in zip(numbers, shown, strict=True)].count(False) == 0


def test_the_worst_mistakes_are_those_with_the_least_probability_of_the_truth(answers):
    body = mistakes_section(answers).body
    logits = answers.logits.astype(float)
    of_label = logits[np.arange(60), answers.labels] - np.log(np.exp(logits).sum(axis=1))
    wrong = [number for number in np.argsort(of_label) if logits[number].argmax() != answers.labels[number]]
    assert [int(pixels[0, 0]) // 4 for _, pixels in tiles(body)] == wrong[:24]
    assert f"{len(wrong)} of 60 test images" in body


def test_a_network_without_mistakes_has_none_to_show(answers):
    right = answers._replace(logits=np.eye(3, dtype=np.float32)[answers.labels])
    assert mistakes_section(right) is None
    assert "taken for" not in " ".join(re.findall('aria-label="(.*?)"', confusion_section(right).body))


def test_names_are_shown_as_text_and_all_sections_are_whole(answers):
    params = {"dense1": {"w": np.ones((784, 5), np.float32), "b": np.zeros(5)}}
    sections = classifier_sections(answers, params)
    assert [section.title for section in sections] == ["Confusion matrix", "Worst mistakes", "First-layer weights"]
    for section in sections:
        assert not any(tag == "b" for tag, _ in read(section.body).elements)
    assert "<b>" in read(sections[0].body).text


def test_weights_are_shown_unit_by_unit_the_largest_first_brighter_for_more():
    w = np.zeros((784, 3), np.float32)
    w[:, 0], w[:392, 1], w[392:, 1], w[:, 2] = 0.1, 1, -1, -0.5
    section = weights_section({"dense1": {"w": w, "b": np.zeros(3)}})
    pixels = picture(re.search('src="(.*?)"', section.body).group(1)).astype(int)
    lightness = [pixels[row, column, :3].sum() for row, column in ((0, 0), (27, 0), (0, 30), (0, 60))]
    assert lightness[0] > lightness[3] > lightness[2] > lightness[1]  # 1, 0.1, -0.5 and -1.
    assert set(section.pictures) == {"weights.png"}


def test_kernels_of_a_convolution_are_shown_and_weights_of_no_image_are_not():
    kernels = np.random.RandomState(0).randn(3, 3, 1, 6)
    section = weights_section({"conv1": {"w": kernels}})
    assert "3 × 3 each" in section.body
    assert Image.open(io.BytesIO(section.pictures["weights.png"])).width > 500  # Large enough to stand alone.
    assert weights_section({"hidden": {"w": np.zeros((2, 2))}}) is None
