"""A run's folder that somebody else has written: refused in one line, or read."""

import json

import pytest

from experiments._records import COUNTS, LARGEST_ROW, MEASURES, as_json, read_metrics, read_record
from tests.data.made_data import refused
from tests.experiments.conftest import contents

ROW = {"epoch": 1, "step": 600, "train_loss": 0.7, "seconds": 1.5, "test_accuracy": 0.9, "test_loss": float("nan")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def test_rows_come_back_and_a_cut_last_one_is_left_out(path):
    line = json.dumps({**ROW, "more": 3})
    path.write_text(f"{line}\n{line}\n{line[:-5]}")
    assert [repr(row) for row in read_metrics(path)] == [repr({**ROW, "more": 3})] * 2
    path.write_text(line)
    assert len(read_metrics(path)) == 1
    assert read_metrics(path.with_name("none")) == []


@pytest.mark.parametrize("name", [*COUNTS, *MEASURES])
@pytest.mark.parametrize("value", ["missing", True, "1", [1], 10**30])
def test_what_is_no_number_is_refused_with_its_line(path, name, value):
    bad = {each: ROW[each] for each in ROW if each != name} if value == "missing" else {**ROW, name: value}
    path.write_text("".join(json.dumps(row) + "\n" for row in (ROW, bad)))
    with refused("number" if name in MEASURES else "count", name, "line 2", "metrics.jsonl"):
        read_metrics(path)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1, 1.0, float("nan"), None])
def test_what_is_no_count_is_refused(path, name, value):
    path.write_text(json.dumps({**ROW, name: value}) + "\n")
    with refused(f"count as {name}"):
        read_metrics(path)


@pytest.mark.parametrize("line", [b"\xff\n", b"[]\n", b"\n", b"{\n", b"[" * 4000 + b"\n", b" " * LARGEST_ROW + b"\n"])
def test_a_line_that_is_no_object_is_refused(path, line):
    path.write_bytes(line)
    with refused("line 1"):
        read_metrics(path)


def test_what_a_terminal_would_obey_is_not_shown(path):
    path.write_text(json.dumps({**ROW, "\x1b[2J": "\x1b[2J"}) + "\n")
    with refused(r"\x1b") as caught:
        read_metrics(path)
    assert str(caught.value).isprintable()


def test_what_json_has_no_word_for_is_written_as_null_and_read_as_nan(path):
    row = {**ROW, "train_loss": float("inf"), "more": [float("-inf"), 1.5]}
    line = as_json(row)
    assert json.loads(line) == {**ROW, "train_loss": None, "test_loss": None, "more": [None, 1.5]}
    path.write_text(as_json({**ROW, "train_loss": float("inf")}) + "\n")
    assert repr(read_metrics(path)) == repr([{**ROW, "train_loss": float("nan")}])


def test_a_record_is_an_object(path):
    path.write_text('{"a": [1, null]}')
    assert read_record(path) == {"a": [1, None]}
    path.write_text("[]")
    with refused("a list", "metrics.jsonl"):
        read_record(path)


def test_resuming_with_metrics_that_are_none_is_refused_and_nothing_is_lost(command, tmp_path):
    common = ("xor", "--out", tmp_path / "run", "--no-gradient-check", "--steps")
    assert command(*common, 2001).status == 0
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_bytes(b"\xff" + metrics.read_bytes()[1:])
    before = contents(tmp_path)
    ended = command(*common, 2003, "--resume")
    assert (ended.status, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert line.startswith("Expected JSON, found something else in line 1 of ")
    assert contents(tmp_path) == before
