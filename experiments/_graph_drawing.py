"""A computational graph in the terminal: values above each edge, gradients below it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop import Node, Variable, backward, rules

SYMBOLS = {"mul": "×", "add": "+", "sub": "-", "div": "÷", "neg": "-x", "square": "x²", "integer_pow": "xⁿ"}
ROWS = 4  # Between two leaves: a value, the edge, a gradient, and an empty row.


class Edge(NamedTuple):
    """From a value to the operation that takes it.

    Attributes:
        node: The value.
        gradient: What flows back along this edge.
        sources: The edges into the operation that made it, none for a value that was given.
        operation: That operation's symbol, or the value's name.
    """

    node: Node
    gradient: Any
    sources: tuple["Edge", ...]
    operation: str


def graph(output: Variable) -> Edge:
    """Returns the graph of everything that a variable was computed from, as the tape recorded it."""
    gradients = backward(output)
    return _edge(output.node, np.ones(output.node.shape), gradients)


def _edge(node: Node, gradient: Any, gradients: Mapping[Any, Any]) -> Edge:
    record = node.creator
    if record is None:
        return Edge(node, gradient, (), node.name or number(node.data))
    # What one use contributes: the rule at this use alone. The gradient of a value is the sum over its uses.
    inputs = tuple(source.data for source in record.inputs)
    parts = rules.backward(record.primitive, gradients[node], node.data, inputs, record.params)
    sources = tuple(
        _edge(source, part, gradients) for source, part in zip(record.inputs, parts, strict=True) if part is not None
    )
    return Edge(node, gradient, sources, SYMBOLS.get(record.primitive, record.primitive))


def number(value: Any) -> str:
    """Returns a scalar with all its digits; an array as its shape."""
    if np.shape(value):
        return f"array {list(np.shape(value))}"
    return repr(float(value)).removesuffix(".0")


def draw(edge: Edge) -> str:
    """Returns the drawing: forward from left to right with the values above, backward with the gradients below."""
    texts = [text for each in _all(edge) for text in (number(each.node.data), number(each.gradient))]
    width = max(map(len, texts)) + 4
    margin = max(len(each.operation) for each in _all(edge) if not each.sources) + 1
    canvas: dict[tuple[int, int], str] = {}
    _place(edge, 0, _height(edge) * (width + 2) + margin + width, width, margin, canvas)
    rows = max(row for row, _ in canvas) + 1
    columns = max(column for _, column in canvas) + 1
    lines = ("".join(canvas.get((row, column), " ") for column in range(columns)).rstrip() for row in range(rows))
    return "\n".join(lines)


def _all(edge: Edge) -> list[Edge]:
    return [edge, *(each for source in edge.sources for each in _all(source))]


def _height(edge: Edge) -> int:
    return 1 + max(map(_height, edge.sources)) if edge.sources else 0


def _place(
    edge: Edge, top: int, end: int, width: int, margin: int, canvas: dict[tuple[int, int], str]
) -> tuple[int, int]:
    """Draws what leads to an edge and the edge up to column `end`; returns its row and the next free row."""
    if edge.sources:
        start = _height(edge) * (width + 2) + margin - 2
        rows = []
        for source in edge.sources:
            row, top = _place(source, top, start, width, margin, canvas)
            rows.append(row)
        here = (rows[0] + rows[-1]) // 2
        for row in range(rows[0], rows[-1] + 1):
            corner = "┐" if row == rows[0] else "┘" if row == rows[-1] else "┤" if row in rows else "│"
            canvas[row, start] = corner
        after = _write(canvas, here, start, edge.operation)
    else:
        here, top = top + 1, top + ROWS
        after = _write(canvas, here, max(0, margin - 1 - len(edge.operation)), edge.operation)
    for column in range(after, end):
        canvas[here, column] = "─"
    text = after + 1 if edge.sources else margin + 1
    _write(canvas, here - 1, text, number(edge.node.data))
    _write(canvas, here + 1, text, number(edge.gradient))
    return here, top


def _write(canvas: dict[tuple[int, int], str], row: int, column: int, text: str) -> int:
    for place, character in enumerate(text, column):
        canvas[row, place] = character
    return column + len(text)
