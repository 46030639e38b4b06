"""What a gradient graph draws as one operation: an equation, or a call that has a derivative rule of its own."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from functional_nets.equations import Location
from functional_nets.gradcheck.program import (
    Call,
    Cotangents,
    Node,
    Program,
    Values,
    active_nodes,
    compute,
    cotangent,
    entries,
    is_real,
    walk,
)  # fmt: skip

Place = tuple[int, int]
"""The number of a unit, and the place of an operand there."""


class Unit(NamedTuple):
    """One operation of the graph.

    Attributes:
        op: The primitive's name, or that of the function called.
        operands: Numbers of the values that it takes, one of them several times perhaps.
        outputs: Numbers of the values that it gives.
        positions: The program's nodes that it consists of.
        params: The equation's params; empty for a call.
        where: The user's line.
        stack: The lines that led to it.
        scope: The names that the user has given to the place.
        equation: What JAX evaluates.
        custom: Whether it is a call, of which JAX may know another rule than what it computes.
    """

    op: str
    operands: tuple[int, ...]
    outputs: tuple[int, ...]
    positions: tuple[int, ...]
    params: dict[str, Any]
    where: Location | None
    stack: tuple[Location, ...]
    scope: str
    equation: Any
    custom: bool

    @property
    def places(self) -> range:
        """The places of the operands that are edges: a call takes a value once, whatever it does with it."""
        return range(len(dict.fromkeys(self.operands)) if self.custom else len(self.operands))

    def taken(self, place: int) -> int:
        """Returns the number of the value that is taken at a place."""
        return (list(dict.fromkeys(self.operands)) if self.custom else self.operands)[place]


def units(program: Program, cotangents: Cotangents, active: Sequence[int]) -> list[Unit]:
    """Returns the operations through which the result depends on the inputs, in the order in which they run."""
    live = [p for p in active if not cotangents.keys().isdisjoint(program.nodes[p].outputs)]
    owner = {position: call for call in program.calls if _whole(call) for position in range(call.first, call.after)}
    found: list[Unit] = []
    done: set[int] = set()
    for position in live:
        call = owner.get(position)  # An outer call comes after the inner one, and replaces it.
        if call is None:
            found.append(_of_node(program.nodes[position], position))
        elif id(call) not in done:
            done.add(id(call))
            inside = tuple(p for p in live if call.first <= p < call.after)
            found.append(_of_call(call, inside, program.nodes[position]))
    return found


def _whole(call: Call) -> bool:
    return call.after > call.first and set(call.inputs).isdisjoint(call.outputs)


def _of_node(node: Node, position: int) -> Unit:
    return Unit(
        node.op, node.inputs, node.outputs, (position,), node.params, node.where, node.stack, node.scope,
        node.equation, False,
    )  # fmt: skip


def _of_call(call: Call, inside: tuple[int, ...], node: Node) -> Unit:
    stack = node.stack[: node.stack.index(call.where) + 1] if call.where in node.stack else node.stack
    return Unit(call.name, call.inputs, call.outputs, inside, {}, call.where, stack, node.scope, call.equation, True)


def active_positions(program: Program) -> list[int]:
    """Returns the nodes through which the result depends on any argument of real numbers."""
    sources = (*program.leaves, *program.arguments)
    return active_nodes(program, [number for number in sources if is_real(program.values[number])])


def passed_back(unit: Unit, program: Program, cotangents: Cotangents, values: Values) -> list[Any]:
    """Returns what the rules give to each place of an operation, None where nothing flows back."""
    if not unit.custom:
        node = program.nodes[unit.positions[0]]
        g = cotangent(node, cotangents, values)
        return [None] * len(unit.operands) if g is None else list(entries(node, g, values))
    start = {number: cotangents[number] for number in unit.outputs if number in cotangents}
    found = walk(program, unit.positions, start=start, values=values)
    return [found.get(unit.taken(place)) for place in unit.places]


def outputs_after(unit: Unit, program: Program, place: int, value: Any) -> dict[int, Any]:
    """Returns the outputs of an operation, and what lies inside a call, when another value is taken at one place."""
    if not unit.custom:
        node = program.nodes[unit.positions[0]]
        inputs = [program.values[number] for number in node.inputs]
        inputs[place] = value
        return dict(zip(node.outputs, compute(node, inputs), strict=True))
    known = {unit.taken(place): value}
    for position in unit.positions:
        node = program.nodes[position]
        inputs = [known.get(number, program.values[number]) for number in node.inputs]
        known.update(zip(node.outputs, compute(node, inputs), strict=True))
    del known[unit.taken(place)]  # It is moved for this operation only.
    return {number: program.values[number] for number in unit.outputs} | known
