"""Checkpoints that are damaged on purpose, most of them with a hash that is right all the same."""

import hashlib
import json
import re
from pathlib import Path

import jax
import numpy as np
from safetensors.numpy import load

from functional_nets.training import Checkpoint, TrainState, load_checkpoint
from tests.hostile.choices import Choices, damaged

LIKE = TrainState(
    {"w": np.zeros((2, 3), np.float32), "b": np.zeros((0, 3), np.float16)}, (), np.asarray(0, np.int32)
)  # fmt: skip
ARRAYS = {
    "params/w": ("F32", [2, 3], 24),
    "params/b": ("F16", [0, 3], 0),
    "step": ("I32", [], 4),
    "losses": ("F32", [2], 8),
}
TYPES = ("F32", "F64", "BF16", "F8_E4M3", "I64", "C64", "BOOL", "float", 32)
SHAPES = ([2, 3], [3, 2], [6], [-1], [2**40, 2**40], [2**63], "6", [[6]], [2.5])
NAMES = ("params/w", "params/v", "losses", "", "__metadata__", "../../etc/passwd", "n" * 5000, "\x1b[31m")
ABOUTS = (
    '{"seconds": 1.5, "skipped": 0, "contract": {"jax": "0.10.1"}}', '{"seconds": "x", "skipped": 0}', "{}", "[]", "{",
    '{"seconds": 1e999, "skipped": 1e999}', '{"seconds": 0, "skipped": 0, "contract": []}', "[" * 100_000,
    '{"seconds": 0, "skipped": 0, "contract": {"jax": "\\u001b[31m"}}',
)  # fmt: skip
NUMBERS = bytes(range(24)) + (1).to_bytes(4, "little") + bytes(8)
CONTRACT = {"jax": "0.10.1"}
DIGEST = re.compile(rb'"sha256":"([^"]{64})"')


def checkpoint(choices: Choices) -> bytes:
    """A file, damaged before it was given its hash or after."""
    header: dict[str, object] = {"__metadata__": {"about": choices.mostly(ABOUTS), "sha256": "0" * 64}}
    end = 0
    for name, (dtype, shape, size) in ARRAYS.items():
        begin, end = end, end + size
        header[choices.mostly((name, *NAMES))] = {
            "dtype": choices.mostly((dtype, *TYPES)),
            "shape": choices.mostly((shape, *SHAPES)),
            "data_offsets": choices.mostly(([begin, end], [end, begin], [0, 2**63], [begin], "0")),
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    length = choices.mostly((len(text), 0, 2**63, len(text) - 1, len(text) + 1))
    content = length.to_bytes(8, "little") + text + NUMBERS
    if choices.below(2):
        return signed(damaged(content, choices, text))
    return damaged(signed(content), choices, text)


def signed(content: bytes) -> bytes:
    """The file with the hash that it should have, if it has a place for one."""
    found = DIGEST.search(content)
    if found is None:
        return content
    before, after = content[: found.start(1)], content[found.end(1) :]
    return before + hashlib.sha256(before + b"0" * 64 + after).hexdigest().encode() + after


def read(path: Path) -> Checkpoint:
    """What the run whose newest checkpoint the file is would go on from."""
    folder = path.with_name(path.name + ".checkpoints")
    folder.mkdir(exist_ok=True)
    (folder / "step_000000001.safetensors").write_bytes(path.read_bytes())
    return load_checkpoint(folder, LIKE, CONTRACT)


def as_safetensors(found: Checkpoint, path: Path) -> None:
    """The reader of safetensors finds the same arrays, and the hash is that of the file."""
    content = path.read_bytes()
    assert signed(content) == content
    arrays = load(content)
    assert arrays.pop("losses").tobytes() == found.snapshot.losses.tobytes()
    leaves = jax.tree.leaves(found.snapshot.state)
    assert len(arrays) == len(leaves)
    for name, leaf in zip(("params/b", "params/w", "step"), leaves, strict=True):
        assert (arrays[name].dtype, arrays[name].shape) == (leaf.dtype, leaf.shape)
        assert arrays[name].tobytes() == leaf.tobytes()
