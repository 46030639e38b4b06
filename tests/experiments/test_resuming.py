"""Runs that go on after a crash: the same bits, or a refusal that names what is not the same."""

import json
import shutil

import pytest

from experiments._command import OptionError
from functional_nets.training import CheckpointError
from tests.experiments.conftest import contents
from tests.experiments.xor_runs import OPTIONS, REPORT, WORDS, go_on, metrics_of, newest_step, run, steps_kept, timeless
from tests.hostile.checkpoints import signed

pytestmark = pytest.mark.usefixtures("no_reports")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run of XOR that nobody stops."""
    return run(tmp_path_factory.mktemp("runs") / "whole", 5 * REPORT + 101)


def test_a_run_continued_in_pieces_is_the_uninterrupted_one(uninterrupted, tmp_path):
    folder = tmp_path / "pieces"
    run(folder, REPORT)
    for steps in (2 * REPORT + 1, 5 * REPORT + 101):  # The second piece ends within an epoch.
        resumed = go_on(folder, steps)
    assert timeless(resumed.summary) == timeless(uninterrupted.summary)
    assert metrics_of(folder) == metrics_of(uninterrupted.folder)  # The row of a part gives way to the whole's.


def test_a_run_killed_before_its_result_has_it_when_resumed(uninterrupted, tmp_path):
    folder = tmp_path / "killed"
    shutil.copytree(uninterrupted.folder, folder)
    (folder / "result.json").unlink()
    again = go_on(folder, 5 * REPORT + 101)
    assert timeless(again.summary) == timeless(uninterrupted.summary)
    assert metrics_of(folder) == metrics_of(uninterrupted.folder)


def test_a_finished_run_is_not_resumed(uninterrupted):
    before = (uninterrupted.folder / "result.json").read_text()
    with pytest.raises(OptionError, match="the last"):
        go_on(uninterrupted.folder, 5 * REPORT + 101)
    assert (uninterrupted.folder / "result.json").read_text() == before


@pytest.mark.parametrize("half_written", [False, True])
def test_a_run_killed_before_its_first_checkpoint_begins_again(uninterrupted, tmp_path, half_written):
    folder = tmp_path / "early"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    if half_written:
        (folder / "checkpoints" / "step_000001000.safetensors.partial").write_bytes(b"half")
    again = go_on(folder, 5 * REPORT + 101)
    assert again.summary["params_sha256"] == uninterrupted.summary["params_sha256"]


WHOLE_ROW = '{"epoch": 1500, "step": 3000, "train_loss": 1, "seconds": 1, "test_accuracy": 1, "test_loss": 1}\n'


@pytest.mark.parametrize("row", [WHOLE_ROW[:40], WHOLE_ROW])
def test_a_row_that_a_crash_has_cut_or_left_without_its_checkpoint_is_written_again(uninterrupted, tmp_path, row):
    folder = tmp_path / "cut"
    run(folder, 2 * REPORT)
    with (folder / "metrics.jsonl").open("a") as stream:
        stream.write(row)
    go_on(folder, 5 * REPORT + 101)
    assert metrics_of(folder) == metrics_of(uninterrupted.folder)


def test_rows_that_were_changed_since_their_checkpoint_are_not_gone_on_with(tmp_path):
    folder = tmp_path / "edited"
    run(folder, 2 * REPORT)
    metrics = folder / "metrics.jsonl"
    text = metrics.read_text()
    metrics.write_text(text.replace('"epoch": 500', '"epoch": 501', 1))
    assert len(metrics.read_text()) == len(text)
    with pytest.raises(OptionError, match="found others: put the file back"):
        go_on(folder, 3 * REPORT)
    metrics.write_text(text)
    assert go_on(folder, 3 * REPORT).summary["steps"] == 3 * REPORT


def test_files_that_only_look_like_checkpoints_are_left_alone(tmp_path):
    folder = tmp_path / "strange"
    run(folder, REPORT)
    strange = [folder / "checkpoints" / f"step_{name}.safetensors" for name in ("²", "7", "000000007", "best")]
    for path in strange[:2]:
        path.write_text("no checkpoint")
    for path in strange[2:]:
        path.mkdir()
    assert go_on(folder, 4 * REPORT).summary["steps"] == 4 * REPORT
    assert set(strange) < set((folder / "checkpoints").iterdir())
    run(folder, REPORT, overwrite=True)
    assert set(strange) < set((folder / "checkpoints").iterdir())


def test_a_run_whose_checkpoints_are_gone_does_not_begin_again(tmp_path):
    folder = tmp_path / "bereft"
    run(folder, REPORT)
    (folder / "result.json").unlink()
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    before = contents(folder)
    with pytest.raises(CheckpointError, match="Expected a whole checkpoint to resume from"):
        go_on(folder, 2 * REPORT)
    assert contents(folder) == before


def test_a_run_killed_before_its_first_row_is_resumed_with_its_own_options_alone(tmp_path):
    folder = tmp_path / "early"
    run(folder, REPORT, checkpoint_every="9s", keep_checkpoints=9)
    for path in (folder / "result.json", folder / "metrics.jsonl", *(folder / "checkpoints").glob("step_*1000.*")):
        path.unlink()
    with pytest.raises(CheckpointError, match="learning_rate"):
        run(folder, REPORT, resume=True, learning_rate=0.7)
    assert go_on(folder, REPORT).summary["steps"] == REPORT


def test_a_damaged_checkpoint_is_told_of_and_the_run_goes_on_from_the_one_before(uninterrupted, tmp_path, capsys):
    folder = tmp_path / "damaged"
    run(folder, 3 * REPORT)
    newest = max((folder / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1] + b"!")
    go_on(folder, 5 * REPORT + 101)
    assert f"A damaged checkpoint was passed over ({newest.name}" in capsys.readouterr().out
    assert metrics_of(folder) == metrics_of(uninterrupted.folder)


def test_when_all_checkpoints_are_damaged_nothing_is_deleted(tmp_path):
    folder = tmp_path / "damaged"
    run(folder, 2 * REPORT)
    for path in (folder / "checkpoints").iterdir():
        path.write_bytes(b"")
    before = contents(folder)
    with pytest.raises(CheckpointError, match="it is empty"):
        go_on(folder, 3 * REPORT)
    assert contents(folder) == before


def test_metrics_that_have_lost_rows_are_not_gone_on_with(tmp_path):
    folder = tmp_path / "short"
    run(folder, 2 * REPORT)
    (folder / "metrics.jsonl").write_text("")
    with pytest.raises(OptionError, match=r"Expected metrics.jsonl .* found 0: put the file back"):
        go_on(folder, 3 * REPORT)


@pytest.mark.parametrize("place", ["jax.__version__", "jax.lib.__version__", "optax.__version__"])
def test_a_run_is_not_resumed_with_other_versions_unless_that_is_allowed_and_then_recorded(
    tmp_path, monkeypatch, place
):
    folder = tmp_path / "run"
    run(folder, REPORT)
    monkeypatch.setattr(place, "99.0")
    before = contents(folder)
    with pytest.raises(CheckpointError, match=r"= 99.0, found .* say --allow-inexact"):
        go_on(folder, 2 * REPORT)
    assert contents(folder) == before
    (note,) = run(folder, 2 * REPORT, resume=True, allow_inexact=True).summary["inexact"]
    assert note.startswith("Going on inexactly: ")
    assert note.endswith(" and is 99.0.")
    monkeypatch.undo()
    assert len(run(folder, 3 * REPORT, resume=True, allow_inexact=True).summary["inexact"]) == 2


def test_a_run_goes_on_with_the_options_that_it_began_with(tmp_path, command):
    out = tmp_path / "run"
    assert command("xor", *WORDS, "--no-gradient-check", "--steps", REPORT, "--out", out).status == 0
    assert command("xor", "--resume", "--out", out, "--steps", 2 * REPORT).status == 0
    options = json.loads((out / "config.json").read_text())
    assert {name: options[name] for name in OPTIONS} == OPTIONS
    assert options["steps"] == 2 * REPORT
    assert "found 1" in command("xor", "--resume", "--out", out, "--steps", 3 * REPORT, "--seed", 2).err


def test_a_run_is_not_resumed_to_fewer_steps_than_it_has_nor_without_its_checkpoints(tmp_path):
    out = tmp_path / "run"
    run(out, 2 * REPORT)
    (out / "result.json").unlink()
    with pytest.raises(OptionError, match="at step 2,000 of 1,000"):
        go_on(out, REPORT)
    go_on(out, 2 * REPORT)
    shutil.rmtree(out / "checkpoints")
    before = contents(out)
    with pytest.raises(CheckpointError, match="Expected a whole checkpoint"):
        go_on(out, 3 * REPORT)
    assert contents(out) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metrics_bytes", "abc"),
        ("metrics_bytes", -5),
        ("metrics_sha256", 5),
        ("best", {}),
        ("best", "x"),
        ("inexact", 5),
        ("seconds", 1e300),
    ],
)
def test_a_checkpoint_that_says_what_no_run_says_is_refused(tmp_path, name, value):
    out = tmp_path / "run"
    run(out, REPORT)
    path = max((out / "checkpoints").iterdir())
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["about"]) | {name: value}
    header["__metadata__"]["about"] = json.dumps(about)
    text = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(signed(len(text).to_bytes(8, "little") + text + content[8 + length :]))
    with pytest.raises(CheckpointError, match=r"Expected a .*checkpoint"):
        go_on(out, 2 * REPORT)


def test_overwriting_leaves_nothing_of_the_run_before(uninterrupted, tmp_path):
    folder = tmp_path / "again"
    run(folder, 3 * REPORT)
    run(folder, REPORT, seed=2, overwrite=True)
    assert [row["step"] for row in metrics_of(folder)] == [REPORT]
    assert newest_step(folder) == REPORT
    assert steps_kept(folder) == [0, REPORT]
