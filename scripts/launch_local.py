"""Runs one experiment as several processes of this machine, as it would run on several machines.

    python scripts/launch_local.py 2 experiments.mnist --epochs 2 --out runs/two

The processes meet on a free port of the loopback interface; only the first prints and writes. A signal to this
program is passed on to all of them, and on Linux its end, whatever ends it, is SIGTERM for them. When one is gone the
others end themselves, and whatever has not ended 25 seconds after that, or after a signal, is killed. The exit status
is the first one's that tells of more than a lost process; 4 if none does.
"""

import contextlib
import ctypes
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOST = 4
PR_SET_PDEATHSIG = 1
GRACE = 25.0
"""Seconds that the others have to end after the first has, and all after a signal. A process that hangs counts as lost
after 20 s to 25 s, when the others end: with it the whole stays under a minute, and a page of a report is written in
less."""


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status of the processes."""
    if len(arguments) < 2 or not arguments[0].isdigit() or not 1 <= int(arguments[0]) <= 1024:
        print(
            f"Expected a number of processes and an experiment, found {' '.join(arguments) or 'nothing'}: "
            "as in scripts/launch_local.py 2 experiments.mnist --epochs 2.",
            file=sys.stderr,
        )
        return 2
    count, command = int(arguments[0]), list(arguments[1:])
    if command[0] == "--":
        command = command[1:]
    if not command or not is_program(command[0]):
        print(
            f"Expected an experiment, found {command[0] if command else 'nothing'!r}, which python -m cannot run: "
            "name one as experiments.mnist.",
            file=sys.stderr,
        )
        return 2
    processes = start(count, command)
    received = pass_signals_on(processes)
    try:
        return wait(processes, received)
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def start(count: int, command: Sequence[str]) -> list[subprocess.Popen]:
    """Returns the processes, each in a group of its own: what the terminal sends arrives here alone."""
    address = f"127.0.0.1:{free_port()}"
    return [
        subprocess.Popen(
            [
                *(sys.executable, "-m", *command),
                *("--coordinator", address, "--processes", str(count), "--process-id", str(number)),
            ],
            start_new_session=True,
            preexec_fn=outlived_by_none if sys.platform == "linux" else None,
        )
        for number in range(count)
    ]


def is_program(name: str) -> bool:
    """Returns whether `python -m` finds what is named, so that one line says so if not, and not each process."""
    try:
        found = importlib.util.find_spec(name)
        if found is not None and found.submodule_search_locations is not None:
            found = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError):
        return False
    return found is not None


def outlived_by_none() -> None:
    """Has a process that is about to begin end with this program, even if that is killed: after a checkpoint."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """Returns a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def pass_signals_on(processes: Sequence[subprocess.Popen]) -> list[int]:
    """Has signals go to all processes; returns a list of those that came."""
    received: list[int] = []

    def send(number: int, _: object) -> None:
        received.append(number)
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    for each in PASSED_ON:
        signal.signal(each, send)
    return received


def wait(processes: Sequence[subprocess.Popen], received: Sequence[int]) -> int:
    """Returns the exit status of all once they have ended, or have been killed."""
    deadline = None
    while any(process.poll() is None for process in processes):
        if deadline is None and (received or any(process.poll() for process in processes)):
            deadline = time.monotonic() + GRACE
        if deadline is not None and time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.05)
    statuses = [process.wait() for process in processes]
    failed = [status if status > 0 else 128 - status for status in statuses if status]
    # Of a process that was killed the others tell by their status that it was lost.
    told = [status for status in failed if status not in (LOST, 128 + signal.SIGKILL)]
    return told[0] if told else LOST if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.path.insert(0, os.getcwd())  # Where `python -m` looks first.
    raise SystemExit(main(sys.argv[1:]))
