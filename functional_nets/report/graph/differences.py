"""What finite differences measure at an edge of the graph: the rest of the program, run from a moved operand."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.program import DECOMPOSITIONS, SYMMETRIC, Node, Program, is_real, rerun
from functional_nets.report.graph.units import Unit, outputs_after

WHOLE = 16  # A tensor of no more elements is measured element by element.
STEPS = (1e-3, 1e-4, 1e-5)  # Relative to the largest element.
TINIEST = 1e-300  # A step from a smaller value would be rounded to nothing.
UNDERFLOW = 5e-324  # What is smaller is lost, whatever its relative precision.

Index = tuple[int, ...]


class Slope(NamedTuple):
    """The slope of the result along one line.

    Attributes:
        value: By central differences.
        error: How far that may be off, as neighbouring steps differ.
        left: The slope below.
        right: The slope above; another than `left` at a kink.
    """

    value: float
    error: float
    left: float
    right: float

    def allows(self, slope: float, scale: float) -> bool:
        """Whether a derivative is what was measured, up to what the measurement can tell."""
        return bool(abs(slope - self.value) <= 10 * self.error + 1e-6 * scale)

    def kinked(self, slope: float, scale: float) -> bool:
        """Whether a derivative lies between the slopes on both sides of a kink."""
        low, high = sorted((self.left, self.right))
        room = 10 * self.error + 1e-3 * scale
        return high - low > 1e-2 * max(abs(low), abs(high)) and low - room <= slope <= high + room

    def noisy(self, scale: float) -> bool:
        """Whether the measurement is too uncertain to tell anything."""
        return not self.error <= max(1e-2 * max(scale, abs(self.value)), TINIEST)


class Measured(NamedTuple):
    """What was measured at one edge.

    Attributes:
        elements: The slope by element; by all of them, if they are few.
        direction: A random direction of the shape of the value, None where all elements were measured.
        along: The slope along it.
    """

    elements: dict[Index, Slope]
    direction: Any = None
    along: Slope | None = None


def measure(program: Program, unit: Unit, place: int, chosen: Iterable[Index]) -> Measured | None:
    """Returns the differences at an edge, None for complex numbers and for one part of a decomposition.

    Args:
        program: The traced function.
        unit: The operation that takes the value.
        place: At which place.
        chosen: The elements of a large tensor that are measured on their own.
    """
    x = np.asarray(program.values[unit.taken(place)])
    if x.dtype.kind != "f" or _torn(program, unit, place, x):
        return None
    unmoved = float(program.values[program.result])

    def result(moved: Any) -> float:
        with np.errstate(all="ignore"):
            found = rerun(program, outputs_after(unit, program, place, moved))
        return float(found[program.result])

    size = max(float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x))), TINIEST) if np.any(x) else 1.0

    def along(direction: Any) -> Slope:
        return _slope(lambda step: result(x + step * direction), unmoved, size)

    if x.size <= WHOLE:
        return Measured({index: along(_unit_vector(x.shape, index)) for index in np.ndindex(x.shape)})
    direction = np.random.default_rng(0).standard_normal(x.shape)
    elements = {index: along(_unit_vector(x.shape, index)) for index in dict.fromkeys(chosen)}
    return Measured(elements, direction, along(direction))


def _torn(program: Program, unit: Unit, place: int, x: Any) -> bool:
    """Whether a move parts what belongs together: the triangles of a symmetric matrix, a matrix and its factors.

    The derivative of `cholesky` and `eigh` is that along symmetric changes, the one of a linear solve that along
    equal changes of the matrix and its factors; for one element or one part alone it promises nothing.
    """
    concerned = [p for p, node in enumerate(program.nodes) if node.op in DECOMPOSITIONS]
    if not concerned:
        return False
    moved = x + STEPS[0] * np.random.default_rng(0).standard_normal(x.shape)
    values = rerun(program, outputs_after(unit, program, place, moved))
    for position in concerned:
        node = program.nodes[position]
        inputs = [values[number] for number in node.inputs]
        if position in unit.positions:
            here = [
                unit.taken(place) == number if unit.custom else at == place for at, number in enumerate(node.inputs)
            ]
            inputs = [moved if taken else value for taken, value in zip(here, inputs, strict=True)]
        if _apart(node, inputs, [program.values[number] for number in node.inputs]):
            return True
    return False


def _apart(node: Node, inputs: Sequence[Any], before: Sequence[Any]) -> bool:
    if node.op in SYMMETRIC:
        same = np.array_equal(inputs[0], before[0])
        return not same and not np.allclose(inputs[0], np.swapaxes(inputs[0], -1, -2), rtol=1e-9)
    matrix = [number for number in range(sum(node.params.get("const_lengths", ()))) if is_real(before[number])]
    return len({np.array_equal(inputs[number], before[number]) for number in matrix}) > 1


@np.errstate(all="ignore")
def most_different(slopes: Sequence[Any]) -> Index:
    """Returns where gradients differ most; where the first is largest, if they agree to rounding."""
    first = np.asarray(slopes[0])
    apart = np.max([np.abs(other - first) for other in slopes], axis=0)
    if not np.max(apart, initial=0.0) > 1e-9 * np.max(np.abs(first), initial=0.0):
        apart = np.abs(first)
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), apart.shape)) if apart.size else ()


def _unit_vector(shape: Sequence[int], index: Index) -> np.ndarray:
    vector = np.zeros(shape)
    vector[index] = 1.0
    return vector


def _slope(f: Callable[[float], float], middle: float, size: float) -> Slope:
    found = []
    for relative in STEPS:
        step = relative * size
        above, below = f(step), f(-step)
        noise = (abs(middle) * 4e-16 + UNDERFLOW) / step
        found.append(((above - below) / (2 * step), noise, (middle - below) / step, (above - middle) / step))
    error, (value, _, left, right) = min(
        ((abs(before[0] - after[0]) + after[1], after) for before, after in pairwise(found)), key=lambda pair: pair[0]
    )
    return Slope(value, error, left, right)
