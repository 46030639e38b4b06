"""Processes that cannot train as one are told so in one line, each, before anything is written or lost."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import _processes, xor
from experiments._folder import FILES
from functional_nets.training.parallel import processes
from functional_nets.training.parallel.ending import tells_of_loss
from scripts import launch_local
from tests.experiments.conftest import contents
from tests.experiments.test_processes import CHECKOUT, ENVIRONMENT, experiment

PROGRAM = """
import sys
from functional_nets.training.parallel import processes
address, number, count = sys.argv[1], *map(int, sys.argv[2:])
try:
    processes.join(address, count, number, 10)
    print("met", flush=True)
    sys.stdin.readline()
    processes.leave(10)
except processes.ProcessesError as error:
    sys.exit(print(error, file=sys.stderr) or 2)
"""


def meeting(address, number, count):
    """A process that only meets the others, and leaves when it is told something."""
    command = [sys.executable, "-c", PROGRAM, address, str(number), str(count)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, env=ENVIRONMENT, text=True, **pipes)


def met(*numbers):
    """Processes, each with its number and how many it believes in: their statuses, and what they said."""
    address = f"127.0.0.1:{launch_local.free_port()}"
    started = [meeting(address, *pair) for pair in numbers]
    told = [process.communicate("\n", timeout=60)[1] for process in started]
    return [process.returncode for process in started], told


TAKEN = "found process id 1 is taken"


def met_two():
    """The address of two processes that have met, and the two."""
    address = f"127.0.0.1:{launch_local.free_port()}"
    two = [meeting(address, number, 2) for number in range(2)]
    assert [process.stdout.readline() for process in two] == ["met\n", "met\n"]
    return address, two


def test_a_process_id_that_is_taken_ends_in_one_line():
    address, two = met_two()
    second = meeting(address, 1, 2)
    _, line = second.communicate(timeout=60)
    assert (second.returncode, len(line.splitlines())) == (2, 1), line
    assert TAKEN in line
    for process in two:
        process.kill()
        process.communicate()


@pytest.mark.long
def test_a_process_id_that_is_given_twice_ends_those_that_have_met_in_one_line():
    address, two = met_two()
    meeting(address, 1, 2).communicate(timeout=60)
    assert [process.wait(60) for process in two] == [4, 4]
    lines = [process.communicate()[1] for process in two]
    assert [len(line.splitlines()) for line in lines] == [1, 1], lines
    assert any("found process 1 started twice" in line for line in lines)  # Or the other one gone, who was quicker.


@pytest.mark.long
def test_a_process_id_that_is_taken_while_others_are_missing_ends_in_one_line():
    statuses, told = met((0, 3), (1, 3), (1, 3))
    assert statuses == [2, 2, 2]
    assert [len(line.splitlines()) for line in told] == [1, 1, 1], told
    assert sum(TAKEN in line for line in told) == 1


@pytest.mark.long
def test_processes_that_count_differently_refuse_to_start():
    statuses, told = met((0, 2), (1, 3))
    assert statuses == [2, 2]
    expected = "Expected the same --processes in all of them, found 2 in the first and 3 in process 1: "
    assert all(line.startswith(expected) for line in told), told


@pytest.mark.long
def test_xor_which_trains_again_for_its_report_ends_in_both(tmp_path):
    address = f"127.0.0.1:{launch_local.free_port()}"
    common = ["experiments.xor", "--steps=9", f"--out={tmp_path / 'run'}", "--coordinator", address, "--processes=2"]
    both = [experiment(*common, f"--process-id={number}") for number in range(2)]
    told = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert (tmp_path / "run" / "report.html").exists()


def test_what_explains_most_is_named_first_and_code_by_its_file():
    config = xor.Config()
    mnist_, xor_ = (_processes.in_common(name, config, {"data": "x"}) for name in ("mnist", "xor"))
    assert "the same experiment in all 2 processes, found mnist in the first" in processes.difference([mnist_, xor_])
    changed = {**xor_, "experiments/xor.py": "another"}
    assert "the same experiments/xor.py in all 2" in processes.difference([xor_, changed])
    assert xor_["functional_nets/training/fit.py"] != xor_["functional_nets/training/step.py"]
    assert processes.difference([xor_, dict(xor_)]) is None


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("UNKNOWN: Gloo all-reduce failed: [pair.cc:538] Read error [127.0.0.1]:386: Connection reset by peer", True),
        ("UNKNOWN: Gloo all-reduce failed: [gloo/pair.cc:547] Connection closed by peer [127.0.0.1]:35038", True),
        ("UNAVAILABLE: Failed to send RPC to coordination service. Either the leader task was preempted", True),
        ("UNKNOWN: Gloo context initialization failed: ALREADY_EXISTS: key cpu:gloo/0,2048/1 already exists.", False),
        ("found no file in /home/gloomy/nccl", False),
    ],
)  # fmt: skip
def test_a_loss_is_told_from_other_errors(text, is_one):
    assert tells_of_loss(text) == is_one


def test_mpi_that_jax_does_not_know_needs_a_coordinator_alone(command, few_images, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    outcome = command("mnist")
    assert outcome.status == 2
    assert outcome.err.startswith("Expected --coordinator under MPI, which has started 2 processes, found none")
    assert len(outcome.err.splitlines()) == 1
    assert processes.mpi_numbers() == (2, 1)


def test_a_process_that_is_told_to_be_alone_is_whatever_has_started_it(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("SLURM_STEP_NODELIST", "nowhere[1-2]")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    assert processes.is_cluster()
    with _processes.several_processes(xor.Config(processes=1)):
        assert not processes.jax.distributed.is_initialized()


def test_half_of_slurms_environment_is_told_what_to_give():
    slurm = {"SLURM_STEP_NODELIST": "nowhere", "SLURM_NTASKS": "2"}
    command = [sys.executable, "-m", "experiments.xor"]
    run = subprocess.run(command, env={**ENVIRONMENT, **slurm}, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == (
        "Expected to meet the other processes at the address that the cluster tells, found coordinator_address should "
        "be defined: give all three of --coordinator, --processes, --process-id.\n"
    )


@pytest.mark.parametrize("name", ["experiments.mnits", "experiments", "nowhere.mnist", ".mnist", "", "--epochs"])
def test_the_launcher_starts_nothing_that_is_no_program(name, capsys, monkeypatch):
    monkeypatch.setattr(launch_local, "start", None)
    assert launch_local.main(["2", name]) == 2
    assert capsys.readouterr().err.startswith(f"Expected an experiment, found {name!r}, which python -m cannot run: ")


def test_the_launcher_finds_programs_and_packages_that_are_some():
    assert launch_local.is_program("experiments.mnist")
    assert launch_local.is_program("json.tool")
    assert launch_local.is_program("pytest")


def test_after_a_signal_what_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(launch_local, "GRACE", 0.1)
    with subprocess.Popen(["sleep", "60"]) as deaf:
        assert launch_local.wait([deaf], [2]) == launch_local.LOST


def test_a_coordinator_without_an_address_is_named(command, few_images):
    options = "--coordinator nowhere.invalid:1 --processes 2 --process-id 1 --join-seconds 1"
    outcome = command("mnist", *options.split())
    assert outcome.status == 2
    assert "found none named 'nowhere.invalid' within 1 s" in outcome.err


@pytest.mark.parametrize("number", ["x", " ", "0", "2.5", "-3"])
def test_a_number_of_simulated_devices_that_is_none_is_refused_before_jax_reads_it(number):
    environment = {**ENVIRONMENT, "JAX_NUM_CPU_DEVICES": number}
    run = subprocess.run([sys.executable, "-m", "experiments.xor"], env=environment, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith(f"Expected JAX_NUM_CPU_DEVICES to be a number from 1 to 99999, found {number!r}: ")
    assert len(run.stderr.splitlines()) == 1


def test_an_empty_number_of_simulated_devices_is_none():
    environment = {**ENVIRONMENT, "JAX_NUM_CPU_DEVICES": ""}
    program = "import os, sys; sys.argv = ['-m']; import experiments; print(os.environ.get('JAX_NUM_CPU_DEVICES'))"
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("None\n", "")


def test_a_mesh_that_does_not_divide_the_layers_leaves_the_run_that_would_be_overwritten(tmp_path):
    for file in (*FILES, "pictures/a.png"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    before = contents(tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", "experiments.xor", "--mesh=model=3", f"--out={tmp_path}", "--overwrite"],
        env={**ENVIRONMENT, "JAX_NUM_CPU_DEVICES": "3"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("Expected model=3 to divide the 2 units of params/hidden/")
    assert contents(tmp_path) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent has died")
def test_what_the_launcher_started_ends_with_it(tmp_path):
    (tmp_path / "sleeper.py").write_text("import time\nprint('awake', flush=True)\ntime.sleep(60)\n")
    program = (
        "from scripts import launch_local\n"
        "process = launch_local.start(1, ['sleeper'])[0]; print(process.pid, flush=True); process.wait()"
    )
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(tmp_path)])}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    ) as launcher:
        said = {launcher.stdout.readline().strip(), launcher.stdout.readline().strip()}
        (number,) = said - {"awake"}
        launcher.kill()
    child = Path(f"/proc/{number}/status")
    for _ in range(100):
        if not child.exists() or "State:\tZ" in child.read_text():
            return
        time.sleep(0.05)
    os.kill(int(number), 9)
    raise AssertionError("still there")
