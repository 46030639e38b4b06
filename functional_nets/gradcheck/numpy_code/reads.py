"""Elements that are read several times, by an index, by windows that overlap, or by slices in a loop.

Backward, each reading adds to the element's gradient. Code that assigns keeps the last one instead, in whatever
order its loops run.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis

ADD = "add them (+=, or np.add.at where an index may hold a place twice)"


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields what becomes of the gradient of a value whose elements are read several times."""
    program = evidence.program
    readers: dict[int, list[int]] = {}
    for position in evidence.active:
        node = program.nodes[position]
        if node.op == "take":
            readers.setdefault(node.inputs[0], []).append(position)
    for number, positions in readers.items():
        reads = [_read(evidence, position) for position in positions]
        right = np.sum([_added(evidence, number, *read) for read in reads], axis=0)
        hits = np.sum([_added(evidence, number, where, np.ones(where.shape)) for where, _ in reads], axis=0)
        if np.max(hits, initial=0.0) < 2:
            continue
        for text, cost, kind, wrong in _wrong(evidence, number, reads, right, hits):
            if not np.array_equal(wrong, right):
                yield Hypothesis(kind, positions[0], text, cost, {number: wrong - right})


def _wrong(
    evidence: Evidence, number: int, reads: list[tuple[Any, Any]], right: Any, hits: Any
) -> Iterator[tuple[str, float, str, Any]]:
    what = "elements that are read several times"
    for turn in (reads, reads[::-1]):
        for axes in range(max(where.ndim for where, _ in reads) + 1):
            for backwards in (False, True):
                assigned = np.zeros(np.size(right))
                for where, g in turn:
                    order = tuple(np.roll(range(where.ndim), axes % max(1, where.ndim)))
                    at, values = (np.transpose(part, order).ravel() for part in (where, g))
                    step = -1 if backwards else 1
                    assigned[at[::step]] = values[::step]
                text = f"the gradients of {what} overwrite each other: {ADD}"
                yield text, 0.2, "overwritten", assigned.reshape(np.shape(right))
    text = f"the gradients of {what} are averaged: {ADD}"
    yield text, 0.5, "wrong_reduction", right / np.maximum(hits, 1)


def _read(evidence: Evidence, position: int) -> tuple[Any, Any]:
    """Returns where a node reads its input, by flat index, and the gradient that comes back from there."""
    node = evidence.program.nodes[position]
    shape = np.shape(evidence.program.values[node.inputs[0]])
    where = np.arange(int(np.prod(shape))).reshape(shape)[node.params["index"]]
    return np.asarray(where), np.broadcast_to(np.asarray(evidence.cotangents_of(position)), np.shape(where))


def _added(evidence: Evidence, number: int, where: Any, g: Any) -> Any:
    total = np.zeros(np.size(evidence.program.values[number]))
    np.add.at(total, where, g)
    return total.reshape(np.shape(evidence.program.values[number]))
