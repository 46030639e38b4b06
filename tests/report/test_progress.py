"""The progress of a run in the terminal."""

import numpy as np

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
