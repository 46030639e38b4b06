"""The folder that a run writes: configuration, metrics, checkpoints, result."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments._command import OptionError
from functional_nets.training import TrainState, load_checkpoint, save_checkpoint

FILES = ("config.json", "metrics.jsonl", "result.json", "report.html", "table.json", "table.md")


class RunFolder:
    """The files of one run. Nothing is written before `begin`."""

    def __init__(self, path: Path, *, resume: bool, overwrite: bool):
        self.path = path
        self._resume, self._overwrite = resume, overwrite
        self._signal: int | None = None

    @classmethod
    def choose(cls, name: str, out: Path | None, *, resume: bool, overwrite: bool) -> "RunFolder":
        """Returns the folder `out`, or a new one below `runs/NAME` that the time names.

        Raises:
            OptionError: When `out` holds a run already and neither `resume` nor `overwrite` is set, holds
                none to resume, or cannot be written.
        """
        if out is None:
            out = Path("runs") / name / time.strftime("%Y-%m-%d-%H%M%S")
            while out.exists():
                out = out.with_name(out.name + "-again")
        try:
            held = [file for file in (*FILES, "checkpoints") if (out / file).exists()]
            nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
        except OSError as error:
            raise OptionError(_cannot_be_written(out, str(error.strerror))) from None
        if held and not (resume or overwrite):
            raise OptionError(
                f"Expected --out to hold no run, found {held[0]} in {out}: choose another folder, "
                "or say --resume to go on with that run, or --overwrite to replace it."
            )
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise OptionError(_cannot_be_written(out, f"{nearest} is no folder or is read-only"))
        return cls(out, resume=resume, overwrite=overwrite)

    def begin(self, config: dict[str, Any], first_step: int) -> None:
        """Makes the folder, writes `config.json`, and keeps of earlier metrics those up to `first_step`."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if self._overwrite:
                for file in FILES:
                    (self.path / file).unlink(missing_ok=True)
                shutil.rmtree(self.path / "checkpoints", ignore_errors=True)
            for file in ("result.json", "report.html"):
                (self.path / file).unlink(missing_ok=True)  # They are of the shorter run.
            if rows := [row for row in self.metrics() if row["step"] <= first_step]:
                self.write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
            else:
                (self.path / "metrics.jsonl").unlink(missing_ok=True)
            self.write("config.json", json.dumps(config, indent=2, default=str) + "\n")
        except OSError as error:
            raise OptionError(_cannot_be_written(self.path, str(error.strerror))) from None

    def has_result(self) -> bool:
        """Returns whether a run has ended here; one that was killed just before has only its checkpoints."""
        return (self.path / "result.json").exists()

    def restore(self, like: TrainState, run: dict[str, Any]) -> TrainState:
        """Returns the newest checkpoint's state; the first state for a run that ended before its first checkpoint."""
        if (self.path / "config.json").exists() and not (self.path / "checkpoints").exists():
            return like
        return load_checkpoint(self.path / "checkpoints", like, run)

    def report(self, state: TrainState, row: dict[str, Any], run: dict[str, Any]) -> None:
        """Appends a row to `metrics.jsonl`, then saves the state; a crash between the two repeats the row."""
        with (self.path / "metrics.jsonl").open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        save_checkpoint(self.path / "checkpoints", state, run)
        if self._signal is not None:
            raise SystemExit(128 + self._signal)

    def metrics(self) -> list[dict[str, Any]]:
        """Returns the rows of `metrics.jsonl`; a last line that a crash has cut is left out."""
        rows = []
        path = self.path / "metrics.jsonl"
        for line in path.read_text().splitlines() if path.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                rows.append(json.loads(line))
        return rows

    def finish(self, result: dict[str, Any]) -> None:
        """Writes `result.json`."""
        self.write("result.json", json.dumps(result, indent=2) + "\n")

    @contextlib.contextmanager
    def stopping_on_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the run after the next checkpoint; a second one ends it at once."""

        def stop(number: int, _: Any) -> None:
            self._signal = number
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, signal.SIG_DFL)

        before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def write(self, name: str, text: str) -> None:
        """Writes a file, which is whole or as it was."""
        partial = self.path / f"{name}.partial"
        partial.write_text(text)
        partial.replace(self.path / name)


def _cannot_be_written(path: Path, reason: str) -> str:
    return f"Expected --out to be a folder that can be written, found {path} ({reason}): choose another."


def identity(name: str, config: Any) -> dict[str, Any]:
    """Returns what must be equal for a run to be resumed: all but where it writes and how long it lasts."""
    free = {
        "out",
        "overwrite",
        "resume",
        "data_dir",
        "epochs",
        "steps",
        "devices",
        "gradient_check",
        "compilation_cache",
    }
    values = {key: value for key, value in dataclasses.asdict(config).items() if key not in free}
    return {"experiment": name, **values}
