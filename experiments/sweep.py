"""Many trainings of one experiment, those with the same shapes together in one compiled program.

`python -m experiments.sweep --experiment mnist --space 'learning_rate=log(1e-3,1)' batch_size=32,64,128 --trials 64`
trains 64 networks and says which is the best, and the command that repeats it. The quotes keep the brackets from the
shell. A dimension is NAME=log(LOW,HIGH), NAME=uniform(LOW,HIGH) or NAME=V1,V2,…; NAME is an option of the experiment.
Lists alone whose combinations are at most --trials are tried one and all; otherwise each trial is drawn.

With --engine vmap, networks that differ in their learning rates alone share a program; each other option makes one of
its own. Each network is the one that the experiment trains with these options, up to the order of float additions. All
of them are trained on one device, the first, however many there are.

With --engine ray (extra `ray`), Ray Tune runs the trials, one a core, on this machine or on the cluster at
--ray-address; there, each machine needs this package, the data and, to go on with trials that have begun, the folder
--out under the same path. Each network is the one that the experiment trains, bit for bit on a machine with as many
cores; with --strict on any number of them. --scheduler asha stops trials that do worse than half of those that have
come as far; without it both engines find the same table. --search optuna (extra `optuna`) proposes each trial from what
those that have ended found, so that with more than one at once their order tells, too.
"""

import dataclasses
import importlib
import time
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments._command import OptionError, command_line, option
from experiments._engine import Engine, Work
from experiments._folder import RunFolder
from experiments._main import main
from experiments._options import FREE
from experiments._ray_engine import LOCAL, RayEngine
from experiments._runs import TRAININGS
from experiments._search import Search, make_search
from experiments._space import Choices, Interval, Space, parse_space
from experiments._sweep_table import MOST_TRIALS, Table, read_table
from experiments._sweep_terminal import SweepProgress, show
from experiments._trials import Problem, check_batch_sizes, load_problem
from experiments._vmap_engine import VmapEngine
from functional_nets import data, training
from functional_nets.report.parallel import Dimension
from functional_nets.report.sweep import Sweep, Tried, ranked, sweep_page

ENGINES = ("vmap", "ray")
SCHEDULERS = ("none", "asha")
SEARCHES = ("random", "optuna")
RAY_ONLY = {"ray_address": LOCAL, "scheduler": "none", "gpus_per_trial": 0, "search": "random"}
"""Options that the engine vmap does not know, and what they are by default."""
NOT_SEARCHED = FREE - {"epochs", "steps"} | {"source", "on_nonfinite", "max_skipped"}
"""Options that say where and how a run is made, not what is trained."""


@dataclass(frozen=True)
class Config:
    """What can be set."""

    experiment: str = option("mnist", "what is trained", TRAININGS)
    space: tuple[str, ...] = option((), "what the trials differ in, such as 'learning_rate=log(1e-3,1)' hidden=50,100")
    trials: int = option(64, "networks to train, at most")
    epochs: int | None = option(None, "passes over the data of each trial (default: the experiment's)")
    steps: int | None = option(None, "steps of each trial, where the experiment counts steps (default: its own)")
    sweep_seed: int = option(0, "what the trials are drawn from; the seed of their weights is the option seed")
    engine: str = option("vmap", "what runs the trials: one program for many, in this process, or Ray Tune", ENGINES)
    at_once: int = option(64, "networks in one program, or trials that Ray runs at the same time, at most")
    ray_address: str = option(LOCAL, "HOST:PORT of a Ray cluster; local starts one on this machine for the sweep")
    scheduler: str = option("none", "what ends trials early, with --engine ray; none trains all to the end", SCHEDULERS)
    search: str = option("random", "what chooses the trials; optuna learns from others', with --engine ray", SEARCHES)
    gpus_per_trial: int = option(0, "GPUs of each trial, with --engine ray; without any it runs on a CPU core")
    strict: bool = option(False, "each trial on one thread, so that the bits do not depend on how many cores there are")
    source: str = option("auto", "where the data come from; auto takes the first that is there", data.SOURCES)
    data_dir: Path | None = option(None, "folder of the data, instead of the source's usual ones")
    out: Path | None = option(None, "folder that the sweep writes (default: runs/sweep/ and the time)")
    overwrite: bool = option(False, "replace the sweep that --out holds")
    resume: bool = option(False, "go on with the interrupted sweep in --out, by either engine")

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        if not self.space:
            raise OptionError("Expected --space, found none: say what to search, such as 'learning_rate=log(1e-3,1)'.")
        for name, least in (("trials", 1), ("at_once", 1), ("sweep_seed", 0)):
            if (value := getattr(self, name)) < least:
                flag = "--" + name.replace("_", "-")
                raise OptionError(f"Expected {flag} of at least {least}, found {value}: give a greater one.")
        if self.trials > MOST_TRIALS:
            raise OptionError(
                f"Expected --trials of at most {MOST_TRIALS:,}, as many as a table holds, found {self.trials:,}: "
                "search in several sweeps."
            )
        if self.gpus_per_trial < 0:
            raise OptionError(f"Expected --gpus-per-trial of at least 0, found {self.gpus_per_trial}: 1 is usual.")
        for name, default in RAY_ONLY.items():
            if self.engine != "ray" and (value := getattr(self, name)) != default:
                flag = "--" + name.replace("_", "-")
                raise OptionError(
                    f"Expected --engine ray with {flag} {value}, found {self.engine}, which draws all trials before "
                    "the first and trains them together: say --engine ray."
                )
        if self.resume and self.out is None:
            raise OptionError("Expected --out with --resume, found none: name the folder of the sweep.")
        if self.resume and self.overwrite:
            raise OptionError("Expected --resume or --overwrite, found both: choose one.")


