"""Parameters alone in a safetensors file, which other tools read and write, too."""

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
from safetensors.numpy import save

from functional_nets.data.bounded import shown
from functional_nets.training.checkpoint.file import CheckpointError, array_of, named_leaves
from functional_nets.training.checkpoint.writing import write_whole

METADATA = "__metadata__"


def save_params(path: str | os.PathLike[str], params: Any) -> None:
    """Writes parameters, each array under its path, such as `dense1/w`; what `to_state_dict` returns, too.

    Raises:
        OSError: The file cannot be written; one that is there already is as it was.
        ValueError: Two arrays have the same path as text, one has a name that the format keeps for itself, or is
            none of numbers.
    """
    leaves = named_leaves(params)
    if METADATA in leaves:
        raise ValueError(f"Expected another name than {METADATA}, which safetensors keeps for itself: rename it.")
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in leaves.items()}
    for name, array in arrays.items():
        if array.dtype.kind in "OSUMm":
            raise ValueError(
                f"Expected an array of numbers as {shown(name)!r}, found {shown(leaves[name])!r}: leave it out."
            )
    write_whole(Path(path), save(arrays))


def load_params(path: str | os.PathLike[str], like: Any = None) -> Any:
    """Returns the parameters in a safetensors file, as NumPy arrays.

    Args:
        path: The file.
        like: A tree whose structure, shapes and types they must have; `jax.eval_shape(model.init, key)` will do.
            Without it they are nested dicts after the paths.

    Raises:
        OSError: The file cannot be read.
        CheckpointError: It is no safetensors file, or its arrays are others than those of `like`.
    """
    try:
        arrays = {name: array_of(entry) for name, entry in safetensors.deserialize(Path(path).read_bytes())}
    except (safetensors.SafetensorError, KeyError) as error:
        reason = f"a type of numbers that NumPy lacks, {error}" if isinstance(error, KeyError) else shown(str(error))
        raise CheckpointError(f"Expected a safetensors file, found {path} ({reason}): give another.") from None
    if like is None:
        return _nested(arrays)
    wanted = named_leaves(like)
    for name in [*wanted, *sorted(arrays)]:
        expected, found = (_shape(tree[name]) if name in tree else "none" for tree in (wanted, arrays))
        if expected != found:
            raise CheckpointError(
                f"Expected {shown(name)!r} to be {expected}, found {found} in {path}: is it another model's?"
            )
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])


def _shape(array: Any) -> str:
    return f"{np.dtype(array.dtype)} {list(array.shape)}"


def _nested(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *path, last = name.split("/")
        branch = tree
        for key in path:
            branch = branch.setdefault(key, {})
        branch[last] = array
    return tree
