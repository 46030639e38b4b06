"""How an answer of ours is compared with what a notebook prints."""

from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float


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

        It counts as another draw of the same if it lies within our range, or within 4 standard deviations of
        our mean: with 20 seeds, one normal draw in about 1,000 lies outside.
        """
        value, mean = float(printed), float(self.values.mean())
        low, high, deviation = (
            self.values.min(),
            self.values.max(),
            self.values.std(ddof=min(1, len(self.values) - 1)),
        )
        ours = f"{mean:.{self.digits}f} ({low:.{self.digits}f} to {high:.{self.digits}f})"
        z = (value - mean) / deviation if deviation else 0.0
        below = int((self.values < value).sum())
        place = f"{below} of {len(self.values)} below, z = {z:+.1f}"
        if low <= value <= high:
            return Verdict(ours, f"within our distribution: {place}")
        if abs(z) <= 4:
            return Verdict(ours, f"within 4 deviations of our distribution: {place}")
        return Verdict(ours, f"DIFFERS: {place}", True)


class Unanswered(NamedTuple):
    """No value of ours.

    Attributes:
        reason: Why.
    """

    reason: str

    def judge(self, printed: str) -> Verdict:
        """Returns the reason."""
        return Verdict("", self.reason)
