"""Which elements of an operation are at a kink or a tie, and the derivatives that are right there."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.linear import windows
from functional_nets.backprop.pooling import Windows, highest, lowest, scatter_flat
from functional_nets.backprop.rules import unbroadcast
from functional_nets.gradcheck.program import Node, Values, is_real


class Alternative(NamedTuple):
    """One derivative of an operation at its kink: what the cotangent of the output gives to each input.

    Attributes:
        kind: The kind of kink.
        text: Which derivatives are right, in words.
        entries: From the cotangent to one entry per input.
    """

    kind: str
    text: str
    entries: Callable[[Any], tuple[Any, ...]]

    def __call__(self, g: Any) -> tuple[Any, ...]:
        """Returns the entries."""
        return self.entries(g)


Found = tuple[np.ndarray, tuple[Alternative, ...]]
NONE: Found = (np.zeros((), bool), ())
BETWEEN = "any slope between the two sides' is right"
SHARED = "the elements that tie may share the gradient in any proportion"
COMPARISONS = {"gt", "ge", "lt", "le", "eq", "ne"}
LOGIC = {"and", "or", "not", "xor", "copy", "stop_gradient"}


def alternatives(node: Node, values: Values, reach: Mapping[int, float], producer: Mapping[int, Node]) -> Found:
    """Returns where the output's elements are at a kink, and the choices there are.

    Args:
        node: The operation.
        values: All values.
        reach: By value, how far rounding may move it; 0 for one that is exact.
        producer: By value, what made it.
    """
    inputs = [values[number] for number in node.inputs]
    reaches = [reach.get(number, 0.0) for number in node.inputs]
    if node.op in ("relu", "relu6", "abs"):
        return _one_sided(node.op, inputs[0], reaches[0])
    if node.op in ("max", "min"):
        return _either(inputs[0], inputs[1], sum(reaches))
    if node.op == "clamp":
        return _clamped(inputs[0], inputs[1], inputs[2], reaches)
    if node.op in ("reduce_max", "reduce_min"):
        return _extreme(node, inputs[0], values[node.outputs[0]], reaches[0])
    if node.op in ("reduce_window_max", "reduce_window_min"):
        return _pooled(node, inputs[0], reaches[0])
    if node.op == "select_n" and len(inputs) == 3:
        undecided = _undecided(node.inputs[0], values, reach, producer, inputs[1].shape)
        return _selected(inputs, reaches, undecided)
    if node.op == "mul":
        return _masked(node, values, reach, producer)
    return NONE


def _slope(low: Any, high: Any) -> tuple[Alternative, ...]:
    def to(slope: float) -> Callable[[Any], tuple[Any, ...]]:
        return lambda g: (g * slope,)

    return tuple(Alternative("slope", BETWEEN, to(slope)) for slope in (low, high))


def _one_sided(op: str, x: Any, reach: float) -> Found:
    if op == "abs":
        return np.abs(x) <= reach, _slope(-1.0, 1.0) if x.dtype.kind == "f" else ()
    near = np.abs(x) <= reach
    return near | (np.abs(x - 6) <= reach) if op == "relu6" else near, _slope(0.0, 1.0)


def _either(a: Any, b: Any, reach: float) -> Found:
    if not (is_real(a) and is_real(b)):
        return NONE

    def to(first: bool) -> Callable[[Any], tuple[Any, ...]]:
        def entries(g: Any) -> tuple[Any, ...]:
            parts = (g, 0.0 * g) if first else (0.0 * g, g)
            return tuple(unbroadcast(part, np.shape(x)) for part, x in zip(parts, (a, b), strict=True))

        return entries

    # An infinite bound or filling is never within reach of a number.
    near = np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) <= reach)
    return near, tuple(Alternative("tie", SHARED, to(first)) for first in (True, False))


def _clamped(low: Any, x: Any, high: Any, reaches: list[float]) -> Found:
    near = (np.abs(x - low) <= reaches[0] + reaches[1]) | (np.abs(x - high) <= reaches[1] + reaches[2])

    def to(slope: float) -> Callable[[Any], tuple[Any, ...]]:
        return lambda g: (None, g * slope, None)

    return near, tuple(Alternative("slope", BETWEEN, to(slope)) for slope in (0.0, 1.0))


def _extreme(node: Node, x: Any, y: Any, reach: float) -> Found:
    axes = tuple(node.params["axes"])
    if not is_real(x) or not x.size or not axes:
        return NONE
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    tied = np.isfinite(x) & (np.abs(x - np.reshape(y, kept)) <= 2 * reach)
    moved = np.moveaxis(tied, axes, range(-len(axes), 0))
    rows = moved.reshape((*np.shape(y), -1))

    def to(rank: int) -> Callable[[Any], tuple[Any, ...]]:
        chosen = _of_rank(rows, rank).reshape(moved.shape)
        chosen = np.moveaxis(chosen, range(-len(axes), 0), axes)
        return lambda g: (np.reshape(g, kept) * chosen,)

    return rows.sum(-1) > 1, _ranked(rows, to)


def _pooled(node: Node, x: Any, reach: float) -> Found:
    if not is_real(x) or not x.size:
        return NONE
    params = node.params
    shape = Windows(
        x.shape,
        params["window_dimensions"],
        params["window_strides"],
        params["padding"],
        params.get("base_dilation"),
        params.get("window_dilation"),
    )
    sign = 1.0 if node.op == "reduce_window_max" else -1.0

    def rows_of(array: Any, fill: Any) -> np.ndarray:
        view = windows(
            shape.padded(array, fill), size=shape.window_dimensions, strides=shape.window_strides,
            dilation=shape.dilation,
        )  # fmt: skip
        return view.reshape((*shape.positions, -1))

    fill = lowest(x.dtype) if sign > 0 else highest(x.dtype)
    found = sign * rows_of(x, fill)
    places = rows_of(np.arange(x.size).reshape(x.shape), -1)
    with np.errstate(invalid="ignore"):
        tied = np.isfinite(found) & (found >= found.max(-1, keepdims=True) - 2 * reach) & (places >= 0)

    def to(rank: int) -> Callable[[Any], tuple[Any, ...]]:
        where = np.max(np.where(_of_rank(tied, rank), places, -1), -1)
        return lambda g: (scatter_flat(g, where, x.shape),)

    return tied.sum(-1) > 1, _ranked(tied, to)


def _of_rank(tied: np.ndarray, rank: int) -> np.ndarray:
    """The tied element of each row that `rank` counts, the last one where there are fewer; -1 is the last."""
    count = np.cumsum(tied, -1)
    total = count[..., -1:]
    wanted = total if rank < 0 else np.minimum(rank + 1, total)
    return tied & (count == wanted)


def _ranked(tied: np.ndarray, to: Callable[[int], Any]) -> tuple[Alternative, ...]:
    most = int(np.max(tied.sum(-1), initial=0))
    if most < 2:
        return ()
    ranks = [*range(min(most, 9) - 1), -1]
    return tuple(Alternative("shares", SHARED, to(rank)) for rank in ranks)


def _undecided(
    number: int, values: Values, reach: Mapping[int, float], producer: Mapping[int, Node], shape: tuple[int, ...]
) -> np.ndarray:
    """Where rounding decides on the truth of a mask."""
    node = producer.get(number)
    if node is None:
        return np.zeros(shape, bool)
    if node.op in COMPARISONS:
        a, b = (values[n] for n in node.inputs)
        if not (is_real(a) or is_real(b)):
            return np.zeros(shape, bool)
        near = np.abs(a - b) <= sum(reach.get(n, 0.0) for n in node.inputs)
        return near if np.shape(near) == shape else np.zeros(shape, bool)
    if node.op in LOGIC:
        parts = [_undecided(n, values, reach, producer, shape) for n in node.inputs]
        return np.any(parts, axis=0)
    return np.zeros(shape, bool)


def _selected(inputs: list[Any], reaches: list[float], undecided: np.ndarray) -> Found:
    _, off, on = inputs
    if not (is_real(off) and is_real(on)) or not np.any(undecided):
        return NONE
    with np.errstate(invalid="ignore"):
        # Where the two cases differ there is a jump, and no slope is right but that of the side one is on.
        near = undecided & (np.abs(on - off) <= reaches[1] + reaches[2])

    def to(first: bool) -> Callable[[Any], tuple[Any, ...]]:
        return lambda g: (None, g, 0.0 * g) if first else (None, 0.0 * g, g)

    return near, tuple(Alternative("mask", BETWEEN, to(first)) for first in (True, False))


def _masked(node: Node, values: Values, reach: Mapping[int, float], producer: Mapping[int, Node]) -> Found:
    """X · (x > 0): the mask is a number made of a comparison."""
    for place, number in enumerate(node.inputs):
        cast = producer.get(number)
        if cast is None or cast.op != "convert_element_type" or is_real(values[cast.inputs[0]]):
            continue
        other = node.inputs[1 - place]
        x = values[other]
        shape = np.shape(values[node.outputs[0]])
        if np.shape(x) != shape or np.shape(values[number]) != shape:
            continue
        near = _undecided(cast.inputs[0], values, reach, producer, shape) & (np.abs(x) <= reach.get(other, 0.0))

        def to(slope: float, place: int = place) -> Callable[[Any], tuple[Any, ...]]:
            return lambda g: (g * slope, None) if place else (None, g * slope)

        return near, tuple(Alternative("mask", BETWEEN, to(slope)) for slope in (0.0, 1.0))
    return NONE
