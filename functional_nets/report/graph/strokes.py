"""One edge and one vertex as SVG text."""

import html
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePath

from functional_nets.equations import Location
from functional_nets.gradcheck.cells import shown_file
from functional_nets.report.graph.labels import Label
from functional_nets.report.graph.layout import Layout
from functional_nets.report.graph.parts import Edge, Vertex, View
from functional_nets.report.graph.rooms import ROW, box, half_height, room, under, wrapped
from functional_nets.report.graph.symbols import printable

Point = tuple[float, float]


def place(where: Location | None) -> str:
    """Returns `file.py:12`, without the folder, which is nobody's business in a picture."""
    return f"{PurePath(shown_file(where.file)).name}:{where.line}" if where else ""


def escaped(text: str) -> str:
    """Returns text for XML, without the characters that XML cannot hold."""
    return html.escape(printable(text))


def draw_edge(
    edge: Edge, label: Label, view: View, placed: Layout, number: int, end: float, down: bool, page: bool
) -> str:
    """Returns an edge with its label.

    Args:
        edge: The edge.
        label: What is written at it.
        view: What it belongs to.
        placed: Where everything stands.
        number: The edge's number in the layout.
        end: How far from its target's middle it ends.
        down: Whether the graph runs down.
        page: Whether it can be chosen with mouse and keyboard.
    """
    x, y = placed.labels[number]
    points = list(placed.routes[number])
    (last_x, last_y) = points[-1]
    points[-1] = (last_x + end, last_y - 5) if down else (last_x - 5, last_y + end)
    source, target = view.vertices[edge.source], view.vertices[edge.target]
    name = f"{source.label} → {target.label}" + (f" ({place(target.where)})" if target.where else "")
    said = "; ".join([f"{name}: value {label.value}", *(" ".join((r.witness, *r.numbers)) for r in label.rows)])
    acts = f' tabindex="0" role="button" data-edge="{edge.key}" aria-label="{escaped(said)}"' if page else ""
    differs = " differs" if any(row.wrong for row in label.rows) else ""
    return (
        f'<g class="edge{differs}"{acts}><title>{escaped(name)}</title>{_ground(label, x, y, down)}'
        f'<path class="wire" d="{_path(points, down)}"/><path class="head" d="{_tip(points[-1], down)}"/>'
        f"{_written(label, x + 6, y + 13 if down else y - 5, down)}</g>"
    )


def _ground(label: Label, x: float, y: float, down: bool) -> str:
    """Returns the area of a label, which is there to be clicked on."""
    taken = room(label)
    top = y if down else y - taken.above
    height = taken.above + taken.below
    return f'<rect class="ground" x="{x:.1f}" y="{top:.1f}" width="{taken.width:.1f}" height="{height:.1f}"/>'


def _path(points: Sequence[Point], down: bool) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        if number % 2 or (x == to_x if down else y == to_y):
            path += f"L{to_x:.1f} {to_y:.1f}"
        elif down:
            middle = (y + to_y) / 2
            path += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        else:
            middle = (x + to_x) / 2
            path += f"C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    return path


def _tip(point: Point, down: bool) -> str:
    x, y = point
    return f"M{x - 3.5:.1f} {y:.1f}l3.5 6l3.5 -6z" if down else f"M{x:.1f} {y - 3.5:.1f}l6 3.5l-6 3.5z"


def _written(label: Label, x: float, y: float, down: bool) -> str:
    lines = [(label.value, "value")]
    for line, row in zip(label.lines[::-1], label.rows[::-1], strict=False):
        lines.insert(1, (line + (" ✗" if row.wrong else ""), "slope wrong" if row.wrong else "slope"))
    if label.heading:
        lines.insert(1, (label.lines[0], "heading"))
    if label.note:
        lines.append((label.note, "heading"))
    gap = 0.0 if down else 4.0  # The edge itself runs between the value and what is below it.
    return "".join(
        f'<text class="{style}" x="{x:.1f}" y="{y + ROW * row + (gap if row else 0):.1f}">{escaped(text)}</text>'
        for row, (text, style) in enumerate(lines)
    )


def draw_vertex(vertex: Vertex, at: Point, uses: int, fold: str | None) -> str:
    """Returns a vertex with what stands on and below it.

    Args:
        vertex: The vertex.
        at: Its middle.
        uses: How many edges leave it.
        fold: On a page, what choosing it does, empty for nothing; None in a picture that stands alone.
    """
    x, y = at
    half, width = half_height(vertex), box(vertex, uses).width
    tip = " ".join(filter(None, (vertex.label, place(vertex.where))))
    state = vertex.kind + (" marked" if vertex.marked else "") + ("" if vertex.ok else " bad")
    said = f"{tip}: {'unfold' if vertex.kind == 'layer' else 'fold its layer'}"
    opens = ' aria-expanded="false"' if vertex.kind == "layer" else ""
    acts = f' tabindex="0" role="button"{opens} data-fold="{fold}" aria-label="{escaped(said)}"' if fold else ""
    name = "" if fold is None else f' data-key="{vertex.key}" data-name="{escaped(tip)}"'
    lines = [(line, "name") for line in wrapped(vertex.label)]
    if vertex.kind == "layer":
        lines.append((f"▸ {vertex.size} operations" if fold is not None else f"{vertex.size} operations", "small"))
    top = y - 8.0 * len(lines) + 12.5
    texts = [(text, style, top + 16.0 * row) for row, (text, style) in enumerate(lines)]
    for row, (text, good) in enumerate(under(vertex, uses)):
        line = text if good else f"✗ {text}"
        texts.append((line, "small" if good else "small wrong", y + half + 12 + ROW * row))
    return (
        f'<g class="vertex {state}"{name}{acts}><title>{escaped(tip)}</title>'
        f'<rect class="box" x="{x - width / 2:.1f}" y="{y - half:.1f}" width="{width:.1f}" height="{2 * half:.1f}" '
        f'rx="{6.0 if vertex.kind == "layer" else min(half, 15.0):.0f}"/>'
        + "".join(
            f'<text class="{style}" x="{x:.1f}" y="{line:.1f}">{escaped(text)}</text>' for text, style, line in texts
        )
        + "</g>"
    )
