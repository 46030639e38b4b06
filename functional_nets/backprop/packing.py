"""A tree of numbers as one vector: a number, an array, or dicts, lists and tuples of them, nested at will."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Tree = Any


class Packed:
    """A tree of numbers as one vector, and the way back."""

    def __init__(self, params: Tree):
        self.tree = params
        self.leaves = [(path, np.asarray(leaf)) for path, leaf in leaves_of(params)]
        for path, leaf in self.leaves:
            if "float" not in leaf.dtype.name:
                raise TypeError(f"Expected floats at {path!r} to take a gradient of, found {leaf.dtype}.")
            if not np.isfinite(leaf.astype(np.float64)).all():
                index = tuple(int(i) for i in np.argwhere(~np.isfinite(leaf))[0])
                raise ValueError(f"Expected finite numbers at {path!r}, found {leaf[index]} at {index}.")
        stops = list(itertools.accumulate(leaf.size for _, leaf in self.leaves))
        self.slices = [slice(stop - leaf.size, stop) for (_, leaf), stop in zip(self.leaves, stops, strict=True)]
        self.vector = join([leaf for _, leaf in self.leaves])

    def pack(self, tree: Tree, what: str) -> np.ndarray:
        """Return another tree of the same structure and shapes as a vector."""
        found = {path: np.asarray(leaf) for path, leaf in leaves_of(tree)}
        expected = {path: leaf.shape for path, leaf in self.leaves}
        for path in [*expected, *found]:
            if path not in found or path not in expected or found[path].shape != expected[path]:
                shape = found[path].shape if path in found else "nothing"
                raise ValueError(f"Expected a {what} of shape {expected.get(path)} at {path!r}, found {shape}.")
        return join([found[path] for path in expected])

    def unpack(self, vector: np.ndarray) -> Tree:
        """Return a vector as a tree, of new arrays."""
        shapes = (leaf.shape for _, leaf in self.leaves)
        parts = (vector[part].reshape(shape).copy() for part, shape in zip(self.slices, shapes, strict=True))
        return rebuild(self.tree, parts)

    def place(self, i: int) -> tuple[str, tuple[int, ...]]:
        """Return the path and the index of an element of the vector."""
        for part, (path, leaf) in zip(self.slices, self.leaves, strict=True):
            if i < part.stop:
                return path, tuple(int(k) for k in np.unravel_index(i - part.start, leaf.shape))
        raise IndexError(i)


def join(leaves: Sequence[np.ndarray]) -> np.ndarray:
    """Return the numbers of all leaves in float64, one after another."""
    return np.concatenate([np.zeros(0), *(np.ravel(leaf).astype(np.float64) for leaf in leaves)])


def children_of(tree: Tree) -> list[tuple[str, Tree]] | None:
    """Return the named children of a node, or None for a leaf; the keys of a dict are sorted, as in JAX."""
    if isinstance(tree, dict):
        return [(str(key), tree[key]) for key in sorted(tree, key=str)]
    if isinstance(tree, list | tuple):
        names = getattr(tree, "_fields", range(len(tree)))
        return [(str(name), child) for name, child in zip(names, tree, strict=True)]
    return [] if tree is None else None


def leaves_of(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of each leaf; the path of a lone leaf is `params`."""
    children = children_of(tree)
    if children is None:
        yield path or "params", tree
    for name, child in children or []:
        yield from leaves_of(child, f"{path}/{name}" if path else name)


def rebuild(tree: Tree, leaves: Iterator[np.ndarray]) -> Tree:
    """Return a tree of the same structure with other leaves."""
    children = children_of(tree)
    if children is None:
        return next(leaves)
    if isinstance(tree, dict):
        made = {name: rebuild(child, leaves) for name, child in children}
        return {key: made[str(key)] for key in tree}
    if tree is None:
        return None
    built = [rebuild(child, leaves) for _, child in children]
    return type(tree)(*built) if hasattr(tree, "_fields") else type(tree)(built)
