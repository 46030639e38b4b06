"""The backward pass: from one value to everything that it was computed from, by the table of rules."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from functional_nets.backprop import rules
from functional_nets.backprop.tape.dispatch import plain
from functional_nets.backprop.tape.graph import Array, Node, Record, records_of
from functional_nets.backprop.tape.variable import Variable, constant, first_nan


def node_of(x: Variable | Node) -> Node:
    """The node that a variable names now."""
    if not isinstance(x, Variable | Node):
        raise TypeError(f"Expected a Variable, found {type(x).__name__}: nothing was recorded of it.")
    return x.node if isinstance(x, Variable) else x


def records(*outputs: Variable | Node) -> list[Record]:
    """Every operation that led to the outputs, each after those that made its inputs."""
    return records_of(map(node_of, outputs))


class Gradients(Mapping[Variable | Node, Any]):
    """The gradients that one backward pass found: `grads[x]` for every value on the way, not only the leaves.

    What the output does not depend on has the gradient 0. Gradients are arrays, or variables if the pass was
    recorded (`create_graph`).
    """

    def __init__(self, output: Node, found: dict[Node, Any], create_graph: bool) -> None:
        self._output, self._found, self._create_graph = output, found, create_graph

    def __getitem__(self, x: Variable | Node) -> Any:
        """The gradient with respect to `x`, of its shape.

        Raises:
            TypeError: `x` holds integers, or is a constant.
            KeyError: `x` was written to after it was given, or made after the output.
        """
        if isinstance(x, Variable) and x.given not in (None, x.node):
            raise KeyError(
                "grads[x]: expected the variable as it was given, found that it was written to in place"
                f"{where(x.node)}. Keep `before = x.node` and ask for grads[before], or write to x.copy()."
            )
        node = node_of(x)
        if node.dtype.kind != "f":
            raise TypeError(
                f"grads[x]: expected floating-point numbers, found {node.dtype} of shape {node.shape}, which "
                "cannot change a little. Make the variable of floats."
            )
        if node.constant:
            raise TypeError(f"grads[x]: expected a variable, found a constant of shape {node.shape}.")
        if node.order > self._output.order:
            raise KeyError("grads[x]: expected a variable that the output could depend on, found one made after it.")
        gradient = self._found.get(node, np.zeros(node.shape, node.dtype))
        if self._create_graph:
            return Variable.of(gradient.node if isinstance(gradient, Variable) else constant(gradient))
        return gradient.copy()

    def __contains__(self, x: object) -> bool:
        """Whether the output depends on `x`."""
        return isinstance(x, Variable | Node) and node_of(x) in self._found

    def __iter__(self) -> Iterator[Node]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def backward(y: Variable | Node, cotangent: Any = None, *, create_graph: bool = False) -> Gradients:
    """Differentiate `y` with respect to everything that it was computed from.

    Nothing is stored on the variables: a second call gives the same answer.

    Args:
        y: The output, a scalar unless there is a cotangent.
        cotangent: What to multiply the Jacobian with from the left, of the shape of `y`; 1 if left out.
        create_graph: Record this pass, too, so that the gradients can be differentiated again.

    Returns:
        The gradients, one for each value.

    Raises:
        TypeError: `y` holds no floating-point numbers.
        ValueError: `y` is no scalar and there is no cotangent, their shapes differ, or `y` is not a number.
    """
    output = node_of(y)
    seed = Variable.of(constant(check(output, cotangent))) if create_graph else check(output, cotangent)
    if create_graph and isinstance(cotangent, Variable):
        seed = cotangent
    found: dict[Node, Any] = {output: seed}
    for record in reversed(records_of([output])):
        if record.output not in found:
            continue
        of_y, *of_inputs = (operand(node, create_graph) for node in (record.output, *record.inputs))
        parts = rules.backward(record.primitive, found[record.output], of_y, tuple(of_inputs), record.params)
        for node, part in zip(record.inputs, parts, strict=True):
            if part is not None and node.needs_gradient:
                part = part if part.dtype == node.dtype else part.astype(node.dtype)
                found[node] = found[node] + part if node in found else part
    return Gradients(output, found, create_graph)


def operand(node: Node, create_graph: bool) -> Any:
    """What a rule computes with: arrays, or variables that record what it does."""
    return Variable.of(node) if create_graph and node.needs_gradient else node.data


def check(output: Node, cotangent: Any) -> Array:
    """The cotangent to start from, if the output can be differentiated."""
    if output.dtype.kind != "f":
        raise TypeError(f"backward: expected floating-point numbers to differentiate, found {output.dtype}.")
    if cotangent is None and output.data.size != 1:
        raise ValueError(
            f"backward: expected a scalar, found shape {output.shape}. Sum it up, or give backward a "
            "cotangent of that shape: the gradient of each element is weighted by it."
        )
    seed = np.ones(output.shape) if cotangent is None else np.asarray(plain(cotangent))
    if seed.shape != output.shape:
        raise ValueError(f"backward: expected a cotangent of shape {output.shape}, found {seed.shape}.")
    if (place := first_nan(output.data)) is not None:
        bad = next((r for r in records_of([output]) if first_nan(r.output.data) is not None), None)
        first = f": the first is at {first_nan(bad.output.data)} of {bad.primitive!r}{where(bad.output)}" if bad else ""
        raise ValueError(f"backward: expected numbers, found NaN at {place}{first}.")
    return seed.astype(output.dtype)


def where(node: Node) -> str:
    """The line that made a node."""
    return f", {node.creator.file}:{node.creator.line}" if node.creator else ""


def grad(function: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """The function that returns the gradient of a scalar function.

    Args:
        function: Of arrays or (nested) dicts of arrays, written with NumPy.
        argnum: Which argument to differentiate with respect to.

    Returns:
        A function of the same arguments; its result has the structure of that argument. It can be
        differentiated in turn: `grad(grad(f))`.
    """

    def gradient(*args: Any, **options: Any) -> Any:
        leaves: list[Variable] = []
        argument = lifted(args[argnum], leaves)
        y = function(*args[:argnum], argument, *args[argnum + 1 :], **options)
        if not isinstance(y, Variable):
            return lifted(args[argnum], [], lambda x: np.zeros(np.shape(x)))
        # Another variable in the graph is one of an outer derivative: keep the way to it.
        own = {leaf.node for leaf in leaves}
        outer = any(
            node.needs_gradient and node.creator is None and node not in own
            for record in records(y)
            for node in record.inputs
        )
        grads = backward(y, create_graph=outer)
        return lifted(argument, [], lambda x: grads[x])

    return gradient


def lifted(tree: Any, leaves: list[Variable], leaf: Callable[[Any], Any] | None = None) -> Any:
    """A (nested) dict with each array turned into a variable, or into what `leaf` makes of it."""
    if isinstance(tree, dict):
        return {key: lifted(branch, leaves, leaf) for key, branch in tree.items()}
    if leaf is not None:
        return leaf(tree)
    # A copy of a variable is a value of its own: other uses of the original are not this argument's.
    leaves.append(tree.copy() if isinstance(tree, Variable) else Variable(tree))
    if not leaves[-1].needs_gradient:
        raise TypeError(f"grad: expected an argument of floating-point numbers, found {leaves[-1].dtype}.")
    return leaves[-1]
