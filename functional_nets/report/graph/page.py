"""The page of a gradient graph: one file with its own script and style, for mouse, finger and keyboard."""

import html
import json
import linecache
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from functional_nets.equations import Location
from functional_nets.report.graph.disagreements import contradicted
from functional_nets.report.graph.labels import gradients
from functional_nets.report.graph.model import Model
from functional_nets.report.graph.parts import Edge, View
from functional_nets.report.graph.picture import LEGEND, STYLE, picture
from functional_nets.report.graph.strokes import place
from functional_nets.report.graph.symbols import brief, shape
from functional_nets.report.graph.text import rows
from functional_nets.report.graph.verdict import Sentence

ELEMENTS = 36  # Shown of a tensor: all of a small one, of a larger one those of largest gradient.


def page(model: Model, title: str, sentences: Sequence[Sentence], *, fold: bool) -> str:
    """Returns the page.

    Args:
        model: The graph.
        title: The page's.
        sentences: What was found.
        fold: Whether the layers are folded at first.
    """
    states: dict[str, View] = {"all": model.view()}
    if model.layers:
        states["folded"] = model.view(())
        # Each layer is drawn once, below the folded graph: so the page grows as the graph does.
        states |= {str(number): model.inside(number) for number in range(len(model.layers))}
    start = "folded" if fold else "all"
    layer = {key: str(number) for key, number in model.folds.items()}
    folds = layer | {f"l{number}": str(number) for number in range(len(model.layers))}
    names = {str(number): each.label for number, each in enumerate(model.layers)}
    pictures = "".join(
        f'<div class="view" data-state="{state}"{"" if state == start else " hidden"}>'
        + (f"<h2>{html.escape(names[state])}</h2>" if state in names else "")
        + f"{picture(view, [], names.get(state, title), folds)}</div>"
        for state, view in states.items()
    )
    details: dict[str, dict[str, Any]] = {}
    for view in states.values():
        details |= {edge.key: _detail(edge, view) for edge in view.edges if edge.key not in details}
    wrong = next((each.edge for each in contradicted(model) if each.edge is not None), None)
    mistake = next((f"u{unit}" for unit in sorted(model.causes)), None)
    data = {
        "start": start,
        "layers": layer,
        "details": details,
        "first": None if wrong is None else [wrong.key, layer.get(wrong.target, "")],
        "mistake": mistake,
        "names": _names(states.values()),
    }
    folder = files(__package__)
    return _fill(
        (folder / "page.html").read_text(encoding="utf-8"),
        title=html.escape(title),
        style=STYLE + (folder / "page.css").read_text(encoding="utf-8"),
        verdict="".join(f'<p class="{"good" if s.good else "bad"}">{html.escape(s.text)}</p>' for s in sentences),
        legend=html.escape(LEGEND.replace("Above an edge", "Above an edge, or first beside it") + " (—: not measured)"),
        pictures=pictures,
        table=_table(model),
        data=json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
        script=(folder / "page.js").read_text(encoding="utf-8"),
    )


def _fill(template: str, **parts: str) -> str:
    """Returns the template with its `{{names}}` replaced, in one go: what is put in is not looked at again."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def _table(model: Model) -> str:
    heading, *lines = rows(model.backward, model.vertices)
    head = "".join(f'<th scope="col">{html.escape(cell or "note")}</th>' for cell in heading)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _names(views: Iterable[View]) -> dict[str, str]:
    """Returns, by vertex, what a search looks through: what stands on it, its place and its line of source."""
    return {
        key: " ".join((vertex.label, place(vertex.where), _source(vertex.where)))
        for view in views
        for key, vertex in view.vertices.items()
    }


def _source(where: Location | None) -> str:
    return linecache.getline(where.file, where.line).strip() if where else ""


def _detail(edge: Edge, view: View) -> dict[str, Any]:
    """Returns what a click on an edge shows: each element of a tensor, by every witness."""
    source, target = view.vertices[edge.source], view.vertices[edge.target]
    by_witness = gradients(edge)
    slopes = by_witness.pop("differences")
    indices = _indices(edge, slopes)
    value, where = np.asarray(edge.value), target.where
    lines = [
        [str(list(index)) if index else "", brief(value[index], 8)]
        + ["—" if each is None else brief(np.asarray(each)[index], 8) for each in by_witness.values()]
        + [brief(slopes[index], 8) if index in slopes else "not measured"]
        for index in indices
    ]
    measured = edge.gradient.measured
    if measured is not None and measured.along is not None:
        along = ["—" if g is None else brief(np.vdot(measured.direction, g), 8) for g in by_witness.values()]
        lines.insert(0, ["along a random direction", "", *along, brief(measured.along.value, 8)])
    tested = source.given
    if tested is not None and np.shape(tested) == value.shape:
        lines = [[*line, brief(tested[tuple(json.loads(line[0] or "[]"))], 8) if line[1] else ""] for line in lines]
    uses = sum(each.source == edge.source for each in view.edges)
    yours = "yours" if uses == 1 else f"yours, Σ of {uses} uses"
    return {
        "name": f"{source.label} → {target.label}",
        "where": place(where),
        "source": _source(where),
        "kind": f"{value.dtype} {shape(value)}" if value.shape else "",
        "hidden": value.size - len(indices),
        "wrong": [*edge.differing, *([] if source.ok else ["yours"])],
        "yours": yours if lines and len(lines[0]) > 5 else "",
        "rows": lines,
    }


def _indices(edge: Edge, slopes: dict[tuple[int, ...], float]) -> list[tuple[int, ...]]:
    rule = np.asarray(edge.gradient.rule)
    if rule.size <= ELEMENTS:
        return list(np.ndindex(rule.shape))
    largest = np.argsort(-np.abs(rule), axis=None, kind="stable")[: ELEMENTS - len(slopes)]
    found = [tuple(int(i) for i in np.unravel_index(place, rule.shape)) for place in largest]
    return list(dict.fromkeys([*slopes, *found]))
