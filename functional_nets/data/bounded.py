"""Files from outside, read within bounds: what a file claims about its size is never believed.

Whatever lies on the disk, each function here takes no more memory than a small multiple of the bound that it is
given, and ends in what was asked for or in a `DataError`.
"""

import contextlib
import gzip
import io
import json
import os
import reprlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from functional_nets.data.contents import DataError

GZIP_MAGIC = b"\x1f\x8b"


@contextlib.contextmanager
def opening(path: Path, largest: int, remedy: str) -> Iterator[BinaryIO]:
    """The file at `path`, open, once it is sure to be a regular one of at most `largest` bytes.

    Args:
        path: The file.
        largest: The most bytes that it can sensibly have.
        remedy: What the user can do about one that is refused, for the message.

    Raises:
        DataError: It is something else, is larger, or cannot be read.
    """
    try:
        # A pipe would wait for ever and a device never end, so neither is opened.
        if path.exists() and not path.is_file():
            found = "a folder" if path.is_dir() else "a device or a pipe"
            raise DataError(f"Expected a file, found {found} at {path}; {remedy}.")
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > largest:
                raise DataError(f"Expected a file of at most {largest:,} bytes, found {size:,} in {path}; {remedy}.")
            yield stream
    except OSError as error:
        raise DataError(
            f"Expected to read {path}, found: {error.strerror or error}; check the file and its permissions."
        ) from error


def read(path: Path, largest: int, remedy: str) -> bytes:
    """The bytes of the file at `path`, which are at most `largest`.

    Raises:
        DataError: See `opening`.
    """
    with opening(path, largest, remedy) as stream:
        content = stream.read(largest + 1)
    if len(content) > largest:  # It has grown since its size was asked for.
        raise DataError(f"Expected a file of at most {largest:,} bytes, found more in {path}; {remedy}.")
    return content


def gunzip(data: bytes, largest: int, origin: str) -> bytes:
    """What the gzip file `data` holds, in one member or many: at most `largest` bytes.

    Args:
        data: The compressed bytes.
        largest: The most bytes that may come out. No more than one beyond them is ever made.
        origin: The file's name, for messages.

    Raises:
        DataError: It is cut off, fails its checksum, is followed by something else or holds more.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(largest + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise DataError(
            f"Expected a whole gzip file, found a truncated or corrupt one in {origin}"
            f" ({reason(error)}); download it again."
        ) from error
    if len(content) > largest:
        raise DataError(f"Expected at most {largest:,} bytes once unzipped, found more in {origin}; download it again.")
    return content


def parse_json(text: bytes, origin: str, remedy: str) -> dict[str, Any]:
    """The JSON object that `text` is. Bound its length first: a byte may become some fifty of memory.

    Raises:
        DataError: It is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:  # Also of a byte that is not UTF-8, and of nesting without end.
        raise DataError(f"Expected JSON, found something else in {origin} ({reason(error)}); {remedy}.") from error
    if not isinstance(found, dict):
        raise DataError(f"Expected a JSON object, found a {type(found).__name__} in {origin}; {remedy}.")
    return found


def shown(found: object) -> str:
    """Something that a file holds as a message shows it: short, on one line, nothing that a terminal obeys."""
    text = found if isinstance(found, str) and found.isprintable() else reprlib.repr(found)
    return text if len(text) <= 40 else f"{text[:40]}…"


def reason(error: Exception) -> str:
    """What a library says of a file, on one line and no longer than a message can be: it may quote the file."""
    text = "".join(character if character.isprintable() else " " for character in str(error))
    return f"{type(error).__name__}: {' '.join(text.split())}"[:200]
