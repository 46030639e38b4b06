"""Mistakes about a value as a whole: laid out wrongly on its way back, or changed in place."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.backprop.rules import RULES, backward
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis

IN_PLACE = (
    ("v²", np.square), ("1 - v²", lambda v: 1 - v * v), ("v(1 - v)", lambda v: v * (1 - v)), ("-v", np.negative),
    ("max(v, 0)", lambda v: np.maximum(v, 0)), ("v > 0", lambda v: (v > 0) * 1.0), ("exp(v)", np.exp),
    ("1 - v", lambda v: 1 - v), ("2 v", lambda v: 2 * v), ("v/2", lambda v: v / 2), ("√v", np.sqrt), ("|v|", np.abs),
)  # fmt: skip


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields what may have happened to each value."""
    for number, g in evidence.cotangents.items():
        if evidence.concerns(number) and np.ndim(g) > 2 and np.size(g) > 3:
            yield from _laid_out(evidence, number, np.asarray(g))
    for number, uses in evidence.uses.items():
        yield from _changed(evidence, number, uses)


def _laid_out(evidence: Evidence, number: int, g: Any) -> Iterator[Hypothesis]:
    """The gradient reshaped as if its axes were in another order, as images channels first and channels last are."""
    made = evidence.made.get(number)
    if made is None:
        return
    for order in itertools.islice(itertools.permutations(range(g.ndim)), 1, 24):
        laid = np.transpose(np.reshape(g, [g.shape[axis] for axis in order]), np.argsort(order))
        if not np.array_equal(laid, g):
            text = f"the gradient is reshaped here as if its axes were in the order {order}: transpose it first"
            delta = {number: laid - g}
            yield Hypothesis("permuted", made, text, 1.2, delta, partial(evidence.pulled, delta, made + 1))


def _changed(evidence: Evidence, number: int, uses: list[tuple[int, int]]) -> Iterator[Hypothesis]:
    """A value that was overwritten by a function of itself before the products that need it were differentiated."""
    program = evidence.program
    products = [(p, place) for p, place in uses if program.nodes[p].op in ("dot_general", "mul")]
    reached = frozenset().union(*(evidence.reach.get(n, frozenset()) for n in _others(evidence, products)))
    if not products or not frozenset(evidence.wrong) <= reached or np.size(program.values[number]) < 2:
        return
    for name, change in IN_PLACE:
        with np.errstate(all="ignore"):
            other = change(program.values[number])
        if not np.all(np.isfinite(other)) or np.array_equal(other, program.values[number]):
            continue
        delta: dict[int, Any] = {}
        for position, place in products:
            node = program.nodes[position]
            inputs = [program.values[n] for n in node.inputs]
            inputs[place] = other
            y, g = program.values[node.outputs[0]], evidence.cotangents_of(position)
            new = backward(node.op, g, y, tuple(inputs), node.params)[1 - place] if node.op in RULES else None
            right = evidence.entries(position)[1 - place]
            if new is not None and right is not None and node.inputs[1 - place] in evidence.reach:
                own = node.inputs[1 - place]
                delta[own] = delta.get(own, 0) + (new - right)
        if delta:
            text = f"this value v was overwritten by {name} before it was used here: keep a copy of v"
            kind = "mutated"
            if name in ("v²", "√v", "2 v", "v/2") and not (name == "v²" and _squared_backward(evidence, number)):
                kind, text = "wrong_operand", f"where the value v belongs stands {name}: was it changed in place?"
            first = min(p for p, _ in products)
            pulled = partial(evidence.pulled, delta, max(p for p, _ in products))
            yield Hypothesis(kind, first, text, 1.75, delta, pulled)


def _squared_backward(evidence: Evidence, number: int) -> bool:
    """Whether a value's own derivative wants its square, as tanh's, 1 - v², does: code in place may leave that."""
    made = evidence.made.get(number)
    return made is not None and evidence.program.nodes[made].op == "tanh"


def _others(evidence: Evidence, products: list[tuple[int, int]]) -> list[int]:
    outputs = [evidence.program.nodes[p].outputs[0] for p, _ in products]
    return [*outputs, *(evidence.program.nodes[p].inputs[1 - place] for p, place in products)]
