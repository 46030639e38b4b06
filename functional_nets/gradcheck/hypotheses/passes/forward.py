"""A forward pass that leaves an operation out, and a backward pass that fits it: masks, scales, activations."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.program import Node, Values, gradient, is_real, rerun, walk

KINDS = {
    "select_n": ("wrong_mask", "the mask"),
    "log": ("wrong_loss", "the logarithm"),
    "abs": ("wrong_loss", "the absolute value"),
    "square": ("wrong_loss", "the square"),
    "integer_pow": ("wrong_loss", "the power"),
    "relu": ("wrong_derivative", "the activation"),
    "max": ("wrong_derivative", "the maximum"),
    "tanh": ("wrong_derivative", "the activation"),
    "logistic": ("wrong_derivative", "the activation"),
}


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each operation that keeps its operand's shape, the pass without it."""
    program = evidence.program
    for position in evidence.active:
        node = program.nodes[position]
        if len(node.outputs) != 1:
            continue
        yield from _averaged(evidence, position)
        y = program.values[node.outputs[0]]
        for place, number in enumerate(node.inputs):
            if number in evidence.reach and np.shape(program.values[number]) == np.shape(y) and np.size(y) > 1:
                kind, what = described(evidence, node, place)
                text = f"{what} is left out of the forward pass that this gradient belongs to"
                cost = 1.0 if node.op in ("add", "sub") else 1.3
                yield Hypothesis(kind, position, text, cost, None, _without(evidence, position, place, True))
                text = f"this gradient was computed from values without {what}"
                yield Hypothesis(kind, position, text, 1.4, None, _without(evidence, position, place, False))


def _averaged(evidence: Evidence, position: int) -> Iterator[Hypothesis]:
    """One mean of all where there is one for each unit or each example: a mean without its axis."""
    program = evidence.program
    node = program.nodes[position]
    x = program.values[node.inputs[0]]
    if node.op != "reduce_sum" or np.size(program.values[node.outputs[0]]) < 2 or not np.all(np.isfinite(x)):
        return
    y = np.full_like(program.values[node.outputs[0]], np.sum(x) / np.size(program.values[node.outputs[0]]))
    text = "the mean or sum here is taken over all axes in what this gradient was computed from: give it its axis"
    for consistent in (False, True):

        def make(consistent: bool = consistent) -> list[Any]:
            mean = {position: lambda node, g, values: (np.full_like(x, np.sum(g) / np.size(y)),)} if consistent else {}
            values = rerun(program, {node.outputs[0]: y})
            return gradient(program, walk(program, evidence.active, values=values, override=mean))

        yield Hypothesis("wrong_axis", position, text, 1.1, None, make)


def described(evidence: Evidence, node: Node, place: int) -> tuple[str, str]:
    """Returns the kind of mistake, and words for what is left out."""
    if node.op in KINDS:
        return KINDS[node.op]
    others = [evidence.program.values[n] for n in node.inputs if n != node.inputs[place]]
    if node.op in ("mul", "div"):
        if any(is_real(v) and np.size(v) > 1 and np.any(v == 0) for v in others):
            return "wrong_mask", "the mask"
        return "scale" if all(np.size(v) == 1 for v in others) else "wrong_operand", "this factor"
    if node.op in ("add", "sub"):
        return "missing_term", "this term"
    return "wrong_derivative", f"the operation {node.op}"


def _without(evidence: Evidence, position: int, place: int, consistent: bool) -> Callable[[], list[Any]]:
    def passed(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        return tuple(g if i == place else None for i in range(len(node.inputs)))

    def make() -> list[Any]:
        program = evidence.program
        node = program.nodes[position]
        values = rerun(program, {node.outputs[0]: program.values[node.inputs[place]]})
        override = {position: passed} if consistent else None
        return gradient(program, walk(program, evidence.active, values=values, override=override))

    return make
