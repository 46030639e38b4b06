"""Files that ask for more memory than there is, all read in one process: `python -m tests.hostile.bombs FOLDER`.

Prints a line for each, its name and what the reader said, and at last the most memory that the process had, in bytes.
It has bounds itself, so that a reader without any fails rather than the machine.
"""

import gzip
import os
import pickle
import resource
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.hostile.targets import TARGETS

MEMORY = 2**30  # Bytes that a file may make the process have.
SPARSE = 2**40  # Bytes that a file says it has, and that take no place on the disk.


class Bomb(NamedTuple):
    """A file for a target, and words that its refusal must hold."""

    target: str
    write: Callable[[Path], object]
    words: str


def sparse(start: bytes, size: int = SPARSE) -> Callable[[Path], None]:
    """Writes a file of nothing but its size, after `start`."""

    def write(path: Path) -> None:
        path.write_bytes(start)
        os.truncate(path, size)

    return write


def npy(header: str, version: bytes = b"\1\0", length: bytes | None = None) -> bytes:
    """The start of an array's file."""
    text = header.encode()
    return b"\x93NUMPY" + version + (length or struct.pack("<H", len(text))) + text


def npz(start: bytes, zeros: int = 0, **claims: int) -> Callable[[Path], None]:
    """Writes `params.npy`, about which the directory claims something else.

    Args:
        start: What the member begins with.
        zeros: How many mebibytes of zeros follow, deflated.
        claims: Fields of `zipfile.ZipInfo`.
    """

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            with archive.open("params.npy", "w") as stream:
                stream.write(start)
                for _ in range(zeros):
                    stream.write(bytes(2**20))
            for field, value in claims.items():
                setattr(archive.filelist[0], field, value)

    return write


def many_members(path: Path) -> None:
    """Writes a directory of a million members, each of which takes a kilobyte of memory and 47 bytes of the file."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, 0, *(0,) * 7, 1, *(0,) * 6) + b"x"
    directory = entry * 1_000_000
    path.write_bytes(b"PK\3\4" + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(directory), 4, 0))


class Executed:
    """What unpickles into a call."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return print, ("EXECUTED",)


HEADER = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n"
IMAGES = struct.pack(">4I", 2051, 2**32 - 1, 28, 28)
ZEROS = gzip.compress(bytes(2**24), 1)

BOMBS = {
    "a header of 2³² - 1 images": Bomb("images", lambda path: path.write_bytes(IMAGES), "truncated"),
    "images of a tebibyte": Bomb("images", sparse(IMAGES), "1,099,511,627,776"),
    "4 GiB in members of 16 MiB": Bomb("images", lambda path: path.write_bytes(ZEROS * 256), "once unzipped"),
    "an array that says it has 4 GiB": Bomb("inputs", npz(b"", file_size=2**32 - 2), "4,294,967,294"),
    "an array of 4 GiB": Bomb("inputs", npz(npy(HEADER % ("|u1", "(4294967296,)")), 300), "314,572,"),
    "a header of 4 GiB": Bomb("inputs", npz(npy("{", b"\2\0", b"\xff" * 4), 100), "damaged"),
    "an array that unpacks to more than it says": Bomb("inputs", npz(b"", 300, file_size=99), "damaged"),
    "a shape of 2⁴⁰": Bomb("inputs", npz(npy(HEADER % ("<f8", "(1099511627776,)"))), "shape"),
    "a shape below zero": Bomb("inputs", npz(npy(HEADER % ("<f8", "(-1, -8)")) + bytes(64)), "shape"),
    "nothing, 2⁴⁰ times": Bomb("inputs", npz(npy(HEADER % ("<U0", "(1099511627776,)"))), "type"),
    "objects": Bomb("inputs", npz(npy(HEADER % ("|O", "()")) + pickle.dumps(Executed())), "type object"),
    "a member of LZMA": Bomb("inputs", npz(b"", compress_type=zipfile.ZIP_LZMA), "stored or deflated"),
    "a directory of a million members": Bomb("inputs", many_members, "directory"),
    "inputs of a tebibyte": Bomb("inputs", sparse(b"PK\3\4"), "1,099,511,627,776"),
    "a configuration of a tebibyte": Bomb("config", sparse(b"{"), "1,099,511,627,776"),
    "a configuration without a bottom": Bomb("config", lambda path: path.write_text('{"a": ' * 100_000), "JSON"),
    "metrics of a tebibyte": Bomb("metrics", sparse(b"{"), "1,099,511,627,776"),
    "metrics of one row": Bomb("metrics", sparse(b"{", 2**26), "67,108,864"),
    "a device without an end": Bomb("config", lambda path: path.symlink_to("/dev/zero"), "a device or a pipe"),
    "a pipe without a writer": Bomb("config", os.mkfifo, "a device or a pipe"),
    "a folder": Bomb("config", Path.mkdir, "a folder"),
}


def said(bomb: Bomb, path: Path) -> str:
    """What the reader says of the bomb, which is written to `path`."""
    bomb.write(path)
    target = TARGETS[bomb.target]
    try:
        return f"accepted: {str(target.read(path))[:80]}"
    except target.refusal as error:
        return str(error)
    except Exception as error:
        return f"ESCAPED: {type(error).__name__}: {error}"


def peak_memory() -> int:
    """The most bytes that this process has held; what its parent held before it was begun does not count."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def main(folder: Path) -> None:
    """Reads every bomb."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    for number, (name, bomb) in enumerate(BOMBS.items()):
        print(name, said(bomb, folder / str(number)), sep="\t")
    print(peak_memory())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
