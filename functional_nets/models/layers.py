"""The layers in a tree of parameters."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Layer(NamedTuple):
    """One layer.

    Attributes:
        path: The keys that lead to it.
        arrays: Its arrays by their names.
    """

    path: tuple[Any, ...]
    arrays: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its path as text, such as `block/dense1`."""
        return "/".join(map(str, self.path))


def layers_of(params: Any, path: tuple[Any, ...] = ()) -> list[Layer]:
    """Returns all layers, in the order of their names, in which `dense10` follows `dense9`.

    JAX sorts the keys of a dict: the order in which a network was built is lost after a step of training.

    Raises:
        ValueError: Something is no nested dict of arrays.
    """
    if not isinstance(params, Mapping):
        raise ValueError(f"Expected parameters as nested dicts of arrays, found {type(params).__name__}: name them.")
    arrays = {str(key): value for key, value in params.items() if hasattr(value, "shape")}
    found = [Layer(path, arrays)] if arrays else []
    inner = [key for key, value in params.items() if not hasattr(value, "shape")]
    for key in sorted(inner, key=with_numbers):
        found += layers_of(params[key], (*path, key))
    return found


def with_layers(params: Any, layers: Sequence[Layer], path: tuple[Any, ...] = ()) -> Any:
    """Returns the tree with the arrays of these layers in place of its own."""
    arrays = next((layer.arrays for layer in layers if layer.path == path), {})
    return {
        key: arrays[str(key)] if hasattr(value, "shape") else with_layers(value, layers, (*path, key))
        for key, value in params.items()
    }


def with_numbers(key: Any) -> list[tuple[int, int | str]]:
    """Returns a key for sorting by name, in which numbers count as numbers."""
    parts = re.split(r"(\d+)", str(key))
    return [(1, int(part)) if part.isdigit() else (0, part) for part in parts if part]
