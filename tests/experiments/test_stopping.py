"""Runs that are stopped: by a loss that is not finite, by a signal, by a crash; and how they go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import _command, xor
from experiments._command import OptionError
from experiments._folder import RunFolder
from experiments._options import TrainingConfig
from experiments._training import train
from functional_nets.training import CheckpointError, SkippedTooOftenError
from tests.experiments.conftest import contents
from tests.hostile.checkpoints import signed

CHECKOUT = Path(__file__).parents[2]
REPORT = 1000  # Steps between two checkpoints of XOR.
# Batches of two rows, so that each epoch draws an order; momentum, so that a state is more than parameters.
OPTIONS = {
    "batch_size": 2, "optimizer": "momentum", "learning_rate": 0.05, "seed": 1, "checkpoint_every": str(REPORT),
}  # fmt: skip
WORDS = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]


def metrics_of(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def timeless(summary):
    return {name: value for name, value in summary.items() if not name.endswith("_seconds")}


def run(folder, steps, **options):
    return xor.run(xor.Config(**{**OPTIONS, "gradient_check": False, **options}, steps=steps, out=folder))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run of XOR that nobody stops."""
    return run(tmp_path_factory.mktemp("runs") / "whole", 5 * REPORT + 101)


def go_on(folder, steps):
    return run(folder, steps, resume=True)


@pytest.fixture
def endless(tmp_path):
    """A process that trains XOR for ever, once it has saved a few checkpoints."""
    out = tmp_path / "stopped"
    command = [sys.executable, "-m", "experiments.xor", *WORDS, "--no-gradient-check", "--steps=1000000000"]
    process = subprocess.Popen(
        [*command, f"--out={out}"], cwd=CHECKOUT, env={**os.environ, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        for _ in range(1200):
            if len(list((out / "checkpoints").glob("*.safetensors"))) == 2:
                break
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        yield process, out
    finally:
        process.kill()
        process.communicate()


def newest_step(folder):
    return max(int(path.stem.split("_")[1]) for path in (folder / "checkpoints").glob("step_*.safetensors"))


def steps_kept(folder):
    return sorted(int(path.stem.split("_")[1]) for path in (folder / "checkpoints").iterdir())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_after_a_checkpoint(endless, number, status):
    process, out = endless
    process.send_signal(number)
    assert process.wait(60) == status
    assert process.stderr.read() == b""
    assert newest_step(out) - REPORT < metrics_of(out)[-1]["step"] <= newest_step(out)
    assert not list(out.rglob("*.partial"))


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


def test_a_folder_that_another_process_writes_to_is_refused(endless):
    _, out = endless
    for options in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(OptionError, match=f"found another process writing to {out}: wait for it"):
            run(out, REPORT, **options)


def test_a_folder_whose_process_has_ended_is_free(tmp_path):
    out = tmp_path / "run"
    with RunFolder.choose("xor", out, resume=False, overwrite=True) as folder:
        folder.begin({})
        with pytest.raises(OptionError, match="another process"):
            RunFolder.choose("xor", out, resume=False, overwrite=True)
    run(out, REPORT, overwrite=True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of files' sizes")
def test_a_full_disk_stops_no_training_and_the_last_checkpoint_is_asked_for(tmp_path, capsys):
    import resource

    out = tmp_path / "run"
    run(out, REPORT)
    before = newest_step(out)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))  # Metrics fit in, a checkpoint does not.
        with pytest.raises(OptionError, match="found File too large: make room there, and say --resume"):
            go_on(out, 3 * REPORT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "Expected to save a checkpoint in" in capsys.readouterr().err
    assert newest_step(out) == before
    assert not list(out.rglob("*.partial"))
    assert go_on(out, 3 * REPORT).summary["steps"] == 3 * REPORT


def test_checkpoints_come_when_they_are_asked_for(tmp_path):
    run(tmp_path / "steps", 2 * REPORT, checkpoint_every="700", keep_checkpoints=9)
    assert steps_kept(tmp_path / "steps") == [700, REPORT, 1400, 2 * REPORT]  # At 1,000 the best so far.
    run(tmp_path / "seconds", 2 * REPORT, checkpoint_every="1000s", keep_checkpoints=9)
    assert steps_kept(tmp_path / "seconds") == [2 * REPORT]
    run(tmp_path / "epochs", 2 * REPORT, checkpoint_every="epoch", keep_checkpoints=9)
    assert steps_kept(tmp_path / "epochs") == [2 * REPORT]  # The first epoch ended too soon after the beginning.


def test_the_best_checkpoint_is_kept_beside_the_newest(tmp_path):
    def evaluate(params):
        scores = iter((0.2, 0.9, 0.4, 0.9, 0.1))
        evaluate.scores = getattr(evaluate, "scores", scores)
        return {"test_accuracy": next(evaluate.scores), "test_loss": 1.0}

    out = tmp_path / "run"
    config = FallingConfig(batch_size=2, learning_rate=0.1, gradient_check=False, out=out, keep_checkpoints=1)
    train("falling", config, falling, np.float32(0), (np.zeros(10, np.float32),), evaluate, {"source": "embedded"})
    assert steps_kept(out) == [10, 25]  # Of two equally good ones the first.


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


def test_what_is_not_the_runs_own_stays_when_it_begins_and_when_it_is_overwritten(tmp_path):
    out = tmp_path / "run"
    (out / "pictures").mkdir(parents=True)
    own = [out / "movie.mkv.partial", out / "pictures" / "family.jpg", out / "notes.txt"]
    for path in own:
        path.write_text("precious")
    run(out, REPORT, overwrite=True)
    assert [path.read_text() for path in own] == ["precious"] * 3


def test_a_folder_that_is_moved_is_not_made_again(tmp_path):
    def move(params):
        if (tmp_path / "run").exists() and params > -2:
            (tmp_path / "run").rename(tmp_path / "moved")
        return {"test_accuracy": 0.5, "test_loss": 1.0}

    config = FallingConfig(batch_size=2, learning_rate=0.1, gradient_check=False, out=tmp_path / "run")
    with pytest.raises(OptionError, match="found it moved or deleted"):
        train("falling", config, falling, np.float32(0), (np.zeros(10, np.float32),), move, {"source": "embedded"})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("metrics_bytes", "abc"), ("metrics_bytes", -5), ("best", {}), ("best", "x"), ("inexact", 5), ("seconds", 1e300)],
)
def test_a_checkpoint_that_says_what_no_run_says_is_refused(tmp_path, name, value):
    out = tmp_path / "run"
    run(out, REPORT)
    (path,) = (out / "checkpoints").iterdir()
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
    assert len(list((folder / "checkpoints").iterdir())) == 1


