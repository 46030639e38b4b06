"""Runs compared: in the terminal, on a page, and what cannot be compared."""

import json
import re

import pytest

from functional_nets.report.comparison import Compared, comparison_page, differences, results
from tests.report.reading import read

ROW = {"epoch": 1, "step": 4, "train_loss": 0.5, "test_loss": 0.4, "test_accuracy": 0.9, "seconds": 0.25}


@pytest.fixture
def runs(tmp_path):
    """Makes folders of runs, without training any."""

    def make(name, *, ended=True, experiment="mnist", **changes):
        folder = tmp_path / name
        folder.mkdir()
        result = {"test_accuracy": 0.9, "test_loss": 0.4, "train_loss": 0.5, "steps": 4, "train_seconds": 0.25,
                  "compile_seconds": 1.0, "total_seconds": 2.0, "params_sha256": name * 20}  # fmt: skip
        options = {key: value for key, value in changes.items() if key not in result}
        (folder / "config.json").write_text(json.dumps({"experiment": experiment, "hidden": 50, **options}))
        (folder / "metrics.jsonl").write_text(
            json.dumps(ROW | {key: value for key, value in changes.items() if key in ROW}) + "\n"
        )
        if ended:
            (folder / "result.json").write_text(json.dumps(result | changes))
        return folder

    return make


def test_the_terminal_shows_what_differs_and_marks_the_best(command, runs):
    ended = command("compare", runs("first"), runs("second", hidden=20, test_accuracy=0.8), "--out=page.html")
    assert ended.status == 0, ended.err
    lines = {
        line.split("│")[0].strip(): [cell.strip() for cell in line.split("│")[1:]] for line in ended.out.splitlines()
    }
    assert lines["hidden"] == ["50", "20"]
    assert lines["test accuracy"] == ["90.00% ★", "80.00%"]
    assert lines["test loss, nats"] == ["0.4000", "0.4000"]  # None is better.
    assert "learning rate" not in lines
    assert ended.out.splitlines()[-1] == "curves: page.html"


def test_the_page_has_both_tables_and_every_runs_curves(command, runs, tmp_path):
    folders = [runs("first"), runs("<script>", hidden=20), runs("third", ended=False)]
    assert command("compare", *folders).status == 0
    page = read((tmp_path / "working folder" / "runs" / "compare.html").read_text(encoding="utf-8"))
    assert "3 runs compared Runs of mnist. 1 of them have not ended." in page.text
    assert "option first <script> third hidden 50 20 50" in page.text
    for chart in ("Test accuracy", "Test loss", "Training loss", "Test accuracy by time"):
        assert f"{chart} first: " in page.text
    assert [tag for tag, _ in page.elements].count("script") == 1


def test_a_run_that_has_not_ended_has_the_scores_of_its_last_row():
    rows = [{**ROW, "step": 4}, {**ROW, "step": 8, "test_loss": 0.3}]
    values = {row.name: row.values for row in results([Compared("a", {}, rows, {}), Compared("b", {}, [], {})])}
    assert values["steps"] == ["8", "—"]
    assert values["test loss, nats"] == ["0.3000", "—"]
    assert values["training, s"] == ["0.50", "—"]


def test_options_of_which_only_some_runs_know_are_differences():
    found = differences([Compared("a", {"x": 1, "same": 2}, [], {}), Compared("b", {"same": 2}, [], {})])
    assert [(row.name, row.values) for row in found] == [("x", ["1", "—"])]


def test_runs_of_different_experiments_have_no_best_and_what_was_only_shown_is_no_difference(command, runs, tmp_path):
    ended = command("compare", runs("a", quiet=True), runs("b", experiment="lenet", test_accuracy=0.8, json=True))
    assert ended.status == 0, ended.err
    assert "★" not in ended.out + (tmp_path / "working folder" / "runs" / "compare.html").read_text(encoding="utf-8")
    names = [line.split("│")[0].strip() for line in ended.out.splitlines()]
    assert "experiment" in names
    assert not {"quiet", "json", "population"} & set(names)


def test_the_scores_of_examples_that_were_trained_on_are_not_called_those_of_a_test():
    runs = [Compared(name, {}, [{**ROW, "step": step} for step in (4, 8)], {"seen": True}) for name in "ab"]
    assert not re.search(r"\btest\b", read(comparison_page(runs)).text, re.IGNORECASE)


def test_runs_of_one_name_are_told_apart(command, runs, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ended = command("compare", runs("a/run"), runs("b/run"))
    assert "a/run" in ended.out
    assert "b/run" in ended.out


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json in"),
        (lambda folder: (folder / "config.json").write_text("{"), "Expected JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "Expected a JSON object"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff"), "Expected JSON"),
        (lambda folder: (folder / "config.json").write_text('{"experiment": "../x"}'), "found one of '../x'"),
        (lambda folder: (folder / "config.json").write_text('{"experiment": "mnist", "hidden": "x"}'), "found 'x'"),
        (lambda folder: (folder / "metrics.jsonl").write_text("no\n"), "Expected JSON"),
        (lambda folder: (folder / "result.json").write_text("1"), "Expected a JSON object"),
        (lambda folder: (folder / "result.json").write_text('{"steps": "many"}'), "found None"),
        (lambda folder: (folder / "config.json").write_text('{"experiment": "mnist", "optimizer": "x"}'), "found 'x'"),
        (lambda folder: (folder / "config.json").write_text('{"experiment": "mnist", "hidden": 0}'), "found 0"),
    ],
)
def test_a_folder_that_is_no_run_is_refused_in_one_line(command, runs, break_it, found):
    broken = runs("broken")
    break_it(broken)
    ended = command("compare", runs("whole"), broken)
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("Expected ")
    assert found in line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "Expected RUNS, found none"),
        (["only"], "Expected RUNS, two folders or more, found only alone"),
        (["a", "b", "--out", "page.txt"], "Expected --out to be a file that ends in .html, found page.txt"),
    ],
)
def test_bad_words_are_refused_in_one_line(command, words, line):
    ended = command("compare", *words)
    assert ended.status == 2
    assert ended.err.startswith(line)
    assert len(ended.err.splitlines()) == 1
