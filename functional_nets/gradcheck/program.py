"""A loss as a straight line of primitive operations, run forward and walked backward in NumPy.

Loops are unrolled and branches taken when the loss is traced at its arguments, so a program is a list: what
runs it, walks it or looks for a mistake in it is one short loop, and knows no primitive.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.rules import RULES, backward
from functional_nets.backprop.values import VALUES, evaluate
from functional_nets.equations import Location

Values = list[Any]
Cotangents = dict[int, Any]


SYMMETRIC = {"cholesky", "eigh"}
DECOMPOSITIONS = SYMMETRIC | {"lu", "custom_linear_solve"}
"""Primitives whose derivative holds only for operands that belong together: two triangles, a matrix and its factors."""


class Node(NamedTuple):
    """One operation.

    Attributes:
        op: The primitive's name in JAX.
        inputs: Numbers of the values that it takes.
        outputs: Numbers of the values that it gives.
        params: The equation's params.
        where: The user's line, if there is one.
        foreign: For a primitive that the tables do not know, its value and its pullback by JAX.
        equation: The equation of the jaxpr, None for a slice or a stack of an unrolled loop.
        stack: The lines through which the user's code has come to it, the outermost first.
        scope: Names that the user or a Flax module has given to the place, such as `encoder/dense`.
    """

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: dict[str, Any]
    where: Location | None
    foreign: "Foreign | None" = None
    equation: Any = None
    stack: tuple[Location, ...] = ()
    scope: str = ""


class Foreign(NamedTuple):
    """What the tables leave to JAX: `value(*inputs)`, and `pullback(g, *inputs)` with one entry per input."""

    value: Callable[..., Any]
    pullback: Callable[..., tuple[Any, ...]]


class Call(NamedTuple):
    """A function with a derivative rule of its own, or a routine of linear algebra, which the trace has entered.

    Attributes:
        name: The function's.
        first: The position of its first node.
        after: The position after its last one.
        inputs: Numbers of the values that it takes.
        outputs: Numbers of the values that it gives.
        where: The user's line.
        equation: The call in the jaxpr, of which JAX knows the rule.
    """

    name: str
    first: int
    after: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    where: Location | None
    equation: Any


class Program(NamedTuple):
    """A traced loss and its values.

    Attributes:
        nodes: The operations, in the order in which they run.
        values: Every value, by number: float64 where it is real.
        leaves: The numbers of the parameters' leaves.
        arguments: The numbers of the other arguments' leaves.
        result: The number of the loss.
        epsilon: Relative rounding error of the narrowest real type that the function asks for by itself.
        notes: What the trace could not do by the tables alone.
        calls: Functions with rules of their own and routines of linear algebra, an inner one before the outer.
    """

    nodes: tuple[Node, ...]
    values: Values
    leaves: tuple[int, ...]
    arguments: tuple[int, ...]
    result: int
    epsilon: float = 2.0**-53
    notes: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()


def compute(node: Node, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Returns the outputs of a node."""
    if node.op in VALUES:
        found = evaluate(node.op, tuple(inputs), node.params)
    elif node.foreign is not None:
        found = node.foreign.value(*inputs)
    else:
        raise LookupError(f"Expected a primitive with a value, found {node.op!r}.")
    return tuple(found) if isinstance(found, (tuple, list)) else (found,)


def rerun(
    program: Program,
    replaced: Mapping[int, Any],
    *,
    edits: Mapping[int, Callable[..., Any]] | None = None,
) -> Values:
    """Returns all values after some are replaced; only what depends on those is computed again.

    Args:
        program: The program.
        replaced: New values, by number.
        edits: Other forward functions, by the position of their node: `edit(*inputs) -> output`.
    """
    edits = edits or {}
    values = list(program.values)
    changed = set(replaced)
    for number, value in replaced.items():
        values[number] = value
    with np.errstate(all="ignore"):
        for position, node in enumerate(program.nodes):
            if position not in edits and changed.isdisjoint(node.inputs):
                continue
            if all(output in replaced for output in node.outputs):
                continue
            inputs = [values[number] for number in node.inputs]
            outputs = (edits[position](*inputs),) if position in edits else compute(node, inputs)
            for number, value in zip(node.outputs, outputs, strict=True):
                if number not in replaced:
                    values[number] = value
            changed.update(node.outputs)
    return values


