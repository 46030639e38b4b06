"""Checkpoints: a training state in one file, which is whole or not there."""

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from functional_nets.training.step import TrainState

KEPT = 2  # If the disk loses the newest file, the one before it is still there.


class CheckpointError(ValueError):
    """No checkpoint of this run could be read."""


def save_checkpoint(folder: Path, state: TrainState, run: dict[str, Any]) -> Path:
    """Writes `step_N.npz` and removes all but the newest two; returns its path.

    The file is written beside its place, flushed to the disk and renamed, and the folder is flushed, too: a
    crash or a power cut at any moment leaves a whole file or none.

    Args:
        folder: Where checkpoints lie; made if it is not there.
        state: What to write.
        run: Whose state it is, in values that JSON can hold; `load_checkpoint` compares it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"leaf_{number}": np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves(state))}
    about = {"run": run, "sha256": _digest(arrays)}
    path = folder / f"step_{int(state.step):09d}.npz"
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, about=json.dumps(about), **arrays)  # type: ignore[arg-type]  # NumPy's stub.
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
        try:
            with np.load(path) as file:
                arrays = {name: file[name] for name in file.files if name != "about"}
                about = json.loads(str(file["about"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue
        if about["sha256"] != _digest(arrays):
            continue
        return _restored(arrays, like, about["run"], run, path)
    raise CheckpointError(
        f"Expected a checkpoint to resume from, found none whole in {folder}: leave --resume out."
    )


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


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
