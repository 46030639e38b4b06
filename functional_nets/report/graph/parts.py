"""What a picture of a gradient graph consists of: vertices, and edges with what flows along them."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from functional_nets.equations import Location
from functional_nets.report.graph.differences import Measured, Slope
from functional_nets.report.graph.witnesses import Gradient

RESULT = "result"


@dataclass(frozen=True)
class Vertex:
    """An input, an operation, a folded layer or the result.

    Attributes:
        key: Its name within the graph.
        kind: `input`, `operation`, `layer` or `result`.
        label: What is written on it.
        where: The user's line, for an operation or a layer.
        marked: Whether the mistake that explains a wrong gradient under test is made here.
        given: For an input, the gradient under test.
        ok: Whether that is right.
        total: The gradient by the rules of an input or an operation whose value is used more than once.
        size: For a layer, the number of its operations.
    """

    key: str
    kind: str
    label: str
    where: Location | None = None
    marked: bool = False
    given: Any = None
    ok: bool = True
    total: Any = None
    size: int = 1


@dataclass(frozen=True)
class Edge:
    """A use of a value: from what made it to what takes it.

    Attributes:
        key: Its name within the graph.
        source: The key of the vertex that it comes from.
        target: The key of the vertex that takes it.
        value: What flows forward.
        gradient: What flows back.
        differing: The witnesses that contradict others.
    """

    key: str
    source: str
    target: str
    value: Any
    gradient: Gradient
    differing: tuple[str, ...]


class View(NamedTuple):
    """What is drawn: the graph with some layers open and the others folded.

    Attributes:
        vertices: By key, in forward order.
        edges: In forward order.
    """

    vertices: dict[str, Vertex]
    edges: list[Edge]


def together(edges: list[Edge]) -> Edge:
    """Returns the edge that stands for several uses of one value by one layer: their gradients add up."""
    first = edges[0]
    if len(edges) == 1:
        return first
    parts = [edge.gradient for edge in edges]
    jaxs = None if any(part.jax is None for part in parts) else sum(part.jax for part in parts)
    whole = Gradient(
        sum(part.rule for part in parts), jaxs, _sum([part.measured for part in parts]),
        sum(part.tolerance for part in parts),
    )  # fmt: skip
    differing = tuple(dict.fromkeys(name for edge in edges for name in edge.differing))
    return replace(first, key="+".join(edge.key for edge in edges), gradient=whole, differing=differing)


def _sum(parts: list[Measured | None]) -> Measured | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    shared = [index for index in known[0].elements if all(index in part.elements for part in known)]
    elements = {index: _added([part.elements[index] for part in known]) for index in shared}
    alongs = [part.along for part in known if part.along is not None]
    return Measured(elements, known[0].direction, _added(alongs) if alongs else None)


def _added(slopes: list[Slope]) -> Slope:
    return Slope(*(sum(column) for column in zip(*slopes, strict=True)))
