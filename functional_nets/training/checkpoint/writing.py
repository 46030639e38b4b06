"""Writing so that whatever stops the program or the machine leaves the old file or the new one, whole."""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file: beside its place, flushed to the disk, renamed, and the folder flushed.

    The flush before the rename is what a power cut asks for: without it, a file system may keep the new name and
    lose the content.

    Raises:
        OSError: When it cannot be written; nothing of it is left then.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as stream:
            write(stream, content)
            flush(stream.fileno())
        rename(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            remove(partial)
        raise
    flush_folder(path.parent)


# Each by a name of its own, so that scripts/torture.py can kill the process between any two.


def write(stream: BinaryIO, content: bytes) -> None:
    """Hands the content to the system."""
    stream.write(content)
    stream.flush()


def rename(old: Path, new: Path) -> None:
    """Gives a file its name, in place of what had it, at one stroke."""
    os.replace(old, new)


def remove(path: Path) -> None:
    """Removes a file that is no longer needed."""
    path.unlink(missing_ok=True)


def flush(descriptor: int) -> None:
    """Returns when what was written is on the disk."""
    os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Returns when the names in a folder are on the disk."""
    if os.name == "nt":  # Windows opens no folders.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


class BackgroundWriter:
    """Runs one writing job at a time, while the training goes on."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Starts a job once the one before has ended.

        Raises:
            OSError: Or whatever the job before raised; this one is not started then.
        """
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(job,), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Returns when no job is running.

        Raises:
            OSError: Or whatever the last job raised.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # Of whatever kind: a save that failed must not pass for one.
            self._error = error
