"""Many trainings of one experiment, those with the same shapes together in one compiled program.

`python -m experiments.sweep --experiment mnist --space 'learning_rate=log(1e-3,1)' batch_size=32,64,128 --trials 64`
trains 64 networks and says which is the best, and the command that repeats it. The quotes keep the brackets from the
shell. A dimension is NAME=log(LOW,HIGH), NAME=uniform(LOW,HIGH) or NAME=V1,V2,…; NAME is an option of the experiment.
Lists alone whose combinations are at most --trials are tried one and all; otherwise each trial is drawn.

Networks that differ in their learning rates alone share a program; each other option makes one of its own. Each
network is the one that the experiment trains with these options, up to the order of float additions.
"""

import dataclasses
import importlib
import time
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments._command import OptionError, command_line, main, option
from experiments._folder import RunFolder
from experiments._options import FREE
from experiments._runs import TRAININGS
from experiments._space import Choices, Interval, Space, draw_trials, parse_space
from experiments._sweep_table import Table, read_table
from experiments._sweep_terminal import SweepProgress, show
from experiments._trials import (
    Problem,
    Trial,
    check_batch_sizes,
    load_problem,
    make_trials,
    programs,
    train_together,
)
from functional_nets import data, training
from functional_nets.report.parallel import Dimension
from functional_nets.report.sweep import Sweep, ranked, sweep_page

ENGINES = ("vmap",)
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
    engine: str = option("vmap", "what runs the trials: vmap trains many in one program, in this process", ENGINES)
    at_once: int = option(64, "networks in one program, at most; fewer take less memory")
    source: str = option("auto", "where the data come from; auto takes the first that is there", data.SOURCES)
    data_dir: Path | None = option(None, "folder of the data, instead of the source's usual ones")
    out: Path | None = option(None, "folder that the sweep writes (default: runs/sweep/ and the time)")
    overwrite: bool = option(False, "replace the sweep that --out holds")
    resume: bool = option(False, "go on with the interrupted sweep in --out, after its last whole program")

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        if not self.space:
            raise OptionError("Expected --space, found none: say what to search, such as 'learning_rate=log(1e-3,1)'.")
        for name, least in (("trials", 1), ("at_once", 1), ("sweep_seed", 0)):
            if (value := getattr(self, name)) < least:
                flag = "--" + name.replace("_", "-")
                raise OptionError(f"Expected {flag} of at least {least}, found {value}: give a greater one.")
        if self.resume and self.out is None:
            raise OptionError("Expected --out with --resume, found none: name the folder of the sweep.")
        if self.resume and self.overwrite:
            raise OptionError("Expected --resume or --overwrite, found both: choose one.")


def run(config: Config) -> Table:
    """Trains what has not been trained yet, prints and writes the table and the report, and returns the table."""
    config.check()
    space = parse_space(config.space, _kinds(config.experiment))
    drawn = draw_trials(space, config.trials, config.sweep_seed)
    trials = make_trials(config.experiment, drawn, _common_words(config, space))
    training.check_arithmetic()
    problem = load_problem(config.experiment, config.source, config.data_dir)
    check_batch_sizes(trials, len(problem.examples[0]))
    with RunFolder.choose("sweep", config.out, resume=config.resume, overwrite=config.overwrite) as folder:
        contract = _contract(config, problem)
        table = read_table(folder.path, contract, trials) if config.resume else Table(contract, 0.0, [])
        folder.begin({**dataclasses.asdict(config), "experiment": "sweep", "swept": config.experiment})
        table = _train(config, problem, trials, table, folder)
        dimensions = [_dimension(name, each) for name, each in space.items()]
        count = len(programs(trials, config.at_once))
        command = _best_command(config.experiment, trials, table)
        sweep = Sweep(
            config.experiment, dimensions, table.tried, len(trials), count, table.seconds, command, problem.notice
        )
        folder.write("report.html", sweep_page(sweep))
        show(sweep, folder.path)
    return table


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
    return [f"--{name}={value}" for name, value in given.items() if value is not None]


def _contract(config: Config, problem: Problem) -> dict[str, Any]:
    names = ("experiment", "space", "trials", "sweep_seed", "epochs", "steps")
    options = {name: getattr(config, name) for name in names}
    return {**options, "space": list(config.space), "data_sha256": training.tree_sha256(tuple(problem.examples))}


def _train(config: Config, problem: Problem, trials: Sequence[Trial], table: Table, folder: RunFolder) -> Table:
    """Returns the table after the programs that are left; it is written after each of them."""
    done = {each.trial for each in table.tried}
    left = programs([trial for trial in trials if trial.number not in done], config.at_once)
    table.write(folder, _best_command(config.experiment, trials, table))
    with SweepProgress(_title(config, len(trials), len(done), len(left)), len(left), problem.notice) as progress:
        for together in left:
            progress.begin(len(together), together[0].config.last_step(len(problem.examples[0])))
            start = time.perf_counter()
            tried = train_together(problem, together, progress.steps)
            seconds = time.perf_counter() - start
            table = Table(table.contract, table.seconds + seconds, [*table.tried, *tried])
            table.write(folder, _best_command(config.experiment, trials, table))
            progress.end(tried, seconds)
    return table


def _title(config: Config, trials: int, done: int, left: int) -> str:
    program = "1 program" if left == 1 else f"{left} programs"
    if done:
        return f"sweep of {config.experiment}: {trials - done:,} of {trials:,} trials are left, in {program}"
    return f"sweep of {config.experiment}: {trials:,} different trials in {program}"


def _best_command(experiment: str, trials: Sequence[Trial], table: Table) -> str | None:
    """What repeats the best trial; None as long as there is none."""
    best = ranked(table.tried)[:1]
    if not best or best[0].test_accuracy is None:
        return None
    return command_line(experiment, trials[best[0].trial - 1].config)


def _dimension(name: str, dimension: Interval | Choices) -> Dimension:
    if isinstance(dimension, Choices):
        return Dimension(name, choices=dimension.values)
    return Dimension(name, ends=(dimension.low, dimension.high), log=dimension.log)


if __name__ == "__main__":
    main(Config, "sweep", __doc__, run)
