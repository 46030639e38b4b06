"""Progress of a run in the terminal: a live line for people, few plain lines when the output is a file."""

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from functional_nets.nn import count_parameters
from functional_nets.report.words import counted

ROWS = 20
"""About so many rows are shown, however long the run; `metrics.jsonl` has all of them."""
BAR = 24
NARROWEST_BAR = 4
BESIDE = 16
"""Characters of the live line beside name, bar and state: per cent, time left, gaps."""
STATE, WITHOUT_PACE = 51, 30
"""Characters of its state, which a terminal of less than 80 columns shows without the pace."""


class Progress:
    """A context in which a run reports its rows.

    Args:
        name: The experiment's.
        params: Its parameters, which are counted.
        length: `{"epochs": N}` or `{"steps": N}`.
        notice: What must not be missed about the data.
        steps: Steps of the whole run; None if it is not known.
        examples_per_step: How many examples a step takes, on average.
        first_step: After which step the first row begins.
        seen: Whether the examples that are asked about are those trained on, so that nothing is called a test.
        quiet: Whether to show nothing but the notice, which then goes to standard error.
        as_json: Whether standard output is for one line, the result as JSON; all else goes to standard error.
    """

    def __init__(
        self, name: str, params: Any, length: dict[str, int], *, notice: str | None = None, steps: int | None = None,
        examples_per_step: float = 0.0, first_step: int = 0, seen: bool = False, quiet: bool = False,
        as_json: bool = False,
    ):  # fmt: skip
        (self._unit, total), *_ = length.items()
        self._steps = total if steps is None and self._unit == "steps" else steps
        self._examples_per_step, self._as_json = examples_per_step, as_json
        self._row_begins, self._asked = first_step, "" if seen else "test "
        self._console = Console(highlight=False, soft_wrap=True, stderr=as_json, quiet=quiet)
        room = self._console.width - len(name) - BESIDE
        self._with_pace = room >= STATE
        bar = min(BAR, room - (STATE if self._with_pace else WITHOUT_PACE))
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            *([BarColumn(bar_width=bar)] if bar >= NARROWEST_BAR else []),
            TaskProgressColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=self._steps, state="compiling")
        self._shown_until, self._pace, self._accuracy = -1.0, "", ""
        size = counted(count_parameters(params), "parameters")
        self._console.print(f"[bold]{escape(name)}[/]: {size}, {counted(total, self._unit)}")
        if notice:
            console = Console(highlight=False, soft_wrap=True, stderr=True) if quiet else self._console
            console.print(f"[bold yellow]{escape(notice)}[/]")

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def at(self, step: int, loss: float | None = None, steps_per_second: float = 0.0) -> None:
        """Moves the live line to where training is, with the loss there and the pace, if they are known."""
        if loss is not None:
            pace = self._examples_per_step * steps_per_second if self._with_pace else 0
            self._pace = (f"{pace:,.0f} examples/s  " if pace else "") + f"loss {loss:.4f}  "
        self._bar.update(self._task, completed=step, state=self._pace + self._accuracy)

    def row(self, row: dict[str, Any]) -> None:
        """Shows one row of metrics, unless the last that was shown is hardly older."""
        if "test_accuracy" in row:
            self._accuracy = f"accuracy {row['test_accuracy']:.2%}"
        steps, self._row_begins = row["step"] - self._row_begins, row["step"]
        self.at(row["step"], row["train_loss"], steps / row["seconds"] if row["seconds"] else 0.0)
        share = row["step"] / self._steps if self._steps else 1.0
        if share < min(1.0, self._shown_until + 1 / ROWS):
            return
        self._shown_until = share if self._steps else -1.0
        accuracy = f"  {self._asked}accuracy {row['test_accuracy']:7.2%}" if "test_accuracy" in row else ""
        test_loss = f"  {self._asked}loss {row['test_loss']:.4f}" if "test_loss" in row else ""
        self._console.print(
            f"epoch {row['epoch']:>5}  step {row['step']:>6}  train loss {row['train_loss']:.4f}"
            f"{test_loss}{accuracy}  {row['seconds']:.2f} s"
        )

    def finish(self, summary: dict[str, Any], folder: Path) -> None:
        """Shows what the run has found and where it lies."""
        self._bar.stop()
        for name, value in self._results(summary, folder).items():
            self._console.print(f"[bold]{name:<13}[/]  {value}")
        if self._as_json:
            sys.stdout.write(json.dumps({**summary, "folder": str(folder)}) + "\n")
            sys.stdout.flush()

    def _results(self, summary: dict[str, Any], folder: Path) -> dict[str, str]:
        seconds, check = summary["train_seconds"], summary["gradient_check"]
        pace = self._examples_per_step * summary["steps"] / seconds if seconds else 0
        verdict = "agree" if check and check["ok"] else "[bold red]DISAGREE[/]"
        compiled, whole = summary["compile_seconds"], summary["total_seconds"]
        rows = {
            f"{self._asked}accuracy": f"{summary['test_accuracy']:.2%}",
            f"{self._asked}loss": f"{summary['test_loss']:.4f}",
            "train loss": f"{summary['train_loss']:.4f}",
            "steps": f"{summary['steps']:,}" + (f", {pace:,.0f} examples/s" if pace else ""),
            "time": f"trained {seconds:.1f} s, compiled {compiled:.1f} s, in all {whole:.1f} s",
            "gradients": f"the witnesses {verdict}, largest relative error {check['largest_relative_error']:.1e}"
            if check
            else "",
            "data": escape(summary["source"]),
            "written": f"{escape(str(folder))}/report.html and beside it",
        }
        return {name: value for name, value in rows.items() if value}
