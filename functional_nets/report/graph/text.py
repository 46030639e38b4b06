"""A gradient graph in the terminal: a drawing with values above each edge and gradients below it, and a table."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from functional_nets.report.graph.differences import Index
from functional_nets.report.graph.labels import gradients, worst
from functional_nets.report.graph.parts import Edge, Vertex, View, together
from functional_nets.report.graph.symbols import brief, norm, shape

ROWS = 4  # Between two leaves: a value, the edge, a gradient, and an empty row.
MOST = 24  # Branches, above which a drawing is no help in a terminal.
WIDTH = 120  # Columns, where there is no terminal.
LONGEST = 24  # Letters of an operation.

Canvas = dict[tuple[int, int], str]


class Branch(NamedTuple):
    """A use of a value.

    Attributes:
        value: Above the edge.
        gradient: Below it.
        sources: The branches into the operation that made the value, none for a value that was given.
        operation: What stands at its beginning: the operation, or the value's name.
    """

    value: str
    gradient: str
    sources: tuple["Branch", ...]
    operation: str


def columns() -> int:
    """Returns how wide what is printed may be: as the terminal, if that is where it goes."""
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def drawing(view: View, widest: int) -> str:
    """Returns the drawing, forward from left to right; nothing if it has too many branches or columns.

    The gradients are those by rule; `✗` is at an edge where another witness
    contradicts, or at an input with a wrong gradient under test.
    """
    into: dict[str, list[Edge]] = {}
    for edge in view.edges:
        into.setdefault(edge.target, []).append(edge)
    if len(view.edges) > MOST:
        return ""
    drawn = _draw(_branch(view.edges[-1], view.vertices, into, set()))
    return drawn if max(map(len, drawn.splitlines())) <= widest else ""


def _branch(edge: Edge, vertices: dict[str, Vertex], into: dict[str, list[Edge]], drawn: set[str]) -> Branch:
    label = vertices[edge.source].label
    label = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
    before = into.get(edge.source, [])
    if edge.source in drawn:
        label, before = f"{label} again", []  # What leads to an operation is drawn once.
    drawn.add(edge.source)
    sources = tuple(_branch(each, vertices, into, drawn) for each in before)
    rule = edge.gradient.rule
    gradient = f"norm {brief(norm(rule))}" if np.ndim(rule) else brief(rule)
    value = f"array {list(np.shape(edge.value))}" if np.ndim(edge.value) else brief(edge.value)
    wrong = bool(edge.differing) or not vertices[edge.source].ok
    return Branch(value, gradient + " ✗" * wrong, sources, label)


def _draw(branch: Branch) -> str:
    everything = _all(branch)
    width = 4 + max(
        max(len(each.value), len(each.gradient)) + (len(each.operation) - 1 if each.sources else 0)
        for each in everything
    )
    margin = max(len(each.operation) for each in everything if not each.sources) + 1
    canvas: Canvas = {}
    _place(branch, 0, _height(branch) * (width + 2) + margin + width, width, margin, canvas)
    rows, columns = (max(place[axis] for place in canvas) + 1 for axis in (0, 1))
    lines = ("".join(canvas.get((row, column), " ") for column in range(columns)).rstrip() for row in range(rows))
    return "\n".join(lines)


def _all(branch: Branch) -> list[Branch]:
    return [branch, *(each for source in branch.sources for each in _all(source))]


def _height(branch: Branch) -> int:
    return 1 + max(map(_height, branch.sources)) if branch.sources else 0


def _place(branch: Branch, top: int, end: int, width: int, margin: int, canvas: Canvas) -> tuple[int, int]:
    """Draws what leads to an edge and the edge up to column `end`; returns its row and the next free row."""
    if branch.sources:
        start = _height(branch) * (width + 2) + margin - 2
        rows = []
        for source in branch.sources:
            row, top = _place(source, top, start, width, margin, canvas)
            rows.append(row)
        here = (rows[0] + rows[-1]) // 2
        for row in range(rows[0], rows[-1] + 1):
            corner = "┐" if row == rows[0] else "┘" if row == rows[-1] else "┤" if row in rows else "│"
            canvas[row, start] = corner
        after = _write(canvas, here, start, branch.operation)
    else:
        here, top = top + 1, top + ROWS
        after = _write(canvas, here, max(0, margin - 1 - len(branch.operation)), branch.operation)
    for column in range(after, end):
        canvas[here, column] = "─"
    text = after + 1 if branch.sources else margin + 1
    _write(canvas, here - 1, text, branch.value)
    _write(canvas, here + 1, text, branch.gradient)
    return here, top


def _write(canvas: Canvas, row: int, column: int, text: str) -> int:
    for place, character in enumerate(text, column):
        canvas[row, place] = character
    return column + len(text)


HEADING = ("edge", "value", "norm", "at", "rule", "jax.grad", "differences", "yours", "")


def rows(edges: Sequence[Edge], vertices: dict[str, Vertex]) -> list[tuple[str, ...]]:
    """Returns the table of edges with its heading, without the columns in which nothing stands.

    Of a tensor it has the norm of the gradient and the element that says most. After the last use of an input that
    is used more than once comes their sum, with which a gradient under test is to be compared.
    """
    uses: dict[str, list[Edge]] = {}
    lines: list[tuple[str, ...]] = []
    for edge in edges:
        uses.setdefault(edge.source, []).append(edge)
    for edge in edges:
        source, every = vertices[edge.source], uses[edge.source]
        name = f"{source.label} → {vertices[edge.target].label}"
        alone = len(every) == 1
        lines.append(_row(edge, name, source if alone else None))
        if source.kind == "input" and not alone and edge is every[-1]:
            whole = replace(together(every), differing=())
            lines.append(_row(whole, f"{source.label}: Σ of {len(every)} uses", source))
    kept = [column for column in range(len(HEADING)) if any(line[column] for line in lines)]
    return [tuple(line[column] for column in kept) for line in (HEADING, *lines)]


def _row(edge: Edge, name: str, tested: Vertex | None) -> tuple[str, ...]:
    """Returns the cells of an edge, whose gradient may be compared with one under test."""
    tensor = bool(np.ndim(edge.value))
    given = None if tested is None else tested.given
    index = worst(edge, given) if tensor else ()
    by_witness = gradients(edge)
    slopes = by_witness.pop("differences")
    cells = [_cell(gradient, index) for gradient in by_witness.values()]
    cells.append(brief(slopes[index], 8) if index in slopes else "—")
    cells.append("" if given is None else _tested(given, edge, index))
    value = f"{shape(edge.value)}, norm {brief(norm(edge.value), 4)}" if tensor else brief(edge.value, 8)
    size = brief(norm(edge.gradient.rule), 4) if tensor else ""
    wrong = (*edge.differing, *(("yours",) if tested is not None and not tested.ok else ()))
    return name, value, size, str(list(index)) if tensor else "", *cells, _note(edge, wrong)


def _tested(given: Any, edge: Edge, index: Index) -> str:
    return _cell(given, index) if np.shape(given) == np.shape(edge.value) else "other shape"


def _note(edge: Edge, wrong: Sequence[str]) -> str:
    if edge.gradient.undefined:
        return "✗ not finite"
    return "✗ " + ", ".join(wrong) if wrong else "at a kink" if edge.gradient.kinked() else ""


def _cell(gradient: Any, index: Index) -> str:
    return "—" if gradient is None or not np.size(gradient) else brief(np.asarray(gradient)[index], 8)


def table(edges: Sequence[Edge], vertices: dict[str, Vertex]) -> str:
    """Returns the table as text."""
    cut = [[_cut(cell) for cell in line] for line in rows(edges, vertices)]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cut
    )


def _cut(text: str) -> str:
    return text if len(text) <= 48 else text[:47] + "…"
