"""Time this package and PyTorch alternately, in one go: `python scripts/benchmark.py`.

Each round starts a process of ours and one of each of the peer's loops, one after the other, so that whatever
else the machine does meets them alike. A ratio is the time of the round's fastest loop of the peer by ours: the
median of the rounds, with the lowest and the highest. Seconds are medians, too; those of an epoch are without
compiling, the first epoch of each process left out. Needs the extra `bench` (PyTorch).

Other programs on the machine slow both sides, and not alike: two threads that wait for each other lose more. Each
round therefore waits for quiet, for `--patience` seconds at most. Of each process it is kept what share of the
machine others took meanwhile, and rounds in which that was more than a tenth are left out if there are better ones.

`--table FILE.json` prints the table of an earlier run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmark_table import table

CHECKOUT = Path(__file__).resolve().parents[1]
PEER = CHECKOUT.parent / "shared" / "peers" / "pytorch.py"
OURS = CHECKOUT / "scripts" / "benchmark_ours.py"
MNIST_EPOCHS = 17  # 10,200 steps of 100 images: the peer counts its length in epochs.

Words = list[str]


class Workload(NamedTuple):
    """One line of the table: what both sides run in each round.

    Attributes:
        title: What the table calls it.
        ours: Words for `benchmark_ours.py`, or the name and options of an experiment if `whole`.
        peers: Words for the peer, by the name of its loop.
        whole: Measure processes from start to exit instead of epochs.
        each: Divide our seconds by this: the networks of a population.
    """

    title: str
    ours: Words
    peers: dict[str, Words]
    whole: bool = False
    each: int = 1


PASSIVE = ", passive"
"""Ends the name of a loop whose waiting threads sleep: slower on a quiet machine, ten times faster on a busy one."""


def loops(task: str, *options: str, epochs: int = 3) -> dict[str, Words]:
    """Returns the peer's loop over what is in memory, with threads that wait in two ways."""
    words = [task, "--epochs", str(epochs), *options]
    name = options[-1].removeprefix("--") if options else "tensor"
    return {name: words, name + PASSIVE: words}


def compiled(task: str) -> dict[str, Words]:
    """Returns the fast loops, `torch.compile` among them."""
    return {**loops(task), "compile": [task, "--epochs", "3", "--compile"]}


WORKLOADS = {
    "xor": Workload("XOR, 10,001 steps", ["xor"], {"eager": ["xor"]}),
    "xor_population": Workload(
        "XOR, population of 1,000, a network", ["xor_population"], {"eager": ["xor"]}, each=1000
    ),
    "mnist": Workload("784-50-10, batch 100, epoch", ["mnist", "--epochs", "4"], compiled("mnist")),
    "fashion_mnist": Workload("784-512-512-10, batch 64, epoch", ["fashion_mnist"], compiled("fashion_mnist")),
    "bfloat16": Workload(
        "the same, products in bfloat16", ["fashion_mnist", "--precision", "bfloat16"], compiled("fashion_mnist")
    ),
    "lenet": Workload("LeNet, batch 64, epoch", ["lenet"], compiled("lenet")),
    "dataset": Workload(
        "784-512-512-10, the notebooks' way of loading, epoch",
        ["fashion_mnist"],
        loops("fashion_mnist", "--loader", "dataset", epochs=2),
    ),
    "process_xor": Workload("whole process, `experiments.xor`", ["xor"], {"eager": ["xor"]}, whole=True),
    "process_mnist": Workload(
        "whole process, MNIST, 17 epochs of 600 steps",
        ["mnist", "--epochs", str(MNIST_EPOCHS)],
        loops("mnist", epochs=MNIST_EPOCHS),
        whole=True,
    ),
}


class Finished(NamedTuple):
    """A process that has ended: its last line, its seconds, its peak memory in MB, and others' share meanwhile."""

    line: str
    seconds: float
    megabytes: float
    others: float


class Clock:
    """Tells what share of the machine, from 0 to 1, was busy since it was made; 0 where Linux does not say."""

    def __init__(self) -> None:
        self.idle, self.total = self._read()

    def busy(self) -> float:
        """The share, of all cores."""
        idle, total = self._read()
        return 1 - (idle - self.idle) / max(1, total - self.total) if total else 0.0

    def _read(self) -> tuple[int, int]:
        if platform.system() != "Linux":
            return 0, 0
        numbers = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return numbers[3] + numbers[4], sum(numbers)


