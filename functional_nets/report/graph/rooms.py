"""How much room the vertices and labels of a picture take."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from functional_nets.report.graph.labels import Label
from functional_nets.report.graph.layout import Box, Layout, Line, layout
from functional_nets.report.graph.parts import Vertex, View
from functional_nets.report.graph.symbols import brief, norm

CHARACTER = 6.7  # Pixels: the width of a letter of a monospaced font of 11.
ROW = 14.0
LONGEST = 22  # Letters in a line on a box.
LINES = 4
WIDEST = 1100.0  # Pixels: a wider graph runs down, not to the right.


def arranged(view: View, labels: Sequence[Label]) -> tuple[Layout, bool]:
    """Returns where everything stands, and whether the graph runs down: to the right is for those that are short."""
    uses = Counter(edge.source for edge in view.edges)
    boxes = {key: box(vertex, uses[key]) for key, vertex in view.vertices.items()}
    rooms = [room(each) for each in labels]
    ends = [(edge.source, edge.target) for edge in view.edges]
    found = layout(boxes, [Line(*end, each) for end, each in zip(ends, rooms, strict=True)])
    if found.width <= WIDEST:
        return found, False
    turned = {key: Box(each.above + each.below, each.width / 2, each.width / 2) for key, each in boxes.items()}
    beside = [Box(each.above + each.below, 6.0, each.width) for each in rooms]
    found = layout(turned, [Line(*end, each) for end, each in zip(ends, beside, strict=True)])
    return Layout(
        {key: (y, x - turned[key].width / 2 + boxes[key].above) for key, (x, y) in found.vertices.items()},
        [(y, x) for x, y in found.labels],
        [[(y, x) for x, y in route] for route in found.routes],
        found.height,
        found.width,
    ), True


def wrapped(text: str) -> list[str]:
    """Returns a text for a box, in as few lines as it takes; the last may end in an ellipsis."""
    found: list[str] = []
    while len(text) > LONGEST and len(found) < LINES - 1:
        cut = text.rfind(" ", 0, LONGEST + 1)
        cut = cut if cut > LONGEST // 3 else max(text.rfind(each, 0, LONGEST) + 1 for each in "([,._=+")
        cut = cut if cut > LONGEST // 3 else LONGEST
        found.append(text[:cut].strip())
        text = text[cut:].strip()
    return [*found, text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"]


def room(label: Label) -> Box:
    """Returns the room of a label: its value above the edge, everything else below."""
    longest = max(map(len, [label.value, label.note, *label.lines]))
    sign = 2 if any(row.wrong for row in label.rows) else 0
    return Box((longest + 2 + sign) * CHARACTER, ROW + 4, (len(label.lines) + bool(label.note)) * ROW + 5)


def under(vertex: Vertex, uses: int) -> list[tuple[str, bool]]:
    """Returns the lines below a vertex, each with whether it is good news: sums, gradients under test, mistakes."""
    found = []
    if vertex.total is not None and uses > 1:
        found.append((f"Σ of {uses} uses: {_brief(vertex.total)}", True))
    if vertex.given is not None and uses != 1:
        other = vertex.total is not None and np.shape(vertex.given) != np.shape(vertex.total)
        found.append((f"yours: {'other shape' if other else _brief(vertex.given)}", vertex.ok))
    if vertex.marked:
        found.append(("the mistake is here", False))
    return found


def _brief(array: object) -> str:
    return f"norm {brief(norm(array), 4)}" if getattr(array, "shape", ()) else brief(array)


def box(vertex: Vertex, uses: int) -> Box:
    """Returns the room of a vertex with what stands below it."""
    lines = wrapped(vertex.label)
    letters = max([*(len(line) * 1.2 for line in lines), *(len(text) + 2 for text, _ in under(vertex, uses))])
    if vertex.kind == "layer":
        letters = max(letters, 13)
    half = half_height(vertex)
    return Box(max(34.0, letters * CHARACTER + 14), half + 1, half + 1 + len(under(vertex, uses)) * ROW)


def half_height(vertex: Vertex) -> float:
    """Returns half the height of a vertex, in pixels."""
    return 7.0 + 8.0 * len(wrapped(vertex.label)) + (7.0 if vertex.kind == "layer" else 0.0)
