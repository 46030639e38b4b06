"""Another forward pass that fits the gradient: another activation, operands exchanged."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.backprop.special import erf
from functional_nets.gradcheck.evidence import Evidence
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


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def _gelu_slope(x: Any) -> Any:
    return 0.5 * (1 + erf(x / np.sqrt(2))) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _inner(x: Any) -> Any:
    return np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + _inner(x))


def _gelu_tanh_slope(x: Any) -> Any:
    t = _inner(x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x * x)


ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sigmoid": (_sigmoid, lambda x: _sigmoid(x) * (1 - _sigmoid(x))),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "ReLU": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "leaky ReLU of slope 0.01": (lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1.0, 0.01)),
    "leaky ReLU of slope 0.2": (lambda x: np.where(x > 0, x, 0.2 * x), lambda x: np.where(x > 0, 1.0, 0.2)),
    "ELU": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1.0, np.exp(x))),
    "softplus": (lambda x: np.logaddexp(x, 0), _sigmoid),
    "GELU (exact)": (_gelu, _gelu_slope),
    "GELU (tanh)": (_gelu_tanh, _gelu_tanh_slope),
    "GELU (x·sigmoid(1.702 x))": (
        lambda x: x * _sigmoid(1.702 * x),
        lambda x: _sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - _sigmoid(1.702 * x))),
    ),
    "SiLU": (lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x)))),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "abs": (np.abs, np.sign),
    "square": (np.square, lambda x: 2 * x),
    "exp": (np.exp, np.exp),
    "log(1 + x)": (np.log1p, lambda x: 1 / (1 + x)),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "the identity": (lambda x: x, np.ones_like),
}  # fmt: skip


def _activations(evidence: Evidence, again: set[int]) -> Iterator[Hypothesis]:
    """Another activation's derivative, or the gradient of a pass with another activation."""
    wrong = frozenset(evidence.wrong)
    values = evidence.program.values
    for inside, x, y in regions(evidence):
        if not wrong & evidence.reach[x] or y not in evidence.cotangents or np.size(values[x]) < 3:
            continue
        if not any(is_curved(evidence, position) for position in inside):
            continue
        names = [name for name, (value, _) in ACTIVATIONS.items() if _same(value, values[x], values[y])]
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


def _same(value: Callable[[Any], Any], x: Any, y: Any) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.allclose(value(x), y, rtol=1e-9, atol=1e-12))


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
