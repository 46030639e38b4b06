"""What a sweep shows in the terminal: a live bar, a line for what has ended, the best trials at the end."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from functional_nets.report.sweep import Sweep, Tried, cells, columns, ranked

SHOWN = 10


class SweepProgress:
    """A context in which a sweep reports what its engine does: the engine's `Watch`.

    Args:
        title: What is searched.
        trials: How many there are to be.
        done: How many had ended before.
        notice: What must not be missed about the data.
        enter: Is given what has ended; returns the seconds that it took.
    """

    def __init__(self, title: str, trials: int, done: int, notice: str | None, enter: Callable[[list[Tried]], float]):
        self._console = Console(highlight=False, soft_wrap=True)
        self._trials, self._done, self._enter = trials, done, enter
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", visible=False)
        self._console.print(Text(title, style="bold"))
        if notice:
            self._console.print(Text(notice, style="bold yellow"))

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def begin(self, what: str, total: int) -> None:
        """Shows what is run now, of which so many steps or trials are to be done."""
        self._bar.reset(self._task, description=what, total=total, visible=True)

    def count(self, done: int) -> None:
        """Shows how many of them are done."""
        self._bar.update(self._task, completed=done)

    def ended(self, tried: list[Tried]) -> None:
        """Enters what has been found into the table, and shows the best of it."""
        seconds = self._enter(tried)
        self._done += len(tried)
        best = ranked(tried)[0]
        found = "diverged" if best.test_accuracy is None else f"test accuracy {best.test_accuracy:7.2%}"
        if best.stopped_at is not None:
            found += f", stopped at step {best.stopped_at:,}"
        which = f"trial {best.trial}" if len(tried) == 1 else f"the best of {len(tried)}, trial {best.trial}"
        self._console.print(f"{self._done:>4} of {self._trials} trials  {which}: {found}  {seconds:.1f} s")


def show(sweep: Sweep, folder: Path) -> None:
    """Prints the best trials, the command that repeats the first, and where the rest is."""
    console = Console(highlight=False)
    table = Table(show_edge=False, pad_edge=False)
    for name in columns([each.name for each in sweep.dimensions]):
        table.add_column(Text(name), justify="right")
    order = ranked(sweep.tried)
    for rank, each in enumerate(order[:SHOWN]):
        table.add_row(*map(Text, cells(each)), style="bold" if rank == 0 and sweep.command else "")
    console.print(table)
    diverged = sum(each.test_accuracy is None for each in order)
    stopped = sum(each.stopped_at is not None for each in order)
    lines = [
        f"{len(order):,} {'trial' if len(order) == 1 else 'trials'}, of which {diverged:,} diverged"
        + (f" and {stopped:,} were stopped early" if stopped else "")
        + f"; {sweep.seconds:.1f} s with compiling",
        f"the best again: {sweep.command}" if sweep.command else "none ended with finite numbers: take smaller rates",
        f"written: {folder}/report.html and table.json",
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)
