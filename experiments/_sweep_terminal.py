"""What a sweep shows in the terminal: a live bar for each program, a line after it, the best trials at the end."""

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
    """A context in which a sweep reports its programs.

    Args:
        title: What is searched.
        programs: How many there are to run.
        notice: What must not be missed about the data.
    """

    def __init__(self, title: str, programs: int, notice: str | None):
        self._console = Console(highlight=False, soft_wrap=True)
        self._programs, self._number = programs, 0
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

    def begin(self, networks: int, steps: int) -> None:
        """Shows that the next program compiles, with so many networks to train for so many steps."""
        self._number += 1
        name = f"program {self._number} of {self._programs}, {networks} networks, steps"
        self._bar.reset(self._task, description=name, total=steps, visible=True)

    def steps(self, done: int) -> None:
        """Shows how many steps the program has taken."""
        self._bar.update(self._task, completed=done)

    def end(self, tried: list[Tried], seconds: float) -> None:
        """Shows what the program has found."""
        best = ranked(tried)[0].test_accuracy
        found = "all diverged" if best is None else f"best test accuracy {best:7.2%}"
        count = f"{len(tried):>3} network{'s' if len(tried) > 1 else ' '}"
        self._console.print(f"program {self._number:>3} of {self._programs}  {count}  {found}  {seconds:.1f} s")


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
    lines = [
        f"{len(order):,} trials, of which {diverged:,} diverged; {sweep.seconds:.1f} s with compiling",
        f"the best again: {sweep.command}" if sweep.command else "none ended with finite numbers: take smaller rates",
        f"written: {folder}/report.html and table.json",
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)
