"""Shifts that change nothing: x - max x in a softmax or log Σ exp, through which nobody differentiates.

The right gradient of the maximum is 0 there, since the loss does not see the shift. A wrong gradient was written
without it, too; where the program has it, each mistake at the logits would show at the largest of them once more.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from functional_nets.gradcheck.program import Cotangents, Foreign, Node, Program, compute

SHIFT = "shift"
"""The primitive's name of a maximum that counts as a constant."""


def without_shifts(program: Program, active: Sequence[int], cotangents: Cotangents) -> Program:
    """Returns the program with each maximum a constant of which the loss turns out not to depend on it.

    Args:
        program: A program.
        active: The operations through which its loss depends on the parameters.
        cotangents: Its backward pass.
    """
    nodes = list(program.nodes)
    for position in active:
        node = nodes[position]
        if node.op == "reduce_max" and _vanishes(program, node, cotangents):
            nodes[position] = node._replace(op=SHIFT, params={}, foreign=_constant(node))
    return program._replace(nodes=tuple(nodes))


def _vanishes(program: Program, node: Node, cotangents: Cotangents) -> bool:
    """Whether the gradient of a maximum is nothing but the rounding of a sum over what is shifted by it."""
    (x,), (y,) = node.inputs, node.outputs
    if y not in cotangents:
        return False
    axes = tuple(node.params["axes"])
    shifted = [n for n in _differences(program, x, y) if n in cotangents]
    if not shifted:
        return False
    size = sum(np.sum(np.abs(cotangents[n]), axis=axes) for n in shifted)
    return bool(np.all(np.abs(cotangents[y]) <= 1e-9 * size))


def _differences(program: Program, x: int, y: int) -> list[int]:
    """The values x - y, however y is stretched."""
    stretched, found = {y}, list[int]()
    for node in program.nodes:
        if node.op in ("broadcast_in_dim", "reshape", "expand_dims") and node.inputs[0] in stretched:
            stretched.update(node.outputs)
        if node.op == "sub" and node.inputs[0] == x and node.inputs[1] in stretched:
            found += node.outputs
    return found


def _constant(node: Node) -> Foreign:
    def value(x: Any) -> Any:
        return compute(node, [x])[0]

    def pullback(g: Any, x: Any) -> tuple[None]:
        return (None,)

    return Foreign(value, pullback)
