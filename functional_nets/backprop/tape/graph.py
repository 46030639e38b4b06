"""What the tape writes down: nodes that never change, and the operation that made each of them."""

import itertools
import os
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

_next_order = itertools.count()
_INSIDE = tuple(str(root) + os.sep for root in (Path(__file__).parents[2], Path(np.__file__).parent))


class Record(NamedTuple):
    """One operation that ran: what a backward pass needs of it, and where in the user's code it stands.

    Attributes:
        primitive: Name of the JAX primitive whose rule differentiates it.
        inputs: Its operands, constants included.
        output: Its result.
        params: Further arguments of the primitive, under JAX's names.
        file: File of the innermost frame outside NumPy and this package.
        line: Line in `file`.
    """

    primitive: str
    inputs: tuple["Node", ...]
    output: "Node"
    params: dict[str, Any]
    file: str
    line: int

    @property
    def input(self) -> "Node":
        """The first operand; the only one of a function of one variable."""
        return self.inputs[0]


class Node:
    """An array that never changes, linked to the operation that made it.

    A node keeps the operation's inputs alive, never the reverse: a graph that nobody holds is freed at
    once. `order` counts nodes as they are made, so that sorting by it is a topological order.

    Attributes:
        data: The array, read-only.
        name: What the user called it, if anything.
        constant: No gradient is to flow here: a plain array met on the way, or made of such arrays only.
    """

    __slots__ = ("_file", "_inputs", "_line", "_params", "_primitive", "constant", "data", "name", "order")

    def __init__(self, data: Array, *, name: str | None = None, constant: bool = False) -> None:
        self.data, self.name, self.constant = data, name, constant
        self.order = next(_next_order)
        self._primitive: str | None = None

    def made_by(self, primitive: str, inputs: tuple["Node", ...], params: dict[str, Any]) -> "Node":
        """Mark this node as the result of an operation that the calling user code just ran."""
        self._primitive, self._inputs, self._params = primitive, inputs, params
        self._file, self._line = calling_line()
        return self

    @property
    def creator(self) -> Record | None:
        """The operation that made this node, None for one that was given."""
        if self._primitive is None:
            return None
        return Record(self._primitive, self._inputs, self, self._params, self._file, self._line)

    @property
    def needs_gradient(self) -> bool:
        """Whether a cotangent of this node means anything: not for constants, integers and booleans."""
        return not self.constant and self.data.dtype.kind == "f"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the data."""
        return self.data.dtype

    def __repr__(self) -> str:
        label = f", name={self.name!r}" if self.name else ""
        return f"Node({self.data!r}{label})"


def records_of(outputs: Iterable[Node]) -> list[Record]:
    """Every operation that led to the outputs, each after those that made its inputs."""
    found: set[Node] = set()
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node.creator is not None and node not in found:
            found.add(node)
            waiting.extend(node.creator.inputs)
    in_order = sorted(found, key=lambda node: node.order)
    return [record for node in in_order if (record := node.creator)]


@cache
def is_inside(filename: str) -> bool:
    """Whether a file belongs to NumPy or to this package."""
    return filename.startswith(_INSIDE)


def calling_line() -> tuple[str, int]:
    """File and line of the innermost frame that belongs neither to NumPy nor to this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_inside(frame.f_code.co_filename):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
