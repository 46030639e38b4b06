"""What a run shows while it trains: in the terminal, and for TensorBoard."""

import contextlib
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from experiments._command import DISPLAY, OptionError
from functional_nets.report import Progress, TensorBoard, has_tensorboard
from functional_nets.training import Snapshot

TENSORBOARD = "tensorboard"


class DisplayOptions(Protocol):
    """The options that decide what is shown."""

    @property
    def quiet(self) -> bool:
        """Whether to show nothing."""

    @property
    def json(self) -> bool:
        """Whether to print the result as JSON."""

    @property
    def tensorboard(self) -> bool:
        """Whether to write for TensorBoard."""

    @property
    def length(self) -> dict[str, int]:
        """`epochs` or `steps`."""


def check_display(options: DisplayOptions) -> None:
    """Raises OptionError for what cannot be shown."""
    if options.tensorboard and not has_tensorboard():
        raise OptionError(
            "Expected tensorboardX with --tensorboard, found it is not installed: pip install tensorboardX."
        )
    for name in DISPLAY:
        if getattr(options, name) and getattr(options, "population", 0):
            raise OptionError(f"Expected --{name} or --population, found both: a population prints its own table.")


class Display:
    """A context that is told of each chunk and row of a training, and of its end.

    Args:
        name: The experiment's.
        params: Its parameters.
        options: What to show.
        notice: What must not be missed.
        folder: The run's.
        first_step: Where this process begins.
        row_begins: After which step its first row begins; earlier, if it goes on within a row.
        last_step: Where the training ends.
        examples_per_step: How many examples a step takes, on average.
        seen: Whether the network is asked about the examples that it is trained on.
    """

    def __init__(
        self, name: str, params: Any, options: DisplayOptions, *, notice: str, folder: Path, first_step: int,
        row_begins: int, last_step: int, examples_per_step: float, seen: bool,
    ):  # fmt: skip
        self._folder, self._unread = folder, False
        self._board = TensorBoard(folder / TENSORBOARD, first_step) if options.tensorboard else None
        shown = partial(
            Progress, name, params, options.length, steps=last_step, examples_per_step=examples_per_step,
            first_step=row_begins, seen=seen, as_json=options.json,
        )  # fmt: skip
        self._progress = shown(quiet=True)  # Says nothing, and remains if what follows cannot be printed.
        self._show(lambda: setattr(self, "_progress", shown(quiet=options.quiet, notice=notice)))

    def __enter__(self) -> Self:
        self._show(self._progress.__enter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show(self._progress.__exit__, kind, error, trace)
        if self._board:
            self._board.close()

    def chunk(self, snapshot: Snapshot) -> None:
        """Shows how far training is."""
        step, losses = int(snapshot.state.step), snapshot.losses
        if len(losses):
            self._show(self._progress.at, step, float(losses[-1]), len(losses) / snapshot.seconds)
        else:  # A row has just been shown.
            self._show(self._progress.at, step)

    def row(self, row: dict[str, Any]) -> None:
        """Shows a row of metrics."""
        self._show(self._progress.row, row)
        if self._board:
            self._board.row(row)

    def finish(self, summary: dict[str, Any]) -> None:
        """Shows the result."""
        self._show(self._progress.finish, summary, self._folder)

    def _show(self, show: Callable[..., object], *args: Any) -> None:
        """Shows something; a run does not end because nobody can or will read what it prints."""
        try:
            if not self._unread:
                show(*args)
                sys.stdout.flush()
        except (OSError, SystemExit):  # The disk that takes the output is full, or its reader has gone: rich's way.
            self._unread = True
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
