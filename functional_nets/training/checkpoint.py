"""Checkpoints: a training state in one file, which is whole or not there."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from functional_nets.training.step import TrainState

KEPT = 2  # If the disk loses the newest file, the one before it is still there.
DIGEST_BYTES = 32


class CheckpointError(ValueError):
    """No checkpoint of this run could be read."""


def save_checkpoint(folder: Path, state: TrainState, run: dict[str, Any]) -> Path:
    """Writes `step_N.npz` and removes all but the newest two; returns its path.

    The file is written beside its place, flushed to the disk and renamed, and the folder is flushed, too: a
    crash or a power cut at any moment leaves a whole file or none. NumPy can read it: arrays `leaf_0` and so
    on, and `about`, in JSON. A SHA-256 of all that ends it.

    Args:
        folder: Where checkpoints lie; made if it is not there.
        state: What to write.
        run: Whose state it is, in values that JSON can hold; `load_checkpoint` compares it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"leaf_{number}": np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves(state))}
    buffer = io.BytesIO()
    np.savez(buffer, about=json.dumps({"run": run}), **arrays)  # type: ignore[arg-type]  # NumPy's stub.
    path = folder / f"step_{int(state.step):09d}.npz"
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        stream.write(buffer.getbuffer())
        stream.write(hashlib.sha256(buffer.getbuffer()).digest())
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    for old in sorted(folder.glob("step_*.npz"))[:-KEPT]:
        old.unlink()
    return path


def load_checkpoint(folder: Path, like: TrainState, run: dict[str, Any]) -> TrainState:
    """Returns the newest whole state in the folder; a damaged file gives way to the one before it.

    Args:
        folder: Where `save_checkpoint` wrote.
        like: A state of the same structure, shapes and types.
        run: What `save_checkpoint` was given.

    Raises:
        CheckpointError: When there is none, or it is of another run or another structure.
    """
    for path in sorted(folder.glob("step_*.npz"), reverse=True):
        if (content := _whole(path)) is None:
            continue
        with np.load(io.BytesIO(content)) as file:
            arrays = {name: file[name] for name in file.files if name != "about"}
            about = json.loads(str(file["about"]))
        return _restored(arrays, like, about["run"], run, path)
    raise CheckpointError(f"Expected a checkpoint to resume from, found none whole in {folder}: leave --resume out.")


def _restored(arrays: dict[str, np.ndarray], like: TrainState, was: Any, run: Any, path: Path) -> TrainState:
    differing = [name for name in sorted({*was, *run}) if was.get(name) != run.get(name)]
    if differing:
        name = differing[0]
        raise CheckpointError(
            f"Expected a checkpoint with {name} = {run.get(name)}, found {was.get(name)} in {path}: "
            "resume with the options that the run began with."
        )
    leaves, structure = jax.tree.flatten(like)
    restored = [arrays[f"leaf_{number}"] for number in range(len(arrays))]
    if [(leaf.shape, leaf.dtype) for leaf in restored] != [(leaf.shape, leaf.dtype) for leaf in leaves]:
        raise CheckpointError(f"Expected a state of this model and optimizer, found another in {path}.")
    return jax.tree.unflatten(structure, restored)


def _whole(path: Path) -> bytes | None:
    """The file without its digest, or None if it is damaged: before anything in it is believed."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    content, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None
