"""Log Σ exp x, whose gradient is the softmax of x: what people write in its place."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence, once
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.row_functions import Axes, all_axes, over
from functional_nets.gradcheck.program import is_real, stretches


class LogSumExp(NamedTuple):
    """Log Σ exp x in a program.

    Attributes:
        position: Its sum.
        x: The number of its input.
        p: The softmax of the input.
        axes: The axes of the sum.
    """

    position: int
    x: int
    p: Any
    axes: Axes


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields what stands where the gradient of each should be g softmax(x)."""
    program = evidence.program
    for position, x, p, axes in log_sum_exps(evidence):
        total = program.values[program.nodes[position].outputs[0]]
        g = np.expand_dims(np.asarray(evidence.cotangents_of(position)) * total, axes)
        for wrong, words, kind in _for_softmax(evidence, x, program.values[x], p, axes):
            text = f"the gradient of log Σ exp x is the softmax of x; here it is {words}"
            delta = {x: g * wrong - g * p}
            below = next(q for q in evidence.active if x in program.nodes[q].inputs)
            pulled = partial(evidence.pulled, delta, below)
            yield Hypothesis(kind, position, text, 0.7, delta, pulled)


@once
def log_sum_exps(evidence: Evidence) -> list[LogSumExp]:
    """Returns the sums of exponentials, at what a largest element is subtracted from if it is."""
    program = evidence.program
    producer = {n: p for p in evidence.active for n in program.nodes[p].outputs}
    found = []
    for position in evidence.active:
        node = program.nodes[position]
        if node.op != "reduce_sum" or node.inputs[0] not in producer:
            continue
        before = program.nodes[producer[node.inputs[0]]]
        if before.op != "exp" or before.inputs[0] not in evidence.reach:
            continue
        shift = program.nodes[producer[before.inputs[0]]] if before.inputs[0] in producer else None
        # Whoever writes log Σ exp subtracts the largest first; the gradient does not see it.
        x = shift.inputs[0] if shift and shift.op == "sub" and shift.inputs[0] in evidence.reach else before.inputs[0]
        if np.shape(program.values[x]) == np.shape(program.values[before.inputs[0]]):
            axes = tuple(node.params["axes"])
            p = program.values[node.inputs[0]] / np.expand_dims(program.values[node.outputs[0]], axes)
            found.append(LogSumExp(position, x, p, axes))
    return found


def _for_softmax(evidence: Evidence, x: int, logits: Any, p: Any, axes: Axes) -> Iterator[tuple[Any, str, str]]:
    """What people write where the gradient of log Σ exp has a softmax."""
    count = float(np.prod([p.shape[a] for a in axes]))
    yield (p == np.max(p, axis=axes, keepdims=True)) * 1.0, "1 for the largest and 0 for the others", "wrong_derivative"
    yield np.ones_like(p), "1 for all", "wrong_derivative"
    yield np.full_like(p, 1 / count), "the same share for all", "wrong_derivative"
    yield p * (1 - p), "the softmax's own derivative, p(1 - p)", "wrong_derivative"
    with np.errstate(all="ignore"):
        yield np.exp(logits), "exp x, without the division by their sum", "wrong_loss"
        for other in all_axes(p.ndim):
            if other != axes:
                e = np.exp(logits - np.max(logits))
                turned = e / np.sum(e, axis=other, keepdims=True)
                yield turned, f"the softmax over {over(other, p.ndim)}", "wrong_axis"
        made = evidence.made.get(x)
        for number in evidence.program.nodes[made].inputs if made is not None else ():
            term = evidence.program.values[number]
            if is_real(term) and np.size(term) > 1 and stretches(np.shape(term), p.shape):
                part = np.exp(np.broadcast_to(term, p.shape))
                yield part, "exp of one of the terms that x is made of", "wrong_operand"
                share = part / np.sum(part, axis=axes, keepdims=True)
                yield share, "the softmax of one of the terms that x is made of", "wrong_operand"
