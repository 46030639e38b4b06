"""Runs that are stopped: by a signal, a full disk, a folder that is gone, a loss that is not finite."""

import contextlib
import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import _main, _saving
from experiments._command import OptionError
from experiments._folder import RunFolder
from experiments._options import TrainingConfig
from experiments._runs import read_run
from experiments._saving import Cadence, Saving
from experiments._training import train
from functional_nets.training import SkippedTooOftenError, Snapshot, TrainState
from tests.experiments.xor_runs import REPORT, WORDS, go_on, metrics_of, newest_step, run, steps_kept

pytestmark = pytest.mark.usefixtures("no_reports")

CHECKOUT = Path(__file__).parents[2]
KEPT_FROM = "jax_persistent_cache_min_compile_time_secs"


@pytest.fixture
def endless(tmp_path):
    """A process that trains XOR for ever, once it has saved a few checkpoints."""
    out = tmp_path / "stopped"
    command = [sys.executable, "-m", "experiments.xor", *WORDS, "--no-gradient-check", "--steps=90000000"]
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


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_after_a_checkpoint(endless, number, status):
    process, out = endless
    process.send_signal(number)
    assert process.wait(60) == status
    assert process.stderr.read() == b""
    assert newest_step(out) - REPORT < metrics_of(out)[-1]["step"] <= newest_step(out)
    assert not list(out.rglob("*.partial"))


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
    kept_from = jax.config.values[KEPT_FROM]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        jax.config.update(KEPT_FROM, 1e9)  # Or compiled programs, which other tests share, would be cut, too.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))  # Metrics fit in, a checkpoint does not.
        with pytest.raises(OptionError, match="found File too large: make room there, and say --resume"):
            go_on(out, 3 * REPORT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        jax.config.update(KEPT_FROM, kept_from)
    assert "Expected to save a checkpoint in" in capsys.readouterr().err
    assert newest_step(out) == before
    assert not list(out.rglob("*.partial"))
    assert go_on(out, 3 * REPORT).summary["steps"] == 3 * REPORT


def test_checkpoints_come_when_they_are_asked_for(tmp_path, monkeypatch):
    run(tmp_path / "steps", 2 * REPORT, checkpoint_every="700", keep_checkpoints=9)
    assert steps_kept(tmp_path / "steps") == [0, 700, REPORT, 1400, 2 * REPORT]  # At 1,000 the best so far.
    run(tmp_path / "seconds", 2 * REPORT, checkpoint_every="1000s", keep_checkpoints=9)
    assert steps_kept(tmp_path / "seconds") == [0, 2 * REPORT]
    for seconds, kept in ((0.0, [0, REPORT, 2 * REPORT]), (1e9, [0, 2 * REPORT])):
        monkeypatch.setattr(_saving, "SHORTEST", seconds)
        run(tmp_path / str(seconds), 2 * REPORT, checkpoint_every="epoch", keep_checkpoints=9)
        assert steps_kept(tmp_path / str(seconds)) == kept


def test_the_best_checkpoint_is_kept_beside_the_newest(tmp_path):
    def evaluate(params):
        scores = iter((0.2, 0.9, 0.4, 0.9, 0.1))
        evaluate.scores = getattr(evaluate, "scores", scores)
        return {"test_accuracy": next(evaluate.scores), "test_loss": 1.0}

    out = tmp_path / "run"
    config = FallingConfig(batch_size=2, learning_rate=0.1, gradient_check=False, out=out, keep_checkpoints=1)
    train("falling", config, falling, np.float32(0), (np.zeros(10, np.float32),), evaluate, {"source": "embedded"})
    assert steps_kept(out) == [10, 25]  # Of two equally good ones the first.


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
        _main.main(FallingConfig, "falling", "A loss that falls.", fall)
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
    with pytest.raises(SkippedTooOftenError, match=r"one more\. Expected .* first at step 18"):
        fall(replace(config, max_skipped=5, out=tmp_path / "b"))


def saving(folder, every="0s"):
    folder.begin({})
    about = {"contract": {}, "inexact": []}
    return Saving(folder, about, cadence=Cadence.parse(every), keep=2, last_step=10**6, best=None)


def test_the_best_snapshot_outlasts_a_save_that_failed(tmp_path, monkeypatch):
    folder = RunFolder.choose("falling", tmp_path / "run", resume=False, overwrite=False)
    saves, write = saving(folder), _saving.save_checkpoint

    def no_space(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for step, accuracy in enumerate((0.5, 0.9, 0.6, 0.6, 0.6, 0.6), 1):
        monkeypatch.setattr(_saving, "save_checkpoint", no_space if step == 2 else write)
        saves.row({"step": step, "test_accuracy": accuracy, "test_loss": 1.0})
        state = TrainState({"w": np.zeros(1, np.float32)}, (), jnp.asarray(step, jnp.int32))
        saves.chunk(Snapshot(state, np.empty(0, np.float32)))
        with contextlib.suppress(OptionError):  # For the one that fails.
            saves.wait()
    assert steps_kept(folder.path) == [2, 5, 6]


def test_a_signal_that_the_parent_has_ignored_stays_ignored(tmp_path):
    folder = RunFolder.choose("falling", tmp_path / "run", resume=False, overwrite=False)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with saving(folder).stopping_on_signals():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("few_images")
def test_a_run_of_skipped_steps_writes_json_that_all_can_read_and_can_go_on(tmp_path, command):
    folder = tmp_path / "skipped"
    words = ("--no-gradient-check", "--learning-rate=1e25", "--on-nonfinite=skip", f"--out={folder}", "--hidden=5")
    assert command("mnist", *words, "--epochs=4").status == 0
    assert command("mnist", "--resume", f"--out={folder}", "--epochs=6").status == 0

    def refuse(word):
        raise AssertionError(word)

    for text in ((folder / "result.json").read_text(), (folder / "metrics.jsonl").read_text().splitlines()[-1]):
        assert json.loads(text, parse_constant=refuse)["train_loss"] is None
    assert math.isnan(read_run(folder).finished()["train_loss"])


def test_a_learning_rate_without_measure_ends_with_status_3(command, tmp_path):
    out = tmp_path / "run"
    ended = command("xor", *WORDS, "--learning-rate", 1e38, "--no-gradient-check", "--out", out)
    assert ended.status == 3
    assert "Expected a finite" in ended.err
    assert "learning rate 1e+38" in ended.err
    assert (out / "config.json").is_file()
