"""Pools that hand the gradient to the wrong elements of a window."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.program import Node

Found = Iterator[tuple[str, str, float, Any]]
"""(kind, text, cost, the entry that the mistake gives)."""


def maximum(evidence: Evidence, position: int, node: Node) -> Found:
    """A maximum hands its gradient to the element that attains it."""
    g = np.asarray(evidence.cotangents_of(position))
    y = evidence.program.values[node.outputs[0]]
    x = evidence.program.values[node.inputs[0]]
    axes = tuple(node.params["axes"])
    whole = np.broadcast_to(np.expand_dims(g, axes), x.shape)
    attained = x == np.expand_dims(y, axes)
    count = np.prod([x.shape[axis] for axis in axes])
    pool = "a maximum hands its gradient to the element that attains it; here "
    yield "wrong_pooling", pool + "all elements get it", 0.8, whole + 0.0
    yield "wrong_pooling", pool + "it is shared equally among all", 0.7, whole / count
    yield "wrong_pooling", pool + "each of several that tie gets the whole", 0.6, whole * attained
    yield "wrong_pooling", pool + "the others get it", 0.9, whole * ~attained
    yield "wrong_pooling", pool + "it is multiplied by the value", 1.5, whole * attained * x
    yield from _misread(g, x, axes, whole * attained, pool)
    least = x == np.min(x, axis=axes, keepdims=True)
    yield "wrong_pooling", pool + "the smallest element gets it", 1.0, whole * least
    for index, name in ((0, "first"), (-1, "last")):
        first = np.zeros(x.shape, bool)
        first[tuple(index if axis in axes else slice(None) for axis in range(x.ndim))] = True
        yield "wrong_pooling", pool + f"the {name} element gets it", 1.0, whole * first


def _misread(g: Any, x: Any, axes: tuple[int, ...], right: Any, pool: str) -> Found:
    """The windows of a reshaped array, rows and columns in them exchanged or taken for consecutive elements."""
    for a, b in itertools.combinations(axes, 2):
        if x.shape[a] == x.shape[b] > 1:
            turned = np.swapaxes(right, a, b)
            yield "wrong_pooling", pool + "row and column within the window are exchanged", 0.5, turned
    if len(axes) < 2:
        return
    text = "a window is {} consecutive elements here: transpose after the reshape, so that each row is a window"
    count = int(np.prod([x.shape[axis] for axis in axes]))
    rows = np.reshape(x, (-1, count))
    largest = rows == rows.max(axis=1, keepdims=True)
    yield "wrong_pooling", text.format(count), 0.6, np.reshape(largest * np.reshape(g, (-1, 1)), x.shape)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    windowed = np.transpose(right, (*kept, *axes))
    text = "the windows are laid side by side without being transposed back: transpose before the last reshape"
    yield "wrong_pooling", text, 0.6, np.reshape(windowed, x.shape)


def windows(evidence: Evidence, position: int, node: Node) -> Found:
    """Pools: the window's gradient goes to its largest element, or equally to all."""
    params = node.params
    size, strides = params["window_dimensions"], params["window_strides"]
    if any(d != 1 for d in params["window_dilation"]):
        return
    original = evidence.program.values[node.inputs[0]]
    low = [pair[0] for pair in params["padding"]]
    kept = tuple(slice(a, a + n) for a, n in zip(low, original.shape, strict=True))
    fill = -np.inf if node.op == "reduce_window_max" else 0.0
    for kind, text, cost, entry in _in_windows(
        evidence, position, node, np.pad(original, params["padding"], constant_values=fill), size, strides
    ):
        yield kind, text, cost, entry[kept]


def _in_windows(evidence: Evidence, position: int, node: Node, x: Any, size: Any, strides: Any) -> Found:
    g = np.asarray(evidence.cotangents_of(position))
    y = evidence.program.values[node.outputs[0]]
    every, ties, averaged, first, last = (np.zeros(x.shape) for _ in range(5))
    taken = np.zeros(y.shape, bool)
    late = np.zeros(x.shape)
    offsets = list(np.ndindex(*size))
    windows = [
        tuple(slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(offset, y.shape, strides, strict=True))
        for offset in offsets
    ]
    for index in windows:
        hit = x[index] == y
        every[index] += g
        averaged[index] += g / len(offsets)
        ties[index] += g * hit
        late[index] += g * (hit & ~taken)
        taken |= hit
    first[windows[0]] += g
    last[windows[-1]] += g
    if node.op == "reduce_window_max":
        pool = "max pooling hands the gradient to the largest element of a window; here "
        yield "wrong_pooling", pool + "all elements get it", 0.6, every
        yield "wrong_pooling", pool + "it is shared equally, as average pooling does", 0.5, averaged
        yield "wrong_pooling", pool + "each of several that tie gets the whole", 0.5, ties
        overwritten = np.zeros(x.shape)
        for index in windows:
            overwritten[index] = np.where(x[index] == y, g, overwritten[index])
        text = "windows that overlap overwrite each other's gradient: add them (+=)"
        yield "overwritten", text, 0.7, overwritten
    else:
        pool = "average pooling hands the gradient equally to all elements of a window; here "
        largest = np.zeros(x.shape)
        top = np.max([x[index] for index in windows], axis=0)
        for index in windows:
            largest[index] += g * (x[index] == top)
        yield "wrong_pooling", pool + "the largest gets it", 0.7, largest
        yield "wrong_pooling", pool + "the largest gets all of it", 0.7, largest * len(offsets)
    if x.shape == tuple(n * s for n, s in zip(g.shape, size, strict=True)):
        tiled = np.tile(g, size)
        text = (
            "each element of a window gets its own window's gradient (np.repeat); here the whole map is tiled (np.tile)"
        )
        share = np.ones_like(x) if node.op != "reduce_window_max" else np.kron(y, np.ones(size)) == x
        yield "wrong_pooling", text, 0.7, tiled * share
        yield "wrong_pooling", text, 0.75, tiled / len(offsets)
    for a in range(x.ndim):
        for b in range(a):
            if node.op == "reduce_window_max" and size[a] == size[b] > 1:
                turned = np.zeros(x.shape)
                for offset, index in zip(offsets, windows, strict=True):
                    other = list(offset)
                    other[a], other[b] = other[b], other[a]
                    turned[windows[offsets.index(tuple(other))]] += g * (x[index] == y)
                yield "wrong_pooling", pool + "row and column within the window are exchanged", 0.8, turned
    yield "wrong_pooling", pool + "the first element gets it", 0.8, first
    yield "wrong_pooling", pool + "the last element gets it", 0.9, last
    yield "wrong_pooling", pool + "the first element gets all of it", 0.8, first * len(offsets)
