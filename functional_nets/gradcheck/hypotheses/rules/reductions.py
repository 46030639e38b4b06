"""Sums that stop short: one index for all, a mask that is missing, the wrong axis, a pool that hands out too much."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.backprop.rules import RULES
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.convolutions import overlapping
from functional_nets.gradcheck.hypotheses.rules.pooling import Found, maximum, windows
from functional_nets.gradcheck.program import Node


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields what goes wrong at operations that gather many elements into one or spread one over many."""
    for position in evidence.active:
        node = evidence.program.nodes[position]
        for place, number in enumerate(node.inputs):
            right = evidence.entries(position)[place]
            if right is None or not evidence.concerns(number):
                continue
            found = _stretched(evidence, position, node, place)
            if node.op == "concatenate":
                found = _concatenated(evidence, position, node, place)
            elif place == 0 and node.op in TABLE:
                found = TABLE[node.op](evidence, position, node)
            for kind, text, cost, wrong_entry in found:
                if np.shape(wrong_entry) == np.shape(right) and not np.array_equal(wrong_entry, right):
                    yield Hypothesis(kind, position, text, cost, {number: wrong_entry - right})


def _broadcast(evidence: Evidence, position: int, node: Node) -> Found:
    """One value that is used at many places: its gradient is the sum over them."""
    g = np.asarray(evidence.cotangents_of(position))
    x = evidence.program.values[node.inputs[0]]
    kept = tuple(node.params["broadcast_dimensions"])
    lost = tuple(a for a in range(g.ndim) if a not in kept or x.shape[kept.index(a)] != g.shape[a])
    yield from _unsummed(g, x, lost)


def _stretched(evidence: Evidence, position: int, node: Node, place: int) -> Found:
    """An operand that an elementwise operation stretches, as [units, 1] + [units, batch] does."""
    x = evidence.program.values[node.inputs[place]]
    lost = stretched_axes(evidence, node, place)
    if not lost:
        return
    inputs = tuple(np.asarray(evidence.program.values[number]) for number in node.inputs)
    y = evidence.program.values[node.outputs[0]]
    with np.errstate(all="ignore"):
        whole = RULES[node.op](evidence.cotangents_of(position), y, *inputs, **node.params)[place]
    if whole is not None and np.shape(whole) == np.shape(y):
        yield from _unsummed(np.asarray(whole), x, lost)


def stretched_axes(evidence: Evidence, node: Node, place: int) -> tuple[int, ...]:
    """Returns the axes along which an elementwise operation repeats an operand."""
    if node.op not in RULES or len(node.outputs) != 1:
        return ()
    x, y = (np.shape(evidence.program.values[n]) for n in (node.inputs[place], node.outputs[0]))
    if x == y or len(x) not in (0, len(y)) or node.op in TABLE or node.op in ("dot_general", "reduce_prod"):
        return ()
    if not x:
        return tuple(range(len(y)))
    fits = all(m in (1, n) for m, n in zip(x, y, strict=True))
    return tuple(a for a, (m, n) in enumerate(zip(x, y, strict=True)) if m != n) if fits else ()


def _unsummed(g: Any, x: Any, lost: tuple[int, ...]) -> Found:
    """The gradient of a value that is used along the lost axes, not summed over them as it must be."""
    if not lost or not g.size:
        return
    for index, name in ((0, "first"), (-1, "last")):
        part = g
        for axis in lost:
            part = np.take(part, [index], axis)
        text = f"only the {name} of the places that share this value is counted: sum over all"
        yield "wrong_reduction", text, 0.7, np.reshape(part, x.shape)
    for axis in lost:
        others = tuple(a for a in lost if a != axis)
        for index, name in ((0, "first"), (-1, "last")):
            part = np.take(g, [index], axis).sum(others)
            if part.size == x.size:
                text = f"only the {name} index of axis {axis} is counted: sum over the axis"
                yield "wrong_reduction", text, 0.8, np.reshape(part, x.shape)
        part = np.take(g, range(1, g.shape[axis]), axis).sum(lost)
        yield "missing_term", f"the first index of axis {axis} is left out of the sum", 1.2, np.reshape(part, x.shape)
        part = np.take(g, range(g.shape[axis] - 1), axis).sum(lost)
        yield "missing_term", f"the last index of axis {axis} is left out of the sum", 1.2, np.reshape(part, x.shape)
    for extreme in (g.max(lost), g.min(lost)):
        text = "the largest of them is taken where they must be summed"
        yield "wrong_reduction", text, 1.5, np.reshape(extreme, x.shape)
    for extreme in (g.max(), g.min()):
        text = "one contribution is counted for each place, however many there are: sum over all"
        yield "wrong_reduction", text, 1.55, np.full(x.shape, extreme)
    text = "the absolute values are summed: sum the values"
    yield "wrong_reduction", text, 1.8, np.reshape(np.abs(g).sum(lost), x.shape)
    for axes in _subsets(g.ndim, len(lost)):
        summed = g.sum(axes)
        if axes != lost and summed.shape == tuple(n for a, n in enumerate(g.shape) if a not in lost):
            text = f"the sum runs over axis {_names(axes)} instead of {_names(lost)}"
            yield "wrong_axis", text, 0.9, np.reshape(summed, x.shape)


