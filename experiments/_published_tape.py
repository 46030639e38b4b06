"""Notebook `001`, a chain differentiated in four ways, and the shopping of notebook `002`, by our tape and layers."""

from typing import Any

import numpy as np

from experiments._published_verdict import Answer, Same
from experiments.computational_graph import Config, by_layers
from functional_nets.backprop import Node, Variable, backward, rules, tape


def chain() -> dict[str, Answer]:
    """Returns our value for each number that notebook `001` prints."""
    x = Variable(np.array(0.5))
    y: Any = tape.square(tape.exp(tape.square(x)))
    ways = {
        "by hand": _by_hand(0.5),
        "from creator to creator": _from_creator_to_creator(y),
        "by recursion": _by_recursion(y.node, np.ones(())),
        "by a loop": backward(y)[x],
    }
    return {f"derivative of (exp(x²))² at 0.5, {way}": Same(repr(float(found))) for way, found in ways.items()}


def _by_hand(x: float) -> Any:
    a = x**2
    b = np.exp(a)
    return 2 * x * (np.exp(a) * (2 * b * 1.0))


def _from_creator_to_creator(y: Variable) -> Any:
    g = np.ones(y.shape)
    third: Any = y.creator
    g = _through(third, g)
    second: Any = third.input.creator
    g = _through(second, g)
    first = second.input.creator
    return _through(first, g)


def _by_recursion(node: Node, g: Any) -> Any:
    return g if node.creator is None else _by_recursion(node.creator.input, _through(node.creator, g))


def _through(record: Any, g: Any) -> Any:
    """Returns the gradient of the input of a function of one variable, by its rule."""
    return rules.backward(record.primitive, g, record.output.data, (record.input.data,), record.params)[0]


def shopping() -> dict[str, Answer]:
    """Returns our value for what notebook `002` prints of its first graphs."""
    only, both = by_layers(Config(apple=100, apples=2, orange=150, oranges=3, tax=1.1))
    slopes = both.gradients
    return {
        "two apples with tax": Same(repr(only.total)),
        "gradients for tax, apple, number": Same(_listed(only.gradients[name] for name in ("tax", "apple", "apples"))),
        "apples and oranges with tax": Same(repr(both.total)),
        "gradients for apple, number, orange, number, tax": Same(
            _listed(slopes[name] for name in ("apple", "apples", "orange", "oranges", "tax"))
        ),
    }


def _listed(numbers: Any) -> str:
    return " ".join(map(repr, numbers))
