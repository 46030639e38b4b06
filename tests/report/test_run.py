"""The report of a run: what it says, that it needs nothing else, and its pictures as files."""

import re
from xml.etree import ElementTree

import pytest

from functional_nets.report import write_report
from functional_nets.report.document import Section, table
from functional_nets.report.run import in_words
from tests.report.reading import read

SUMMARY = {
    "experiment": "mnist",
    "dataset": "MNIST",
    "source": "embedded",
    "notice": None,
    "test_examples": 10_000,
    "train_examples": 60_000,
    "test_accuracy": 0.9713,
    "test_loss": 0.0954,
    "train_loss": 0.05,
    "steps": 10_000,
    "compile_seconds": 0.5,
    "train_seconds": 4.25,
    "total_seconds": 6.0,
    "gradient_check": {
        "ok": True,
        "largest_relative_error": 1.5e-7,
        "leaves": [{"path": "dense1/w", "shape": [784, 50], "relative_error": 1.5e-7, "ok": True}],
    },
    "jax": "0.10.1",
    "environment": {"python": "3.13.0"},
}
NORMS = {
    "gradient_norm/dense1": 0.5, "gradient_norm/dense2": 0.25, "update_norm/dense1": 0.05, "update_norm/dense2": 0.025,
    "parameter_norm/dense1": 5.0, "parameter_norm/dense2": 0.0,
}  # fmt: skip
ROWS = [
    {"epoch": 1, "step": 600, "train_loss": 0.5, "test_loss": 0.4, "test_accuracy": 0.9, "seconds": 0.25, **NORMS},
    {"epoch": 2, "step": 1200, "train_loss": 0.3, "test_loss": 0.3, "test_accuracy": 0.92, "seconds": 0.25, **NORMS},
]
CONFIG = {"learning_rate": 0.1, "data_dir": None, "out": "<script>alert(1)</script> & ../more"}


@pytest.fixture
def report(tmp_path):
    """Writes a report and returns it as a reader sees it."""

    def write(summary=SUMMARY, rows=ROWS, config=CONFIG, sections=(), command="python -m experiments.mnist"):
        write_report(tmp_path, summary, rows, config, command, sections)
        return read((tmp_path / "report.html").read_text(encoding="utf-8"))

    return write


def test_a_path_that_is_no_utf_8_is_shown_with_its_bytes(report):
    assert r"runs/n\udcff" in report(config={**CONFIG, "out": "runs/n\udcff"}).text


def test_a_report_says_what_was_found_how_and_how_to_do_it_again(report):
    text = report().text
    for wanted in (
        "mnist: 97.13% test accuracy",
        "After 10,000 steps on 60,000 training examples, the network is right about 97.13% of 10,000 test examples",
        "The data, MNIST, come from inside the package.",
        "4.25 seconds of training",
        "1,200 2 0.3000 0.3000 92.00% 0.250",
        "dense1 0.5 0.05 5 1.0e-02",
        "dense1/w 784 × 50 1.5e-07 ok",
        "python -m experiments.mnist",
        "learning rate 0.1",
        "python 3.13.0",
    ):
        assert wanted in text
    assert "data dir" not in text  # An option that was not given.


def test_hostile_names_are_shown_as_text(report):
    reader = report(command="python -m experiments.mnist --data-dir '<img src=x>'")
    assert "<script>alert(1)</script> & ../more" in reader.text
    assert "<img src=x>" in reader.text
    assert [tag for tag, _ in reader.elements].count("script") == 1  # The page's own.


def test_a_report_about_a_part_of_the_data_says_so_first(report):
    text = report({**SUMMARY, "notice": "ONLY A PART OF THE DATA", "complete": False}).text
    assert text.index("ONLY A PART") < text.index("Curves")
    assert "from inside the package, only a part of them" in text
    assert "ONLY A PART" not in report().text


def test_examples_that_were_trained_on_are_not_called_unseen_nor_a_test(report):
    assert "never seen" in in_words(SUMMARY)
    assert "trained on" in in_words({**SUMMARY, "seen": True})
    assert "never seen" not in in_words({**SUMMARY, "seen": True})
    page = report({**SUMMARY, "seen": True}).text
    assert "mnist: 97.13% accuracy on its training examples" in page
    assert not re.search(r"\btest\b", page)


def test_gradients_that_disagree_and_those_not_checked_are_told_apart(report):
    wrong = report({**SUMMARY, "gradient_check": {"ok": False, "largest_relative_error": 0.5}}).text
    assert "DISAGREE" in wrong
    assert "left out" in report({**SUMMARY, "gradient_check": None}).text


def test_a_report_can_be_written_without_rows_norms_or_test_losses(report):
    assert "Curves" not in report(rows=[]).text
    kept = ("epoch", "step", "train_loss", "test_accuracy", "seconds")
    assert "Gradients by layer" not in report(rows=[{key: row[key] for key in kept} for row in ROWS]).text


def test_one_row_is_a_table_and_no_curve_of_one_point(report, tmp_path):
    text = report(rows=ROWS[:1], summary={**SUMMARY, "steps": 1}).text
    assert "After 1 step on" in text
    assert "Measured once, at the end, so there is no curve." in text
    assert "600 1 0.5000" in text
    assert list((tmp_path / "pictures").iterdir()) == []


def test_numbers_are_not_broken_and_columns_of_them_end_alike():
    hashed = "0123456789abcdef" * 4
    page = read(table("Found", ["name", "number", "mixed"], [["a", "1.5e-07", "—"], ["b", "1,234.5 s ★", hashed]]))
    kinds = [attributes.get("class") for tag, attributes in page.elements if tag in ("th", "td")]
    assert kinds == [None, "number", None, None, "number whole", "whole", None, "number whole", "long"]


def test_results_have_their_units(report):
    found = {**SUMMARY, "test_loss": 0.257016796875, "complete": True}
    text = report(found).text
    for wanted in ("test loss 0.2570 nats", "steps 10,000", "all of the data yes", "training 4.25 s"):
        assert wanted in text


def test_the_pictures_lie_beside_the_report_as_files(report, tmp_path):
    report(sections=[Section("More", "<p>More</p>", {"more.png": b"PNG"})])
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        "accuracy.svg", "gradients.svg", "loss.svg", "more.png", "updates.svg",
    }  # fmt: skip
    for path in (tmp_path / "pictures").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_every_section_can_be_reached_by_a_link(report):
    elements = report(sections=[Section("What & why?", "")]).elements
    links = {attributes["href"][1:] for tag, attributes in elements if tag == "a"}
    assert links == {attributes["id"] for tag, attributes in elements if tag == "section"}
    assert "what-why" in links
