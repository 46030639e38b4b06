"""A gradient graph as data: vertices, and edges with what flows along them, folded by layer or not."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.report import Cause, Report
from functional_nets.report.graph.differences import Measured, Slope
from functional_nets.report.graph.layers import Layer, layers
from functional_nets.report.graph.parts import RESULT, Edge, Vertex, View, together
from functional_nets.report.graph.symbols import symbol
from functional_nets.report.graph.units import Place, Unit
from functional_nets.report.graph.witnesses import Gradient, Testimony


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
        return self._seen(self.edges, list(range(len(self.layers))) if opened is None else opened, self.vertices)

    def inside(self, number: int) -> View:
        """Returns a layer unfolded, with what it takes from and gives to, and nothing else."""
        members = {f"u{unit}" for unit in self.layers[number].units}
        edges = [edge for edge in self.edges if edge.source in members or edge.target in members]
        ends = {end for edge in edges for end in (edge.source, edge.target)}
        found = self._seen(edges, {number}, {key: vertex for key, vertex in self.vertices.items() if key in ends})
        elsewhere = {edge.source for edge in self.edges if edge.target not in members} - members
        for key in found.vertices.keys() & elsewhere:  # Its sum has summands that are not to be seen here.
            found.vertices[key] = replace(found.vertices[key], given=None, ok=True, total=None)
        return found

    def _seen(self, edges: Sequence[Edge], opened: Collection[int], among: Mapping[str, Vertex]) -> View:
        layer = {key: number for key, number in self.folds.items() if number not in opened}
        vertices: dict[str, Vertex] = {}
        for key, vertex in among.items():
            name = f"l{layer[key]}" if key in layer else key
            vertices[name] = self._folded[layer[key]] if key in layer else vertex
        merged: dict[tuple[str, str, int], list[Edge]] = {}
        for edge in edges:
            source, target = (f"l{layer[key]}" if key in layer else key for key in (edge.source, edge.target))
            if source != target:
                # Within a layer a value may be used several times: from outside that is one use.
                use = (source, target, id(edge.value) if target.startswith("l") else id(edge))
                merged.setdefault(use, []).append(replace(edge, source=source, target=target))
        return View(vertices, [together(edges) for edges in merged.values()])

    @cached_property
    def folds(self) -> dict[str, int]:
        """By operation, the number of its layer."""
        return {f"u{unit}": number for number, layer in enumerate(self.layers) for unit in layer.units}

    @cached_property
    def _folded(self) -> list[Vertex]:
        return [
            Vertex(
                f"l{number}", "layer", layer.label, layer.where, size=len(layer.units),
                marked=not self.causes.isdisjoint(layer.units),
            )
            for number, layer in enumerate(self.layers)
        ]  # fmt: skip

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
