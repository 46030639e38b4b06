"""One checkpoint as the bytes of one file, and back.

The format is safetensors: the names, types and shapes of arrays as JSON, then their bytes. It can execute
nothing, its reader checks every offset, and other tools read it, PyTorch's too. What is no array stands in its
metadata as JSON, with a SHA-256 of the whole file, in which the hash itself counts as 64 zeros.
"""

import hashlib
import json
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from safetensors.numpy import save

from functional_nets.data.bounded import reason, shown
from functional_nets.training.fit import Snapshot
from functional_nets.training.step import TrainState

HEADER_LENGTH = 8  # Bytes, in which safetensors says how long its header is.
LARGEST_HEADER = 16 * 2**20
LARGEST_LOSSES = 64 * 2**20  # Bytes: sixteen million steps between two rows.
TYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16, "C64": np.complex64,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
LONGEST = 1e9  # Seconds between two rows: thirty years.
ZEROS = b"0" * 64
DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')  # In the text of `about` the quotation marks are escaped.


class CheckpointError(ValueError):
    """No checkpoint of this run could be read; the message is one line."""


def pack(snapshot: Snapshot, about: dict[str, Any]) -> bytes:
    """Returns the file: arrays under their paths, such as `params/dense/w`, `step` and `losses`.

    Args:
        snapshot: What to keep.
        about: More of it, in values that JSON can hold.
    """
    about = {**about, "seconds": float(snapshot.seconds), "skipped": snapshot.skipped}
    arrays = {name: _numbers(leaf) for name, leaf in named_leaves(snapshot.state).items()}
    # Compact, so that the hash is found as `DIGEST` has it whatever the order of the metadata.
    content = save({**arrays, "losses": snapshot.losses}, {"about": json.dumps(about), "sha256": ZEROS.decode()})
    place = _digest_place(content)
    return content[:place] + hashlib.sha256(content).hexdigest().encode() + content[place + 64 :]


def unpack(content: bytes, like: TrainState) -> tuple[Snapshot, dict[str, Any]]:
    """Returns what `pack` was given; nothing in the file is believed before its hash is.

    Args:
        content: The file.
        like: A state of the same structure, shapes and types.

    Raises:
        CheckpointError: When the file is damaged, or of another structure, with the array that differs.
    """
    about = read_about(content)
    try:
        arrays = {name: array_of(entry) for name, entry in safetensors.deserialize(content)}
        losses, seconds, skipped = arrays.pop("losses"), about["seconds"], about["skipped"]
        if losses.ndim != 1 or not jnp.issubdtype(losses.dtype, jnp.floating):
            raise TypeError(f"losses of type {losses.dtype} with {losses.ndim} axes")
        if type(seconds) is not float or not 0 <= seconds < LONGEST or type(skipped) is not int or skipped < 0:
            raise ValueError("no number of seconds, or of skipped steps")
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise _none_of_ours(error) from None
    return Snapshot(_restored(arrays, like), losses, seconds, skipped), about


def read_about(content: bytes) -> dict[str, Any]:
    """Returns what `pack` was told beside the snapshot.

    Raises:
        CheckpointError: When the file is damaged or none of ours.
    """
    check_whole(content)
    try:
        about = json.loads(_header(content)["__metadata__"]["about"])
        if not isinstance(about, dict) or not isinstance(about.get("contract", {}), dict):
            raise TypeError("no object")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _none_of_ours(error) from None
    return about


def _none_of_ours(error: Exception) -> CheckpointError:
    return CheckpointError(f"it is whole, but none of ours ({reason(error)})")


def _restored(arrays: dict[str, np.ndarray], like: TrainState) -> TrainState:
    wanted = named_leaves(like)
    for name in [*wanted, *arrays]:
        if name not in wanted or name not in arrays:
            raise CheckpointError(f"it has {'no' if name in wanted else 'an'} array {shown(name)!r}")
        found, expected = arrays[name], _numbers(wanted[name])
        if (found.dtype, found.shape) != (expected.dtype, expected.shape):
            raise CheckpointError(
                f"its array {shown(name)!r} is {found.dtype} {list(found.shape)} "
                f"where this model and optimizer have {expected.dtype} {list(expected.shape)}"
            )
    leaves = [
        jax.random.wrap_key_data(jnp.asarray(arrays[name]), impl=jax.random.key_impl(leaf))
        if is_key(leaf)
        else arrays[name]
        for name, leaf in wanted.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def largest_size(like: TrainState) -> int:
    """Returns how many bytes a file with a state like this one can have."""
    return LARGEST_HEADER + LARGEST_LOSSES + sum(_numbers(leaf).nbytes for leaf in jax.tree.leaves(like))


def check_whole(content: bytes) -> None:
    """Returns if a file is as `pack` made it.

    Raises:
        CheckpointError: When it is not, with what is wrong.
    """
    if len(content) < HEADER_LENGTH:
        raise CheckpointError("it is empty" if not content else "it is truncated")
    place = _digest_place(content)
    zeroed = hashlib.sha256(content[:place] + ZEROS + content[place + 64 :])
    if zeroed.hexdigest().encode() != content[place : place + 64]:
        raise CheckpointError("it is damaged: its SHA-256 is not that of its content")


def _digest_place(content: bytes) -> int:
    length = int.from_bytes(content[:HEADER_LENGTH], "little")
    found = DIGEST.search(content, HEADER_LENGTH, HEADER_LENGTH + min(length, LARGEST_HEADER))
    if found is None:
        raise CheckpointError("it is damaged or none of ours: there is no SHA-256 in it")
    return found.start(1)


def _header(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:HEADER_LENGTH], "little")
    return json.loads(content[HEADER_LENGTH : HEADER_LENGTH + length])


def named_leaves(tree: Any) -> dict[str, Any]:
    """Returns the arrays of a tree by their paths as text, such as `params/dense/w`.

    Raises:
        ValueError: Two arrays have the same path as text.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    if len(named) < len(leaves):
        raise ValueError("Expected a path of its own for each array, found two alike: rename one.")
    return named


def is_key(leaf: Any) -> bool:
    """Returns whether a leaf is a key of random numbers, which NumPy cannot hold."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _numbers(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def array_of(entry: dict[str, Any]) -> np.ndarray:
    """Returns an array of safetensors; its own reader for NumPy knows no bfloat16."""
    return np.frombuffer(entry["data"], TYPES[entry["dtype"]]).reshape(entry["shape"])
