"""What is written at an edge: the value above it, and the gradients by three witnesses below."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from functional_nets.report.graph.differences import Index, most_different
from functional_nets.report.graph.parts import Edge, Vertex, View
from functional_nets.report.graph.symbols import brief, norm, shape

WITNESSES = {"rule": "rule", "jax.grad": "grad", "differences": "diff", "yours": "yours"}
"""By witness, its short name in pictures."""


class Row(NamedTuple):
    """One witness's line: its short name, its numbers, and whether it contradicts the others."""

    witness: str
    numbers: tuple[str, ...]
    wrong: bool


class Label(NamedTuple):
    """What is written at an edge.

    Attributes:
        value: Above it.
        heading: What the columns of numbers are, empty for a single number.
        rows: Below it.
        note: Why a difference is none, such as `kink`.
    """

    value: str
    heading: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str

    @property
    def lines(self) -> list[str]:
        """The lines below the edge, of equal columns."""
        table = [("", *self.heading)] if self.heading else []
        table += [(row.witness, *row.numbers) for row in self.rows]
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table]


def label(edge: Edge, given: Any = None, ok: bool = True) -> Label:
    """Returns what is written at an edge: numbers for a scalar; shape, norm and worst element for a tensor.

    Args:
        edge: The edge.
        given: The gradient under test, for the only edge of an input that has one.
        ok: Whether that is right.
    """
    by_witness = gradients(edge)
    wrong = {*edge.differing, *(() if ok else ("yours",))}
    numbers: dict[str, tuple[str, ...]]
    heading: tuple[str, ...] = ()
    index: Index = ()
    if not np.shape(edge.value):
        numbers = {name: (_number(gradient, ()),) for name, gradient in by_witness.items()}
        value = brief(edge.value)
    else:
        index = worst(edge, given)
        numbers = {
            name: (_norm(gradient, np.size(edge.value)), _number(gradient, index))
            for name, gradient in by_witness.items()
        }
        value, heading = f"{shape(edge.value)}  norm {brief(norm(edge.value), 4)}", ("norm", f"at {list(index)}")
    if given is not None:
        numbers["yours"] = _tested(given, edge, index)
    rows = tuple(Row(WITNESSES[name], each, name in wrong) for name, each in numbers.items())
    return Label(value, heading, rows, "at a kink" if edge.gradient.kinked() and not edge.differing else "")


def givens(view: View) -> dict[str, Vertex]:
    """Returns, by the key of an edge, the input with a gradient under test of which it is the only use."""
    uses = Counter(edge.source for edge in view.edges)
    alone = ((edge, view.vertices[edge.source]) for edge in view.edges if uses[edge.source] == 1)
    return {edge.key: vertex for edge, vertex in alone if vertex.given is not None}


def gradients(edge: Edge) -> dict[str, Any]:
    """Returns the gradient by witness: arrays, and numbers by index for the differences."""
    measured = edge.gradient.measured
    slopes = {} if measured is None else {index: slope.value for index, slope in measured.elements.items()}
    return {"rule": edge.gradient.rule, "jax.grad": edge.gradient.jax, "differences": slopes}


def worst(edge: Edge, given: Any = None) -> Index:
    """Returns the element at which the witnesses differ most, or the largest of the gradient if they agree."""
    rule, measured = edge.gradient.rule, edge.gradient.measured
    if given is not None and np.shape(given) == np.shape(rule):
        return most_different([rule, given])
    index = most_different([rule] if edge.gradient.jax is None else [rule, edge.gradient.jax])
    if measured is None or index in measured.elements or not measured.elements:
        return index
    return max(measured.elements, key=lambda each: abs(rule[each] - measured.elements[each].value))


def _tested(given: Any, edge: Edge, index: Index) -> tuple[str, ...]:
    """Returns the numbers of a gradient under test, which may have any shape."""
    if not np.shape(edge.value):
        return (brief(given) if not np.shape(given) else "other shape",)
    alike = np.shape(given) == np.shape(edge.value)
    return _norm(given, np.size(edge.value)), _number(given, index) if alike else "other shape"


def _number(gradient: Any, index: Index) -> str:
    if isinstance(gradient, dict):
        return brief(gradient[index]) if index in gradient else "—"
    return "—" if gradient is None or not np.size(gradient) else brief(gradient[index])


def _norm(gradient: Any, size: int) -> str:
    if isinstance(gradient, dict):  # Of a large tensor some elements are measured, which have no norm.
        return brief(norm(list(gradient.values())), 4) if len(gradient) == size else "—"
    return "—" if gradient is None else brief(norm(gradient), 4)
