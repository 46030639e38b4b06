"""From a function and its arguments to the model of its gradient graph."""

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from functional_nets.gradcheck import Report, check
from functional_nets.gradcheck.comparison import given_leaves, leaf_paths
from functional_nets.gradcheck.program import is_real
from functional_nets.gradcheck.trace import trace
from functional_nets.report.graph.model import Input, Model
from functional_nets.report.graph.symbols import brief, printable
from functional_nets.report.graph.witnesses import testify


def build(fn: Callable[..., Any], args: Sequence[Any], manual: Any) -> Model:
    """Returns the model of a function's gradient graph; see `gradient_graph`."""
    if not args:
        raise ValueError("Expected at least one argument to differentiate by, found none: give gradient_graph(fn, x).")
    if all(isinstance(arg, int) and not isinstance(arg, bool) for arg in args):
        args = [float(arg) for arg in args]  # A formula of plain numbers: there 3 is 3.0.
    _refuse_others(args)
    program = trace(fn, *args)
    report, given = (None, {}) if manual is None else _checked(fn, args, manual)
    numbers = (*program.leaves, *program.arguments)
    testimony = testify(program, fn, args, {numbers[leaf]: np.asarray(array) for leaf, array in given.items()})
    if not testimony.units and program.result not in numbers:
        raise ValueError(
            "Expected a function whose result depends on its arguments, "
            f"found one that gives {brief(program.values[program.result])} whatever they are: nothing flows back."
        )
    names = _names(fn, args)
    inputs = []
    for place, number in enumerate(numbers):
        if is_real(program.values[number]):
            leaf = report.leaves[place] if report is not None and place < len(report.leaves) else None
            ok = leaf is None or leaf.ok
            inputs.append(Input(names[place], number, testimony.whole[place], given.get(place), ok))
    return Model(testimony, tuple(inputs), report)


def _refuse_others(args: Sequence[Any]) -> None:
    """Refuses what is no number, before JAX does in words of its own."""
    for place, arg in enumerate(args, 1):
        for leaf in jax.tree.leaves(arg):
            if not isinstance(leaf, jax.Array) and np.asarray(leaf).dtype.kind not in "biufcV":
                raise ValueError(
                    f"Expected numbers, arrays or trees of them, found {leaf!r} as argument {place}: "
                    "close over it, as in gradient_graph(lambda x: fn(x, option), x)."
                )


def _checked(fn: Callable[..., Any], args: Sequence[Any], manual: Any) -> tuple[Report, dict[int, Any]]:
    """Returns the gradient check's report, and the gradient under test by the place of its leaf."""
    first, *rest = args
    another_tree = not callable(manual) and leaf_paths(manual) != leaf_paths(first)
    if another_tree and isinstance(manual, (tuple, list)) and len(manual) == len(args):
        report = check(lambda whole: fn(*whole), tuple(args), manual=tuple(manual))
        return report, dict(enumerate(given_leaves(tuple(manual), tuple(args))))
    answers: list[Any] = []

    def recorded(*inputs: Any) -> Any:
        answers.append(copy.deepcopy(manual(*inputs)))
        return answers[-1]

    report = check(fn, first, *rest, manual=recorded if callable(manual) else manual)
    return report, dict(enumerate(given_leaves(answers[0] if callable(manual) else manual, first)))


def _names(fn: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """Returns a name for each leaf: the argument's, or the path within it where that is no other's, too."""
    try:
        signature = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        signature = []
    positional = [each.name for each in signature if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    named = [*positional, *(f"argument {place}" for place in range(len(positional), len(args)))]
    pairs = [
        (name, jax.tree_util.keystr(path, simple=True, separator="/"))
        for name, arg in zip(named, args, strict=False)
        for path, _ in jax.tree_util.tree_leaves_with_path(arg)
    ]
    count = Counter(path or name for name, path in pairs)
    found = [
        name if not path else path if count[path] == 1 and not path[0].isdigit() else f"{name}/{path}"
        for name, path in pairs
    ]
    return [printable(name) for name in found]