def _sum(evidence: Evidence, position: int, node: Node) -> Found:
    """A sum hands its gradient to every element."""
    g = np.asarray(evidence.cotangents_of(position))
    x = evidence.program.values[node.inputs[0]]
    axes = tuple(node.params["axes"])
    whole = np.broadcast_to(np.expand_dims(g, axes), x.shape)
    for axis in axes:
        if x.shape[axis] < 2:
            continue
        for index, name in ((0, "first"), (x.shape[axis] - 1, "last")):
            mask = np.expand_dims(np.arange(x.shape[axis]) == index, tuple(a for a in range(x.ndim) if a != axis))
            text = f"the gradient of this sum reaches only the {name} index of axis {axis}: hand it to all"
            yield "wrong_reduction", text, 0.85, whole * mask
    count = np.prod([x.shape[axis] for axis in axes])
    if len(axes) < x.ndim:
        pools = len(axes) > 1
        for index, name in ((0, "first"), (-1, "last")):
            corner = np.zeros(x.shape, bool)
            corner[tuple(index if axis in axes else slice(None) for axis in range(x.ndim))] = True
            text = f"each element of a sum gets the gradient; here only the {name} does"
            yield "wrong_pooling", text, 0.9 if pools else 1.3, whole * corner
            yield "wrong_pooling", text, 0.9 if pools else 1.3, whole * corner * count
        if pools:
            text = "the gradient is repeated element by element: put each window's where the window is"
            yield "wrong_pooling", text, 0.9, np.reshape(np.repeat(g, count), x.shape)
        largest = x == np.max(x, axis=axes, keepdims=True)
        text = "each element of an average gets its share of the gradient; here the largest does"
        yield "wrong_pooling", text, 1.2, whole * largest
        yield "wrong_pooling", text, 1.1, whole * largest * count


def _gather(evidence: Evidence, position: int, node: Node) -> Found:
    """A read adds its gradient back to where it read: rows that are read twice get both."""
    from functional_nets.backprop.indexing import gather_places

    x, indices = (evidence.program.values[number] for number in node.inputs[:2])
    g = np.asarray(evidence.cotangents_of(position))
    params = node.params
    places = gather_places(x.shape, indices, params["dimension_numbers"], params["slice_sizes"], params["mode"])
    assigned = np.zeros(x.shape)
    assigned[tuple(np.broadcast_arrays(*places.at))] = np.broadcast_to(g * places.inside, g.shape)
    text = "rows that are read several times keep only the last gradient: add them, as np.add.at does"
    yield "overwritten", text, 0.4, assigned
    index = tuple(np.broadcast_arrays(*places.at))
    backwards = np.zeros(x.shape)
    backwards[tuple(np.flip(i) for i in index)] = np.flip(np.broadcast_to(g * places.inside, g.shape))
    yield "overwritten", text, 0.5, backwards
    if g.ndim > 1:
        by_column = np.zeros(x.shape)  # As a loop over the second axis assigns.
        by_column[tuple(np.swapaxes(i, 0, 1) for i in index)] = np.swapaxes(g * places.inside, 0, 1)
        yield "overwritten", "rows that are read several times keep only the last gradient", 0.5, by_column
    if g.ndim > 1:
        each = np.zeros(x.shape)  # As np.add.at would have it from example to example, and assignment within one.
        for example in range(len(g)):
            alone = np.zeros(x.shape)
            alone[tuple(i[example] for i in index)] = np.broadcast_to(g * places.inside, g.shape)[example]
            each += alone
        yield "overwritten", text, 0.55, each
    total, hits = np.zeros(x.shape), np.zeros(x.shape)
    np.add.at(total, index, np.broadcast_to(g * places.inside, g.shape))
    np.add.at(hits, index, 1)
    text = "the gradients of rows that are read several times are averaged: add them"
    yield "wrong_reduction", text, 0.6, total / np.maximum(hits, 1)
    for axis in range(x.ndim):
        for step in (1, -1):
            text = "the gradient goes to the neighbour of the row that was read: the index is off by one"
            yield "permuted", text, 1.2, np.roll(total, step, axis)


