"""A forward pass in which a choice always goes one way, or in which nothing stops the gradient."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.passes.alternatives import replaced
from functional_nets.gradcheck.hypotheses.passes.process import at
from functional_nets.gradcheck.program import Program, active_nodes, gradient, walk


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the gradients of such forward passes."""
    yield from _let_through(evidence)
    program = evidence.program
    for position in evidence.active:
        node = program.nodes[position]
        if node.op == "select_n" and program.values[node.inputs[0]].dtype == bool and len(node.inputs) == 3:
            which = node.inputs[0]
            for new, words in ((np.zeros_like, "never holds"), (np.ones_like, "always holds")):
                text = f"this gradient belongs to a forward pass in which the condition here {words}"
                make = partial(at, evidence, {which: new(program.values[which])})
                yield Hypothesis("wrong_mask", position, text, 0.25, None, make)
            shape = np.shape(program.values[which])
            if len(shape) > 1 and shape[-1] == shape[-2]:
                text = "this gradient belongs to a forward pass in which the mask here is transposed"
                make = partial(at, evidence, {which: np.swapaxes(program.values[which], -1, -2)})
                yield Hypothesis("wrong_mask", position, text, 0.85, None, make)
            text = "this gradient belongs to a forward pass in which the condition here is inverted"
            make = partial(at, evidence, {which: ~program.values[which]})
            yield Hypothesis("wrong_mask", position, text, 0.9, None, make)
        if node.op in ("max", "min", "clamp"):
            varying = [
                n for n in node.inputs if np.shape(program.values[n]) == np.shape(program.values[node.outputs[0]])
            ]
            for number in varying:
                text = f"this gradient belongs to a forward pass without the {node.op} here"
                make = partial(_passed, evidence, position, number)
                yield Hypothesis("wrong_mask", position, text, 1.1, None, make)


def _let_through(evidence: Evidence) -> Iterator[Hypothesis]:
    """A stop_gradient of the loss that the gradient given has not."""
    program = evidence.program
    stops = [p for p, node in enumerate(program.nodes) if node.op == "stop_gradient"]
    for position in stops:
        nodes = list(program.nodes)
        nodes[position] = nodes[position]._replace(op="copy", params={})
        changed = program._replace(nodes=tuple(nodes))
        text = "the gradient goes through here, where the loss has a stop_gradient: leave this contribution out"
        yield Hypothesis("extra_term", position, text, 0.2, None, partial(_whole, changed))


def _whole(program: Program) -> list[Any]:
    return gradient(program, walk(program, active_nodes(program, program.leaves)))


def _passed(evidence: Evidence, position: int, number: int) -> list[Any]:
    """The gradient when an operation gives one of its operands as it is."""
    return replaced(evidence, position, number, evidence.program.nodes[position].outputs[0], lambda x: x, np.ones_like)
