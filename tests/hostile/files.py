"""Files as an attacker writes them: well-formed outside, so that what is wrong is reached, then perhaps damaged."""

import gzip
import io
import json
import math
import struct
import warnings
import zipfile
from collections.abc import Sequence

import numpy as np

from tests.hostile.choices import INTEGERS, Choices, damaged

DTYPES = (
    "|u1", "<f4", ">f4", "<f8", "|b1", "<i8", ">u2", "<c8", "<f2", "<c16", "|O", "<U3", "|S0", "|V2", "<M8[s]",
    "f4,f4", "(2,)f4", "<f16", "=f4", "f", "nonsense", "",
)  # fmt: skip
NAMES = (
    "x_train", "y_train", "x_test", "y_test", "params/w", "params/b", "params/dense/w", "params", "arg0", "arg1",
    "arg2", "params/w/v", "params//w", "params/", "arg", "params/" + "a/" * 40, "../../x", "/etc/passwd", "params/..",
    "x\0y", "params/\x1b[2J", "é", "",
)  # fmt: skip
HEADERS = (
    "{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}",
    '{{"shape": {shape}, "descr": {descr!r}, "fortran_order": {order}}}',
    "{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': ({shape}L,), }}",
    "{{'descr': {descr!r}, 'shape': {shape}}}",
    "{{'descr': [('a', {descr!r})], 'fortran_order': {order}, 'shape': {shape}}}",
    "[" * 3000,
    "-" * 9000 + "1",
    "__import__('os').abort()",
)
JSON = (
    "0.5", "1", "2000", "0", "-1", "1e400", "-1e400", "NaN", "true", "null", '"x"', "[]", "{}", "1" * 400, "1" * 5000,
    "-0.0", "[" * 5000, '"\\ud800"', '"\\u001b[2J"', "1.0", "9223372036854775808", "01",
)  # fmt: skip
KEYS = (
    "epoch",
    "step",
    "train_loss",
    "seconds",
    "test_accuracy",
    "test_loss",
    "more",
    "",
    "\\u001b[2J",
    "learning_rate",
)


def idx(choices: Choices, kind: str) -> bytes:
    """An IDX file of images or labels, whose header may lie."""
    count = choices.below(4)
    rank, size = (3, 784) if kind == "images" else (1, 1)
    shape = [count, 28, 28][:rank]
    if choices.below(4) == 3:
        shape[choices.below(rank)] = choices.of(INTEGERS) % 2**32
    header = struct.pack(f">{1 + rank}I", choices.mostly((0x0800 + rank, 0x0801, 0x0803, 0x0D03)), *shape)
    content = header + bytes(choices.below(256) for _ in range(8)) * (count * size // 8 + 1)
    content = content[: len(header) + count * size]
    return damaged(content, choices, b"<html>")


BOMB = gzip.compress(bytes(2**17))


def gz(choices: Choices, kind: str) -> bytes:
    """An IDX file in one member of gzip or many, or a bomb."""
    content = idx(choices, kind)
    cut = choices.below(len(content) + 1)
    parts = choices.mostly(((content,), (content[:cut], content[cut:]), (content, b""), (b"",)))
    packed = b"".join(gzip.compress(part, 1) for part in parts)
    packed = choices.mostly((packed, packed + bytes(8), packed + b"more", BOMB, packed + BOMB, gzip.compress(packed)))
    return damaged(packed, choices, BOMB)


def npy(choices: Choices, shape: tuple[int, ...]) -> bytes:
    """An array as `.npz` files hold it, of this shape or another, whose header may lie."""
    other = [choices.below(4) for _ in range(choices.below(4))]
    if other:
        other[choices.below(len(other))] = choices.of((*INTEGERS, -1, -(2**40)))
    shape = choices.mostly((shape, tuple(other), (0, *other), (1,) * 70))
    descr, order = choices.mostly(DTYPES), choices.mostly((False, True))
    text = choices.mostly(HEADERS).format(descr=descr, order=order, shape=shape)
    header = choices.mostly((text + "\n", text.ljust(117) + "\n", text + "\0")).encode()
    versions = ((b"\1\0", "<H"), (b"\2\0", "<I"), (b"\3\0", "<I"), (b"\1\0", ">H"), (b"\xff\0", "<H"))
    version, length = choices.mostly(versions)
    claimed = choices.mostly((len(header), len(header) + 1, 0, 65535))
    size = min(abs(math.prod(shape)), 2352) * _itemsize(descr)
    payload = (choices.take(8) + bytes(8))[: choices.of((8, 1))] * (size + 1)
    size = choices.mostly((size, size + 1, max(0, size - 1), 0))
    return b"\x93NUMPY" + version + struct.pack(length, claimed) + header + payload[:size]


def _itemsize(descr: str) -> int:
    try:
        return np.dtype(descr).itemsize
    except TypeError:
        return 1


def npz(choices: Choices, names: Sequence[str]) -> bytes:
    """An `.npz` file of members with these names or others, which may lie about their sizes or be no arrays."""
    file = io.BytesIO()
    count = choices.below(3)
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `zipfile` warns of a name that it has written before.
        for name in choices.mostly((names, names[1:], (*names, *names), ())):
            member = (choices.mostly((name, *NAMES)) + choices.mostly((".npy", "", ".txt"))) or "_"
            method = choices.mostly((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
            content = npy(choices, (count, 28, 28) if name[0] == "x" else (count,))
            archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), content, method, 1)
        _lie(archive.filelist, choices)
        archive.comment = choices.mostly((b"", b"comment"))
    return damaged(file.getvalue(), choices, file.getvalue())


def _lie(members: list[zipfile.ZipInfo], choices: Choices) -> None:
    """Has the directory, which is still to be written, say something else than the members."""
    for member in members:
        if choices.below(16) == 15:
            field = choices.of(("file_size", "compress_size", "header_offset", "CRC", "flag_bits", "compress_type"))
            bits = {"flag_bits": 16, "compress_type": 16, "CRC": 32}.get(field, 40)
            setattr(member, field, choices.of(INTEGERS) % 2**bits)


def record(choices: Choices) -> bytes:
    """A `config.json`."""
    pairs = (f'"{choices.of(KEYS)}": {choices.of(JSON)}' for _ in range(choices.below(8)))
    frame = choices.mostly(("{%s}\n", "%s", "[%s]", "\ufeff{%s}", "{{%s}}"))
    return damaged(frame.replace("%s", ", ".join(pairs)).encode(), choices, b"{}")


def metrics(choices: Choices) -> bytes:
    """A `metrics.jsonl`."""
    rows = []
    for step in range(1 + choices.below(4)):
        row = dict.fromkeys(KEYS[: choices.mostly((6, 7, 10, 5))], JSON[step % 4]) | {"epoch": "1", "step": str(step)}
        if choices.below(4) == 3:
            row[choices.of(KEYS)] = choices.of(JSON)
        rows.append("{" + ", ".join(f'"{name}": {value}' for name, value in row.items()) + "}")
    content = choices.mostly(("\n", "\r\n", "\r", "\n\n")).join(rows) + choices.mostly(("\n", "", "{", "\n\0"))
    return damaged(content.encode(), choices, json.dumps({"step": 1}).encode())
