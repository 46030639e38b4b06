"""A forward pass with one function more: softmax taken twice, an activation behind the last layer."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.activations import ACTIVATIONS
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.loops.runs import repeated
from functional_nets.gradcheck.hypotheses.rules.row_functions import NORMALISERS
from functional_nets.gradcheck.program import Node, Values, entries, gradient, is_real, rerun, walk


class Function(NamedTuple):
    """A function that may have been applied where the loss has none.

    Attributes:
        name: What people call it.
        kind: The mistake's identifier.
        value: Of x.
        pullback: Of g, y and x.
    """

    name: str
    kind: str
    value: Callable[[Any], Any]
    pullback: Callable[[Any, Any, Any], Any]


def _by_rows(index: int) -> Function:
    rows = NORMALISERS[index]
    return Function(
        f"{rows.name} over the last axis", "wrong_loss",
        lambda x: rows.value(x, (np.ndim(x) - 1,)), lambda g, y, x: rows.pullback(g, y, x, (np.ndim(x) - 1,)),
    )  # fmt: skip


def _activation(name: str, kind: str, words: str = "") -> Function:
    value, slope = ACTIVATIONS[name]
    return Function(words or name, kind, value, lambda g, y, x: g * slope(x))


FUNCTIONS = (
    _by_rows(0),
    _by_rows(1),
    _activation("sigmoid", "wrong_loss"),
    _activation("tanh", "wrong_derivative"),
    _activation("ReLU", "wrong_mask"),
    Function("log", "wrong_loss", np.log, lambda g, y, x: g / x),
    _activation("exp", "wrong_loss"),
    _activation("square", "wrong_loss", "the square"),
    _activation("abs", "wrong_loss", "the absolute value"),
    Function("the square root", "wrong_loss", np.sqrt, lambda g, y, x: 0.5 * g / y),
)


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each value and function, the gradient of the pass in which the value goes through the function."""
    again = repeated(evidence)
    for position in reversed(evidence.active):
        node = evidence.program.nodes[position]
        x = evidence.program.values[node.outputs[0]]
        if position in again or len(node.outputs) != 1 or not is_real(x) or np.size(x) < 3 or evidence.late:
            continue
        if not evidence.concerns(node.outputs[0]):
            continue
        for function in FUNCTIONS:
            with np.errstate(all="ignore"):
                y = function.value(x)
            if np.all(np.isfinite(y)) and not np.array_equal(y, x):
                text = f"this gradient belongs to a forward pass that takes {function.name} of this value as well"
                make = partial(_inserted, evidence, position, function, y)
                yield Hypothesis(function.kind, position, text, 1.3, None, make)


def _inserted(evidence: Evidence, position: int, function: Function, y: Any) -> list[Any]:
    program = evidence.program
    number = program.nodes[position].outputs[0]

    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        # What comes before the value is as it was: its rule wants the value itself.
        return entries(node, function.pullback(g, y, program.values[number]), program.values)

    with np.errstate(all="ignore"):
        values = rerun(program, {number: y})
        return gradient(program, walk(program, evidence.active, values=values, override={position: entry}))
