"""Reading and writing elements of a variable."""

import operator
from typing import Any

import numpy as np

from functional_nets.backprop.tape.dispatch import FUNCTIONS, LABELS
from functional_nets.backprop.tape.graph import Array
from functional_nets.backprop.tape.variable import Variable, primitive, record
from functional_nets.backprop.tape.views import positions


def read(x: Any, index: Any) -> Any:
    """`x[index]`."""
    return primitive("take", x, index=fixed(index))


def write(x: Variable, index: Any, new: Any) -> None:
    """`x[index] = new`: the elements of `new` at their places, and elsewhere those that were there before.

    Raises:
        TypeError: The array holds integers, which would cut the gradient of `new`.
    """
    root = x.view_of.root if x.view_of else x
    if isinstance(new, Variable) and new.needs_gradient and root.dtype.kind != "f":
        raise TypeError(
            f"variable[index] = variable: expected an array of floating-point numbers, found one of "
            f"{root.dtype}, which would round what is written and end its gradient. Make it with dtype=float."
        )
    places = positions(x)
    if not places.flags.writeable:
        raise ValueError("a broadcast array names an element several times: it is read-only")
    places = np.asarray(places[fixed(index)])
    surplus = max(0, np.ndim(new) - places.ndim)
    if np.shape(new)[:surplus] == (1,) * surplus:  # NumPy drops them, too.
        new = np.reshape(new, np.shape(new)[surplus:])
    new = np.reshape(np.broadcast_to(new, places.shape), -1)
    if not places.size:
        return
    mask, source = np.zeros(root.size, bool), np.zeros(root.size, int)
    # Where a place is named twice NumPy keeps what is written last, here as there.
    mask[places], source[places] = True, np.arange(places.size).reshape(places.shape)
    laid_out = new[source.reshape(root.shape)]
    operands = (mask.reshape(root.shape), Variable.of(root.node), laid_out)
    root.refer_to(record("select_n", choose, operands, {}).node)


def choose(which: Array, before: Array, after: Array) -> Array:
    """`after` where `which` is true, else `before`; in the type of `before`, as NumPy writes."""
    out = before.copy(order="K")
    out[which] = after[which]
    return out


def fixed(index: Any) -> tuple[Any, ...]:
    """An index as a tuple, and a copy of the arrays in it: the user may change a mask later."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(np.array(part) if isinstance(part, Variable | list | np.ndarray) else part for part in parts)


FUNCTIONS |= {operator.getitem: read, operator.setitem: write}
LABELS |= {operator.getitem: "variable[index]", operator.setitem: "variable[index] = value"}
