"""What a run saves while it trains: a row of metrics at each report, checkpoints, and a last one on a signal."""

import contextlib
import errno
import math
import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments._command import OptionError
from experiments._folder import RunFolder
from functional_nets.training import BackgroundWriter, Snapshot, TrainState, save_checkpoint
from functional_nets.training.checkpoint.file import is_key
from functional_nets.training.parallel import processes

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
SHORTEST, LONGEST = 2.0, 60.0
"""Seconds between two checkpoints, for those who ask for one at each epoch's end: a save takes about 20 ms, which
epochs of a quarter second would feel; and an epoch may last for hours.
"""


Held = dict[int, tuple[Snapshot, dict[str, Any]]]
"""Snapshots to be written, by their steps, and what goes with each."""


class Cadence(NamedTuple):
    """When checkpoints are due.

    Attributes:
        steps: At the multiples of so many steps; None for none.
        seconds: After so many seconds.
        epoch_seconds: After so many, at the end of an epoch, or whenever a row is written.
    """

    steps: int | None
    seconds: float
    epoch_seconds: float = float("inf")

    @classmethod
    def parse(cls, text: str) -> "Cadence":
        """Returns what `epoch`, `500` (steps) or `30s` (seconds) asks for.

        Raises:
            OptionError: For anything else.
        """
        if text == "epoch":
            return cls(None, LONGEST, SHORTEST)
        if re.fullmatch(r"[0-9]{1,12}", text) and int(text):
            return cls(int(text), float("inf"))
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?s", text):
            return cls(None, float(text[:-1]))
        raise OptionError(
            f"Expected --checkpoint-every to be epoch, steps such as 500 or seconds such as 30s, found {text!r}: "
            "give one of those."
        )


