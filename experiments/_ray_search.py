"""Optuna through Ray Tune: proposes each trial of a sweep from what those before it have found."""

import importlib.util
import shutil
from typing import Any

import numpy as np

from experiments._command import OptionError
from experiments._engine import Work
from experiments._ray_trial import SCORE, TRIAL
from experiments._space import Choices, Interval, Values, values_at

ASKED, DRAWN = 20, 1000
"""How often Optuna is asked for values that no trial has, and how often they are drawn then; it likes what it knows."""


def check_optuna() -> None:
    """Raises OptionError when Optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise OptionError("Expected Optuna for --search optuna, found none: pip install 'functional_nets[ray,optuna]'.")


def make_searcher(work: Work) -> Any:
    """Returns what proposes the trials that are left; it knows those that have ended."""
    import optuna
    from ray.tune.search import Searcher
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search, done = work.search, {tried.trial for tried in work.tried}
    # Of the number of trials that have ended, too, or what was proposed at first would be proposed again.
    seed = np.random.SeedSequence((search.seed, len(done)))
    space = {name: _distribution(dimension) for name, dimension in search.space.items()}

    class Proposals(Searcher):
        """Optuna's proposals, no two the same, as trials of the sweep.

        It is told of a trial at its end, since what is trained are not quite its values: they are rounded as those
        that are drawn are.
        """

        def __init__(self) -> None:
            super().__init__(metric=SCORE, mode="max")
            self._optuna = OptunaSearch(space, metric=SCORE, mode="max", seed=int(seed.generate_state(1)[0]))
            self._random = np.random.default_rng(seed)
            self._numbers = iter(sorted(set(range(1, search.planned + 1)) - done))
            self._taken = {tuple(tried.options.values()) for tried in work.tried}
            self._values: dict[str, Values] = {}
            for tried in work.tried:
                self._optuna.add_evaluated_point(dict(tried.options), tried.test_accuracy or 0.0)

        def suggest(self, trial_id: str) -> Any:
            for attempt in range(ASKED + DRAWN):
                values = (
                    self._ask(f"{trial_id} {attempt}") if attempt < ASKED else values_at(search.space, self._random)
                )
                if tuple(values.values()) not in self._taken:
                    break
            else:
                return Searcher.FINISHED
            self._taken.add(tuple(values.values()))
            self._values[trial_id] = values
            trial = search.make(next(self._numbers), values)
            shutil.rmtree(work.unfinished / str(trial.number), ignore_errors=True)  # Of the proposal that was killed.
            return {TRIAL: trial}

        def _ask(self, name: str) -> Values:
            proposed: Any = self._optuna.suggest(name)
            self._optuna.on_trial_complete(name, error=True)
            return {option: dimension.rounded(proposed[option]) for option, dimension in search.space.items()}

        def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
            if result:
                self._optuna.add_evaluated_point(self._values[trial_id], result[SCORE])

        def save(self, checkpoint_path: str) -> None:
            """Writes nothing: a sweep goes on from its table."""

    return Proposals()


def _distribution(dimension: Interval | Choices) -> Any:
    from optuna import distributions

    if isinstance(dimension, Choices):
        return distributions.CategoricalDistribution(dimension.values)
    if dimension.whole:
        return distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
