"""Examples in one order and their labels in another: shuffled apart, or sorted by a column that came alone.

Where the loss is a sum over examples, so is the gradient: what each example gives with each label is computed once,
and the order is found by exchanging two at a time.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.passes.process import at, reader
from functional_nets.gradcheck.program import cotangent, entries, gradient, is_real, rerun, walk

MOST = 16  # Examples; each needs a backward pass with each label.
PROJECTIONS = 48
RESTARTS = 100


class Column(NamedTuple):
    """An argument, and its axis that runs over the examples."""

    number: int
    axis: int


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each argument that others run alongside, the order in which the gradient given has it."""
    for which, column in _columns(evidence):
        if evidence.late:
            return
        order = _order(evidence, column)
        if order is None or np.array_equal(order, np.arange(len(order))):
            continue
        text = (
            f"the gradient is that for argument {which + 1} in the order {', '.join(map(str, order))}: was it "
            "shuffled or sorted without the others?"
        )
        make = partial(at, evidence, {column.number: _reordered(evidence, column, order)})
        yield Hypothesis("permuted", reader(evidence, column.number), text, 1.0, None, make)


def _columns(evidence: Evidence) -> Iterator[tuple[int, Column]]:
    """The arguments with as many examples as another one has."""
    values = evidence.program.values
    shapes = [np.shape(values[number]) for number in evidence.program.arguments]
    for which, number in enumerate(evidence.program.arguments):
        alongside = {n for other, shape in enumerate(shapes) if other != which for n in shape}
        for axis, count in enumerate(shapes[which]):
            if 2 < count <= MOST and count in alongside and not hasattr(values[number], "addressable_data"):
                yield which, Column(number, axis)
                break


def _reordered(evidence: Evidence, column: Column, order: Any) -> Any:
    return np.take(np.asarray(evidence.program.values[column.number]), order, axis=column.axis)


def _order(evidence: Evidence, column: Column) -> Any:
    """The order that gives the gradient given, or None."""
    count = np.shape(evidence.program.values[column.number])[column.axis]
    parts = _parts(evidence, column, count)
    if parts is None:
        return None
    rows = np.arange(count)
    rest = _flat(evidence, evidence.reference) - parts[rows, rows].sum(0)
    wanted = _flat(evidence, evidence.given) - rest
    shifted = at(evidence, {column.number: _reordered(evidence, column, np.roll(rows, -1))})
    additive = parts[rows, np.roll(rows, -1)].sum(0) + rest - _flat(evidence, shifted)
    room = 1e-7 + 64 * evidence.rounding
    if not np.all(np.isfinite(parts)) or np.max(np.abs(additive)) > room:
        return None
    directions = np.random.default_rng(5).standard_normal((parts.shape[-1], PROJECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    return _matched(parts @ directions, wanted @ directions, room)


def _parts(evidence: Evidence, column: Column, count: int) -> Any:
    """The gradient that example i gives with the argument's j-th entry: [count, count, elements], or None."""
    program = evidence.program
    last = _sum_over_examples(evidence, count)
    if last is None:
        return None
    position, axis = last
    node = program.nodes[position]
    after = [p for p in evidence.active if p >= position]
    found: Any = None
    for shift in range(count):
        order = np.roll(np.arange(count), -shift)
        values = rerun(program, {column.number: _reordered(evidence, column, order)})
        g = cotangent(node, walk(program, after, values=values), values)
        (entry, *_) = entries(node, g, values)
        for example in range(count):
            if evidence.late:
                return None
            mask = np.arange(count) == example
            one = entry * np.expand_dims(mask, tuple(a for a in range(np.ndim(entry)) if a != axis))
            pulled = walk(program, evidence.active, start={node.inputs[0]: one}, values=values, below=position)
            part = _flat(evidence, gradient(program, pulled))
            found = np.zeros((count, count, part.size)) if found is None else found
            found[example, order[example]] = part
    return found


def _sum_over_examples(evidence: Evidence, count: int) -> tuple[int, int] | None:
    """The last reduction over as many elements as there are examples, and its axis."""
    for position in reversed(evidence.active):
        node = evidence.program.nodes[position]
        if node.op == "reduce_sum" and evidence.concerns(node.inputs[0]):
            shape = np.shape(evidence.program.values[node.inputs[0]])
            axes = [axis for axis in node.params["axes"] if shape[axis] == count]
            if axes:
                return position, axes[0]
    return None


def _flat(evidence: Evidence, leaves: Any) -> Any:
    return np.concatenate(
        [np.ravel(leaves[leaf]) / evidence.scales[leaf] for leaf in evidence.compared if is_real(leaves[leaf])]
    )


def _matched(parts: Any, wanted: Any, room: float) -> Any:
    """The order whose parts add up to what is wanted, found by the best exchange of two at a time, or None."""
    count = len(parts)
    rows = np.arange(count)
    random = np.random.default_rng(6)
    first, second = np.triu_indices(count, 1)
    for start in range(RESTARTS):
        order = rows.copy() if start == 0 else random.permutation(count)
        off = parts[rows, order].sum(0) - wanted
        for _ in range(4 * count):
            if np.max(np.abs(off)) <= room:
                return order
            a, b = order[first], order[second]
            change = parts[first, b] + parts[second, a] - parts[first, a] - parts[second, b]
            sizes = np.sum((off + change) ** 2, axis=1)
            best = int(np.argmin(sizes))
            if sizes[best] >= np.sum(off**2):
                break
            order[[first[best], second[best]]] = order[[second[best], first[best]]]
            off = off + change[best]
    return None
