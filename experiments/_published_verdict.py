"""How an answer of ours is compared with what a notebook prints."""

import math
from typing import NamedTuple, Protocol

import numpy as np
from jax.scipy.special import betainc
from jaxtyping import Float

UNLIKELY = 0.001


class Verdict(NamedTuple):
    """The outcome of a comparison.

    Attributes:
        ours: Our value, as text.
        verdict: What the table says.
        differs: Whether the two contradict each other.
    """

    ours: str
    verdict: str
    differs: bool = False


class Answer(Protocol):
    """What a `_published_…` module finds."""

    def judge(self, printed: str) -> Verdict:
        """Returns how it compares with what is printed."""


class Same(NamedTuple):
    """A text that must be the printed one, digit by digit.

    Attributes:
        ours: The text.
    """

    ours: str

    def judge(self, printed: str) -> Verdict:
        """Returns `same` if the texts are equal."""
        same = self.ours == printed
        return Verdict(self.ours, "same" if same else "DIFFERS", not same)


class Close(NamedTuple):
    """A number that must be the printed one to a tolerance that is explained.

    Attributes:
        ours: The number.
        tolerance: Largest absolute difference.
        reason: What the number is made of.
    """

    ours: float
    tolerance: float
    reason: str

    def judge(self, printed: str) -> Verdict:
        """Returns `same` if the two lie within the tolerance."""
        same = abs(self.ours - float(printed)) <= self.tolerance
        return Verdict(repr(self.ours), f"same: to {self.tolerance:g}; {self.reason}" if same else "DIFFERS", not same)


class Between(NamedTuple):
    """A number that must lie between the two that are printed.

    Attributes:
        ours: The number.
    """

    ours: float

    def judge(self, printed: str) -> Verdict:
        """Returns `same` if it does."""
        low, high = map(float, printed.split(" and "))
        return Verdict(f"{self.ours:g}", "same" if low < self.ours <= high else "DIFFERS", not low < self.ours <= high)


class AtLeast(NamedTuple):
    """A number that must not be less than the printed one.

    Attributes:
        ours: The number.
    """

    ours: float

    def judge(self, printed: str) -> Verdict:
        """Returns `reached` if it is not."""
        reached = self.ours >= float(printed)
        return Verdict(f"{self.ours:g}", "reached" if reached else "DIFFERS", not reached)


class Refused(NamedTuple):
    """An error, where the notebook has one, too.

    Attributes:
        ours: Its kind and its first line; None when there was none.
    """

    ours: str | None

    def judge(self, printed: str) -> Verdict:
        """Returns `same` if there was one."""
        if self.ours is None:
            return Verdict("no error", "DIFFERS", True)
        return Verdict(self.ours, "same: refused")


class Spread(NamedTuple):
    """One value for each seed, where the notebook did not fix its own.

    Attributes:
        values: Ours.
        digits: Behind the point, in the table.
    """

    values: Float[np.ndarray, " seeds"]
    digits: int

    def judge(self, printed: str) -> Verdict:
        """Returns where the printed value lies among ours.

        It counts as another draw of the same if it lies within our range or is not unlikelier than 1 in 1,000, by
        Student's distribution for one more normal draw (with 20 seeds, within 4 standard deviations of our mean).
        """
        value, mean, deviation = float(printed), float(self.values.mean()), float(self.values.std(ddof=1))
        low, high = self.values.min(), self.values.max()
        z = (value - mean) / deviation if deviation else math.inf
        ours = f"{mean:.{self.digits}f} ({low:.{self.digits}f} to {high:.{self.digits}f})"
        place = f"{(self.values < value).sum()} of {len(self.values)} below, z = {z:+.1f}"
        if low <= value <= high:
            return Verdict(ours, f"within our distribution: {place}")
        chance = _chance(z, len(self.values))
        if chance >= UNLIKELY:
            return Verdict(ours, f"in the tail of our distribution: {place}, p = {chance:.2g}")
        return Verdict(ours, f"DIFFERS: {place}, p = {chance:.2g}", True)


def _chance(z: float, count: int) -> float:
    """The chance that one more normal draw lies at least `z` deviations from the mean of `count`, either way."""
    t_squared = z**2 / (1 + 1 / count)
    freedom = count - 1
    return float(betainc(freedom / 2, 0.5, freedom / (freedom + t_squared)))


class Unanswered(NamedTuple):
    """No value of ours.

    Attributes:
        reason: Why.
    """

    reason: str

    def judge(self, printed: str) -> Verdict:
        """Returns the reason."""
        return Verdict("", self.reason)