def run(words: Words, environment: dict[str, str] | None = None) -> Finished:
    """Returns what a process printed last, how long it took and its peak memory."""
    with tempfile.TemporaryFile("w+") as output:
        clock, start = Clock(), time.perf_counter()
        process = subprocess.Popen(words, cwd=CHECKOUT, stdout=output, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(process.pid, 0)
        seconds, all_busy = time.perf_counter() - start, clock.busy()
        if status:
            sys.exit(f"Expected {' '.join(words)} to end with 0, found {os.waitstatus_to_exitcode(status)}.")
        output.seek(0)
        lines = output.read().splitlines()
    kilobyte = 1024 if platform.system() == "Linux" else 1  # The unit of ru_maxrss; macOS counts bytes.
    own = (usage.ru_utime + usage.ru_stime) / seconds / (os.cpu_count() or 1)
    return Finished(lines[-1], seconds, usage.ru_maxrss * kilobyte / 1e6, max(0.0, all_busy - own))


def epochs(words: Words, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Returns the median epoch of a process that prints its seconds, and what else it measured."""
    finished = run(words, environment)
    printed = json.loads(finished.line)
    warm = printed["seconds"][1:] or printed["seconds"]
    return {**measured(finished), "seconds": median(warm), "compile": printed.get("compile_seconds")}


def measured(finished: Finished) -> dict[str, Any]:
    """Returns a process's seconds, memory and disturbance."""
    return {name: value for name, value in finished._asdict().items() if name != "line"}


def whole(words: Words, cache: Path) -> dict[str, Any]:
    """Returns the seconds of a whole run of ours, with the given compilation cache."""
    with tempfile.TemporaryDirectory() as out:
        return measured(run([*words, "--out", f"{out}/run"], {"FUNCTIONAL_NETS_CACHE": str(cache)}))


def wait_for_quiet(patience: float) -> None:
    """Waits until others take less than a tenth of the machine."""
    start = time.perf_counter()
    while time.perf_counter() - start < patience:
        clock = Clock()
        time.sleep(0.5)
        if clock.busy() < 0.1:
            return


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns all rounds of one workload: lists of what each process measured, by side."""
    workload = WORKLOADS[name]
    peer = [arguments.peer_python, str(arguments.peer), "--data", str(arguments.data)]
    found: dict[str, list[Any]] = {side: [] for side in ("ours", *workload.peers)}
    with tempfile.TemporaryDirectory() as cache:
        ours = our_side(workload, Path(cache), arguments.data)
        cold = ours() if workload.whole else None
        for number in range(arguments.rounds):
            wait_for_quiet(arguments.patience)
            print(f"{name}, round {number + 1} of {arguments.rounds}", file=sys.stderr)
            found["ours"].append(ours())
            for loop, words in workload.peers.items():
                if loop == "compile" and number:
                    continue  # It compiles for longer than it trains, and its rank shows in one round.
                found[loop].append(peer_side(workload, [*peer, *words], passive=loop.endswith(PASSIVE)))
    kept = {"title": workload.title, "each": workload.each, "whole": workload.whole}
    return {**kept, "rounds": found, "cold": cold}


def our_side(workload: Workload, cache: Path, data: Path) -> Callable[[], dict[str, Any]]:
    """Returns what runs our side once."""
    if workload.whole:
        name, *options = workload.ours
        where = [] if name == "xor" else ["--data-dir", str(data)]
        return lambda: whole([sys.executable, "-m", f"experiments.{name}", *options, *where], cache)
    return lambda: epochs([sys.executable, str(OURS), *workload.ours, "--data", str(data)])


def peer_side(workload: Workload, words: Words, *, passive: bool) -> dict[str, Any]:
    """Runs one of the peer's loops once."""
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} if passive else None
    return measured(run(words, environment)) if workload.whole else epochs(words, environment)


GROWTH = {
    "batch size": [("mnist", "--batch-size", value) for value in ("10", "32", "100", "320", "1000")],
    "width": [("mnist", "--hidden", value) for value in ("25", "50", "100", "200", "400", "800")],
    "epochs": [("mnist", "--epochs", value) for value in ("1", "2", "4", "8", "16")],
    "population": [("xor_population", "--population", value) for value in ("1", "10", "100", "1000", "10000")],
    "examples": [("mnist", "--examples", value) for value in ("3750", "7500", "15000", "30000", "60000")],
}


def growth(arguments: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Returns how our seconds grow: of all epochs together for `epochs`, else of one."""
    found: dict[str, list[dict[str, float]]] = {}
    for axis, commands in GROWTH.items():
        for words in commands:
            print(f"growth with {axis}: {words[-1]}", file=sys.stderr)
            line = run([sys.executable, str(OURS), *words, "--data", str(arguments.data)]).line
            seconds = json.loads(line)["seconds"]
            taken = sum(seconds) if axis == "epochs" else min(seconds)
            found.setdefault(axis, []).append({"value": int(words[-1]), "seconds": taken})
    return found


def machine() -> dict[str, Any]:
    """Returns what the machine is, and the most that it multiplied, in operations a second."""
    rates = {
        precision: json.loads(run([sys.executable, str(OURS), "matmul", "--precision", precision]).line)
        for precision in ("float32", "bfloat16")
    }
    return {
        "cpu": next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), "unknown"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{f"{name}_flop_per_second": rate["flop_per_second"] for name, rate in rates.items()},
    }


def _cpuinfo() -> Words:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def parse() -> argparse.Namespace:
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="WORKLOAD")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each side (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one round, and no table of growth")
    parser.add_argument("--growth", action="store_true", help="measure how time grows, too")
    parser.add_argument("--json", type=Path, help="write everything that was measured")
    parser.add_argument("--table", type=Path, help="print the table of this JSON file and measure nothing")
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data", help="the IDX files")
    parser.add_argument("--peer", type=Path, default=PEER, help="the peer's script")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds to wait for quiet in each round")
    parser.add_argument("--peer-python", default=sys.executable, help="an interpreter that has torch")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.growth = 1, False
    return arguments


def keep(result: dict[str, Any], path: Path | None) -> None:
    """Writes what has been measured so far: a run of an hour may be stopped."""
    if path:
        path.write_text(json.dumps(result, indent=1) + "\n")


def main() -> None:
    """Measures and prints the tables."""
    arguments = parse()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text())))
        return
    before = machine()
    result: dict[str, Any] = {"workloads": {}, "growth": {}, "machine": before}
    for name in arguments.only:
        result["workloads"][name] = measure(name, arguments)
        keep(result, arguments.json)
    if arguments.growth:
        result["growth"] = growth(arguments)
    after = machine()  # The greater of the two: other programs may have disturbed one of them.
    result["machine"] = {key: max(value, after[key]) if "flop" in key else value for key, value in before.items()}
    keep(result, arguments.json)
    print(table(result))


if __name__ == "__main__":
    main()
