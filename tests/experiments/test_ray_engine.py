"""The engine that runs trials through Ray Tune: the same bits as alone, killed and resumed, and what is refused."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import _ray_engine, _single_trial, _trials, _vmap_engine, xor
from experiments._single_trial import train_single
from experiments._vmap_engine import train_together
from functional_nets import training

CHECKOUT = Path(__file__).parents[2]
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or importlib.util.find_spec("pandas") is None,
    reason="Ray Tune is not installed: pip install 'functional_nets[ray]'",
)


def trial_of(name, **values):
    return _trials.make_trials(name, [values], [])[0]


def scores_of(problem, trial, folder=None, **options):
    scores = []
    train_single(problem, trial, folder, scores.append, **options)
    return scores


def test_a_single_trial_is_the_run_alone_bit_for_bit(tmp_path):
    trial = trial_of("xor", learning_rate=0.7, steps=2500)
    problem = _trials.load_problem("xor", "auto", None)
    *on_the_way, last = scores_of(problem, trial, on_the_way=True)
    summary = xor.run(xor.Config(learning_rate=0.7, steps=2500, gradient_check=False, out=tmp_path / "alone")).summary
    for name in ("test_accuracy", "test_loss", "train_loss"):
        assert getattr(last, name) == summary[name], name
    assert [(score.step, score.ended) for score in (*on_the_way, last)] == [(1000, False), (2000, False), (2500, True)]
    assert scores_of(problem, trial) == [last]


def test_a_trial_that_was_killed_goes_on_from_its_checkpoint_to_the_same_bits(monkeypatch, tmp_path):
    trial, problem = trial_of("xor", steps=3000, seed=4), _trials.load_problem("xor", "auto", None)
    whole = scores_of(problem, trial)
    monkeypatch.setattr(_single_trial, "SHORTEST", 0.0)
    save, steps = training.save_checkpoint, []

    def killed_after_two(folder, snapshot, *arguments, **options):
        save(folder, snapshot, *arguments, **options)
        steps.append(int(snapshot.state.step))
        if len(steps) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "save_checkpoint", killed_after_two)
        with pytest.raises(KeyboardInterrupt):
            scores_of(problem, trial, tmp_path / "4")
    assert 0 < steps[-1] < 3000
    begun = []
    monkeypatch.setattr(
        training, "save_checkpoint", lambda _, snapshot, *a, **o: begun.append(int(snapshot.state.step))
    )
    assert scores_of(problem, trial, tmp_path / "4") == whole
    assert min(begun, default=3000) > steps[-1]
    # Another trial does not go on from it.
    other = trial_of("xor", steps=3000, seed=5)
    assert scores_of(problem, other, tmp_path / "4") == scores_of(problem, other)


def test_a_trial_that_diverges_is_said_to_at_the_step_that_a_program_of_many_says():
    trial = trial_of("xor", learning_rate=3e38, optimizer="momentum", steps=50)
    problem = _trials.load_problem("xor", "auto", None)
    (score,) = scores_of(problem, trial)
    (tried,) = train_together(problem, [trial], lambda steps: None)
    assert (score.step, score.test_accuracy) == (tried.diverged_at, None)
    assert tried.diverged_at is not None


def sweep_in_a_process(folder, *options):
    command = [sys.executable, "-m", "experiments.sweep", "--experiment", "xor", "--out", str(folder), *options]
    # Elsewhere than in the checkout, so that Ray's processes have to be told where the code is.
    return subprocess.run(
        command, cwd=folder.parent, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True
    )


@needs_ray
def test_what_one_engine_has_begun_ray_ends_to_the_bits_of_the_runs_alone(command, monkeypatch, tmp_path):
    words, train_together = ("--space", "seed=1,2,3", "--steps", "1500"), _vmap_engine.train_together

    def killed_in_the_second(problem, trials, on_steps):
        if trials[0].number != 1:
            raise KeyboardInterrupt
        return train_together(problem, trials, on_steps)

    monkeypatch.setattr(_vmap_engine, "train_together", killed_in_the_second)
    folder = tmp_path / "sweep"
    assert command("sweep", "--experiment", "xor", "--out", folder, *words).status == 130
    began = json.loads((folder / "table.json").read_text())["trials"]
    ended = sweep_in_a_process(folder, *words, "--engine", "ray", "--resume")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "2 of 3 trials are left, all combinations, through Ray" in ended.stdout
    rows = json.loads((folder / "table.json").read_text())["trials"]
    assert (rows[:1], len(rows)) == (began, 3)
    alone = xor.run(xor.Config(seed=2, steps=1500, gradient_check=False, out=tmp_path / "alone")).summary
    for name in ("test_accuracy", "test_loss", "train_loss"):
        assert rows[1][name] == alone[name], name
    assert list((folder / "checkpoints").iterdir()) == []


def test_without_ray_the_engine_says_what_to_install(command, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else find(name, *more))
    ended = command("sweep", "--engine", "ray", "--space", "seed=1,2")
    line = "Expected Ray Tune for --engine ray, found no ray: pip install 'functional_nets[ray]'.\n"
    assert (ended.status, ended.err) == (2, line)


def test_an_address_where_no_cluster_answers_is_refused_in_one_line(command, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: True)  # Ray itself is not reached.
    monkeypatch.setattr(_ray_engine, "HEALTHY", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        lines = {
            f"127.0.0.1:{port}": "found nothing there that says it is a healthy Ray cluster",
            "nowhere": "Expected --ray-address as",
        }
        for address, line in lines.items():
            refuse(command, address, line)
    refuse(command, f"127.0.0.1:{port}", "found Connection refused: start a cluster there")


def refuse(command, address, line):
    ended = command("sweep", "--engine", "ray", "--space", "seed=1,2", "--ray-address", address, "--out", "run")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert line in ended.err
    assert not Path("run").exists()
