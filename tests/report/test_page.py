"""The page of a run, and its progress in the terminal."""

from html.parser import HTMLParser

import numpy as np
import pytest

from functional_nets.report import Progress, write_page

SUMMARY = {
    "experiment": "mnist",
    "source": "embedded",
    "notice": None,
    "test_accuracy": 0.9713,
    "test_loss": 0.0954,
    "train_loss": 0.05,
    "steps": 10_000,
    "compile_seconds": 0.5,
    "train_seconds": 4.25,
    "total_seconds": 6.0,
    "gradient_check": {"ok": True, "largest_relative_error": 1.5e-7},
}
ROWS = [
    {"epoch": 1, "step": 600, "train_loss": 0.5, "test_loss": 0.4, "test_accuracy": 0.9, "seconds": 0.25},
    {"epoch": 2, "step": 1200, "train_loss": 0.3, "test_loss": 0.3, "test_accuracy": 0.92, "seconds": 0.25},
]
CONFIG = {"learning_rate": 0.1, "data_dir": None, "out": "<runs> & more"}


class Balanced(HTMLParser):
    """Notes each element that is not closed in its order, and where the page asks for other files."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.references, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.references += [value for name, value in attributes if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page(tmp_path):
    """Writes the page of a run and returns its text as a reader sees it."""

    def write(summary=SUMMARY, rows=ROWS, config=CONFIG):
        path = tmp_path / "report.html"
        write_page(path, summary, rows, config)
        reader = Balanced()
        reader.feed(path.read_text(encoding="utf-8"))
        assert (reader.open, reader.faults, reader.references) == ([], [], [])
        return " ".join(reader.text)

    return write


def test_a_page_says_accuracy_results_and_options_and_needs_no_other_file(page):
    text = page()
    for wanted in ("mnist: 97.13% test accuracy", "10000", "learning rate", "<runs> & more", "Loss, nats"):
        assert wanted in text
    assert "data dir" not in text  # An option that was not given.


def test_a_page_about_a_part_of_the_data_says_so(page):
    text = page({**SUMMARY, "notice": "ONLY A PART OF THE DATA IS USED"})
    assert text.index("ONLY A PART") < text.index("Result")  # Before anything else is read.
    assert "ONLY A PART" not in page()


def test_a_page_can_be_written_without_rows_or_test_losses(page):
    page(rows=[])
    page(rows=[{key: value for key, value in row.items() if key != "test_loss"} for row in ROWS])


def report(capsys, length, notice=None, **changes):
    """What a run prints when its output is no terminal."""
    with Progress("mnist", {"w": np.zeros((784, 50))}, length, notice=notice) as progress:
        for row in ROWS:
            progress.row(row)
        progress.finish({**SUMMARY, **changes}, "runs/mnist/[1]")
    return capsys.readouterr().out.splitlines()


def test_progress_is_one_plain_line_for_each_row_when_the_output_is_no_terminal(capsys):
    lines = report(capsys, {"epochs": 2})
    assert lines[0] == "mnist: 39,200 parameters, 2 epochs"
    assert " ".join(lines[1].split()) == (
        "epoch 1 step 600 train loss 0.5000 test loss 0.4000 test accuracy 90.00% 0.25 s"
    )
    assert lines[3] == (
        "test accuracy 97.13%, test loss 0.0954 after 10,000 steps; trained 4.2 s, compiled 0.5 s, in all 6.0 s"
    )
    assert lines[4] == "gradients: the witnesses agree, largest relative error 1.5e-07"
    assert lines[5] == "data: embedded; written: runs/mnist/[1]/report.html and beside it"
    assert not any("\x1b" in line for line in lines)


def test_a_notice_stands_before_the_first_row(capsys):
    lines = report(capsys, {"steps": 1200}, notice="ONLY A PART [of] THE DATA IS USED")
    assert lines[0].endswith("1,200 steps")
    assert lines[1] == "ONLY A PART [of] THE DATA IS USED"


def test_gradients_that_disagree_are_said_to_and_those_not_checked_are_not_mentioned(capsys):
    wrong = report(capsys, {"epochs": 2}, gradient_check={"ok": False, "largest_relative_error": 0.5})
    assert any(line.startswith("gradients: the witnesses DISAGREE") for line in wrong)
    assert not any("gradients" in line for line in report(capsys, {"epochs": 2}, gradient_check=None))
