"""Spaces of options that a sweep searches: their grammar, their grids, and what is drawn from them.

A dimension is `NAME=log(a,b)`, `NAME=uniform(a,b)` or `NAME=v1,v2,…`. Nothing here knows an experiment: values of lists
stay the text that they were given as.
"""

import difflib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments._command import OptionError

Value = str | int | float
Values = dict[str, Value]

DIGITS = 6
"""Significant digits of a number that is drawn, so that the command that repeats a trial can be read."""

FORMS = "NAME=log(1e-3,1), NAME=uniform(0,1) or NAME=32,64,128"


class Interval(NamedTuple):
    """Numbers between two ends.

    Attributes:
        low: The least.
        high: The greatest.
        log: Whether their logarithms are drawn evenly, instead of the numbers.
        whole: Whether they are whole numbers.
    """

    low: float
    high: float
    log: bool
    whole: bool

    def at(self, share: float) -> Value:
        """Returns the number that lies a share of the way from `low` to `high`; `share` is from 0 to 1."""
        forward, back = (math.log, math.exp) if self.log else (float, float)
        return self.rounded(back(forward(self.low) * (1 - share) + forward(self.high) * share))

    def rounded(self, exact: Any) -> Value:
        """Returns the number of the interval that stands for another near it."""
        if self.whole:
            return round(min(max(exact, self.low), self.high))
        rounded = float(f"{exact:.{DIGITS}g}")
        return rounded if self.low <= rounded <= self.high else min(max(exact, self.low), self.high)

    def limits(self) -> tuple[Value, ...]:
        """Returns the two ends."""
        return self.low, self.high

    def holds(self, value: Any) -> bool:
        """Returns whether a value is one of these numbers."""
        return type(value) is (int if self.whole else float) and self.low <= value <= self.high


class Choices(NamedTuple):
    """A list of values.

    Attributes:
        values: As they were written.
    """

    values: tuple[str, ...]

    def rounded(self, value: Any) -> Value:
        """Returns the value."""
        return value

    def limits(self) -> tuple[Value, ...]:
        """Returns all values."""
        return self.values

    def holds(self, value: Any) -> bool:
        """Returns whether a value is one of these."""
        return value in self.values

    def at(self, share: float) -> Value:
        """Returns the value that lies a share of the way through the list; `share` is from 0 to below 1."""
        return self.values[int(share * len(self.values))]


Space = dict[str, Interval | Choices]


def parse_space(words: Sequence[str], kinds: Mapping[str, type]) -> Space:
    """Returns the dimensions that the words describe, in their order.

    Args:
        words: One for each dimension.
        kinds: The names that there are, and the type of each one's values.

    Raises:
        OptionError: For a name that is not there or given twice, or what is none of the forms.
    """
    space: Space = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise OptionError(f"Expected --space as {FORMS}, found {word!r}: put a name and = before the values.")
        name = name.removeprefix("--").replace("-", "_")
        if name not in kinds:
            raise OptionError(_unknown(name, kinds))
        if name in space:
            raise OptionError(f"Expected each name once in --space, found {name} twice: put all of it in one word.")
        space[name] = _dimension(word, name, text, kinds[name])
    return space


def limits(space: Space) -> list[Values]:
    """Returns the ends of each interval and all values of each list, each one alone."""
    return [{name: value} for name, dimension in space.items() for value in dimension.limits()]


def _unknown(name: str, kinds: Mapping[str, type]) -> str:
    near = difflib.get_close_matches(name, kinds, n=1)
    advice = f"did you mean {near[0]}?" if near else "choose one of those."
    return f"Expected --space to name options among {', '.join(kinds)}, found {name!r}: {advice}"


def _dimension(word: str, name: str, text: str, kind: type) -> Interval | Choices:
    if call := re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", text):
        return _interval(word, name, call[1], call[2], kind)
    values = tuple(value.strip() for value in text.split(","))
    if not all(values) or "(" in text or ")" in text:
        raise OptionError(f"Expected --space as {FORMS}, found {word!r}: mend what stands after =.")
    return Choices(values)


def _interval(word: str, name: str, form: str, inside: str, kind: type) -> Interval:
    if form not in ("log", "uniform"):
        near = difflib.get_close_matches(form.lower(), ("log", "uniform"), n=1, cutoff=0.3)
        advice = f"did you mean {near[0]}({inside})?" if near else "choose one of these forms."
        raise OptionError(f"Expected --space as {FORMS}, found {word!r}: {advice}")
    if kind not in (int, float):
        raise OptionError(
            f"Expected a list of values for {name}, which is no number, found {word!r}: write {name}=a,b."
        )
    parts = inside.split(",")
    wrong = [f"{part.strip()!r} in " for part in parts if not _is(kind, part)]
    if wrong or len(parts) != 2:
        what, digits = ("two whole numbers", ", in digits alone") if kind is int else ("two numbers", "")
        raise OptionError(
            f"Expected {what} in {form}(…), found {wrong[0] if wrong else ''}{word!r}: "
            f"write {name}={form}(LOW,HIGH){digits}."
        )
    low, high = map(kind, parts)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise OptionError(f"Expected a lower number before a higher one, found {word!r}: change the two.")
    if form == "log" and low <= 0:
        raise OptionError(f"Expected numbers above 0 in log(…), found {word!r}: begin above 0, or take uniform(…).")
    return Interval(low, high, form == "log", kind is int)


def _is(kind: type, text: str) -> bool:
    try:
        float(kind(text))
    except (ValueError, OverflowError):
        return False
    return True


def values_at(space: Space, random: np.random.Generator) -> Values:
    """Returns values that are drawn from each dimension."""
    shares = random.random(len(space))
    return {name: dimension.at(float(share)) for (name, dimension), share in zip(space.items(), shares, strict=True)}


def size(space: Space) -> float:
    """Returns how many combinations there are; infinity where numbers need not be whole."""
    return math.prod(
        len(each.values) if isinstance(each, Choices) else each.high - each.low + 1 if each.whole else math.inf
        for each in space.values()
    )


def is_grid(space: Space, most: int) -> bool:
    """Returns whether the space is lists alone, with at most so many combinations."""
    return all(isinstance(dimension, Choices) for dimension in space.values()) and size(space) <= most


def draw_trials(space: Space, most: int, seed: int) -> list[Values]:
    """Returns the values of each trial, no two the same: the whole grid, if it is small enough, or what is drawn.

    Trial i is drawn from (seed, i) alone, so that more trials begin with the same ones; a draw that gives an earlier
    one again is left out.

    Args:
        space: As `parse_space` returns it.
        most: How many trials there may be.
        seed: What they are drawn from.
    """
    if is_grid(space, most):
        lists = [dimension.values for dimension in space.values() if isinstance(dimension, Choices)]
        return [dict(zip(space, values, strict=True)) for values in itertools.product(*lists)]
    trials: dict[tuple[Value, ...], Values] = {}
    for number in range(most):
        values = values_at(space, np.random.default_rng((seed, number)))
        trials.setdefault(tuple(values.values()), values)
    return list(trials.values())
