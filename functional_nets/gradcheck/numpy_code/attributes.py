"""The arrays that an object holds: in attributes, dicts and lists, and in the objects that those hold.

A path leads to an array in any copy of the object, so that what is found in one copy can be read in another.
"""

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Path = tuple[Any, ...]
CLOSED = (str, bytes, int, float, complex, bool, type(None), np.ndarray, np.generic, np.random.Generator,
          np.random.RandomState, type)  # fmt: skip
DEEPEST = 6


def members(holder: Any) -> list[tuple[Any, Any]]:
    """Returns the (key, value) pairs of a dict, a list, a tuple or an object; none of anything else."""
    if isinstance(holder, CLOSED) or inspect.ismodule(holder) or inspect.isroutine(holder):
        return []
    if isinstance(holder, Mapping):
        return list(holder.items())
    if isinstance(holder, (list, tuple)):
        return list(enumerate(holder))
    names = list(getattr(holder, "__dict__", ()))
    for cls in type(holder).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names += [name for name in ((slots,) if isinstance(slots, str) else slots) if hasattr(holder, name)]
    return [(name, getattr(holder, name)) for name in dict.fromkeys(names)]


def walk(root: Any) -> Iterator[tuple[Path, Any, Any]]:
    """Yields (path, holder, value) of everything below an object, each holder once."""
    seen: set[int] = set()
    waiting: list[tuple[Path, Any]] = [((), root)]
    for path, holder in waiting:
        if id(holder) in seen or len(path) >= DEEPEST:
            continue
        seen.add(id(holder))
        for key, value in members(holder):
            yield (*path, key), holder, value
            waiting.append(((*path, key), value))


def arrays(root: Any) -> dict[Path, np.ndarray]:
    """Returns the arrays below an object."""
    return {path: value for path, _, value in walk(root) if isinstance(value, np.ndarray)}


def at(root: Any, path: Path) -> Any:
    """Returns what a path leads to, None where it leads nowhere."""
    for key in path:
        try:
            root = root[key] if isinstance(root, (Mapping, list, tuple)) else getattr(root, key)
        except (KeyError, IndexError, AttributeError):
            return None
    return root


def put(holder: Any, key: Any, value: Any) -> None:
    """Stores a value in a holder; a tuple cannot be stored to and is left alone."""
    if isinstance(holder, (dict, list)) or hasattr(holder, "__setitem__"):
        holder[key] = value
    elif not isinstance(holder, tuple):
        object.__setattr__(holder, key, value)


def replace(root: Any, by: Mapping[int, Any]) -> None:
    """Puts other values in the place of arrays, wherever an object holds them.

    Args:
        root: The object.
        by: The new values, by the `id` of the array that they replace.
    """
    for _, holder, value in list(walk(root)):
        for key, held in members(holder):
            if held is value and id(value) in by and isinstance(value, np.ndarray):
                put(holder, key, by[id(value)])


def duplicate(subject: Any) -> Any:
    """Returns a copy that shares no array with the original; within the copy, what was one array still is."""
    try:
        return copy.deepcopy(subject)
    except Exception:  # Whatever it holds that cannot be copied (a generator, a lock), its arrays can.
        twin = copy.copy(subject)
        for key, value in members(twin):
            if isinstance(value, np.ndarray):
                put(twin, key, value.copy())
        return twin


def fingerprints(root: Any) -> dict[Path, bytes]:
    """Returns the content of every array below an object."""
    return {path: value.tobytes() for path, value in arrays(root).items()}


def lock(*roots: Any) -> None:
    """Makes all arrays read-only, so that whoever writes into one is told so, at the line that does."""
    for root in roots:
        found = [root] if isinstance(root, np.ndarray) else arrays(root).values()
        for array in found:
            array.flags.writeable = False


def name_of(path: Path) -> str:
    """Returns a path as people write it, such as `affine/w`."""
    return "/".join(map(str, path))
