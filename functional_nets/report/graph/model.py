"""A gradient graph as data: vertices, and edges with what flows along them, folded by layer or not."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from functional_nets.equations import Location
from functional_nets.gradcheck.report import Cause, Report
from functional_nets.report.graph.differences import Measured, Slope
from functional_nets.report.graph.layers import Layer, layers
from functional_nets.report.graph.symbols import symbol
from functional_nets.report.graph.units import Place, Unit
from functional_nets.report.graph.witnesses import Gradient, Testimony

RESULT = "result"


class Input(NamedTuple):
    """A leaf of the function's arguments.

    Attributes:
        name: The argument's name, or the leaf's path within it.
        number: The number of its value.
        jax: `jax.grad` of the whole function by it; None where JAX has none.
        given: The gradient under test; None if there is none.
        ok: Whether the gradient under test is right.
    """

    name: str
    number: int
    jax: Any = None
    given: Any = None
    ok: bool = True


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


@dataclass(frozen=True)
class Model:
    """A function's values and gradients.

    Attributes:
        testimony: What the witnesses say.
        inputs: The leaves of its arguments.
        report: What the gradient check says of the gradient under test, if there is one.
    """

    testimony: Testimony
    inputs: tuple[Input, ...]
    report: Report | None = None

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers that fold: those of more than one operation."""
        units = self.testimony.units
        found = layers(units, self._names, [symbol(unit, self.testimony) for unit in units])
        return [layer for layer in found if 1 < len(layer.units) < len(units)]

    @cached_property
    def edges(self) -> list[Edge]:
        """All edges, in forward order, the result's last."""
        found = [self._edge(place, gradient) for place, gradient in self.testimony.edges.items()]
        program = self.testimony.program
        value = program.values[program.result]
        one = Measured({(): Slope(1.0, 0.0, 1.0, 1.0)})
        end = Gradient(np.ones(()), np.ones(()), one, 0.0)
        return [*found, Edge(RESULT, self._made[program.result], RESULT, value, end, ())]

    @cached_property
    def backward(self) -> list[Edge]:
        """All edges in backward order: those of the last operation first."""
        return sorted(self.edges, key=lambda edge: -self._order.get(edge.target, len(self._order)))

    @cached_property
    def vertices(self) -> dict[str, Vertex]:
        """All inputs and operations, and the result."""
        used = [edge.source for edge in self.edges]
        found = [self._input(number, used) for number in range(len(self.inputs))]
        found = [vertex for vertex in found if vertex.key in used or vertex.given is not None]
        causes = self.causes
        for number, unit in enumerate(self.testimony.units):
            several = used.count(f"u{number}") > 1
            total = self.testimony.totals.get(unit.outputs[0]) if several else None
            label = symbol(unit, self.testimony)
            found.append(Vertex(f"u{number}", "operation", label, unit.where, number in causes, total=total))
        found.append(Vertex(RESULT, "result", "result"))
        return {vertex.key: vertex for vertex in found}

    @property
    def cause(self) -> Cause | None:
        """The mistake that explains the gradient under test, if one is known."""
        return self.report.causes[0] if self.report is not None and self.report.causes else None

    @cached_property
    def causes(self) -> set[int]:
        """The operations in whose backward pass the mistake is made."""
        if self.cause is None or self.cause.line is None:
            return set()
        place = (self.cause.file, self.cause.line)
        units = self.testimony.units
        here = [number for number, unit in enumerate(units) if unit.where and unit.where[:2] == place]
        return set([number for number in here if units[number].op == self.cause.op] or here)

    @cached_property
    @np.errstate(all="ignore")
    def inconsistent(self) -> list[str]:
        """The inputs for which `jax.grad` of the whole function is not the sum of what flows back along the edges."""
        found = []
        for number, each in enumerate(self.inputs):
            parts = [edge.gradient for edge in self.edges if edge.source == f"i{number}" and edge.key != RESULT]
            if each.jax is not None and parts and all(part.jax is not None for part in parts):
                room = sum(part.tolerance for part in parts)
                if np.any(np.abs(sum(part.jax for part in parts) - each.jax) > room):
                    found.append(each.name)
        return found

    def unit(self, key: str) -> Unit:
        """Returns the operation that a vertex stands for."""
        return self.testimony.units[int(key[1:])]

    def view(self, opened: Collection[int] | None = None) -> View:
        """Returns the graph with the layers of these numbers unfolded, or with all of them."""
        folded = {
            f"u{unit}": number
            for number, layer in enumerate(self.layers)
            if opened is not None and number not in opened
            for unit in layer.units
        }
        vertices: dict[str, Vertex] = {}
        for key, vertex in self.vertices.items():
            if key not in folded:
                vertices[key] = vertex
                continue
            layer = self.layers[folded[key]]
            name = f"l{folded[key]}"
            known = vertices.get(name, Vertex(name, "layer", layer.label, layer.where, size=len(layer.units)))
            vertices[name] = replace(known, marked=known.marked or vertex.marked)
        merged: dict[tuple[str, str, int], list[Edge]] = {}
        for edge in self.edges:
            source, target = (f"l{folded[k]}" if k in folded else k for k in (edge.source, edge.target))
            if source != target:
                # Within a layer a value may be used several times: from outside that is one use.
                use = (source, target, id(edge.value) if target.startswith("l") else id(edge))
                merged.setdefault(use, []).append(replace(edge, source=source, target=target))
        return View(vertices, [_together(edges) for edges in merged.values()])

    @property
    def _names(self) -> dict[int, str]:
        return {each.number: each.name for each in self.inputs}

    @cached_property
    def _made(self) -> dict[int, str]:
        found = {each.number: f"i{number}" for number, each in enumerate(self.inputs)}
        return found | {
            value: f"u{number}" for number, unit in enumerate(self.testimony.units) for value in unit.outputs
        }

    @cached_property
    def _order(self) -> dict[str, int]:
        return {f"u{number}": number for number in range(len(self.testimony.units))}

    def _edge(self, place: Place, gradient: Gradient) -> Edge:
        unit, number = place
        taken = self.testimony.units[unit].taken(number)
        value = self.testimony.program.values[taken]
        return Edge(f"{unit}.{number}", self._made[taken], f"u{unit}", value, gradient, gradient.differing())

    def _input(self, number: int, used: Sequence[str]) -> Vertex:
        each = self.inputs[number]
        several = used.count(f"i{number}") > 1
        total = self.testimony.totals.get(each.number) if several else None
        return Vertex(f"i{number}", "input", each.name, given=each.given, ok=each.ok, total=total)


def _together(edges: list[Edge]) -> Edge:
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
