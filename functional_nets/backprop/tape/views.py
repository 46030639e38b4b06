"""Views: as in NumPy, a slice or a reshaped array shares its elements with what it was taken from."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from functional_nets.backprop.tape.graph import Array, Node

if TYPE_CHECKING:
    from functional_nets.backprop.tape.variable import Variable


class View(NamedTuple):
    """What makes a variable a view: writes through it reach `root`, and writes into `root` show in it.

    `look` turns an array like `parent` into one like the view; `seen` is the root's node when it last did.
    """

    parent: "Variable"
    root: "Variable"
    look: Callable[[Array], Array]
    seen: Node


def looked_at(x: "Variable", array: Array) -> Array:
    """What `x` shows of an array that has the shape of the one it views."""
    looks = []
    while x.view_of is not None:
        looks.append(x.view_of.look)
        x = x.view_of.parent
    for look in reversed(looks):
        array = look(array)
    return array


def positions(x: "Variable") -> Array:
    """Where each element of `x` lies in the array that it views, or in itself: flat indices."""
    root = x.view_of.root if x.view_of else x
    return looked_at(x, np.arange(root.size).reshape(root.shape))


def unravelled(x: "Variable") -> tuple[Array, ...]:
    """The same as an index of the array that it views."""
    root = x.view_of.root if x.view_of else x
    return tuple(np.unravel_index(positions(x), root.shape))