def _overwritten(evidence: Evidence, position: int, node: Node) -> Found:
    """What was written over has no part in the result, and no gradient."""
    g = np.asarray(evidence.cotangents_of(position))
    text = "the elements that are written over here have no part in the loss: set their gradient to zero"
    yield "wrong_mask", text, 0.4, g


def _cumulative(evidence: Evidence, position: int, node: Node) -> Found:
    g = np.asarray(evidence.cotangents_of(position))
    axis, reverse = node.params["axis"], node.params["reverse"]
    same_way = np.flip(np.cumsum(np.flip(g, axis), axis), axis) if reverse else np.cumsum(g, axis)
    text = "the gradient of a cumulative sum runs backward, from the end; here it runs forward"
    yield "wrong_derivative", text, 0.5, same_way
    yield "permuted", text, 0.55, same_way
    yield "missing_term", "each element of a cumulative sum is in all later ones; here only in its own", 0.8, g


def _moved(evidence: Evidence, position: int, node: Node) -> Found:
    """Reshapes and transposes: the gradient goes back the same way."""
    g = np.asarray(evidence.cotangents_of(position))
    x = evidence.program.values[node.inputs[0]]
    if node.op == "transpose":
        text = "the gradient is reshaped where it must be transposed back"
        yield "transposed", text, 0.6, np.reshape(g, x.shape)
        yield "transposed", "the gradient is not transposed back", 0.6, g
        yield (
            "transposed",
            "the axes are permuted the same way again, not back",
            0.7,
            np.transpose(g, node.params["permutation"]),
        )
        return
    text = "the elements are laid out in another order (column by column) on the way back"
    yield "permuted", text, 0.8, np.reshape(g, x.shape, order="F")
    for order in _permutations(x.ndim):
        laid = np.transpose(np.reshape(g, [x.shape[axis] for axis in order]), np.argsort(order))
        text = f"the gradient is unflattened with its axes in the order {order}"
        yield "permuted", text, 1.0, laid


def _padded(evidence: Evidence, position: int, node: Node) -> Found:
    """The gradient of a padded array is the middle of it."""
    g = np.asarray(evidence.cotangents_of(position))
    x = evidence.program.values[node.inputs[0]]
    text = "the padding is cut off at the wrong end: take the same place that the array was padded into"
    if all(a >= b for a, b in zip(g.shape, x.shape, strict=True)):
        yield "permuted", text, 0.7, g[tuple(slice(0, n) for n in x.shape)]
        yield "permuted", text, 0.7, g[tuple(slice(m - n, m) for m, n in zip(g.shape, x.shape, strict=True))]


def _concatenated(evidence: Evidence, position: int, node: Node, place: int) -> Found:
    """The parts of a concatenation get back their own slices."""
    g = np.asarray(evidence.cotangents_of(position))
    axis = node.params["dimension"]
    width = np.shape(evidence.program.values[node.inputs[place]])[axis]
    text = "the slices of a concatenation go back to the wrong parts"
    for start in range(g.shape[axis] - width + 1):
        yield "permuted", text, 0.7, np.take(g, range(start, start + width), axis)


TABLE = {
    "broadcast_in_dim": _broadcast,
    "reduce_sum": _sum,
    "reduce_max": maximum,
    "reduce_window_max": windows,
    "reduce_window_sum": windows,
    "gather": _gather,
    "scatter": _overwritten,
    "cumsum": _cumulative,
    "transpose": _moved,
    "reshape": _moved,
    "conv_general_dilated": overlapping,
    "pad": _padded,
}


def _subsets(axes: int, size: int) -> Iterator[tuple[int, ...]]:
    from itertools import combinations

    return combinations(range(axes), size)


def _permutations(axes: int) -> Iterator[tuple[int, ...]]:
    from itertools import permutations

    return (order for order in permutations(range(axes)) if order != tuple(range(axes))) if axes <= 4 else iter(())


def _names(axes: tuple[int, ...]) -> str:
    return " and ".join(map(str, axes))
