"""What a gradient check cannot begin with, each refused by name."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functional_nets.gradcheck.program import Node, Program, is_real
from functional_nets.gradcheck.trace import trace

SAME = 1e-6  # Two evaluations of one loss, in NumPy and by XLA, are nearer to each other than that.


def refuse_nan(program: Program, reference: Sequence[Any], paths: Sequence[str]) -> None:
    """Raises ValueError, with the operation that makes the first one, when the loss or its gradient is not finite."""
    if not np.isfinite(program.values[program.result]):
        origin = _origin(program)
        raise ValueError(f"Expected a finite loss, found {program.values[program.result]}{origin}.")
    for path, leaf in zip(paths, reference, strict=True):
        bad = np.argwhere(~np.isfinite(leaf))
        if len(bad):
            index = [int(i) for i in bad[0]]
            raise ValueError(
                f"Expected a finite gradient, but that of the loss is {leaf[tuple(index)]} in {path!r} at {index}: "
                f"some slope is infinite{_steepest(program)}. Check the loss at other numbers, or keep the "
                "function away from there."
            )


def refuse_chance(loss_fn: Callable[..., Any], program: Program, value: float, params: Any, *args: Any) -> None:
    """Raises ValueError when the loss gives different values each time.

    Args:
        loss_fn: The loss.
        program: Its trace.
        value: What the loss was when it was called another time.
        params: Its parameters.
        args: Its other arguments.
    """
    first = float(program.values[program.result])
    if abs(first - value) <= SAME * max(1.0, abs(first)):
        return
    again = trace(loss_fn, params, *args)
    second = float(again.values[again.result])
    if second != first:
        raise ValueError(
            f"Expected a loss that gives the same value each time, found {first:.6g} and then {second:.6g}: it "
            "draws random numbers or keeps a state. Pass a key or the state in as an argument."
        )


def _origin(program: Program) -> str:
    for number in (*program.leaves, *program.arguments):
        if is_real(program.values[number]) and not np.all(np.isfinite(program.values[number])):
            return ": a parameter or an argument holds one that is not"
    for node in program.nodes:
        inputs = [program.values[number] for number in node.inputs]
        finite = all(np.all(np.isfinite(x)) for x in inputs if is_real(x))
        outputs = [program.values[number] for number in node.outputs]
        if finite and not all(np.all(np.isfinite(x)) for x in outputs if is_real(x)):
            return f": the first comes from {node.op}{_line(node)}"
    return ""


def _steepest(program: Program) -> str:
    """Names the first operation that is evaluated where its slope is infinite."""
    for node in program.nodes:
        if node.op in ("sqrt", "rsqrt", "log", "div", "pow", "log1p", "cbrt", "acos", "asin", "atanh", "acosh"):
            x = program.values[node.inputs[-1] if node.op == "div" else node.inputs[0]]
            edge = np.abs(x) == 1 if node.op in ("acos", "asin", "atanh", "acosh") else x == 0
            edge = x == -1 if node.op == "log1p" else edge
            if is_real(x) and np.any(edge):
                return f", as that of {node.op} at {np.asarray(x)[edge].ravel()[0].item():g}{_line(node)}"
    return ""


def _line(node: Node) -> str:
    return f" at {node.where.file}:{node.where.line}" if node.where else ""
