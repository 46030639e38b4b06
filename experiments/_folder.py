"""The folder that a run writes: configuration, metrics, checkpoints, result; one process at a time."""

import hashlib
import io
import json
import os
import shutil
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from experiments._command import OptionError
from experiments._display import TENSORBOARD
from experiments._records import as_json, read_metrics
from functional_nets.training import checkpoints, flush_folder, write_whole

try:
    import fcntl
except ImportError:  # Windows: two processes are not kept apart there.
    fcntl = None  # type: ignore[assignment]  # mypy: a module is no None.

FILES = ("config.json", "metrics.jsonl", "result.json", "report.html", "table.json", "table.md", "failure.json")
CHECKPOINTS = "checkpoints"
PICTURES = "pictures"


class MetricsKnown(NamedTuple):
    """The part of `metrics.jsonl` that a checkpoint counts on: its bytes and their SHA-256."""

    metrics_bytes: int = 0
    metrics_sha256: str = hashlib.sha256().hexdigest()


NO_METRICS = MetricsKnown()


class RunFolder:
    """The files of one run. Nothing is written before `begin`; as a context, it keeps other processes out."""

    def __init__(self, path: Path, *, resume: bool, overwrite: bool):
        self.path = path
        self._resume, self._overwrite = resume, overwrite
        self._unlock: Callable[[], object] | None = None
        self._descriptor: int | None = None
        self._metrics_length, self._metrics_hash = 0, hashlib.sha256()
        self._unwritten = b""

    @classmethod
    def choose(cls, name: str, out: Path | None, *, resume: bool, overwrite: bool) -> "RunFolder":
        """Returns the folder `out`, or a new one below `runs/NAME` that the time names.

        Raises:
            OptionError: When `out` holds a run already and neither `resume` nor `overwrite` is set, holds
                none to resume, is another process's at present, or cannot be written.
        """
        if out is None:
            out = Path("runs") / name / time.strftime("%Y-%m-%d-%H%M%S")
            while out.exists():
                out = out.with_name(out.name + "-again")
        try:
            if not (resume or overwrite):
                _refuse_held(out)
            nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
        except OSError as error:
            raise OptionError(_cannot_be_written(out, str(error.strerror))) from None
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise OptionError(_cannot_be_written(out, f"{nearest} is no folder or is read-only"))
        folder = cls(out, resume=resume, overwrite=overwrite)
        if out.exists():
            folder._keep_others_out()
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._unlock is not None:
            self._unlock()
            self._unlock = self._descriptor = None

    def begin(self, config: dict[str, Any], known: MetricsKnown = NO_METRICS) -> None:
        """Makes the folder, writes `config.json`, and keeps of earlier metrics what the checkpoint knows of.

        Raises:
            DataError: These are no metrics. Nothing has been written or deleted then.
            OptionError: They are not all there, or changed, or the folder cannot be written, or is another run's
                meanwhile.
        """
        read_metrics(self.path / "metrics.jsonl", known.metrics_bytes)
        self._believe_metrics(known)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._keep_others_out()
            if not (self._resume or self._overwrite):
                _refuse_held(self.path)  # Again, since another process may have been quicker.
            if self._overwrite:
                self._remove_run()
            for file in ("result.json", "report.html", "failure.json"):
                (self.path / file).unlink(missing_ok=True)  # They are of the shorter run.
            for file in FILES:
                (self.path / f"{file}.partial").unlink(missing_ok=True)  # Of a process that was killed while it wrote.
            for partial in self.checkpoints.glob("step_*.safetensors.partial"):
                partial.unlink()
            self._cut_metrics(known.metrics_bytes)
            # The first that is written, so that whatever is killed from here on is a run that can be resumed.
            self.write("config.json", json.dumps(config, indent=2, default=str) + "\n")
            self.checkpoints.mkdir(exist_ok=True)
            flush_folder(self.path.parent)
        except OSError as error:
            raise OptionError(_cannot_be_written(self.path, str(error.strerror))) from None

    def _remove_run(self) -> None:
        """Removes what a run writes, and of its folders nothing that has another name."""
        if (self.path / "report.html").exists():  # Or the pictures are somebody's own.
            shutil.rmtree(self.path / PICTURES, ignore_errors=True)
            shutil.rmtree(self.path / TENSORBOARD, ignore_errors=True)
        for path in (*(self.path / file for file in FILES), *checkpoints(self.checkpoints).values()):
            path.unlink(missing_ok=True)

    def is_there(self) -> bool:
        """Returns whether the folder is still the one in which the run began, neither moved nor deleted."""
        if self._descriptor is None:
            return self.path.is_dir()
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._descriptor))
        except OSError:
            return False

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints lie."""
        return self.path / CHECKPOINTS

    def ended_before_its_first_checkpoint(self) -> bool:
        """Returns whether a run has begun here and saved nothing, so that it is resumed from its beginning.

        Its first checkpoint is of step 0, before its first row: where there are rows, checkpoints have been lost.
        """
        begun = (self.path / "config.json").exists() and not self.has_result() and not self._metrics_size()
        return begun and not checkpoints(self.checkpoints)

    def has_result(self) -> bool:
        """Returns whether a run has ended here; one that was killed just before has only its checkpoints."""
        return (self.path / "result.json").exists()

    def append(self, row: dict[str, Any]) -> None:
        """Appends a row to `metrics.jsonl`, and before it those that could not be written.

        Raises:
            OSError: When it cannot be written; it is kept for the next time.
            OptionError: When the folder is no longer there.
        """
        self._unwritten += (as_json(row) + "\n").encode()
        if not self.is_there() or self._metrics_size() < self._metrics_length:
            raise OptionError(
                f"Expected {self.path} to stay as it is while the run writes to it, found it moved or deleted: "
                "go on with the one that was moved by --resume, or begin anew."
            )
        with (self.path / "metrics.jsonl").open("ab") as stream:
            os.truncate(stream.fileno(), self._metrics_length)  # A full disk may have taken a part of a row.
            stream.write(self._unwritten)
        self._metrics_length += len(self._unwritten)
        self._metrics_hash.update(self._unwritten)
        self._unwritten = b""

    def metrics_known(self) -> MetricsKnown:
        """Returns what of `metrics.jsonl` is written."""
        return MetricsKnown(self._metrics_length, self._metrics_hash.hexdigest())

    def metrics(self) -> list[dict[str, Any]]:
        """Returns the rows of `metrics.jsonl`; a last line that a crash has cut is left out."""
        return read_metrics(self.path / "metrics.jsonl")

    def finish(self, result: dict[str, Any]) -> None:
        """Writes `result.json`."""
        self.write("result.json", as_json(result, indent=2) + "\n")

    def write(self, name: str, text: str) -> None:
        """Writes a file, which is whole or as it was."""
        write_whole(self.path / name, text.encode())

    def _believe_metrics(self, known: MetricsKnown) -> None:
        size = self._metrics_size()
        if size >= known.metrics_bytes:
            with (self.path / "metrics.jsonl").open("rb") if size else io.BytesIO() as stream:
                self._metrics_hash = hashlib.sha256(stream.read(known.metrics_bytes))
        if size < known.metrics_bytes or self._metrics_hash.hexdigest() != known.metrics_sha256:
            found = "others" if size >= known.metrics_bytes else f"{size:,}"
            raise OptionError(
                f"Expected metrics.jsonl in {self.path} to begin with the {known.metrics_bytes:,} bytes that the "
                f"checkpoint knows of, found {found}: put the file back, or begin anew with --overwrite."
            )

    def _cut_metrics(self, length: int) -> None:
        """Leaves of `metrics.jsonl` what the checkpoint knows of."""
        path = self.path / "metrics.jsonl"
        self._metrics_length = length
        if not length:
            path.unlink(missing_ok=True)
        else:
            os.truncate(path, length)

    def _metrics_size(self) -> int:
        path = self.path / "metrics.jsonl"
        return path.stat().st_size if path.exists() else 0

    def _keep_others_out(self) -> None:
        """Locks the folder. The system drops the lock with the process, so that none is ever stale."""
        if fcntl is None or self._unlock is not None:
            return
        self._descriptor = os.open(self.path, os.O_RDONLY)
        self._unlock = weakref.finalize(self, os.close, self._descriptor)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OptionError(
                f"Expected --out to be this run's alone, found another process writing to {self.path}: "
                "wait for it, stop it, or choose another folder."
            ) from None
        except OSError:  # A file system without locks.
            return


def _refuse_held(out: Path) -> None:
    for file in (*FILES, CHECKPOINTS):
        if (out / file).exists():
            raise OptionError(
                f"Expected --out to hold no run, found {file} in {out}: choose another folder, "
                "or say --resume to go on with that run, or --overwrite to replace it."
            )


def _cannot_be_written(path: Path, reason: str) -> str:
    return f"Expected --out to be a folder that can be written, found {path} ({reason}): choose another."
