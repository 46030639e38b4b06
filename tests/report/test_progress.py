"""The progress of a run in the terminal."""

import json
import re

import numpy as np
import pytest

from functional_nets.report import Progress

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
    assert lines[3:] == [
        "test accuracy  97.13%",
        "test loss      0.0954",
        "train loss     0.0500",
        "steps          10,000",
        "time           trained 4.2 s, compiled 0.5 s, in all 6.0 s",
        "gradients      the witnesses agree, largest relative error 1.5e-07",
        "data           embedded",
        "written        runs/mnist/[1]/report.html and beside it",
    ]
    assert not any("\x1b" in line for line in lines)


def shown(progress, rows=ROWS):
    with progress:
        for row in rows:
            progress.row(row)
        progress.finish(SUMMARY, "runs/mnist/[1]")


def test_a_long_run_shows_twenty_rows_and_its_last(capsys):
    rows = [{**ROWS[0], "epoch": number, "step": 3 * number} for number in range(1, 1001)]
    shown(Progress("mnist", {}, {"epochs": 1000}, steps=3000), rows)
    steps = [int(line.split()[3]) for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert 20 <= len(steps) <= 21
    assert steps[-1] == 3000


def test_the_pace_is_that_of_training_alone(capsys):
    shown(Progress("mnist", {}, {"steps": 10_000}, examples_per_step=100))
    assert "steps          10,000, 235,294 examples/s" in capsys.readouterr().out.splitlines()  # In 4.25 s.


def test_a_quiet_run_says_nothing_but_what_must_not_be_missed(capsys):
    shown(Progress("mnist", {}, {"epochs": 2}, notice="ONLY [a] PART", quiet=True))
    assert capsys.readouterr() == ("", "ONLY [a] PART\n")


def test_as_json_standard_output_is_one_line_and_all_else_goes_elsewhere(capsys):
    shown(Progress("mnist", {}, {"epochs": 2}, notice="ONLY [a] PART", as_json=True))
    out, err = capsys.readouterr()
    assert out.endswith("}\n")
    assert json.loads(out) == {**SUMMARY, "folder": "runs/mnist/[1]"}
    assert "ONLY [a] PART" in err
    assert "test accuracy  97.13%" in err


def test_a_terminal_has_a_live_line_with_pace_loss_accuracy_and_time_left(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    progress = Progress("mnist", {}, {"epochs": 2}, steps=1200, examples_per_step=100)
    with progress:
        progress.row(ROWS[0])
        progress.at(900, loss=0.25, steps_per_second=50)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    line = next(line for line in re.split(r"[\r\n]", text) if "examples/s" in line)
    for wanted in ("mnist", "75%", "5,000 examples/s", "loss 0.2500", "accuracy 90.00%"):
        assert wanted in line
    assert re.search(r"(\d+|--):(\d\d|--)", line)


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (60, ["fashion_mnist", "50%", "loss 0.5000", "accuracy 90.00%"]),
        (80, ["50%", "240,000 examples/s", "loss 0.5000", "accuracy 90.00%"]),
        (120, ["━", "50%", "240,000 examples/s", "loss 0.5000", "accuracy 90.00%"]),
    ],
)
def test_after_a_row_the_live_line_has_its_pace_and_loss_and_the_time_left_in_any_width(
    monkeypatch, capsys, width, wanted
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    with Progress("fashion_mnist", {}, {"epochs": 2}, steps=1200, examples_per_step=100, first_step=0) as progress:
        progress.row(ROWS[0])
        progress.at(600)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    line = next(line for line in re.split(r"[\r\n]", text) if "50%" in line)
    assert [each for each in wanted if each not in line] == []
    assert re.search(r"(\d+|--):(\d\d|--) *$", line)


def test_nothing_is_called_a_test_that_was_trained_on(capsys):
    shown(Progress("xor", {}, {"steps": 1}, seen=True))
    out = capsys.readouterr().out
    assert "1 step\n" in out
    assert "accuracy       97.13%" in out
    assert "test" not in out


def test_a_notice_stands_before_the_first_row(capsys):
    lines = report(capsys, {"steps": 1200}, notice="ONLY A PART [of] THE DATA IS USED")
    assert lines[0].endswith("1,200 steps")
    assert lines[1] == "ONLY A PART [of] THE DATA IS USED"


def test_gradients_that_disagree_are_said_to_and_those_not_checked_are_not_mentioned(capsys):
    wrong = report(capsys, {"epochs": 2}, gradient_check={"ok": False, "largest_relative_error": 0.5})
    assert any(line.startswith("gradients      the witnesses DISAGREE") for line in wrong)
    assert not any("gradients" in line for line in report(capsys, {"epochs": 2}, gradient_check=None))
