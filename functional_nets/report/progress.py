"""Progress of a run in the terminal: a live line for people, plain lines when the output is a file."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from functional_nets.nn import count_parameters


class Progress:
    """A context in which a run reports its rows.

    Args:
        name: The experiment's.
        params: Its parameters, which are counted.
        length: `{"epochs": N}` or `{"steps": N}`.
        notice: What must not be missed about the data.
    """

    def __init__(self, name: str, params: Any, length: dict[str, int], *, notice: str | None = None):
        self._console = Console(highlight=False, soft_wrap=True)
        (self._unit, self._total), *_ = length.items()
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(f"{name}, {self._unit}", total=self._total)
        units = self._unit[:-1] if self._total == 1 else self._unit
        self._console.print(f"[bold]{name}[/]: {count_parameters(params):,} parameters, {self._total:,} {units}")
        if notice:
            self._console.print(f"[bold yellow]{escape(notice)}[/]")

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def row(self, row: dict[str, Any]) -> None:
        """Shows one row of metrics."""
        self._bar.update(self._task, completed=row["epoch" if self._unit == "epochs" else "step"])
        accuracy = f"  test accuracy {row['test_accuracy']:7.2%}" if "test_accuracy" in row else ""
        test_loss = f"  test loss {row['test_loss']:.4f}" if "test_loss" in row else ""
        self._console.print(
            f"epoch {row['epoch']:>5}  step {row['step']:>6}  train loss {row['train_loss']:.4f}"
            f"{test_loss}{accuracy}  {row['seconds']:.2f} s"
        )

    def finish(self, summary: dict[str, Any], folder: Path) -> None:
        """Shows what the run has found and where it lies."""
        self._bar.stop()
        self._console.print(
            f"[bold]test accuracy {summary['test_accuracy']:.2%}[/], test loss {summary['test_loss']:.4f} "
            f"after {summary['steps']:,} steps; trained {summary['train_seconds']:.1f} s, "
            f"compiled {summary['compile_seconds']:.1f} s, in all {summary['total_seconds']:.1f} s"
        )
        check = summary["gradient_check"]
        if check is not None:
            verdict = "agree" if check["ok"] else "[bold red]DISAGREE[/]"
            error = f"largest relative error {check['largest_relative_error']:.1e}"
            self._console.print(f"gradients: the witnesses {verdict}, {error}")
        written = f"{escape(str(folder))}/report.html and beside it"
        self._console.print(f"data: {summary['source']}; written: {written}")
