"""Which trials a sweep is to train: all drawn before the first, or each proposed from what others have found."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments._space import Space, Values, draw_trials, is_grid, size
from experiments._trials import Trial, make_limits, make_trials


class Search(NamedTuple):
    """The trials of a sweep, drawn or to be proposed.

    Attributes:
        experiment: Its name.
        space: What the trials differ in.
        words: What every trial's command has beside its own values.
        seed: What trials are drawn or proposed from.
        planned: How many there are to be.
        ends: Trials at the ends of the space, one option at a time.
        drawn: The trials by their numbers; None if they are proposed one after the other.
    """

    experiment: str
    space: Space
    words: Sequence[str]
    seed: int
    planned: int
    ends: Sequence[Trial]
    drawn: Mapping[int, Trial] | None

    @property
    def manner(self) -> str:
        """How they are chosen, to stand after "64 trials, "."""
        if self.drawn is None:
            return "proposed by Optuna"
        return "all combinations" if is_grid(self.space, self.planned) else "drawn at random"

    def make(self, number: int, values: Values) -> Trial:
        """Returns the trial of a number, from 1, with these values."""
        return make_trials(self.experiment, [values], self.words, number)[0]

    def holds(self, number: int, options: Any) -> bool:
        """Returns whether a trial of this sweep may have this number and these options."""
        if self.drawn is not None:
            return number in self.drawn and self.drawn[number].values == options
        named = isinstance(options, dict) and list(options) == list(self.space) and 1 <= number <= self.planned
        return named and all(dimension.holds(options[name]) for name, dimension in self.space.items())


def make_search(experiment: str, space: Space, words: Sequence[str], most: int, seed: int, proposed: bool) -> Search:
    """Returns the trials of a sweep, of which it is certain that the experiment can use them.

    Args:
        experiment: Its name.
        space: What the trials differ in.
        words: What every trial's command has beside its own values.
        most: How many trials there may be.
        seed: What they are drawn or proposed from.
        proposed: Whether they are proposed one after the other.

    Raises:
        OptionError: For values that the experiment cannot use, whether they are drawn or not.
    """
    ends = make_limits(experiment, space, words)
    trials = make_trials(experiment, draw_trials(space, 1 if proposed else most, seed), words)
    if proposed:
        return Search(experiment, space, words, seed, int(min(most, size(space))), ends, None)
    drawn = {trial.number: trial for trial in trials}
    return Search(experiment, space, words, seed, len(drawn), ends, drawn)
