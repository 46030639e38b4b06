"""What a process of a Ray cluster does for a sweep: one trial after another, on data that it loads once."""

import functools
from pathlib import Path
from typing import NamedTuple

from experiments._command import OptionError
from experiments._single_trial import Score, train_single
from experiments._trials import Problem, Trial, load_problem
from functional_nets import training
from functional_nets.data import DataError
from functional_nets.training.compilation_cache import sign_entries

TRIAL, SCORE, TIME = "trial", "score", "epoch"
"""Names that Ray Tune knows: of a trial, of what is the better the greater, of how far the trial is."""


class Shared(NamedTuple):
    """What all trials of a sweep are told.

    Attributes:
        experiment: Its name.
        source: Where the data come from.
        data_dir: Their folder, instead of the source's usual ones.
        data_sha256: Of the training data, which each machine must have.
        unfinished: Where trials keep checkpoints, each in a folder named by its number.
        on_the_way: Whether scores are wanted before the end.
    """

    experiment: str
    source: str
    data_dir: Path | None
    data_sha256: str
    unfinished: Path
    on_the_way: bool


def run_trial(shared: Shared, point: dict[str, Trial]) -> None:
    """Trains the trial that a point of Ray Tune holds, and reports its scores."""
    from ray import tune

    def report(score: Score) -> None:
        tune.report({**score._asdict(), SCORE: score.test_accuracy or 0.0})

    trial = point[TRIAL]
    folder = shared.unfinished / str(trial.number) if shared.unfinished.is_dir() else None
    programs = training.keep_programs()
    try:
        problem = _problem(shared.experiment, shared.source, shared.data_dir, shared.data_sha256)
    except (OptionError, DataError, training.WrongArithmeticError) as error:
        tune.report({"refused": str(error), SCORE: 0.0})
        return
    train_single(problem, trial, folder, report, on_the_way=shared.on_the_way)
    if programs is not None:
        sign_entries(programs)  # Ray ends its processes before they could.


@functools.cache
def _problem(experiment: str, source: str, data_dir: Path | None, sha256: str) -> Problem:
    """The experiment with its data, of which it is certain that they are those of the sweep."""
    training.check_arithmetic()
    problem = load_problem(experiment, source, data_dir)
    if (found := training.tree_sha256(tuple(problem.examples))) != sha256:
        raise OptionError(
            f"Expected the sweep's training data, with SHA-256 {sha256}, found {problem.source} data with {found}: "
            "give --source, and a --data-dir that each machine of the cluster sees."
        )
    return problem