def run(config: Config) -> Table:
    """Trains what has not been trained yet, prints and writes the table and the report, and returns the table."""
    config.check()
    space = parse_space(config.space, _kinds(config.experiment))
    words = _common_words(config, space)
    proposed = config.search != "random"
    search = make_search(config.experiment, space, words, config.trials, config.sweep_seed, proposed)
    with (
        _engine(config) as engine,
        RunFolder.choose("sweep", config.out, resume=config.resume, overwrite=config.overwrite) as folder,
    ):
        training.check_arithmetic()  # Not before Ray has begun: it forks, and JAX's threads would not follow.
        problem = load_problem(config.experiment, config.source, config.data_dir)
        check_batch_sizes(search.ends, len(problem.examples[0]))
        contract = _contract(config, problem)
        table = read_table(folder.path, contract, search) if config.resume else Table(contract, 0.0, [])
        folder.begin({**dataclasses.asdict(config), "experiment": "sweep", "swept": config.experiment})
        table = _train(engine, problem, search, table, folder)
        dimensions = [_dimension(name, each) for name, each in space.items()]
        command, manner = _best_command(search, table), engine.manner(list((search.drawn or {}).values()))
        sweep = Sweep(
            config.experiment, dimensions, table.tried, search.planned, search.manner, manner, table.seconds, command,
            problem.notice,
        )  # fmt: skip
        folder.write("report.html", sweep_page(sweep))
        show(sweep, folder.path)
    return table


def _engine(config: Config) -> Engine:
    if config.engine == "vmap":
        return VmapEngine(config.at_once)
    return RayEngine(config.ray_address, config.scheduler, config.gpus_per_trial, config.at_once, config.search)


def _kinds(experiment: str) -> dict[str, type]:
    """The options that can be searched, and the type of each one's values."""
    config_class = importlib.import_module(f"experiments.{experiment}").Config
    hints = typing.get_type_hints(config_class)
    return {
        field.name: next(
            kind for kind in (*typing.get_args(hints[field.name]), hints[field.name]) if kind is not types.NoneType
        )
        for field in dataclasses.fields(config_class)
        if field.name not in NOT_SEARCHED
    }


def _common_words(config: Config, space: Space) -> list[str]:
    """What every trial's command has beside its own values."""
    for name in ("epochs", "steps"):
        if name in space and getattr(config, name) is not None:
            raise OptionError(f"Expected {name} in --space or as --{name}, found both: choose one.")
    given = {"epochs": config.epochs, "steps": config.steps, "source": config.source, "data-dir": config.data_dir}
    words = [f"--{name}={value}" for name, value in given.items() if value is not None]
    return [*words, "--strict"] if config.strict else words


def _contract(config: Config, problem: Problem) -> dict[str, Any]:
    names = ("experiment", "space", "trials", "sweep_seed", "epochs", "steps", "scheduler", "search", "strict")
    options = {name: getattr(config, name) for name in names}
    return {**options, "space": list(config.space), "data_sha256": training.tree_sha256(tuple(problem.examples))}


def _train(engine: Engine, problem: Problem, search: Search, table: Table, folder: RunFolder) -> Table:
    """Returns the table after the trials that are left; it is written whenever some of them have ended."""
    done = {each.trial for each in table.tried}
    left = [trial for number, trial in (search.drawn or {}).items() if number not in done]
    book = _Book(table, lambda table: table.write(folder, _best_command(search, table)))
    title = _title(search, len(done), engine.manner(left))
    with SweepProgress(title, search.planned, len(done), problem.notice, book.enter) as progress:
        if len(done) < search.planned:
            engine.train(Work(search.experiment, problem, left, folder.checkpoints, search, table.tried), progress)
    return book.table


class _Book:
    """The table of a sweep that is under way, on the disk as soon as in memory.

    Attributes:
        table: What has been found so far.
    """

    def __init__(self, table: Table, write: Callable[[Table], None]):
        self.table, self._write = table, write
        self._since = time.perf_counter()
        write(table)

    def enter(self, tried: list[Tried]) -> float:
        """Adds trials that have ended; returns the seconds since those before."""
        seconds = time.perf_counter() - self._since
        self._since += seconds
        self.table = Table(self.table.contract, self.table.seconds + seconds, [*self.table.tried, *tried])
        self._write(self.table)
        return seconds


def _title(search: Search, done: int, manner: str) -> str:
    if done:
        left = f"{search.planned - done:,} of {search.planned:,} trials are left"
        return f"sweep of {search.experiment}: {left}, {search.manner}, {manner}"
    trials = "1 trial" if search.planned == 1 else f"{search.planned:,} different trials"
    return f"sweep of {search.experiment}: {trials}, {search.manner}, {manner}"


def _best_command(search: Search, table: Table) -> str | None:
    """What repeats the best trial; None as long as there is none."""
    best = ranked(table.tried)[:1]
    if not best or best[0].test_accuracy is None:
        return None
    return command_line(search.experiment, search.make(best[0].trial, dict(best[0].options)).config)


def _dimension(name: str, dimension: Interval | Choices) -> Dimension:
    if isinstance(dimension, Choices):
        return Dimension(name, choices=dimension.values)
    return Dimension(name, ends=(dimension.low, dimension.high), log=dimension.log)


if __name__ == "__main__":
    main(Config, "sweep", __doc__, run)
