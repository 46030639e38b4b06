"""The edges of a gradient graph where someone is contradicted: a witness, or the gradient under test."""

from typing import NamedTuple

from functional_nets.report.graph.model import Model
from functional_nets.report.graph.parts import Edge, Vertex


class Disagreement(NamedTuple):
    """An edge at which witnesses, or the gradient under test, are contradicted.

    Attributes:
        edge: From what to what, such as `x → exp`; of a gradient under test that is a sum, all uses: `x → exp, sin`.
        file: The file of the operation that takes the value.
        line: The line there.
        witnesses: Who is contradicted: `rule`, `jax.grad`, `differences`, or `yours`, the gradient under test.
    """

    edge: str
    file: str | None
    line: int | None
    witnesses: tuple[str, ...]


class Contradicted(NamedTuple):
    """An edge with who is contradicted there; no edge for an input that is not used.

    Attributes:
        edge: For a sum over several uses, the one after which it is complete, going back.
        name: From what to what.
        witnesses: Who is contradicted.
    """

    edge: Edge | None
    name: str
    witnesses: tuple[str, ...]


def contradicted(model: Model) -> list[Contradicted]:
    """Returns where someone is contradicted, in backward order, and then the inputs that are not used."""
    last = {edge.source: edge.key for edge in model.backward}
    found = []
    for edge in model.backward:
        source = model.vertices[edge.source]
        yours = ("yours",) if not source.ok and last[edge.source] == edge.key else ()
        if edge.differing or yours:
            name = f"{source.label} → {_takers(model, edge, all_uses=bool(yours))}"
            found.append(Contradicted(edge, name, (*edge.differing, *yours)))
    unused = [vertex for key, vertex in model.vertices.items() if not vertex.ok and key not in last]
    return [*found, *(Contradicted(None, f"{vertex.label} → nothing", ("yours",)) for vertex in unused)]


def _takers(model: Model, edge: Edge, all_uses: bool) -> str:
    uses = [each for each in model.backward if each.source == edge.source] if all_uses else [edge]
    takers: list[Vertex] = [model.vertices[each.target] for each in uses]
    return ", ".join(dict.fromkeys(taker.label for taker in takers))


def disagreements(model: Model) -> list[Disagreement]:
    """Returns the same with file and line."""
    found = []
    for edge, name, witnesses in contradicted(model):
        where = model.vertices[edge.target].where if edge is not None else None
        file, line = (where.file, where.line) if where else (None, None)
        found.append(Disagreement(name, file, line, witnesses))
    return found
