"""Kills trainings with SIGKILL, at random instants and at every point of a save, and resumes them to the same bits.

    python scripts/torture.py                     # 200 kills over xor, mnist and lenet
    python scripts/torture.py --kills 12 --only xor

Each training is begun, killed, resumed, perhaps killed again, and at last left in peace. Then its parameters, its
metrics and its result must be those of the training that nobody has killed, but for times. Exit status 1 if one is
not. The processes are forked before JAX has computed anything, from one that has loaded all it needs.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from experiments import _main, lenet, mnist, xor
from functional_nets import data, training
from functional_nets.data import Split
from functional_nets.training.checkpoint import writing
from functional_nets.training.compilation_cache import sign_entries

COMMON = {"gradient_check": False, "source": "embedded"}
WORKLOADS = {
    "xor": (xor, {"steps": 6_000, "batch_size": 2, "seed": 1, "optimizer": "momentum", "checkpoint_every": "150"}),
    "mnist": (mnist, {"epochs": 4, "hidden": 20, "optimizer": "adam", "learning_rate": 0.01, "checkpoint_every": "20"}),
    "lenet": (lenet, {"epochs": 2, "batch_size": 100, "checkpoint_every": "3"}),
}
EXAMPLES, TEST_EXAMPLES = 2_000, 500  # The first of the real images: many epochs in little time.
TIMES = {"seconds", "compile_seconds", "train_seconds", "total_seconds"}


class Point(NamedTuple):
    """A place in a save at which the process ends: before or after a call of a function of `writing`."""

    function: str
    after: bool = False

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.function}"


HALF_WRITTEN = Point("half of write")
POINTS = (
    HALF_WRITTEN, Point("write", after=True), Point("flush"), Point("rename"), Point("rename", after=True),
    Point("flush_folder", after=True), Point("remove"), Point("remove", after=True),
)  # fmt: skip


def die() -> None:
    """Ends this process as a power cut would: nothing of its own is run any more."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: Point, call: int) -> None:
    """Has the process end at a point of a save, the `call`-th time that it comes there."""
    name = "write" if point is HALF_WRITTEN else point.function
    function: Callable[..., Any] = getattr(writing, name)
    calls = Counter[str]()

    def deadly(*args: Any) -> Any:
        calls[name] += 1
        if calls[name] < call:
            return function(*args)
        if point is HALF_WRITTEN:
            stream, content = args
            function(stream, content[: len(content) // 2])
        elif point.after:
            function(*args)
        return die()

    setattr(writing, name, deadly)


def begin(name: str, folder: Path, *, resume: bool, point: Point | None = None, call: int = 1) -> int:
    """Forks a process that trains into a folder; returns its number."""
    if process := os.fork():
        return process
    module, options = WORKLOADS[name]
    status = 1
    try:
        log = os.open(folder.parent / f"{folder.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.environ["FUNCTIONAL_NETS_CACHE"] = str(folder.parent / "cache")
        if point is not None:
            die_at(point, call)
        sys.argv = [name]
        config = module.Config(**COMMON, **options, out=folder, resume=resume)
        _main.parse = lambda *_, **__: config  # The command's own way from a configuration to an exit status.
        _main.main(module.Config, name, "", module.run)
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    finally:
        if kept := training.keep_programs():
            sign_entries(kept)  # At the end in order of a process; os._exit leaves that out.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ended(process: int) -> int | None:
    """Returns the status with which a process ended; None if it was killed."""
    _, status = os.waitpid(process, 0)
    return (
        None if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else os.waitstatus_to_exitcode(status)
    )


def killed_after(process: int, seconds: float) -> int | None:
    """Kills a process after a time; returns its status if it has ended before."""
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    return ended(process)


def timeless(value: Any) -> Any:
    """Returns JSON without the times that no two runs share."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in TIMES}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def outcome(folder: Path) -> tuple[Any, Any]:
    """Returns a run's result and metrics, without times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return timeless(json.loads((folder / "result.json").read_text())), timeless(rows)


class Tally(NamedTuple):
    """What a trial counted."""

    kills: Counter[str]
    resumes: int
    lost: bool


def trial(
    name: str, folder: Path, whole: tuple[Any, Any], seconds: float, chance: random.Random, point: Point | None
) -> Tally:
    """Begins a run, kills it once or more, resumes it, and compares its end with that of the whole run."""
    kills, resumes, resume = Counter[str](), 0, False
    for kill in range(chance.randint(1, 3)):
        here = point if kill == 0 else None
        process = begin(name, folder, resume=resume, point=here, call=chance.randint(1, 6))
        status = ended(process) if here else killed_after(process, chance.uniform(0.05, 1.1) * seconds)
        kills[str(here) if here else "at a random instant"] += status is None
        if status not in (None, 0, 2):
            return Tally(kills, resumes, True)
        resume = (folder / "config.json").exists()
        resumes += resume
    status = ended(begin(name, folder, resume=resume))
    # Killed right after its end, a run is refused as finished, and is whole.
    ended_whole = status in (0, 2) and (folder / "result.json").exists()
    lost = not ended_whole or outcome(folder) != whole
    if lost:
        print((folder.parent / f"{folder.name}.log").read_text(), file=sys.stderr)
    return Tally(kills, resumes, lost)


def parts() -> None:
    """Has the experiments train on a part of the real images."""
    load = data.load

    def load_a_part(name: str, **options: Any) -> Any:
        images = load(name, **options)
        train, test = images.train, images.test
        return images._replace(
            train=Split(train.x[:EXAMPLES], train.y[:EXAMPLES]),
            test=Split(test.x[:TEST_EXAMPLES], test.y[:TEST_EXAMPLES]),
        )

    images = load_a_part("mnist", source="embedded")
    data.load = lambda name, **options: images


def torture(name: str, kills: int, chance: random.Random, folder: Path) -> Iterator[Tally]:
    """Runs trials until there have been so many kills."""
    for run in ("cold", "whole"):
        start = time.perf_counter()
        if status := ended(begin(name, folder / run, resume=False)):
            raise SystemExit(f"{name}: the run that nobody killed ended with status {status}")
    seconds, whole = time.perf_counter() - start, outcome(folder / "whole")
    number = 0
    while kills > 0:
        point = POINTS[number // 2 % len(POINTS)] if number % 2 == 0 else None
        tally = trial(name, folder / f"trial {number} é", whole, seconds, chance, point)
        kills -= tally.kills.total()
        number += 1
        yield tally


def main() -> None:
    """Prints kills, resumes and losses; exit status 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="over all workloads (default: 200)")
    parser.add_argument("--only", choices=list(WORKLOADS), help="one workload instead of all")
    parser.add_argument("--seed", type=int, default=0, help="of the instants (default: 0)")
    options = parser.parse_args()
    parts()
    chance, names = random.Random(options.seed), [options.only] if options.only else list(WORKLOADS)
    kills, resumes, losses = Counter[str](), 0, 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for tally in torture(name, -(-options.kills // len(names)), chance, Path(folder)):
                kills += tally.kills
                resumes += tally.resumes
                losses += tally.lost
        print(f"{name}: {kills.total()} kills so far, {resumes} resumes, {losses} losses", flush=True)
    print(*(f"{count:5} {place}" for place, count in sorted(kills.items())), sep="\n")
    print(f"{kills.total()} kills, {resumes} resumes, {losses} losses")
    raise SystemExit(1 if losses else 0)


if __name__ == "__main__":
    main()
