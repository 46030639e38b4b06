"""A view of a gradient graph as SVG text, legible on light and on dark paper, and by those who see no colours."""

from collections import Counter
from collections.abc import Mapping, Sequence

from functional_nets.report.graph.labels import Label, givens, label
from functional_nets.report.graph.layout import Layout
from functional_nets.report.graph.parts import View
from functional_nets.report.graph.rooms import arranged
from functional_nets.report.graph.strokes import draw_edge, draw_vertex, escaped

MARGIN = 16.0
LEGEND = "Above an edge: the value; below it the gradient by hand-written rule, by jax.grad, by finite difference"
LEGEND_DOWN = LEGEND.replace("Above an edge", "Beside an edge").replace("below it", "under it")

STYLE = """
.gg { --paper: #fff; --ink: #1b2733; --faint: #5a6875; --wire: #8593a1; --value: #0a56a8; --slope: #8a3f00;
  --wrong: #b3131f; --box: #f1f4f7; --given: #e4f0fb; --fold: #fff4dc; --mark: #ffd7d9; }
@media (prefers-color-scheme: dark) {
  .gg { --paper: #10161d; --ink: #e6edf3; --faint: #9aa7b4; --wire: #6d7b8a; --value: #7cc0ff; --slope: #ffb27a;
    --wrong: #ff8a85; --box: #1d2731; --given: #142f4a; --fold: #3a2f14; --mark: #5a1d22; } }
.gg text { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: var(--ink); white-space: pre; }
.gg .paper { fill: var(--paper); }
.gg .name { text-anchor: middle; font-size: 13px; font-weight: 600; }
.gg .layer .name { font-weight: 500; }
.gg .small { text-anchor: middle; fill: var(--faint); }
.gg .value { fill: var(--value); font-weight: 600; }
.gg .slope { fill: var(--slope); }
.gg .heading, .gg .legend { fill: var(--faint); }
.gg .wrong { fill: var(--wrong); font-weight: 700; }
.gg .verdict { font-size: 12px; }
.gg .ground { fill: none; pointer-events: all; }
.gg .wire { fill: none; stroke: var(--wire); stroke-width: 1.5; }
.gg .head { fill: var(--wire); }
.gg .differs .wire { stroke: var(--wrong); stroke-width: 2.5; stroke-dasharray: 7 3; }
.gg .differs .head { fill: var(--wrong); }
.gg .box { fill: var(--box); stroke: var(--wire); stroke-width: 1.2; }
.gg .input .box { fill: var(--given); }
.gg .layer .box { fill: var(--fold); stroke-dasharray: 4 2; }
.gg .marked .box { fill: var(--mark); stroke: var(--wrong); stroke-width: 2.5; }
.gg .bad .box { stroke: var(--wrong); stroke-width: 2.5; }
"""


def picture(view: View, verdict: Sequence[tuple[str, bool]], title: str, folds: Mapping[str, str] | None = None) -> str:
    """Returns the SVG element of a view.

    Args:
        view: What is drawn.
        verdict: Lines below the drawing, each with whether it is good news.
        title: What a screen reader says of the whole.
        folds: For a page: by the key of a vertex, what a click on it does; None for a picture that stands alone.
    """
    tested = givens(view)
    labels = [
        label(edge, tested[edge.key].given, tested[edge.key].ok) if edge.key in tested else label(edge)
        for edge in view.edges
    ]
    placed, down = arranged(view, labels)
    ends = _ends(view, placed, down)
    uses = Counter(edge.source for edge in view.edges)
    parts = [
        draw_edge(edge, labels[number], view, placed, number, ends[number], down, folds is not None)
        for number, edge in enumerate(view.edges)
    ]
    parts += [
        draw_vertex(vertex, placed.vertices[key], uses[key], None if folds is None else folds.get(key, ""))
        for key, vertex in view.vertices.items()
    ]
    legend = legend_of(LEGEND_DOWN if down else LEGEND, labels)
    return _framed(parts, placed, [*verdict, (legend, True)], title, folds is not None)


def legend_of(text: str, labels: Sequence[Label]) -> str:
    """Returns the legend, with what a dash means if there is one."""
    dashes = any("—" in row.numbers for each in labels for row in each.rows)
    return f"{text} (—: not measured)" if dashes else text


def _framed(parts: Sequence[str], placed: Layout, verdict: Sequence[tuple[str, bool]], title: str, page: bool) -> str:
    lines = [] if page else verdict
    width = max([placed.width, *(len(text) * 7.4 for text, _ in lines)]) + 2 * MARGIN
    height = placed.height + 2 * MARGIN + len(lines) * 19.0
    below = "".join(
        f'<text class="{"legend" if number == len(lines) - 1 else "verdict" if good else "verdict wrong"}" x="0" '
        f'y="{placed.height + 24 + 19 * number:.0f}">{escaped(text)}</text>'
        for number, (text, good) in enumerate(lines)
    )
    about = "" if page else f"<title>{escaped(title)}</title><style>{STYLE}</style>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="gg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="{"group" if page else "img"}" aria-label="{escaped(title)}">'
        f'{about}<rect class="paper" width="{width:.0f}" height="{height:.0f}" rx="8"/>'
        f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">{"".join(parts)}{below}</g></svg>'
    )


def _ends(view: View, placed: Layout, down: bool) -> list[float]:
    """Returns, by edge, how far from its target's middle it ends: those that meet there come in side by side."""
    ends = [0.0] * len(view.edges)
    for key, vertex in view.vertices.items():
        here = [number for number, edge in enumerate(view.edges) if edge.target == key]
        here.sort(key=lambda number: placed.labels[number][0 if down else 1])
        apart = min(9.0, (30.0 if vertex.kind == "layer" else 18.0) / max(1, len(here)))
        for row, number in enumerate(here):
            ends[number] = (row - (len(here) - 1) / 2) * apart
    return ends
