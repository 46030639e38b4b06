"""Several processes train as one, over the loopback interface: they agree, and end together, and go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts import launch_local

CHECKOUT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(CHECKOUT)}
STEPS = 300
MNIST = [
    "experiments.mnist", "--batch-size=1000", f"--steps={STEPS}", "--checkpoint-every=20", "--no-gradient-check",
]  # fmt: skip
TOGETHER = ["--coordinator", "127.0.0.1:1", "--processes", "2", "--process-id", "1"]


def experiment(*words):
    return subprocess.Popen(
        [sys.executable, "-m", *words], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--processes 2", "Expected --coordinator, --processes, --process-id or none of them, found no --coordinator"),
        ("--coordinator here --processes 2 --process-id 0", "Expected --coordinator as HOST:PORT, found 'here'"),
        ("--coordinator a:99999 --processes 2 --process-id 0", "found 'a:99999'"),
        ("--coordinator a:1 --processes 2 --process-id 2", "Expected --process-id from 0 to 1, below --processes"),
        ("--coordinator a:1 --processes 2 --process-id 0 --join-seconds 0", "Expected --join-seconds of at least 1"),
        ("--coordinator a:1 --processes 2 --process-id 0 --population 3", "Expected --population or --processes"),
        ("--mesh data=4,model=2", "JAX_NUM_CPU_DEVICES=8"),
        ("--mesh 4x2", "Expected a mesh such as data=4,model=2, found '4x2'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(command, few_images, options, message):
    outcome = command("mnist", *options.split())
    assert outcome.status == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_coordinator_that_cannot_be_reached_ends_the_run_with_one_line():
    process = experiment("experiments.xor", *TOGETHER, "--join-seconds", "1")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith("Expected 2 processes to meet at 127.0.0.1:1 within 1 s, found no coordinator")
    assert len(errors.splitlines()) == 1


def test_processes_that_differ_refuse_to_start(tmp_path):
    address = f"127.0.0.1:{launch_local.free_port()}"
    common = ["experiments.xor", "--coordinator", address, "--processes", "2", "--out", str(tmp_path / "run")]
    ended = [
        experiment(*common, "--process-id", "0"),
        experiment(*common, "--process-id", "1", "--learning-rate", "0.25"),
    ]
    for process in ended:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 2, errors
        assert errors.startswith(
            "Expected the same learning_rate in all 2 processes, found 0.5 in the first and 0.25 in process 1"
        )
    assert not (tmp_path / "run").exists()


class Two:
    """Two processes that train MNIST into a folder."""

    def __init__(self, out, *options):
        address = f"127.0.0.1:{launch_local.free_port()}"
        self.out = out
        self.processes = [
            experiment(*MNIST, f"--out={out}", "--json", "--coordinator", address, "--processes=2",
                       f"--process-id={number}", *options)
            for number in range(2)
        ]  # fmt: skip

    def wait_for_a_checkpoint(self):
        for _ in range(1200):
            if len(list((self.out / "checkpoints").glob("step_*.safetensors"))) > 1:  # Not that of step 0 alone.
                return self
            assert all(process.poll() is None for process in self.processes)
            time.sleep(0.05)
        raise AssertionError("no checkpoint")

    def kill(self, *numbers, how=signal.SIGKILL):
        for number in numbers:
            self.processes[number].send_signal(how)
        return self

    def end(self):
        """Their exit statuses and what they wrote on standard error."""
        try:
            told = [process.communicate(timeout=60)[1] for process in self.processes]
        finally:
            self.kill(0, 1)
        return [process.returncode for process in self.processes], told


def result(out):
    return json.loads((out / "result.json").read_text())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    statuses, told = Two(out).end()
    assert statuses == [0, 0], told
    return result(out)


@pytest.mark.long
@pytest.mark.parametrize("killed", [(0,), (1,), (0, 1)])
def test_processes_that_are_killed_go_on_to_the_same_bits(tmp_path, uninterrupted, killed):
    statuses, told = Two(tmp_path / "run").wait_for_a_checkpoint().kill(*killed).end()
    for number in {0, 1} - set(killed):
        assert statuses[number] == 4
        assert told[number].splitlines()[-1].startswith("Expected all 2 processes to go on, found ")
    assert not (tmp_path / "run" / "result.json").exists()
    assert Two(tmp_path / "run", "--resume").end()[0] == [0, 0]
    assert result(tmp_path / "run")["params_sha256"] == uninterrupted["params_sha256"]


@pytest.mark.long
def test_a_signal_to_one_ends_both_after_a_checkpoint_and_one_process_goes_on(tmp_path, uninterrupted):
    out = tmp_path / "run"
    statuses, told = Two(out).wait_for_a_checkpoint().kill(1, how=signal.SIGTERM).end()
    assert statuses == [143, 143], told
    alone = experiment(*MNIST, f"--out={out}", "--resume", "--quiet")
    assert "Expected a checkpoint with devices = 1, found 2" in alone.communicate(timeout=60)[1]
    assert alone.returncode == 2
    alone = experiment(*MNIST, f"--out={out}", "--resume", "--allow-inexact", "--quiet")
    alone.communicate(timeout=60)
    assert alone.returncode == 0
    found = result(out)
    assert len(found["inexact"]) == 2
    # 300 steps of sums of a thousand examples in another order; see tests/training/test_parallel.py.
    assert found["train_loss"] == pytest.approx(uninterrupted["train_loss"], rel=1e-3)
    assert found["test_accuracy"] == pytest.approx(uninterrupted["test_accuracy"], abs=1e-3)


@pytest.mark.long
def test_the_launcher_ends_all_when_one_is_killed_and_passes_signals_on(tmp_path):
    def launched(name):
        command = [sys.executable, str(CHECKOUT / "scripts" / "launch_local.py"), "2", *MNIST, "--quiet"]
        launcher = subprocess.Popen([*command, f"--out={tmp_path / name}"], env=ENVIRONMENT, stderr=subprocess.PIPE)
        two = Two.__new__(Two)
        two.out, two.processes = tmp_path / name, [launcher]
        two.wait_for_a_checkpoint()
        return launcher

    stopped = launched("stopped")
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate(timeout=60)
    assert stopped.returncode == 143
    killed = launched("killed")
    children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    _, told = killed.communicate(timeout=60)
    assert killed.returncode == 4
    assert b"start all of them again with --resume" in told
