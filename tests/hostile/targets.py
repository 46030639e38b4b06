"""What reads files from outside, and what must hold of each reader whatever a file holds.

An input is refused by the reader's own error, in one line, or it is read rightly: as NumPy, gzip or json read it,
which are asked only after our readers have found the input harmless.
"""

import gzip
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments._records import read_metrics, read_record
from functional_nets.data import DataError, embedded, idx
from functional_nets.data.contents import Contents
from functional_nets.gradcheck import __main__ as gradcheck_command
from functional_nets.training import CheckpointError
from tests.hostile import checkpoints, files
from tests.hostile.choices import Choices


class Target(NamedTuple):
    """A reader under attack.

    Attributes:
        make: From decisions to a file's bytes.
        read: The reader.
        refusal: The one exception that it may raise.
        witness: Raises AssertionError when what was read of a path is wrong.
    """

    make: Callable[[Choices], bytes]
    read: Callable[[Path], Any]
    refusal: type[Exception]
    witness: Callable[[Any, Path], None]


def as_bytes(array: np.ndarray, path: Path) -> None:
    """An IDX file's array is the file's bytes."""
    content = path.read_bytes()
    plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    assert idx.serialise(array) == plain


def as_numpy(arrays: dict[str, np.ndarray], path: Path) -> None:
    """NumPy finds the same names, types, shapes and bits."""
    with warnings.catch_warnings(), np.load(path, allow_pickle=False) as archive:
        warnings.simplefilter("ignore")  # That Python 2 wrote it.
        theirs = {name: archive[name] for name in archive.files}
    assert arrays.keys() == theirs.keys()
    for name, array in theirs.items():
        assert arrays[name].dtype == array.dtype.newbyteorder("=")
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.astype(arrays[name].dtype).tobytes()


def contents_as_numpy(contents: Any, path: Path) -> None:
    """Images and labels of 8 bits, as NumPy finds them."""
    assert {array.dtype.name for array in contents} == {"uint8"}
    assert [array.shape[1:] for array in contents] == [(28, 28), ()] * 2
    as_numpy(contents._asdict(), path)


def inputs_as_numpy(inputs: tuple[Any, list[np.ndarray]], path: Path) -> None:
    """The leaves of the tree and the arguments are all arrays that NumPy finds, under their names."""
    params, arguments = inputs
    arrays = {f"arg{number}": array for number, array in enumerate(arguments)}
    todo = [("params", params)]
    while todo:
        name, node = todo.pop()
        if isinstance(node, dict):
            todo += [(f"{name}/{key}", child) for key, child in node.items()]
        else:
            arrays[name] = node
    as_numpy(arrays, path)


def record_as_json(record: dict[str, Any], path: Path) -> None:
    """The file's object."""
    assert repr(record) == repr(json.loads(path.read_bytes()))


def rows_as_json(rows: list[dict[str, Any]], path: Path) -> None:
    """A row for each whole line, each of finite counts and of numbers, NaN where the line has null."""
    lines = path.read_bytes().split(b"\n")
    assert len(rows) in (len(lines) - 1, len(lines))
    for row, line in zip(rows, lines, strict=False):
        expected = json.loads(line)
        assert repr(row) == repr(
            {name: float("nan") if expected[name] is None else expected[name] for name in expected}
        )
    for row in rows:
        assert isinstance(row["step"], int)
        assert 0 <= row["step"] < 2**63
        assert all(f"{value:.4f}" for value in row.values())


TARGETS = {
    "images": Target(lambda c: files.idx(c, "images"), lambda p: idx.read(p, kind="images"), DataError, as_bytes),
    "labels": Target(lambda c: files.idx(c, "labels"), lambda p: idx.read(p, kind="labels"), DataError, as_bytes),
    "gz": Target(lambda c: files.gz(c, "labels"), lambda p: idx.read(p, kind="labels"), DataError, as_bytes),
    "npz": Target(lambda c: files.npz(c, Contents._fields), embedded.read_npz, DataError, contents_as_numpy),
    "inputs": Target(
        lambda c: files.npz(c, ("params/w", "params/dense/b", "arg0", "arg1")),
        gradcheck_command.read, gradcheck_command.BadInputError, inputs_as_numpy,
    ),
    "config": Target(files.record, read_record, DataError, record_as_json),
    "checkpoint": Target(checkpoints.checkpoint, checkpoints.read, CheckpointError, checkpoints.as_safetensors),
    "metrics": Target(files.metrics, read_metrics, DataError, rows_as_json),
}  # fmt: skip
"""By the name that `scripts/fuzz.py --target` takes. Another reader is attacked with one more line here."""


def accepted(target: Target, data: bytes, path: Path) -> bool:
    """Whether the target accepts the file that `data` decide on, which is written to `path`.

    An odd first byte gives all that follows as the file.

    Raises:
        Exception: An escape: neither an error of the target's own nor a right result.
    """
    path.write_bytes(data[1:] if data[:1] and data[0] % 16 == 15 else target.make(Choices(data[1:])))
    try:
        found = target.read(path)
    except target.refusal as error:
        message = str(error)
        assert message.startswith("Expected ")
        assert "found" in message
        assert message.isprintable()
        assert len(message) < 1000
        return False
    target.witness(found, path)
    return True
