"""What the witnesses and the gradient check say of a graph, in sentences."""

import linecache
from typing import NamedTuple

from functional_nets.gradcheck.cells import shown_file
from functional_nets.report.graph.model import Edge, Model
from functional_nets.report.graph.strokes import place

ODD = {
    ("jax.grad",): "jax.grad contradicts the rule and the finite difference",
    ("rule",): "the hand-written rule contradicts jax.grad and the finite difference",
    ("differences",): "the finite difference contradicts the rule and jax.grad",
    ("rule", "jax.grad"): "the rule and jax.grad differ, and the finite difference cannot tell which is right",
    ("rule", "jax.grad", "differences"): "no two of rule, jax.grad and finite difference agree",
}


class Sentence(NamedTuple):
    """A sentence, and whether it is good news."""

    text: str
    good: bool


def verdict(model: Model, *, briefly: bool) -> list[Sentence]:
    """Returns what was found: of the witnesses, and of the gradient under test.

    Args:
        model: The graph.
        briefly: Name files without their folders, and leave out the lines of source.
    """
    notes = [Sentence(f"note: {note}", True) for note in model.testimony.notes]
    return [*_of_witnesses(model, briefly), *_of_tested(model, briefly), *notes]


def _of_witnesses(model: Model, briefly: bool) -> list[Sentence]:
    wrong = [edge for edge in model.backward if edge.differing]
    kinks = sum(edge.gradient.kinked() for edge in model.edges)
    found = []
    if wrong:
        first, count = wrong[0], len(wrong)
        edges = f"{count} of {len(model.edges)} edges" if count > 1 else "one edge"
        text = f"✗ disagreement on {edges}, first in backward order on {described(model, first, briefly)}"
        found.append(Sentence(f"{text}: {ODD[first.differing]}", False))
    elif any(edge.gradient.jax is None for edge in model.edges):
        found.append(Sentence(f"✓ the rule and finite differences agree on all {len(model.edges)} edges", True))
    else:
        beside = f", {kinks} of them at a kink" if kinks else ""
        complex_ones = sum(edge.gradient.measured is None for edge in model.edges)
        beside += f"; {complex_ones} of complex numbers are not measured by differences" if complex_ones else ""
        found.append(
            Sentence(f"✓ rule, jax.grad and finite difference agree on all {len(model.edges)} edges{beside}", True)
        )
    if model.inconsistent:
        names = ", ".join(model.inconsistent)
        found.append(Sentence(f"✗ jax.grad of the whole function is another for {names} than along its edges", False))
    return found


def described(model: Model, edge: Edge, briefly: bool) -> str:
    """Returns an edge in words, with its line."""
    source, target = model.vertices[edge.source], model.vertices[edge.target]
    where = target.where
    line = "" if where is None else f" at {place(where)}" if briefly else f" at {_line(where.file, where.line)}"
    return f"{source.label} → {target.label}{line}"


def _line(file: str, line: int) -> str:
    text = linecache.getline(file, line).strip()
    return f"{shown_file(file)}:{line}" + (f" `{text}`" if text else "")


def _of_tested(model: Model, briefly: bool) -> list[Sentence]:
    report = model.report
    if report is None:
        return []
    if report.ok:
        return [Sentence("✓ your gradient is right", True)]
    wrong = [leaf.path for leaf in report.leaves if not leaf.ok]
    found = [
        Sentence(f"✗ your gradient is wrong in {', '.join(wrong)}" if wrong else "✗ your gradient is wrong", False)
    ]
    if model.cause is not None:
        cause = model.cause
        where = "" if cause.file is None or cause.line is None else _line(cause.file, cause.line) + ": "
        if briefly and cause.file is not None:
            where = where.replace(cause.file, cause.file.replace("\\", "/").rpartition("/")[2]).split(" `")[0]
            where = where.removesuffix(": ") + ": "
        found.append(Sentence(f"✗ {where}{cause.message}", False))
    elif report.suspects:
        lines = dict.fromkeys(f"line {suspect.line}" for suspect in report.suspects if suspect.line is not None)
        found.append(Sentence(f"✗ no known mistake gives it; it must lie in the backward of {', '.join(lines)}", False))
    return found
