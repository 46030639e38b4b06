"""The IDX files in which MNIST and Fashion-MNIST are published, gzipped or not.

The format: http://yann.lecun.com/exdb/mnist/, "FILE FORMATS FOR THE MNIST DATABASE".
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functional_nets.data import bounded
from functional_nets.data.catalogue import KNOWN
from functional_nets.data.contents import FILES, Contents, DataError, idx_header, verify

ENVIRONMENT = "FUNCTIONAL_NETS_DATA"
"""The environment variable that names a folder with `mnist/` and `fashion_mnist/` in it."""

_INSTALLED = {"mnist": [], "fashion_mnist": [Path("/usr/share/datasets/fashion-mnist")]}
"""Where Debian's package dataset-fashion-mnist installs the four files."""

LARGEST = {"images": 16 + 60_000 * 28 * 28, "labels": 8 + 60_000}
"""Bytes of the largest published file of each kind, unzipped."""

_MAGIC = {2051: "images", 2049: "labels"}


def load(name: str, data_dir: Path | None) -> Contents:
    """All of data set `name`, read from its four IDX files and verified.

    Args:
        name: A key of `KNOWN`.
        data_dir: The folder that holds the four files, or that holds them in a folder called `name`.
            None means the folder that `FUNCTIONAL_NETS_DATA` names, then Debian's.

    Raises:
        DataError: The files are not there, or are not what they should be.
    """
    folder = find(name, data_dir)
    if folder is None:
        raise DataError(_nothing_found(name, data_dir))
    return load_files(name, [_path(folder, file) for file in FILES])


def load_files(name: str, paths: Sequence[Path]) -> Contents:
    """All of data set `name`, read from these four IDX files, in the order of `FILES`, and verified.

    Raises:
        DataError: They are not what they should be.
    """
    x_train, y_train, x_test, y_test = (
        read(path, kind=kind) for path, kind in zip(paths, ("images", "labels") * 2, strict=True)
    )
    contents = Contents(x_train, y_train, x_test, y_test)
    remedy = f"put the four files of {KNOWN[name].title} there, as published"
    verify(contents, KNOWN[name], [str(path) for path in paths], remedy)
    return contents


def find(name: str, data_dir: Path | None) -> Path | None:
    """The first folder that holds at least one IDX file for data set `name`, where `load` looks."""
    for folder in _folders(name, data_dir):
        if any(_candidates(folder, file) for file in FILES):
            return folder
    return None


def parse(data: bytes, *, kind: str, origin: str) -> NDArray[np.uint8]:
    """The array in an uncompressed IDX file.

    Args:
        data: The file's bytes.
        kind: `"images"`, which gives `[n, 28, 28]`, or `"labels"`, which gives `[n]`.
        origin: The file's name, for messages.

    Raises:
        DataError: `data` is not such a file, or is shorter or longer than its header says.
    """
    magic = int.from_bytes(data[:4], "big")
    expected_magic = 2051 if kind == "images" else 2049
    if len(data) < 4 or magic != expected_magic:
        found = f"{_MAGIC[magic]} (magic number {magic})" if magic in _MAGIC else f"bytes {data[:4].hex(' ') or 'none'}"
        raise DataError(
            f"Expected {kind} (IDX magic number {expected_magic}), found {found} at the start of {origin};"
            " put the published file of that name there."
        )
    rank = 3 if kind == "images" else 1
    header = 4 + 4 * rank
    if len(data) < header:
        raise DataError(f"Expected a header of {header} bytes, found {len(data)} bytes in {origin}; download it again.")
    shape = struct.unpack(f">{rank}I", data[4:header])
    if shape[1:] not in ((28, 28), ()):
        raise DataError(
            f"Expected images of 28×28 pixels, found {shape[1]}×{shape[2]} in {origin};"
            " put the published file of that name there."
        )
    size = header + shape[0] * (784 if kind == "images" else 1)
    if len(data) != size:
        raise DataError(
            f"Expected {size:,} bytes for {shape[0]:,} {kind}, found {len(data):,} in {origin}"
            f" ({'truncated' if len(data) < size else 'something follows'}); download it again."
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy()


def serialise(array: NDArray[np.uint8]) -> bytes:
    """The uncompressed IDX file of images `[n, 28, 28]` or labels `[n]`: the inverse of `parse`."""
    return idx_header(array) + array.tobytes()


def read(path: Path, *, kind: str) -> NDArray[np.uint8]:
    """The array in the IDX file at `path`, gzipped or not; `kind` is that of `parse`.

    Raises:
        DataError: It is not such a file, or larger than the largest published one.
    """
    largest = LARGEST[kind]
    # What cannot be compressed is longer in gzip by less than that.
    data = bounded.read(path, largest + largest // 100 + 1000, "put the published file of that name there")
    # By content rather than by name: some browsers decompress what they download and keep the name.
    if data.startswith(bounded.GZIP_MAGIC):
        data = bounded.gunzip(data, largest, str(path))
    return parse(data, kind=kind, origin=str(path))


def _folders(name: str, data_dir: Path | None) -> list[Path]:
    """The folders to look in, best first."""
    if data_dir is not None:
        return [data_dir / name, data_dir]
    environment = os.environ.get(ENVIRONMENT)
    if environment and not Path(environment).expanduser().is_dir():
        raise DataError(
            f"Expected {ENVIRONMENT} to name a folder, found none at {environment}; set it right or unset it."
        )
    named = [Path(environment).expanduser() / name] if environment else []
    return named + _INSTALLED[name]


def _candidates(folder: Path, file: str) -> list[Path]:
    """The plain file, which is quicker to read, and its gzipped form: those of them that exist."""
    return [path for path in (folder / file, folder / f"{file}.gz") if path.is_file()]


def _path(folder: Path, file: str) -> Path:
    if candidates := _candidates(folder, file):
        return candidates[0]
    raise DataError(
        f"Expected {file} or {file}.gz beside the other IDX files, found neither in {folder}; put it there."
    )


def _nothing_found(name: str, data_dir: Path | None) -> str:
    """Why there is no folder to read `name` from, in one line."""
    files = f"the four IDX files of {KNOWN[name].title} ({', '.join(FILES)}, each plain or .gz)"
    folders = _folders(name, data_dir)
    if not folders:
        return f"Expected {files}, found no folder to look in; give --data-dir or set {ENVIRONMENT}."
    asked = folders[-1] if data_dir is not None else folders[0]
    if not asked.is_dir():
        found = f"a file at {asked}" if asked.exists() else f"no folder {asked}"
    elif not any(asked.iterdir()):
        found = f"an empty folder {asked}"
    else:
        found = f"none of them in {' or '.join(str(folder) for folder in reversed(folders))}"
    return f"Expected {files}, found {found}; put them there, or name their folder with --data-dir or {ENVIRONMENT}."
