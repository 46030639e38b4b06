"""What an object learns: the arrays that it keeps a gradient of, and where that gradient lies."""

from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.numpy_code.attributes import Path, at, members, name_of, put, walk

SIBLINGS = ("grads", "gradients", "grad", "dparams", "gparams")
CONVENTIONAL = {"w", "b", "W", "B", "gamma", "beta", "weight", "bias", "weights", "biases"}


class Parameter(NamedTuple):
    """An array that an object learns.

    Attributes:
        name: Its path as people write it.
        paths: Where it lies; several if several holders share it.
        gradient: Where its gradient lies after a backward pass, None if nowhere.
    """

    name: str
    paths: tuple[Path, ...]
    gradient: Path | None


def real_places(root: Any) -> dict[Path, Any]:
    """Returns the floating-point arrays and numbers below an object."""
    return {
        path: value
        for path, _, value in walk(root)
        if isinstance(value, float | np.floating) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")
    }


def parameters(before: dict[Path, Any], after: Any) -> tuple[list[Parameter], list[str]]:
    """Returns what an object learns, and what it seems to learn and has no gradient of.

    Args:
        before: What `real_places` found before the forward pass, without what that pass replaced.
        after: The same object after the backward pass.
    """
    gradients = {place for path in before if (place := gradient_path(after, path)) is not None}
    groups: dict[int, list[Path]] = {}
    for path, value in before.items():
        if any(path[: len(place)] == place for place in gradients):
            continue
        key = id(value) if isinstance(value, np.ndarray) else hash(path)
        groups.setdefault(key, []).append(path)
    found, without = [], []
    for paths in groups.values():
        gradient = next((g for path in paths if (g := gradient_path(after, path)) is not None), None)
        name = name_of(paths[0])
        if gradient is not None:
            found.append(Parameter(name, tuple(paths), gradient))
        elif str(paths[0][-1]) in CONVENTIONAL and isinstance(before[paths[0]], np.ndarray):
            without.append(Parameter(name, tuple(paths), None))
    if found:  # One gradient is kept and another is not: forgotten.
        found += without
        without = []
    return found, [parameter.name for parameter in without]


def gradient_path(after: Any, path: Path) -> Path | None:
    """Returns where the gradient of a parameter lies, None if nowhere."""
    *front, key = path
    candidates: list[Path] = []
    if isinstance(key, str):
        names = (f"d{key}", f"d_{key}", f"grad_{key}", f"{key}_grad", f"{key}_gradient", f"d{key.upper()}")
        candidates += [(*front, name) for name in (*names, f"d{key.lower()}")]
        candidates += [(*front, sibling, key) for sibling in SIBLINGS]
    if front:
        *outer, holder = front
        siblings = (*SIBLINGS, f"d{holder}", f"{holder}_grads")
        candidates += [(*outer, sibling, name) for sibling in siblings for name in (key, f"d{key}")]
    return next((place for place in candidates if place != path and _has(after, place)), None)


def _has(root: Any, path: Path) -> bool:
    holder = at(root, path[:-1])
    return holder is not None and any(key == path[-1] for key, _ in members(holder))


def assign(root: Any, paths: tuple[Path, ...], value: Any) -> None:
    """Puts a value at every path."""
    for path in paths:
        put(at(root, path[:-1]), path[-1], value)
