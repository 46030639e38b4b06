"""NumPy's `.npz` files from outside: arrays of numbers, of a size that is known before memory is taken.

The formats: PKWARE's APPNOTE.TXT, section 4.3, and `numpy.lib.format`. `numpy.load` believes what both say about
sizes, so a file of a kilobyte can ask it for all memory there is.
"""

import contextlib
import io
import math
import os
import struct
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from functional_nets.data import bounded
from functional_nets.data.contents import DataError

NUMBERS = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
"""Names of the types that an array may have: those that NumPy and JAX share. None of them can hold a pickle."""

_DIRECTORY = 2**20  # Bytes of names and sizes: some ten thousand arrays. `zipfile` takes ten times as many of memory.
_LONGEST_HEADER = 10_000  # Characters, as in `numpy.lib.format`.
_PIECE = 2**18
_END = struct.Struct("<4s4H2LH")  # Signature, disks, entries, size and place of the directory, length of a comment.
_ZIP64_LOCATOR = 20  # Bytes, just before `_END`.


def read(path: Path, *, largest: int) -> dict[str, NDArray[Any]]:
    """The arrays in the `.npz` file at `path`, by name, in this machine's byte order.

    Args:
        path: The file, of stored or deflated members.
        largest: The most bytes that all arrays may have together.

    Raises:
        DataError: It is no such file, is damaged, claims more, or holds anything but arrays of numbers.
    """
    with bounded.opening(path, largest + 2 * _DIRECTORY, "give a smaller file") as stream, _one_error(path):
        _check_directory(stream)
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            _check_members(members, largest)
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}


@contextlib.contextmanager
def _one_error(path: Path) -> Iterator[None]:
    """Names `path` in whatever shows that it is damaged."""
    try:
        yield
    except _UnfitError as error:
        raise DataError(
            f"Expected {error.expected}, found {error.found} in {path}; write it with numpy.savez."
        ) from None
    # zipfile, zlib, struct and NumPy's reader of headers have no class in common.
    except Exception as error:
        raise DataError(
            f"Expected an .npz file of arrays, found {path} damaged or something else ({bounded.reason(error)});"
            " write it with numpy.savez."
        ) from error


class _UnfitError(Exception):
    def __init__(self, expected: str, found: object):
        super().__init__(expected, found)
        self.expected, self.found = expected, found


def _check_directory(stream: BinaryIO) -> None:
    """Refuses a long directory of members, which `zipfile` would take into memory as a whole."""
    start = stream.read(4)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _ZIP64_LOCATOR - _END.size))
    tail = stream.read()
    # A comment, or sizes of 64 bits, are what a zip file may have and no .npz file of this size has.
    whole = start in (b"PK\3\4", b"PK\5\6") and tail[-_END.size :][:4] == b"PK\5\6"
    if not whole or tail[-2:] != b"\0\0" or tail.startswith(b"PK\6\7"):
        raise _UnfitError("an .npz file of arrays", "something else, or one that is cut off,")
    directory = _END.unpack(tail[-_END.size :])[5]
    if directory > _DIRECTORY:
        raise _UnfitError(f"a directory of at most {_DIRECTORY:,} bytes", f"{directory:,}")


def _check_members(members: Sequence[zipfile.ZipInfo], largest: int) -> None:
    total = sum(member.file_size for member in members)
    if total > largest:
        raise _UnfitError(f"arrays of at most {largest:,} bytes", f"{total:,}")
    for name, count in Counter(member.filename for member in members).items():
        if count > 1 or not name.endswith(".npy"):
            raise _UnfitError("members NAME.npy, each once", f"{bounded.shown(name)} ({count} times)")
    # The others may take gigabytes to unpack a few bytes.
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise _UnfitError("stored or deflated members", "another compression")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    content = bytearray()
    with archive.open(member) as stream:
        while piece := stream.read(_PIECE):  # Ends at the size that has been checked, and checks the sum.
            content += piece
    shape, fortran_order, dtype, start = _header(bytes(content[: _LONGEST_HEADER + 12]))
    name = bounded.shown(member.filename)
    if dtype.name not in NUMBERS:
        raise _UnfitError("arrays of numbers", f"type {bounded.shown(str(dtype))} of {name}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - start:
        raise _UnfitError(
            f"the bytes of shape {bounded.shown(shape)} of {dtype}", f"{len(content) - start:,} for {name}"
        )
    flat = np.frombuffer(content, dtype, offset=start)
    if dtype.kind == "b" and (flat.view(np.uint8) > 1).any():
        raise _UnfitError(f"0 or 1 as booleans of {name}", "other bytes")
    return np.array(flat.reshape(shape, order="F" if fortran_order else "C"), dtype.newbyteorder("="))


def _header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran's order, type, and where the numbers begin."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # That Python 2 wrote it.
        shape, fortran_order, dtype = readers[version](stream, max_header_size=_LONGEST_HEADER)
    return shape, fortran_order, dtype, stream.tell()
