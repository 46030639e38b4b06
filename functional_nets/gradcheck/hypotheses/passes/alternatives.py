"""Another forward pass that fits the gradient: another activation, operands exchanged."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.activations import ACTIVATIONS, names_of
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.loops.runs import repeated
from functional_nets.gradcheck.hypotheses.rules.functions import is_curved, regions, slope
from functional_nets.gradcheck.program import Foreign, Node, active_nodes, compute, gradient, is_real, rerun, walk

NEAREST = 6
BINARY = {"sub", "div", "mul", "dot_general", "add"}


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the gradients of forward passes that differ in one operation."""
    again = repeated(evidence)
    yield from _activations(evidence, again)
    for position in evidence.active:
        node = evidence.program.nodes[position]
        if node.op in BINARY and position not in again and any(evidence.concerns(n) for n in node.outputs):
            yield from _operands(evidence, position)


def replaced(
    evidence: Evidence, position: int, x: int, y: int, value: Callable[[Any], Any], derivative: Callable[[Any], Any]
) -> list[Any]:
    """The gradient when the operation at a position computes y from x by another function."""
    program = evidence.program
    nodes = list(program.nodes)
    foreign = Foreign(lambda fx: value(fx), lambda g, fx: (g * derivative(fx),))
    nodes[position] = Node("a function", (x,), (y,), {}, nodes[position].where, foreign)
    changed = program._replace(nodes=tuple(nodes))
    with np.errstate(all="ignore"):
        values = rerun(changed, {y: value(program.values[x])})
        changed = changed._replace(values=values)
        return gradient(changed, walk(changed, evidence.active, values=values))


def _activations(evidence: Evidence, again: set[int]) -> Iterator[Hypothesis]:
    """Another activation's derivative, or the gradient of a pass with another activation."""
    wrong = frozenset(evidence.wrong)
    values = evidence.program.values
    for inside, x, y in regions(evidence):
        if not wrong & evidence.reach[x] or y not in evidence.cotangents or np.size(values[x]) < 3:
            continue
        if not any(is_curved(evidence, position) for position in inside):
            continue
        names = names_of(values[x], values[y])
        if not names:
            continue
        d = slope(evidence, inside, x, y)
        for name, (value, derivative) in ACTIVATIONS.items():
            if name in names:
                continue
            with np.errstate(all="ignore"):
                other = derivative(values[x])
                if not np.all(np.isfinite(other)):
                    continue
                g = evidence.cotangents[y]
                text = f"this is the derivative of {name}; the activation here is {names[0]}"
                yield Hypothesis("wrong_derivative", inside[0], text, 0.9, {x: g * (other - d)})
            if inside[0] in again:
                continue
            text = f"this gradient belongs to a forward pass with {name} where the loss has {names[0]}"
            make = partial(replaced, evidence, inside[0], x, y, value, derivative)
            yield Hypothesis("wrong_derivative", inside[0], text, 1.2, None, make)


def _operands(evidence: Evidence, position: int) -> Iterator[Hypothesis]:
    """The operation with another array of the same shape, or a transposed one, in both passes."""
    program = evidence.program
    node = program.nodes[position]
    here = node.outputs[0]
    for place, own in enumerate(node.inputs):
        value = program.values[own]
        if not is_real(value) or np.size(value) < 2:
            continue
        near = sorted(evidence.twins.get(np.shape(value), []), key=lambda number: abs(number - here))
        for number in [n for n in near if n != own and _precedes(evidence, n, position)][:NEAREST]:
            inputs = (*node.inputs[:place], number, *node.inputs[place + 1 :])
            text = "this gradient belongs to a forward pass that takes another array of the same shape here"
            yield Hypothesis("wrong_operand", position, text, 1.6, None, partial(_rewired, evidence, position, inputs))
    a, b = (list(node.inputs) * 2)[:2]
    if a != b and np.shape(program.values[a]) == np.shape(program.values[b]):
        text = "this gradient belongs to a forward pass with the two operands here exchanged"
        kind = "sign" if node.op == "sub" else "wrong_operand"
        yield Hypothesis(kind, position, text, 1.4, None, partial(_rewired, evidence, position, (b, a)))


def _precedes(evidence: Evidence, number: int, position: int) -> bool:
    made = evidence.made.get(number)
    return made is None or made < position


def _computed(node: Node, *inputs: Any) -> Any:
    return compute(node, inputs)[0]


def _rewired(evidence: Evidence, position: int, inputs: tuple[int, ...]) -> list[Any]:
    program = evidence.program
    nodes = list(program.nodes)
    nodes[position] = nodes[position]._replace(inputs=inputs)
    changed = program._replace(nodes=tuple(nodes))
    with np.errstate(all="ignore"):
        values = rerun(changed, {}, edits={position: partial(_computed, nodes[position])})
        return gradient(changed, walk(changed, active_nodes(changed, changed.leaves), values=values))
