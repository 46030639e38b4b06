"""Mistakes in one array of the gradient itself: another shape, another order, a term added."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis

VIEWS = {"reshape", "broadcast_in_dim", "squeeze", "expand_dims", "transpose", "convert_element_type", "copy"}
MOST = 4  # Lines that use a parameter, beyond which none is looked at by itself.


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, when one leaf is wrong, what may have been done to it."""
    if len(evidence.wrong) == 1:
        (leaf,) = evidence.wrong
        position = first_use(evidence, leaf)
        for kind, text, cost, array in rearranged(evidence.reference[leaf]):
            yield _single(evidence, leaf, position, kind, text, cost, array)
        yield from _one_contribution(evidence, leaf)
        yield from _added(evidence, leaf, position)
        yield from _clipped(evidence, leaf, position)


def _one_contribution(evidence: Evidence, leaf: int) -> Iterator[Hypothesis]:
    """The same, done to what comes from one line of several: from the data, but not from the penalty."""
    lines: dict[Any, list[tuple[int, Any]]] = defaultdict(list)
    for position, place in evidence.uses.get(evidence.program.leaves[leaf], []):
        lines[evidence.program.nodes[position].where].append((position, evidence.entries(position)[place]))
    for uses in lines.values() if 1 < len(lines) <= MOST else ():
        part = np.sum([np.asarray(entry) for _, entry in uses], axis=0)
        position = min(p for p, _ in uses)
        for kind, text, cost, array in rearranged(part):
            changed = evidence.reference[leaf] - part + array
            yield _single(evidence, leaf, position, kind, f"of this line's part, {text}", cost + 0.3, changed)
        yield from _repeated_rows(evidence, leaf, position, part)


def _repeated_rows(evidence: Evidence, leaf: int, position: int, part: Any) -> Iterator[Hypothesis]:
    """A use that counts each row as often as the batch names it: a penalty that is added example by example."""
    error = evidence.given[leaf] - evidence.reference[leaf]
    if not error.ndim or len(error) < 3 or np.size(part) == 0:
        return
    rows, right = np.reshape(error, (len(error), -1)), np.reshape(part, (len(part), -1))
    sizes = np.sum(right * right, axis=1)
    with np.errstate(all="ignore"):
        times = np.where(sizes > 0, np.sum(rows * right, axis=1) / sizes, 0)
    whole = np.round(times)
    if len(np.unique(whole[sizes > 0])) < 2:
        return  # A factor, and known as such.
    off = np.max(np.abs(rows - whole[:, None] * right), initial=0.0)
    if off > 1e-7 * evidence.scales[leaf] + 4 * evidence.tolerances[leaf]:
        return
    shown = ", ".join(f"{count + 1:g}" for count in whole[:8]) + (", …" if len(whole) > 8 else "")
    text = f"of this line's part, the rows are counted {shown} times: count each once, not once for each example"
    added = np.reshape(whole[:, None] * right, error.shape)
    yield _single(evidence, leaf, position, "wrong_reduction", text, 0.9, evidence.reference[leaf] + added)


def first_use(evidence: Evidence, leaf: int) -> int | None:
    """Returns the node that uses a leaf first in the forward pass: where a person looks for its gradient."""
    uses = evidence.uses.get(evidence.program.leaves[leaf], [])
    while uses:
        position = min(uses)[0]
        node = evidence.program.nodes[position]
        same = np.size(evidence.program.values[node.outputs[0]]) == np.size(evidence.reference[leaf])
        uses = evidence.uses.get(node.outputs[0], []) if node.op in VIEWS and same else []
        if not uses:
            return position
    return None


def _single(
    evidence: Evidence, leaf: int, position: int | None, kind: str, text: str, cost: float, array: Any
) -> Hypothesis:
    def gradient() -> list[Any]:
        return [array if number == leaf else right for number, right in enumerate(evidence.reference)]

    return Hypothesis(kind, position, f"{evidence.paths[leaf]}: {text}", cost, None, gradient)