@dataclass(frozen=True)
class FallingConfig(TrainingConfig):
    """Of a loss that falls by 1 each step and is NaN from step 13 on, five steps an epoch."""

    @property
    def length(self):
        return {"epochs": 5}


def falling(params, x):
    value = -params + 0 * x.sum()
    return jnp.where(value < -12.5, jnp.nan, value)


def fall(config):
    config.check()
    return train(
        "falling", config, falling, np.float32(0), (np.zeros(10, np.float32),),
        lambda params: {"test_accuracy": 0.5, "test_loss": float(params)}, {"source": "embedded"},
    )  # fmt: skip


def test_a_loss_that_is_not_finite_ends_with_status_3_and_keeps_what_was_written(tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    words = ["--learning-rate=1", "--batch-size=2", "--no-gradient-check", f"--out={out}"]
    monkeypatch.setattr(sys, "argv", ["falling", *words])
    with pytest.raises(SystemExit) as stopped:
        _command.main(FallingConfig, "falling", "A loss that falls.", fall)
    assert stopped.value.code == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "found nan first at step 13 (epoch 3)" in line
    assert [row["step"] for row in metrics_of(out)] == [5, 10]
    assert newest_step(out) == 10
    assert (out / "config.json").is_file()
    assert not (out / "result.json").exists()
    story = json.loads((out / "failure.json").read_text())
    assert (story["step"], story["epoch"], story["found"], story["learning_rate"]) == (13, 3, "loss", 1.0)
    assert f" at {__file__}:" in story["origin"]
    assert story["message"] == line


def test_a_step_that_is_not_finite_can_be_skipped_and_is_counted(tmp_path):
    config = FallingConfig(
        batch_size=2, learning_rate=1.0, gradient_check=False, on_nonfinite="skip", out=tmp_path / "a"
    )
    assert fall(config).summary["steps"] == 25
    assert [row.get("skipped") for row in metrics_of(tmp_path / "a")] == [None, None, 2, 7, 12]
    with pytest.raises(SkippedTooOftenError, match="found 7 by step 20"):
        fall(replace(config, max_skipped=5, out=tmp_path / "b"))


def test_a_learning_rate_without_measure_ends_with_status_3(command, tmp_path):
    out = tmp_path / "run"
    ended = command("xor", *WORDS, "--learning-rate", 1e38, "--no-gradient-check", "--out", out)
    assert ended.status == 3
    assert "Expected a finite" in ended.err
    assert "learning rate 1e+38" in ended.err
    assert (out / "config.json").is_file()