def is_real(value: Any) -> bool:
    """Whether a value can have a gradient: floating-point numbers, not integers, masks or keys."""
    return isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fc"


def stretches(shape: Sequence[int], to: Sequence[int]) -> bool:
    """Whether an array of one shape can be broadcast to another."""
    return len(shape) <= len(to) and all(m in (1, n) for m, n in zip(shape[::-1], to[::-1], strict=False))


def active_nodes(program: Program, sources: Iterable[int]) -> list[int]:
    """Returns the positions of the nodes through which the loss depends on the sources, in order."""
    reached = set(sources)
    forward = []
    for position, node in enumerate(program.nodes):
        if not reached.isdisjoint(node.inputs):
            real = [number for number in node.outputs if is_real(program.values[number])]
            if real:
                reached.update(real)
                forward.append(position)
    wanted = {program.result}
    active = []
    for position in reversed(forward):
        node = program.nodes[position]
        if not wanted.isdisjoint(node.outputs):
            wanted.update(number for number in node.inputs if number in reached)
            active.append(position)
    return active[::-1]


def entries(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
    """Returns the cotangent of each input of a node, None where there is none.

    Args:
        node: The node.
        g: The cotangent of its output, or the tuple of them.
        values: What the rule may use.
    """
    inputs = tuple(values[number] for number in node.inputs)
    if node.op not in RULES:
        if node.foreign is None:
            raise LookupError(f"Expected a primitive with a backward rule, found {node.op!r}.")
        return node.foreign.pullback(g, *inputs)
    outputs = tuple(values[number] for number in node.outputs)
    return backward(node.op, g, outputs[0] if len(outputs) == 1 else outputs, inputs, node.params)


def cotangent(node: Node, cotangents: Cotangents, values: Values) -> Any:
    """Returns the cotangent of a node's output, zeros for outputs that nothing uses; None if all are such."""
    if cotangents.keys().isdisjoint(node.outputs):
        return None
    if len(node.outputs) == 1:
        return cotangents[node.outputs[0]]
    return tuple(
        cotangents[number] if number in cotangents else np.zeros_like(values[number]) for number in node.outputs
    )


def walk(
    program: Program,
    active: Sequence[int],
    *,
    start: Cotangents | None = None,
    values: Values | None = None,
    below: int | None = None,
    override: Mapping[int, Callable[..., tuple[Any, ...]]] | None = None,
) -> Cotangents:
    """Returns the cotangent of every value that the loss depends on: the backward pass.

    Args:
        program: The program.
        active: The positions that `active_nodes` gave.
        start: Cotangents to begin with; by default 1 for the loss.
        values: Values for the rules, instead of the program's.
        below: Begin with the nodes before this position.
        override: Other entries, by position: `override(node, g, values) -> entries`.
    """
    values = program.values if values is None else values
    override = override or {}
    cotangents = dict(start) if start is not None else {program.result: np.ones_like(values[program.result])}
    for position in reversed(active):
        if below is not None and position >= below:
            continue
        node = program.nodes[position]
        g = cotangent(node, cotangents, values)
        if g is None:
            continue
        found = override[position](node, g, values) if position in override else entries(node, g, values)
        for number, entry in zip(node.inputs, found, strict=True):
            if entry is not None:
                cotangents[number] = cotangents[number] + entry if number in cotangents else entry
    return cotangents


def gradient(program: Program, cotangents: Cotangents) -> list[Any]:
    """Returns the cotangents of the parameters' leaves, zeros where the loss does not depend on one."""
    return [
        cotangents[number] if number in cotangents else np.zeros_like(program.values[number])
        for number in program.leaves
    ]
