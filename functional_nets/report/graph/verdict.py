"""What the witnesses and the gradient check say of a graph, in sentences."""

import linecache
import math
from typing import NamedTuple

import numpy as np

from functional_nets.equations import Location
from functional_nets.gradcheck.cells import shown_file
from functional_nets.report.graph.disagreements import contradicted
from functional_nets.report.graph.model import Model
from functional_nets.report.graph.parts import Edge
from functional_nets.report.graph.strokes import place
from functional_nets.report.graph.symbols import brief

ODD = {
    ("jax.grad",): "jax.grad contradicts the rule and the finite difference",
    ("rule",): "the hand-written rule contradicts jax.grad and the finite difference",
    ("differences",): "the finite difference contradicts the rule and jax.grad",
    ("rule", "jax.grad"): "the rule and jax.grad differ, and the finite difference cannot tell which is right",
    ("rule", "jax.grad", "differences"): "no two of rule, jax.grad and finite difference agree",
}

FEW = 8  # Names in a sentence.


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
    notes = [*_of_unused(model), *(Sentence(f"note: {note}", True) for note in model.testimony.notes)]
    witnesses, tested = _of_witnesses(model, briefly), _of_tested(model, briefly)
    wrong = bool(tested) and not tested[0].good  # Then that comes first: else the page would begin with "agree".
    return [*(tested + witnesses if wrong else witnesses + tested), *notes]


def _of_witnesses(model: Model, briefly: bool) -> list[Sentence]:
    undefined = [edge for edge in model.backward if edge.gradient.undefined]
    wrong = [edge for edge in model.backward if edge.differing and not edge.gradient.undefined]
    program = model.testimony.program
    result = float(program.values[program.result])
    found = []
    if not math.isfinite(result):
        found.append(Sentence(f"✗ the result is {brief(result)}, which has no slope", False))
    if undefined:
        text = f"✗ not finite on {_some(undefined, model)} {described(model, undefined[0], briefly)}"
        found.append(Sentence(f"{text}: {_undefined(model, undefined[0])}", False))
    if wrong:
        text = f"✗ disagreement on {_some(wrong, model)} {described(model, wrong[0], briefly)}"
        found.append(Sentence(f"{text}: {ODD[wrong[0].differing]}", False))
    if model.inconsistent:
        names = ", ".join(model.inconsistent)
        found.append(Sentence(f"✗ jax.grad of the whole function is another for {names} than along its edges", False))
    return found if undefined or wrong or not math.isfinite(result) else [_agreement(model), *found]


def _of_unused(model: Model) -> list[Sentence]:
    """Names the inputs that have no edge, as nothing flows back to them."""
    program = model.testimony.program
    flowing = {edge.source for edge in model.edges}
    taken = {number for node in program.nodes for number in node.inputs}
    found = []
    for text, used in (("unused", False), ("nothing flows back", True)):
        names = [
            each.name
            for place, each in enumerate(model.inputs)
            if f"i{place}" not in flowing and (each.number in taken) == used
        ]
        if names:
            listed = ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
            found.append(Sentence(f"{listed}: {text}, gradient 0", True))
    return found


def _some(edges: list[Edge], model: Model) -> str:
    count = f"{len(edges)} of {len(model.edges)} edges" if len(edges) > 1 else "one edge"
    return f"{count}, first in backward order on"


def _undefined(model: Model, edge: Edge) -> str:
    """Returns who says what where a gradient is nan or infinite, and why if it is the trap of a branch not taken."""
    gradient = edge.gradient
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(gradient.rule))[0])
    slope = gradient.measured.elements.get(index) if gradient.measured is not None else None
    told = slope is not None and math.isfinite(slope.value) and not slope.noisy(0.0)
    witnesses = "the rule says" if gradient.jax is None else "rule and jax.grad say"
    differences = f"differences say {brief(slope.value)}" if slope is not None and told else "differences cannot tell"
    text = f"{witnesses} {brief(gradient.rule[index])}, {differences}"
    back = [model.testimony.totals.get(value) for value in model.unit(edge.target).outputs]
    if told and not any(np.any(each) for each in back if each is not None):
        text += "; nothing comes back into it, and 0 times infinity is nan: keep its operand away from there"
    return text


def _agreement(model: Model) -> Sentence:
    count = len(model.edges)
    edges = f"all {count} edges" if count > 1 else "the only edge"
    if any(edge.gradient.jax is None for edge in model.edges):
        return Sentence(f"✓ the rule and finite differences agree on {edges}", True)
    kinks = sum(edge.gradient.kinked() for edge in model.edges)
    beside = f", {kinks} of them at a kink" if kinks else ""
    unmeasured = sum(edge.gradient.measured is None for edge in model.edges)
    if unmeasured:
        beside += f"; differences do not measure {unmeasured} of them: complex numbers, or parts of a decomposition"
    return Sentence(f"✓ rule, jax.grad and finite difference agree on {edges}{beside}", True)


def described(model: Model, edge: Edge, briefly: bool) -> str:
    """Returns an edge in words, with its line."""
    source, target = model.vertices[edge.source], model.vertices[edge.target]
    return f"{source.label} → {target.label}{_at(target.where, briefly)}"


def _at(where: Location | None, briefly: bool) -> str:
    return "" if where is None else f" at {place(where)}" if briefly else f" at {_line(where.file, where.line)}"


def _line(file: str, line: int) -> str:
    text = linecache.getline(file, line).strip()
    return f"{shown_file(file)}:{line}" + (f" `{text}`" if text else "")


def _of_tested(model: Model, briefly: bool) -> list[Sentence]:
    report = model.report
    if report is None:
        return []
    if report.ok:
        return [Sentence("✓ your gradient is right", True)]
    found = [Sentence(f"✗ your gradient is wrong{_where_wrong(model, briefly)}", False)]
    if model.cause is not None:
        cause = model.cause
        where = "" if cause.file is None or cause.line is None else _line(cause.file, cause.line) + ": "
        if briefly and cause.file is not None:
            where = where.replace(cause.file, cause.file.replace("\\", "/").rpartition("/")[2]).split(" `")[0]
            where = where.removesuffix(": ") + ": "
        return [*found, Sentence(f"✗ {where}{cause.message}", False)]
    lines = dict.fromkeys(f"line {suspect.line}" for suspect in report.suspects if suspect.line is not None)
    if lines:
        found.append(Sentence(f"✗ no known mistake gives it; it must lie in the backward of {', '.join(lines)}", False))
    return found


def _where_wrong(model: Model, briefly: bool) -> str:
    """Returns in which inputs the gradient under test is wrong, and on which edge first, going back."""
    wrong = [each.name for each in model.inputs if not each.ok]
    if not wrong:
        return ""
    edge, name, _ = next(each for each in contradicted(model) if "yours" in each.witnesses)
    where = model.vertices[edge.target].where if edge is not None else None
    first = ", first in backward order" if len(wrong) > 1 else ""
    return f" in {', '.join(wrong)}{first} on {name}{_at(where, briefly)}"
