"""What a run shows: `--quiet`, `--json`, `--tensorboard`."""

import importlib.util
import json
import struct

import pytest

from experiments import xor
from experiments._command import command_line
from experiments._display import Display

XOR = ("xor", "--no-gradient-check", "--out", "run")


def scalars(folder):
    """What the event files of a folder hold, read as the format's definition says: tag to [(step, value), …]."""
    from tensorboardX.proto import event_pb2

    found = {}
    for path in sorted(folder.iterdir()):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)  # Then a checksum, the record, another checksum.
            event = event_pb2.Event.FromString(content[place + 12 : place + 12 + length])
            place += length + 16
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_as_json_the_only_line_of_standard_output_is_the_result(command, tmp_path):
    ended = command(*XOR, "--steps", 3, "--json")
    assert ended.status == 0, ended.err
    (line,) = ended.out.splitlines()
    result = json.loads((tmp_path / "working folder" / "run" / "result.json").read_text())
    assert json.loads(line) == {**result, "folder": "run"}
    assert "3 steps" in ended.err


@pytest.mark.parametrize(("options", "streams"), [({"quiet": True}, (0, 1)), ({"json": True}, (0, 1)), ({}, (1, 0))])
def test_what_must_not_be_missed_is_said_once(capsys, tmp_path, options, streams):
    config = xor.Config(steps=3, **options)
    with Display(
        "xor", {}, config, notice="ONLY A PART", folder=tmp_path, first_step=0, row_begins=0, last_step=3,
        examples_per_step=4, seen=True,
    ):  # fmt: skip
        assert tuple(text.count("ONLY A PART\n") for text in capsys.readouterr()) == streams
    assert command_line("xor", config) == "python -m experiments.xor --steps 3"  # Shows what others choose to see.


def test_quiet_a_run_that_goes_well_prints_nothing_and_a_bad_option_its_line(command):
    assert command(*XOR, "--steps", 3, "--quiet") == (0, "", "")
    refused = command(*XOR, "--steps", 3, "--quiet")
    assert (refused.status, refused.out, len(refused.err.splitlines())) == (2, "", 1)


def test_tensorboard_is_given_every_row_and_a_resumed_run_goes_on_in_the_same_folder(command, tmp_path):
    folder = tmp_path / "working folder" / "run"
    for steps, more in ((1000, ()), (2500, ("--resume",))):
        ended = command(*XOR, "--steps", steps, "--tensorboard", *more)
        assert ended.status == 0, ended.err
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    written = scalars(folder / "tensorboard")
    for tag, name in (("loss/train", "train_loss"), ("loss/test", "test_loss"), ("accuracy/test", "test_accuracy")):
        assert [step for step, _ in written[tag]] == [1000, 2000, 2500]
        assert [value for _, value in written[tag]] == pytest.approx([row[name] for row in rows])
    assert command(*XOR, "--steps", 3, "--overwrite").status == 0
    assert not (folder / "tensorboard").exists()


def test_tensorboard_that_is_not_installed_is_asked_for_in_one_line_before_anything_is_written(
    command, tmp_path, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ended = command(*XOR, "--tensorboard")
    assert ended.err == (
        "Expected tensorboardX with --tensorboard, found it is not installed: pip install tensorboardX.\n"
    )
    assert ended.status == 2
    assert not (tmp_path / "working folder" / "run").exists()


@pytest.mark.parametrize("option", ["quiet", "json", "tensorboard"])
def test_a_population_has_its_own_table(command, option):
    ended = command("xor", "--population", 10, f"--{option}")
    assert (ended.status, ended.err) == (
        2, f"Expected --{option} or --population, found both: a population prints its own table.\n",
    )  # fmt: skip
