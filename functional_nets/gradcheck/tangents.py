"""Forward mode: how every value moves when the parameters move along a direction.

It makes the search for a mistake cheap. If a mistake changes the cotangent of value v by δ, the gradients
change by Jᵀδ, and for any direction r of the parameters ⟨r, Jᵀδ⟩ = ⟨J r, δ⟩: with the tangents J r at hand,
what a mistake would do to the gradients is known from two inner products, without another backward pass.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from functional_nets.backprop.rules import RULES
from functional_nets.gradcheck.program import Node, Program, Values, compute, entries, is_real
from functional_nets.gradcheck.shifts import SHIFT

LINEAR = {
    "reshape", "squeeze", "expand_dims", "transpose", "rev", "broadcast_in_dim", "tile", "concatenate", "split",
    "stack", "unstack", "slice", "pad", "take", "reduce_sum", "cumsum", "reduce_window_sum", "dynamic_slice",
    "dynamic_update_slice", "gather", "scatter", "scatter-add", "scatter-sub", "copy", "copy_p", "name",
    "convert_element_type", "add", "add_any", "sub", "neg", "real", "imag", "complex", "scatter_add", "windows",
    "fold", "device_put", "optimization_barrier",
}  # fmt: skip
BILINEAR = {"dot_general", "conv_general_dilated", "contract"}
NOT_ELEMENTWISE = {
    "sort", "cumprod", "cummax", "cummin", "cumlogsumexp", "reduce_window_max", "reduce_window_min", "scatter-mul",
    "scatter-min", "scatter-max",
}  # fmt: skip
"""What may give an array of the shape of its input, of which each element depends on several."""

EXTREMES = {"reduce_max", "reduce_min"}
CONSTANT = {"stop_gradient", "sign", "floor", "ceil", "round", SHIFT}


def tangents(program: Program, directions: Mapping[int, Any]) -> dict[int, Any]:
    """Returns the tangent of every value that moves with the given directions of the parameters' leaves."""
    found = dict(directions)
    with np.errstate(all="ignore"):
        for node in program.nodes:
            if found.keys().isdisjoint(node.inputs) or node.op in CONSTANT:
                continue
            if not any(is_real(program.values[number]) for number in node.outputs):
                continue
            for number, tangent in zip(node.outputs, _push(node, found, program.values), strict=True):
                if is_real(program.values[number]):
                    found[number] = tangent
    return found


def _push(node: Node, tangent: Mapping[int, Any], values: Values) -> tuple[Any, ...]:
    inputs = [values[number] for number in node.inputs]
    moves = [
        tangent[number] if number in tangent else np.zeros_like(value) if is_real(value) else value
        for number, value in zip(node.inputs, inputs, strict=True)
    ]
    if node.op in LINEAR:
        return compute(node, moves)
    if node.op in BILINEAR:
        a, b = inputs
        return (compute(node, [moves[0], b])[0] + compute(node, [a, moves[1]])[0],)
    y = values[node.outputs[0]]
    known = node.op in RULES and node.op not in NOT_ELEMENTWISE and len(node.outputs) == 1
    if known and all(np.shape(x) in ((), np.shape(y)) for x in inputs):
        slopes = RULES[node.op](np.ones_like(y), y, *map(np.asarray, inputs), **node.params)
        parts = [
            slope * move
            for slope, move, number in zip(slopes, moves, node.inputs, strict=True)
            if slope is not None and number in tangent
        ]
        return (sum(parts, np.zeros_like(y)),)
    if node.op in EXTREMES or (node.foreign is not None and len(node.outputs) == 1):
        found = _transposed(node, moves, values)
        if found is not None:
            return (found,)
    return _difference(node, inputs, moves)


def _transposed(node: Node, moves: list[Any], values: Values) -> Any:
    """The tangent by the rule itself, where each element of an input has a part in one of the output at most.

    At a tie it is the rule that says which of the elements counts, and a difference would count another.
    """
    y = values[node.outputs[0]]
    total = np.zeros_like(y)
    for slope, move in zip(entries(node, np.ones_like(y), values), moves, strict=True):
        if slope is None:
            continue
        if np.shape(slope) == np.shape(y):
            total = total + slope * move
        elif "axes" in node.params and np.ndim(slope) > np.ndim(y):
            total = total + np.sum(slope * move, axis=tuple(node.params["axes"]))
        else:
            return None
    return total


def _difference(node: Node, inputs: list[Any], moves: list[Any]) -> tuple[Any, ...]:
    """Maxima, sorts and what else is piecewise simple: a central difference with a step of its own."""
    size = max(float(np.max(np.abs(x), initial=0.0)) for x in inputs if is_real(x)) or 1.0
    speed = max(float(np.max(np.abs(m), initial=0.0)) for m, x in zip(moves, inputs, strict=True) if is_real(x))
    step = 1e-7 * size / (speed or 1.0)
    above, below = (
        compute(node, [x + sign * step * m if is_real(x) else x for x, m in zip(inputs, moves, strict=True)])
        for sign in (1, -1)
    )
    return tuple((a - b) / (2 * step) if is_real(a) else a for a, b in zip(above, below, strict=True))
