"""The array that remembers: plain NumPy code runs on it, and every operation is recorded.

A `Variable` is a name for a node of the graph. Nodes never change. What changes an array in place in NumPy
(`out[mask] = 0`, `b += 1`) makes a new node here and lets the variable name it, so that whoever read the
array before keeps what they read.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from functional_nets.backprop.tape.dispatch import call, plain
from functional_nets.backprop.tape.graph import Array, Node, Record
from functional_nets.backprop.tape.methods import ArrayMethods
from functional_nets.backprop.tape.views import View, looked_at, unravelled
from functional_nets.backprop.values import VALUES


class Variable(ArrayMethods):
    """An array whose history is recorded, for `backward` to differentiate.

    NumPy's functions, operators, indexing, assignment and the usual methods work on it; what has no
    gradient (comparisons, `argmax`, shapes) gives plain arrays.

    Args:
        data: Real numbers. The variable keeps a copy of its own.
        name: What to call it in pictures and messages.

    Attributes:
        given: The node made of `data`, None for the result of an operation.
        view_of: Whose elements it shares, None for an array of its own.

    Raises:
        TypeError: `data` are no real numbers.
        ValueError: There is a NaN among them.
    """

    __slots__ = ("_node", "_scalar", "given", "view_of")

    given: Node | None
    view_of: View | None

    def __init__(self, data: Any, name: str | None = None) -> None:
        label = f"Variable {name!r}" if name else "Variable"
        array = np.array(plain(data))
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{label}: expected real numbers, found {type(data).__name__} of {array.dtype}.")
        if (place := first_nan(array)) is not None:
            raise ValueError(f"{label}: expected numbers, found NaN at {place} of shape {array.shape}.")
        array.flags.writeable = False
        self.given = self._node = Node(array, name=name)
        self._scalar, self.view_of = np.isscalar(data), None

    @classmethod
    def of(cls, node: Node, *, scalar: bool = False, view: View | None = None) -> "Variable":
        """A variable that names `node`.

        NumPy's scalars cannot be written to: with `scalar`, `v += 1` makes `v` another variable.
        """
        self = cls.__new__(cls)
        self._node, self._scalar, self.given, self.view_of = node, scalar, None, view
        return self

    def refer_to(self, node: Node) -> None:
        """Name another node: the content after a write."""
        self._node = node

    @property
    def node(self) -> Node:
        """The node that the variable names now."""
        view = self.view_of
        if view is not None and view.seen is not view.root._node:
            root = view.root
            # The array lies in memory as NumPy's would, so that what is a view of it there is one here.
            fresh = record("take", lambda a: looked_at(self, a), (root,), {"index": unravelled(self)})
            self._node, self.view_of = fresh.node, view._replace(seen=root._node)
        return self._node

    @property
    def data(self) -> Array:
        """The array itself, read-only and outside the recording: what is made of it is a constant."""
        return self.node.data

    @property
    def value(self) -> Array:
        """The same as `data`, under the name that `functional_nets.backprop.primitive` asks for."""
        return self.node.data

    @property
    def creator(self) -> Record | None:
        """The operation whose output this is, None for data that was given."""
        return self.node.creator

    @property
    def name(self) -> str | None:
        """What the user called it."""
        return self.node.name

    @property
    def needs_gradient(self) -> bool:
        """Whether a gradient can flow here: not for constants, integers and booleans."""
        return self.node.needs_gradient

    def __repr__(self) -> str:
        label = f", name={self.name!r}" if self.name else ""
        return f"Variable({np.array2string(self.data, separator=', ', prefix='Variable(')}{label})"

    def _number(self, operation: str) -> Array:
        if self.needs_gradient:
            raise TypeError(
                f"{operation}: expected a plain array, found a Variable of shape {self.shape}, whose "
                "gradient would end here. Use NumPy's functions on it (np.stack for np.array; let "
                "np.zeros_like(variable) make an array to fill), or say `.data` where no gradient is to flow."
            )
        return self.data

    def astype(self, dtype: Any) -> Any:
        """The same numbers in another type; as integers or booleans, without a gradient, a plain array."""
        kind = np.dtype(dtype)
        if kind.kind != "f":
            return self.data.astype(kind)
        return primitive("convert_element_type", self, compute=lambda a: a.astype(kind), new_dtype=kind)

    def __getitem__(self, index: Any) -> Any:
        return call(operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        call(operator.setitem, (self, index, value), {})

    def sort(self, axis: int = -1) -> None:
        """Put the elements in order along an axis."""
        self[...] = np.sort(self, axis)  # type: ignore[call-overload]

    def fill(self, value: Any) -> None:
        """Set every element."""
        self[...] = value

    def assign(self, result: Any) -> "Variable":
        """What `self += …` and `out=self` leave: this variable with that content; another for a scalar."""
        if self._scalar:
            return result if isinstance(result, Variable) else Variable.of(constant(result), scalar=True)
        alike = isinstance(result, Variable) and result.dtype == self.dtype and result.shape == self.shape
        if alike and self.view_of is None and result.data.strides == self.data.strides:
            self.refer_to(result.node)
        else:
            self[...] = result
        return self

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return call(ufunc if method == "__call__" else getattr(ufunc, method), inputs, options)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, options: Any) -> Any:
        return call(function, args, dict(options))

    @classmethod
    def __primitive__(cls, name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return primitive(name, *inputs, **params)


def primitive(name: str, *operands: Any, compute: Callable[..., Any] | None = None, **params: Any) -> Any:
    """Evaluate a primitive on arrays and variables, and record it.

    Args:
        name: The JAX primitive, or the linear map of this package, whose rule differentiates it.
        operands: What a gradient may flow to. Plain arrays are copied: whoever changes them later does not
            change what was recorded.
        compute: What computes it from arrays, `VALUES[name]` if left out.
        params: Further arguments of the primitive, constants all.

    Returns:
        A variable; without a variable among the operands a plain array.
    """

    def evaluate(*arrays: Any) -> Any:
        return VALUES[name](*map(np.asarray, arrays), **params)

    if any(isinstance(x, Variable) for x in operands):
        return record(name, compute or evaluate, operands, params)
    return (compute or evaluate)(*operands)


def record(name: str, compute: Callable[..., Any], operands: tuple[Any, ...], params: dict[str, Any]) -> Variable:
    """Run `compute` on the operands' arrays and write it down."""
    result = compute(*map(plain, operands))
    scalar, array = isinstance(result, np.generic), np.asarray(result)
    array.flags.writeable = False
    inputs = tuple(x.node if isinstance(x, Variable) else constant(x, array.dtype) for x in operands)
    if any(node.needs_gradient for node in inputs):
        node = Node(array).made_by(name, inputs, params)
    else:
        node = Node(array, constant=True)
    parent = operands[0]
    view = None
    if isinstance(parent, Variable) and not (scalar or parent._scalar) and np.may_share_memory(array, parent.data):
        root = parent.view_of.root if parent.view_of else parent
        view = View(parent, root, compute, root.node)
    return Variable.of(node, scalar=scalar, view=view)


def constant(x: Any, dtype: np.dtype[Any] | None = None) -> Node:
    """A node for a plain array. Like NumPy, a Python number takes the type of what it meets."""
    if isinstance(x, Node):
        return x
    weak = type(x) in (int, float) and dtype is not None and dtype.kind == "f"
    array = np.array(x, dtype if weak else None)
    array.flags.writeable = False
    return Node(array, constant=True)


def first_nan(array: Array) -> tuple[int, ...] | None:
    """Where the first NaN stands, None without any."""
    if array.dtype.kind != "f" or not np.isnan(array).any():
        return None
    return tuple(map(int, np.argwhere(np.isnan(array))[0]))