class Saving:
    """Saves a run into its folder, between the chunks of its training.

    The best and the last snapshot of those that end with a row are held in memory until a checkpoint is due, or the
    run ends.

    Args:
        folder: The run's.
        about: What goes with each checkpoint, `contract` among it.
        cadence: When checkpoints are due.
        keep: How many of the newest stay, beside the best.
        last_step: The step after which the run ends: a checkpoint is due then.
        best: The best row so far, of a run that goes on.
    """

    def __init__(
        self, folder: RunFolder, about: dict[str, Any], *, cadence: Cadence, keep: int, last_step: int,
        best: dict[str, Any] | None,
    ):  # fmt: skip
        self._folder, self._about, self._cadence, self._keep = folder, about, cadence, keep
        self._last_step, self._best = last_step, best
        self._writer = BackgroundWriter()
        self._saved_at = time.monotonic()
        self._held: Held = {}
        self._writing = self._held
        self._unsaved: str | None = None
        self._unwritten: str | None = None
        self._signal: int | None = None  # What this process was sent,
        self._stop: int | None = None  # and what all of them have agreed on.
        self._writes = processes.is_first()

    def begin(self, snapshot: Snapshot) -> None:
        """Saves what the run begins with, so that whatever has rows has a checkpoint, too."""
        self._hold(snapshot)
        self._save()

    def row(self, row: dict[str, Any]) -> None:
        """Appends a row to the metrics, and notes whether it is the best."""
        if not self._writes:
            return
        if not self._folder.metrics_known().metrics_bytes:
            self._settle()
        try:
            self._folder.append(row)
            self._unwritten = None
        except OSError as error:
            if self._unwritten is None:
                self._tell("add a row to metrics.jsonl", error)
            self._unwritten = _reason(error)
        scores = {name: row[name] for name in ("step", "test_accuracy", "test_loss")}
        finite = math.isfinite(row["test_loss"])
        if finite and (self._best is None or _goodness(scores) > _goodness(self._best)):
            self._best = scores

    def chunk(self, snapshot: Snapshot) -> None:
        """Saves the snapshot if it is due; ends the run after a signal.

        Raises:
            SystemExit: With 128 plus the signal's number.
        """
        due = self._agree(snapshot)
        if (due or not snapshot.losses.size) and self._unwritten is None:  # A checkpoint counts on the rows before it.
            self._hold(snapshot)
        if due:
            self._save()
        if self._stop is not None:
            self.wait()
            raise SystemExit(128 + self._stop)

    def wait(self) -> None:
        """Returns when what is held, and the last checkpoint, are on the disk.

        Raises:
            OptionError: When it could not be written.
        """
        if self._held:
            self._save()
        self._settle()
        if found := self._unsaved or self._unwritten:
            raise OptionError(
                f"Expected to save the run's last step in {self._folder.checkpoints}, found {found}: "
                "make room there, and say --resume to go on from the checkpoint before."
            )

    @contextlib.contextmanager
    def stopping_on_signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP end the run after the next checkpoint; a second one ends it at once.

        However it ends, what is held is saved.
        """

        def stop(number: int, _: Any) -> None:
            self._signal = number
            for each in heeded:
                signal.signal(each, signal.SIG_DFL)

        # What the parent has this process ignore, such as SIGHUP under nohup, is ignored.
        heeded = [each for each in STOPPING if signal.getsignal(each) not in (signal.SIG_IGN, None)]
        before = {each: signal.signal(each, stop) for each in heeded}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
            with contextlib.suppress(Exception):  # What has been said of it already.
                self.wait()

    def _agree(self, snapshot: Snapshot) -> bool:
        """Returns whether a checkpoint is due; a signal to one process is one to all."""
        own = np.array([self._signal or 0, self._is_due(snapshot)], np.int32)
        everyones = processes.everyone(own)
        self._stop = int(everyones[:, 0].max()) or None
        return self._stop is not None or bool(everyones[0, 1])

    def _is_due(self, snapshot: Snapshot) -> bool:
        step, seconds = int(snapshot.state.step), time.monotonic() - self._saved_at
        by_step = self._cadence.steps is not None and step % self._cadence.steps == 0
        limits = (self._cadence.seconds, self._cadence.epoch_seconds)
        by_time = seconds >= (limits[0] if snapshot.losses.size else min(limits))
        return by_step or by_time or step >= self._last_step

    def _hold(self, snapshot: Snapshot) -> None:
        """Keeps a copy of the snapshot, whose arrays are used again, and of those before it the best one's."""
        state: TrainState = jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.array(leaf), snapshot.state)
        about = {**self._about, **self._folder.metrics_known()._asdict(), "best": self._best}
        self._held = {**self._best_of(self._held), int(state.step): (snapshot._replace(state=state), about)}

    def _best_of(self, held: Held) -> Held:
        best = self._best["step"] if self._best else None
        return {step: each for step, each in held.items() if step == best}

    def _save(self) -> None:
        """Has what is held written while the training goes on."""
        if not self._writes:
            return
        self._settle()
        held, spare = self._held, {self._best["step"]} if self._best else set()
        self._held, self._writing, self._saved_at = {}, held, time.monotonic()
        self._writer.submit(lambda: self._write(held.values(), spare))

    def _write(self, held: Iterable[tuple[Snapshot, dict[str, Any]]], spare: set[int]) -> None:
        if not self._folder.is_there():
            raise FileNotFoundError(errno.ENOENT, "the folder moved or deleted", str(self._folder.path))
        metrics = self._folder.path / "metrics.jsonl"
        if metrics.exists():  # The checkpoint counts on its rows.
            with metrics.open("rb") as stream:
                os.fsync(stream.fileno())
        for snapshot, about in held:
            save_checkpoint(self._folder.checkpoints, snapshot, about, keep=self._keep, spare=spare)

    def _settle(self) -> None:
        """Waits for the checkpoint that is being written; training goes on without one that fails."""
        try:
            self._writer.wait()
        except Exception as error:  # Of whatever kind: a run is not lost for it.
            if self._unsaved is None:
                self._tell(f"save a checkpoint in {self._folder.checkpoints}", error)
            self._unsaved = _reason(error)
            self._held = self._best_of(self._writing) | self._held
        else:
            self._unsaved = None

    def _tell(self, what: str, error: Exception) -> None:
        line = f"Expected to {what}, found {_reason(error)}: training goes on, and it is tried again each time."
        print(line, file=sys.stderr, flush=True)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _goodness(row: dict[str, Any]) -> tuple[float, float]:
    return row["test_accuracy"], -row["test_loss"]
