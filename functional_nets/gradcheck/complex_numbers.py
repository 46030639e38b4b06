"""Complex numbers: in which convention a gradient is given, and as pairs of real numbers for those who know no other.

The loss is real, so its gradient by z = x + iy is a pair of slopes. JAX writes it ∂L/∂x - i ∂L/∂y, which times dz
has the real part dL, and needs no conjugate in the chain rule; PyTorch writes ∂L/∂x + i ∂L/∂y, the direction of
steepest ascent. The walk does as JAX does. What explains a wrong gradient gets the slopes themselves, real and
imaginary part along a last axis of two.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functional_nets.gradcheck.program import Foreign, Node, Program, compute, entries
from functional_nets.gradcheck.report import Cause

CONVENTIONS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("sign", "this is the complex conjugate, PyTorch's convention ∂L/∂x + i ∂L/∂y; JAX's is ∂L/∂x - i ∂L/∂y: "
             "conjugate it", np.conj),
    ("scale", "this is the Wirtinger derivative ∂L/∂z; JAX's gradient ∂L/∂x - i ∂L/∂y is twice that: multiply by 2",
              lambda g: g / 2),
    ("sign", "this is the Wirtinger derivative by the conjugate of z; JAX's gradient ∂L/∂x - i ∂L/∂y is twice its "
             "conjugate: conjugate it and multiply by 2", lambda g: np.conj(g) / 2),
    ("missing_term", "this is the slope ∂L/∂x by the real part alone; JAX's gradient is ∂L/∂x - i ∂L/∂y: subtract "
                     "i times the slope by the imaginary part", np.real),
)  # fmt: skip
"""What people give instead of JAX's gradient: kind, text, and what makes it of JAX's."""


def is_complex(value: Any) -> bool:
    """Whether a value is an array of complex numbers."""
    return isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "c"


def pair(z: Any) -> Any:
    """Returns the real and the imaginary part along a last axis."""
    return np.stack([np.real(z), np.imag(z)], axis=-1)


def whole(parts: Any) -> Any:
    """Returns the complex numbers of which `pair` made the parts."""
    return parts[..., 0] + 1j * parts[..., 1]


def slopes(gradient: Any, like: Any) -> Any:
    """Returns ∂L/∂x and ∂L/∂y of a gradient in JAX's convention where `like` is complex; else the gradient."""
    return pair(np.conj(gradient)) if is_complex(like) else gradient


def comparable(given: Sequence[Any], reference: Sequence[Any]) -> list[Any]:
    """Returns the slopes of a gradient in float64, leaf by leaf; None for a leaf of another shape."""
    return [
        np.asarray(slopes(array, right), np.float64) if np.shape(array) == np.shape(right) else None
        for array, right in zip(given, reference, strict=True)
    ]


def in_pairs(program: Program) -> Program:
    """Returns the same program on real numbers alone: each complex value is a pair, at the same number."""
    paired = {number for number, value in enumerate(program.values) if is_complex(value)}
    if not paired:
        return program
    return program._replace(
        nodes=tuple(
            node if paired.isdisjoint((*node.inputs, *node.outputs)) else _on_pairs(node, paired)
            for node in program.nodes
        ),
        values=[pair(value) if number in paired else value for number, value in enumerate(program.values)],
    )


def _on_pairs(node: Node, paired: set[int]) -> Node:
    """The operation with pairs for complex numbers; under a name of its own, since no table has rules for it."""

    def joined(numbers: Sequence[int], arrays: Sequence[Any]) -> list[Any]:
        return [whole(array) if number in paired else array for number, array in zip(numbers, arrays, strict=True)]

    def value(*inputs: Any) -> tuple[Any, ...]:
        outputs = compute(node, joined(node.inputs, inputs))
        return tuple(pair(y) if number in paired else y for number, y in zip(node.outputs, outputs, strict=True))

    def pullback(g: Any, *inputs: Any) -> tuple[Any, ...]:
        xs = joined(node.inputs, inputs)
        values: Any = dict(zip((*node.inputs, *node.outputs), (*xs, *compute(node, xs)), strict=True))
        several = isinstance(g, tuple)
        gs = [
            np.conj(whole(each)) if number in paired else each
            for number, each in zip(node.outputs, g if several else (g,), strict=True)
        ]
        found = entries(node, tuple(gs) if several else gs[0], values)
        return tuple(
            None if entry is None else pair(np.conj(entry)) if number in paired else np.real(entry)
            for number, entry in zip(node.inputs, found, strict=True)
        )

    return node._replace(op=f"complex {node.op}", foreign=Foreign(value, pullback))


def other_convention(
    given: Sequence[Any], reference: Sequence[Any], paths: Sequence[str], tolerances: Sequence[float]
) -> tuple[list[Cause], list[Any]]:
    """Returns the cause if all wrong complex leaves are in one other convention, and the gradient without that."""
    wrong = [
        leaf
        for leaf, right in enumerate(reference)
        if is_complex(right) and (np.shape(given[leaf]) != right.shape or _apart(given[leaf], right) > tolerances[leaf])
    ]
    if not wrong or any(np.shape(given[leaf]) != reference[leaf].shape for leaf in wrong):
        return [], list(given)
    for kind, text, convert in CONVENTIONS:
        errors = [_apart(given[leaf], convert(reference[leaf])) for leaf in wrong]
        if all(error <= tolerances[leaf] for leaf, error in zip(wrong, errors, strict=True)):
            names = tuple(paths[leaf] for leaf in wrong)
            residual = max(e / _size(reference[leaf]) for e, leaf in zip(errors, wrong, strict=True))
            cause = Cause(kind, "process", None, None, names, residual, f"{', '.join(names)}: {text}")
            return [cause], [reference[leaf] if leaf in wrong else array for leaf, array in enumerate(given)]
    return [], list(given)


def _size(array: Any) -> float:
    return float(np.max(np.abs(array), initial=0.0))


def _apart(a: Any, b: Any) -> float:
    return _size(a - b)
