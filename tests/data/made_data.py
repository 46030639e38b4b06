"""Files made for a test, a server on loopback to serve them, and what every refusal has in common."""

import contextlib
import functools
import gzip
import http.server
import threading
import types
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from functional_nets.data import DataError, idx
from functional_nets.data.contents import FILES, Contents


def write_idx(folder: Path, contents: Contents, *, zipped: bool = False) -> Path:
    """`contents` as four IDX files, the way they are published."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, array in zip(FILES, contents, strict=True):
        data = idx.serialise(array)
        if zipped:
            (folder / f"{file}.gz").write_bytes(gzip.compress(data, 1))
        else:
            (folder / file).write_bytes(data)
    return folder


def few(train: int = 3, test: int = 2) -> Contents:
    """Well-formed contents of a few examples, which are no known data set."""
    rng = np.random.default_rng(0)
    return Contents(
        rng.integers(0, 256, (train, 28, 28), np.uint8),
        rng.integers(0, 10, train, np.uint8),
        rng.integers(0, 256, (test, 28, 28), np.uint8),
        rng.integers(0, 10, test, np.uint8),
    )


def same(one, other) -> bool:
    """Whether two data sets have the same bytes in the same order."""
    arrays = zip((*one.train, *one.test), (*other.train, *other.test), strict=True)
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in arrays)


@contextlib.contextmanager
def serving(
    folder: Path,
    requests: list[str] | None = None,
    *,
    stalled: bool = False,
    headers: Mapping[str, str] = types.MappingProxyType({}),
) -> Iterator[str]:
    """The URL of a server on loopback that serves `folder`, and notes each request in `requests`.

    When it is `stalled`, it says what it has, but does not send it. It sends `headers` beside its own.
    """
    over = threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if stalled:
                over.wait(10)
            else:
                super().do_GET()

        def end_headers(self):
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, format, *args):
            if requests is not None:
                requests.append(f"{self.command} {self.path}")

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    ) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            over.set()
            running.shutdown()
            thread.join()


@contextlib.contextmanager
def refused(*words: str) -> Iterator[pytest.ExceptionInfo[DataError]]:
    """Expects a `DataError` of one line: what was expected, what was found, what to do, and all `words`."""
    with pytest.raises(DataError) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("Expected ")
    assert "found" in message
    assert ";" in message
    for word in words:
        assert word in message
