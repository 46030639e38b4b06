"""What runs the trials of a sweep: the protocol that every engine keeps to. Work goes in, what was found comes out."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from experiments._search import Search
from experiments._trials import Problem, Trial
from functional_nets.report.sweep import Tried


class Work(NamedTuple):
    """What an engine is to do.

    Attributes:
        experiment: Its name.
        problem: The experiment, with its data.
        trials: Those that are drawn and have not ended yet.
        unfinished: A folder in which trials that have begun may be kept, for the next time.
        search: What all trials are; where they are not drawn, the engine proposes those that are left.
        tried: The trials that have ended.
    """

    experiment: str
    problem: Problem
    trials: Sequence[Trial]
    unfinished: Path
    search: Search
    tried: Sequence[Tried]


class Watch(Protocol):
    """Whoever is told how the work goes on."""

    def begin(self, what: str, total: int) -> None:
        """Is told what is run now, and how many steps or trials of it there are."""

    def count(self, done: int) -> None:
        """Is told how many of them are done."""

    def ended(self, tried: list[Tried]) -> None:
        """Is given trials that have ended, each one once."""


class Engine(Protocol):
    """Trains networks: as a context, it holds what it needs for that.

    Whichever engine trains a trial, it finds what the experiment's own command finds: to the same bits, unless the
    engine's own docstring says what changes them and by how much.
    """

    def manner(self, trials: Sequence[Trial]) -> str:
        """Returns how it trains so many, to stand after "64 trials"."""

    def train(self, work: Work, watch: Watch) -> None:
        """Trains all trials of the work."""

    def __enter__(self) -> Self:
        """Raises OptionError when what it needs is not there."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
