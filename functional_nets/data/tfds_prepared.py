"""Read what TensorFlow Datasets has prepared, from its files, without TensorFlow.

TFDS itself would import whatever Python module such a folder names. Here the folder says which files and which
format, and nothing else of it is believed; a process of its own reads them.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import functional_nets
from functional_nets.data import bounded, order
from functional_nets.data.catalogue import KNOWN
from functional_nets.data.contents import Contents, DataError, verify
from functional_nets.data.tfds_records import FORMATS, ROW

LARGEST = 2**27
"""Bytes of the files of a split: Fashion-MNIST's training images take 31 million as PNG, 47 million unpacked."""

_REMEDY = "delete that folder"


def read(name: str, folder: Path) -> Contents:
    """All of data set `name` from `folder`, such as `…/mnist/3.0.1`, in the published order, verified.

    Raises:
        DataError: The files are damaged, in a format that takes TensorFlow to read, or another data set.
    """
    file = folder / "dataset_info.json"
    info = bounded.parse_json(bounded.read(file, 2**20, _REMEDY), str(file), _REMEDY)
    if info.get("name") != name:
        raise DataError(
            f"Expected {KNOWN[name].title} in {folder}, found {bounded.shown(info.get('name'))}; {_REMEDY}."
        )
    file_format = info.get("fileFormat", "tfrecord")
    if file_format not in FORMATS:
        raise DataError(
            f"Expected a data set prepared as {' or '.join(FORMATS)}, found {bounded.shown(file_format)} in {folder};"
            f" prepare it as one of those, or {_REMEDY}."
        )
    train, test = (_files(folder, f"{name}-{split}.{file_format}") for split in ("train", "test"))
    rows = np.frombuffer(_read_apart(folder, file_format, train + test), np.uint8).reshape(-1, ROW)
    in_train = rows[:, 0] < len(train)
    contents = Contents(*_ordered(rows[in_train], f"{name}_train"), *_ordered(rows[~in_train], f"{name}_test"))
    verify(contents, KNOWN[name], [str(folder)] * 4, _REMEDY)
    return contents


def _files(folder: Path, stem: str) -> list[Path]:
    """The files of a split, within the bound: `stem` and TFDS's -00000-of-00001, wherever else the folder points."""
    files = sorted(folder.glob(f"{stem}-*-of-*"))
    if not files:
        raise DataError(f"Expected files {stem}-… in {folder}, found none; {_REMEDY}.")
    left = LARGEST
    for file in files:
        with bounded.opening(file, left, _REMEDY) as stream:
            left -= os.fstat(stream.fileno()).st_size
    return files


def _ordered(rows: NDArray[np.uint8], key: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return order.restore(rows[:, 1:-1].reshape(-1, 28, 28), rows[:, -1], key)


def _read_apart(folder: Path, file_format: str, files: list[Path]) -> bytes:
    """What `tfds_records` writes of these files."""
    ours = str(Path(functional_nets.__file__).parents[1])
    path = os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    words: list[Any] = [sys.executable, "-P", "-m", "functional_nets.data.tfds_records", file_format, *files]
    ended = subprocess.run(words, capture_output=True, env=environment, check=False)
    if ended.returncode == 0:
        return ended.stdout
    lines = ended.stderr.decode(errors="replace").strip().splitlines()
    said = lines[-1][:200] if ended.returncode == 1 and lines else f"its reader ended with status {ended.returncode}"
    remedy = "install functional-nets again" if "No module named" in said else _REMEDY
    raise DataError(
        f"Expected data as TensorFlow Datasets prepares them, found {folder} unreadable ({said}); {remedy}."
    )
