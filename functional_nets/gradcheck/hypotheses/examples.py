"""Examples that count more or less than they should: left out, counted twice, without their weights."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.fitting import simple
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis

MOST = 64  # Examples for which one backward pass each is made.
LARGEST = 3_000_000  # Numbers that these passes give.
EQUATIONS = 4000  # Elements of the gradient that are compared; the whole is, once the weights are found.


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each sum over a batch that the loss is made of, the weights of its elements that fit."""
    program = evidence.program
    for position in evidence.active:
        node = program.nodes[position]
        if node.op != "reduce_sum" or not evidence.concerns(node.inputs[0]):
            continue
        right = np.asarray(evidence.entries(position)[0])
        for axis in node.params["axes"]:
            if 1 < right.shape[axis] <= MOST:
                yield from _weighted(evidence, position, node.inputs[0], right, axis)


def _weighted(evidence: Evidence, position: int, number: int, right: Any, axis: int) -> Iterator[Hypothesis]:
    count = right.shape[axis]
    masks = [_one(right.ndim, axis, count, index) for index in range(count)]
    parts = [evidence.signature({number: right * mask}) for mask in masks]
    if count > len(evidence.target) - 2 or evidence.solved(parts, np.sum(parts, axis=0)) is None:
        sizes = sum(np.size(evidence.given[leaf]) for leaf in evidence.compared)
        if not count + 4 <= sizes <= LARGEST / count:
            return
        weights = _by_all_elements(evidence, position, number, right, masks)
    else:
        weights = evidence.solved(parts, np.sum(parts, axis=0))
    if weights is None or np.ptp(weights) < 1e-7:
        return
    weights = np.array([simple(float(weight), rounding=evidence.rounding)[0] for weight in weights])
    delta = {number: right * sum(w * mask for w, mask in zip(weights, masks, strict=True)) - right}
    kind, at, text, cost = _described(weights, position, axis)
    factor = _factor(evidence, position) if cost > 1.5 else None
    if factor is not None:
        kind, at, text = "wrong_operand", factor, text.replace("count each once", "are this factor's numbers others?")
    yield Hypothesis(kind, at, text, cost, delta, partial(evidence.pulled, delta, position))


def _factor(evidence: Evidence, position: int) -> int | None:
    """The product with an array that has no gradient, such as weights, from which a sum's elements come."""
    program = evidence.program
    made = evidence.made.get(program.nodes[position].inputs[0])
    while made is not None and made in evidence.active:
        node = program.nodes[made]
        fixed = [n for n in node.inputs if n not in evidence.reach or _stopped(evidence, n)]
        if node.op in ("mul", "div") and any(np.ptp(np.real(program.values[n])) > 0 for n in fixed):
            return made
        varying = [n for n in node.inputs if n not in fixed]
        if len(varying) != 1 or np.size(program.values[varying[0]]) != np.size(program.values[node.outputs[0]]):
            return None
        made = evidence.made.get(varying[0])
    return None


def _stopped(evidence: Evidence, number: int) -> bool:
    made = evidence.made.get(number)
    return made is not None and evidence.program.nodes[made].op == "stop_gradient"


def _by_all_elements(evidence: Evidence, position: int, number: int, right: Any, masks: list[Any]) -> Any:
    """Least squares with every element of the gradient as an equation, where the projections are too few."""
    sizes = sum(np.size(evidence.given[leaf]) for leaf in evidence.compared)
    chosen = np.random.default_rng(3).permutation(sizes)[:EQUATIONS]

    def flat(leaves: list[Any]) -> Any:
        whole = [np.ravel(leaves[leaf]) / evidence.scales[leaf] for leaf in evidence.compared]
        return np.concatenate(whole)[chosen]

    without = flat(evidence.pulled({number: -right}, position))
    columns = [flat(evidence.pulled({number: right * (mask - 1)}, position)) - without for mask in masks]
    wanted = flat(evidence.given) - without
    matrix = np.stack(columns, axis=1)
    if not np.all(np.isfinite(matrix)) or np.linalg.matrix_rank(matrix) < len(masks):
        return None
    found = np.linalg.lstsq(matrix, wanted, rcond=1e-12)[0]
    off = np.max(np.abs(matrix @ found - wanted))
    return found if off <= max(1e-7, 8 * evidence.rounding) else None


def _one(ndim: int, axis: int, count: int, index: int) -> Any:
    return np.expand_dims((np.arange(count) == index) * 1.0, tuple(a for a in range(ndim) if a != axis))


def _described(weights: Any, position: int, axis: int) -> tuple[str, int, str, float]:
    kept = np.flatnonzero(np.abs(weights) > 1e-9)
    others = weights[kept]
    if len(kept) < len(weights) and np.ptp(others) < 1e-7:
        each = "" if abs(others[0] - 1) < 1e-7 else f", each {others[0]:.4g} times"
        if np.all(np.diff(kept) == 1) and len(kept):
            text = f"only {kept[0]} to {kept[-1]} of the {len(weights)} elements along axis {axis} are counted{each}"
            several = len(kept) > 1 and len(weights) > 3
            return "wrong_reduction", position, text + ": sum over all", 0.95 if several else 1.45
        text = f"elements {', '.join(map(str, np.flatnonzero(np.abs(weights) <= 1e-9)))} along axis {axis} are left out"
        return "wrong_mask", position, text + each, 1.3
    shown = ", ".join(f"{weight:.4g}" for weight in weights[:8]) + (", …" if len(weights) > 8 else "")
    return "wrong_reduction", position, f"the elements along axis {axis} are weighted by {shown}: count each once", 1.8
