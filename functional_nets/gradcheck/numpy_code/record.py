"""From plain NumPy code to a `Program`: run on the tape, or, where that cannot record it, differenced."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functional_nets.backprop.tape import Variable, records
from functional_nets.backprop.tape.graph import Node as Recorded
from functional_nets.backprop.tape.graph import Record
from functional_nets.equations import Location
from functional_nets.gradcheck.program import Foreign, Node, Program, compute, is_real

ELEMENTWISE = {
    "add",
    "sub",
    "mul",
    "div",
    "max",
    "min",
    "pow",
    "atan2",
    "rem",
    "logaddexp",
    "logaddexp2",
    "select_n",
}


class NotRecordedError(Exception):
    """The tape has not seen all that the code computes."""


class Recorder:
    """Makes a program of what variables were made by.

    Args:
        leaves: The variables whose gradient is compared.
        arguments: The code's other inputs.
    """

    def __init__(self, leaves: Sequence[Recorded], arguments: Sequence[Any] = ()):
        self.nodes: list[Node] = []
        self.values: list[Any] = []
        self.numbers: dict[Recorded, int] = {}
        self.leaves = tuple(self.number(leaf) for leaf in leaves)
        self.arguments = tuple(self.new(np.asarray(argument)) for argument in arguments)

    def new(self, value: Any) -> int:
        """Adds a value."""
        self.values.append(np.asarray(value))
        return len(self.values) - 1

    def number(self, recorded: Recorded) -> int:
        """Returns the number of a value of the tape, which is added if it is new."""
        if recorded not in self.numbers:
            self.numbers[recorded] = self.new(recorded.data)
        return self.numbers[recorded]

    def append(self, op: str, inputs: Sequence[int], where: Location | None = None, **params: Any) -> int:
        """Adds an operation and its value."""
        node = Node(op, tuple(inputs), (), params, where)
        (value,) = compute(node, [self.values[number] for number in inputs])
        output = self.new(value)
        self.nodes.append(node._replace(outputs=(output,)))
        return output

    def record(self, outputs: Sequence[Recorded]) -> None:
        """Adds all that led to some values.

        Raises:
            NotRecordedError: An operation has no such value by the tables.
        """
        for record in records(*outputs):
            if record.output in self.numbers:
                continue
            self._add(record)

    def _add(self, record: Record) -> None:
        where = Location(record.file, record.line, "")
        shape = record.output.shape
        inputs = []
        for operand in record.inputs:
            number = self.number(operand)
            stretched = record.primitive in ELEMENTWISE and operand.shape != shape
            if stretched and (operand.shape != () or operand.needs_gradient):
                # As in a jaxpr, where broadcasting is an operation of its own: sums are forgotten there.
                kept = tuple(range(len(shape) - len(operand.shape), len(shape)))
                number = self.append("broadcast_in_dim", [number], where, shape=shape, broadcast_dimensions=kept)
            inputs.append(number)
        try:
            output = self.append(record.primitive, inputs, where, **record.params)
        except (LookupError, ValueError, TypeError) as error:
            raise NotRecordedError(str(error)) from error
        same = np.allclose(self.values[output], record.output.data, rtol=1e-9, atol=1e-300, equal_nan=True)
        if np.shape(self.values[output]) != shape or not same:
            raise NotRecordedError(f"{record.primitive} at {record.file}:{record.line} has another value by the tables")
        self.numbers[record.output] = output

    def weighted(self, outputs: Sequence[Any], weights: Sequence[Any]) -> int:
        """Adds the sum of the outputs, each element times its weight, and returns its number."""
        total = None
        for output, weight in zip(outputs, weights, strict=True):
            if not isinstance(output, Variable) or not is_real(output.data):
                continue
            number = self.number(output.node)
            if np.ndim(weight) == 0 and np.ndim(output.data) == 0 and float(weight) == 1.0:
                part = number
            else:
                product = self.append("mul", [number, self.new(np.asarray(weight, np.float64))])
                part = self.append("reduce_sum", [product], axes=tuple(range(np.ndim(output.data))))
            total = part if total is None else self.append("add", [total, part])
        if total is None:
            raise NotRecordedError("the result does not depend on what was given, as far as the tape can see")
        return total

    def program(self, result: int) -> Program:
        """Returns the program whose result is one of the values."""
        return Program(tuple(self.nodes), self.values, self.leaves, self.arguments, result)


def differenced(function: Callable[..., float], leaves: Sequence[Any], where: Location | None) -> Program:
    """Returns a program of one operation, whose gradient is measured by central differences.

    Args:
        function: From arrays like the leaves to a number; code that only runs.
        leaves: Where.
        where: The line to name.
    """
    values = [np.array(leaf, np.float64) for leaf in leaves]
    known: dict[bytes, tuple[Any, ...]] = {}

    def value(*inputs: Any) -> Any:
        return np.asarray(function(*inputs), np.float64)

    def pullback(g: Any, *inputs: Any) -> tuple[Any, ...]:
        key = b"".join(np.asarray(x).tobytes() for x in inputs)
        if key not in known:
            known[key] = tuple(_slopes(function, inputs, place) for place in range(len(inputs)))
        return tuple(g * part for part in known[key])

    result = value(*values)
    numbers = tuple(range(len(values)))
    node = Node("forward", numbers, (len(values),), {}, where, Foreign(value, pullback))
    return Program((node,), [*values, result], numbers, (), len(values))


def _slopes(function: Callable[..., float], inputs: Sequence[Any], place: int) -> Any:
    found = np.zeros(np.shape(inputs[place]))
    for index in np.ndindex(found.shape):
        step = 1e-5 * max(1.0, abs(float(inputs[place][index])))
        above, below = (np.array(inputs[place], np.float64) for _ in range(2))
        above[index] += step
        below[index] -= step
        both = [function(*(*inputs[:place], x, *inputs[place + 1 :])) for x in (above, below)]
        found[index] = (both[0] - both[1]) / (2 * step)
    return found