def rearranged(right: Any) -> Iterator[tuple[str, str, float, Any]]:
    """Yields (kind, text, cost, array): the right gradient with its elements in another order."""
    if right.ndim == 2 and right.shape[0] == right.shape[1]:
        yield "transposed", "the gradient is transposed", 0.3, right.T
    if right.ndim > 2:
        for order in itertools.permutations(range(right.ndim)):
            if order != tuple(range(right.ndim)) and tuple(right.shape[a] for a in order) == right.shape:
                yield "transposed", f"its axes are in the order {order}", 0.6, np.transpose(right, order)
    for count in range(1, min(right.ndim, 2) + 1):
        for axes in itertools.combinations(range(right.ndim), count):
            names = " and ".join(map(str, axes))
            flipped = np.flip(right, axes)
            yield "permuted", f"the gradient is reversed along axis {names}", 0.5 + 0.1 * count, flipped
    for axis in range(right.ndim):
        for step in (1, -1):
            text = f"the gradient is shifted by one along axis {axis}"
            yield "permuted", text, 0.9, np.roll(right, step, axis)
    if right.ndim > 1:
        text = "the elements are laid out in another order (column by column)"
        yield "permuted", text, 0.7, np.reshape(right.ravel(order="F"), right.shape)
        yield "permuted", text, 0.7, np.reshape(right.ravel(), right.shape, order="F")
        for order in itertools.islice(itertools.permutations(range(right.ndim)), 1, 24):
            text = f"the elements are laid out with the axes in the order {order}"
            yield "permuted", text, 0.9, np.transpose(right, order).reshape(right.shape)
    for axis in range(right.ndim):
        mean = np.broadcast_to(right.mean(axis, keepdims=True), right.shape)
        yield "wrong_reduction", f"the gradient is averaged over axis {axis}, which it has", 1.5, mean
        total = np.broadcast_to(right.sum(axis, keepdims=True), right.shape)
        yield "wrong_reduction", f"the gradient is summed over axis {axis}, which it has", 1.5, total
    yield "wrong_reduction", "the gradient is averaged over all its elements", 1.5, np.full_like(right, right.mean())
    yield "wrong_reduction", "all its elements are summed", 1.5, np.full_like(right, right.sum())
    yield "upstream", "the absolute value is given", 1.6, np.abs(right)
    yield "wrong_operand", "the gradient is squared", 1.8, right * right


def _added(evidence: Evidence, leaf: int, position: int | None) -> Iterator[Hypothesis]:
    """A multiple of something that has the leaf's shape."""
    error = evidence.given[leaf] - evidence.reference[leaf]
    ones = np.ones_like(error)
    if np.size(error) > 1 and np.ptp(error) <= 1e-9 * (np.max(np.abs(error)) or 1):
        constant = float(error.flat[0])
        text = f"a constant {constant:.6g} is added to every element"
        yield _single(evidence, leaf, position, "extra_term", text, 1.6, evidence.reference[leaf] + constant * ones)
    off = np.abs(error) > max(evidence.tolerances[leaf], 1e-12 * evidence.scales[leaf])
    rows = np.reshape(off, (len(error), -1)) if error.ndim else np.zeros((0, 1), bool)
    row = np.flatnonzero(np.any(rows, axis=1))
    if len(row) == 1 and error.shape[0] > 2 and not np.any(evidence.given[leaf][row[0]]):
        array = evidence.reference[leaf].copy()
        array[row[0]] = 0
        text = f"row {row[0]} is left at zero: a loop that starts or ends one too early"
        yield _single(evidence, leaf, position, "missing_term", text, 1.0, array)


def _clipped(evidence: Evidence, leaf: int, position: int | None) -> Iterator[Hypothesis]:
    given, right = evidence.given[leaf], evidence.reference[leaf]
    bound = float(np.max(np.abs(given), initial=0.0))
    if bound and np.count_nonzero(np.abs(given) == bound) > 1:
        text = f"the gradient is clipped to [-{bound:g}, {bound:g}]"
        yield _single(evidence, leaf, position, "upstream", text, 0.8, np.clip(right, -bound, bound))
