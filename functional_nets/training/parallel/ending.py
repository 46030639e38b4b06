"""How one of several processes ends when the others cannot be waited for: at once, with one line."""

import contextlib
import ctypes
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

EXIT_BAD_INPUT, EXIT_LOST = 2, 4
LOSS = re.compile(
    r"Gloo [\w -]+ failed: .*(by peer|[Bb]roken pipe|[Tt]imed out)"  # Of other failures of Gloo's, another is not gone.
    r"|NCCL operation .* failed: remote process exited"
    r"|Failed to send RPC to coordination service"
)
"""What JAX's errors say when another process has gone; what NCCL says was not seen here, the others were."""

ending = threading.Event()
"""Set once this process is about to end in order."""
_on_abort: Any = None
_aside: Any = None


def tells_of_loss(text: str) -> bool:
    """Returns whether an error's text is one of those that JAX has when another process has gone."""
    return LOSS.search(text) is not None


def end_at_once(line: str, status: int) -> NoReturn:
    """Ends this process at once, from any thread, while others may hang in what no signal ends.

    Nothing that is being written is spoilt by that: each file is written beside its place, flushed, and moved there
    whole; of `metrics.jsonl` a row may be cut, which resuming drops.
    """
    say(line)
    os._exit(status)


@contextlib.contextmanager
def deadline(seconds: float, line: str, status: int) -> Iterator[None]:
    """Ends the process with a line if what is inside takes longer."""

    def end() -> None:
        if not ending.is_set():
            end_at_once(line, status)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def say(line: str) -> None:
    """Writes a line on standard error, if that is still there."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def silenced_output() -> Iterator[None]:
    """Keeps what libraries write on standard output away from it."""
    sys.stdout.flush()
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)


def set_aside_what_xla_writes() -> None:
    """Keeps XLA's lines off standard error: it warns of what is meant, and tells of a loss in forty lines."""
    global _aside
    sys.stderr.flush()
    _aside = tempfile.TemporaryFile()  # noqa: SIM115  # Both are for as long as the process lives.
    sys.stderr = open(os.dup(2), "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    os.dup2(_aside.fileno(), 2)


def when_aborted(end: Callable[[], NoReturn]) -> None:
    """Has the process end so where XLA aborts it since the coordinator refuses it, or is gone.

    Python's own signal handlers would run too late: they wait for the interpreter, and `abort` does not. What else
    XLA aborts for is shown as it has written it.
    """
    global _on_abort

    def handle(_: int) -> None:
        written = _written_aside()
        if "distributed service" in written:
            end()
        say(written)

    if os.name == "posix":
        _on_abort = ctypes.CFUNCTYPE(None, ctypes.c_int)(handle)  # Kept: C only has its address.
        ctypes.CDLL(None).signal(int(signal.SIGABRT), _on_abort)


def _written_aside() -> str:
    size = os.fstat(_aside.fileno()).st_size
    return os.pread(_aside.fileno(), 10_000, max(0, size - 10_000)).decode(errors="replace")
