"""A forward pass that is wrong under a backward that is right: the gradient belongs to another forward pass.

People copy a backward formula such as (y - t)/N, which is right if y is the softmax of each row. If forward
normalises over the whole batch, the formula is evaluated at another y: it is the backward of the forward pass that
was meant, at the values of the one that ran.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.normalisers import Axes, Found, recognised
from functional_nets.gradcheck.program import Node, Program, Values, gradient, walk

SUMS_TO_ONE = {"softmax", "log_softmax"}
TINY = 1e-2  # A constant that is added to keep a logarithm from -∞ is no larger.


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the backward of each forward pass that was meant, at the values of the one that ran."""
    yield from _without_logarithm(evidence)
    logs_ = guarded_logs(evidence)
    for found in recognised(evidence):
        if found.normaliser.name not in SUMS_TO_ONE:
            continue
        ndim = np.ndim(evidence.program.values[found.x])
        for axes in meant(found.axes, ndim):
            text = (
                f"its {found.normaliser.name.replace('_', '-')} is normalised over {over(found.axes, ndim)} instead of "
                f"over {over(axes, ndim)}, and the backward pass is that of {over(axes, ndim)}: in forward, take the "
                f"maximum and the sum along axis {axes[0] if len(axes) == 1 else axes} with keepdims=True"
            )
            for logs in ((), logs_) if logs_ else ((),):
                yield _hypothesis(evidence, found, axes, logs, text)


def meant(axes: Axes, ndim: int) -> list[Axes]:
    """Returns the axes over which a softmax was meant to run, if it runs over others than classes."""
    if ndim < 2 or axes == (ndim - 1,) or 0 not in axes:
        return []  # One that keeps the examples apart is right, whatever its backward says.
    return [(axis,) for axis in range(ndim - 1, 0, -1)]


def guarded_logs(evidence: Evidence) -> tuple[int, ...]:
    """Returns the logarithms of something plus a small constant."""
    program = evidence.program
    makers = {number: node for node in program.nodes for number in node.outputs}
    return tuple(
        position
        for position in evidence.active
        if program.nodes[position].op == "log" and guard(makers.get(program.nodes[position].inputs[0]), program.values)
    )


def guard(node: Node | None, values: Values) -> float:
    """Returns the small constant that a node adds, 0 if it does nothing of the kind."""
    if node is None or node.op != "add":
        return 0.0
    small = [float(values[number]) for number in node.inputs if np.ndim(values[number]) == 0]
    return next((value for value in small if 0 < value <= TINY), 0.0)


def guards(program: Program) -> dict[int, Any]:
    """Returns the small constants that are added in front of a logarithm, by number."""
    makers = {number: node for node in program.nodes for number in node.outputs}
    found = {}
    for node in program.nodes:
        inner = makers.get(node.inputs[0]) if node.op == "log" else None
        if guard(inner, program.values) and inner is not None:
            for number in inner.inputs:
                if np.ndim(program.values[number]) == 0 and 0 < program.values[number] <= TINY:
                    found[number] = program.values[number]
    return found


def _without_logarithm(evidence: Evidence) -> Iterator[Hypothesis]:
    """The backward of a loss with log y, where forward has y."""
    program = evidence.program
    for position in evidence.active:
        node = program.nodes[position]
        if node.op != "mul" or node.where is None:
            continue
        for number in node.inputs:
            y = program.values[number]
            if number in evidence.cotangents and len(evidence.uses.get(number, ())) == 1 and np.ndim(y) > 0:
                if not (np.all((y > 0) & (y <= 1)) and np.allclose(np.sum(y, -1), 1)):
                    continue  # No probabilities.
                g = evidence.cotangents[number]
                text = "the loss has no logarithm, and the backward pass is that of a loss with log y: take the log"
                yield Hypothesis("wrong_loss", position, text, 0.3, {number: g / y - g})


def over(axes: Axes, ndim: int) -> str:
    """Returns words for what a normalisation runs over."""
    if len(axes) == ndim:
        return "the whole batch"
    if ndim == 2:
        return "each row" if axes == (1,) else "each column"
    return "axis " + " and ".join(map(str, axes))


def _hypothesis(evidence: Evidence, found: Found, axes: Axes, logs: tuple[int, ...], text: str) -> Hypothesis:
    program = evidence.program
    makers = {number: node for node in program.nodes for number in node.outputs}

    def unguarded(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        x = values[node.inputs[0]]
        return (g / (x - guard(makers[node.inputs[0]], values)),)

    def make() -> list[Any]:
        return _pulled(evidence, found, axes, dict.fromkeys(logs, unguarded))

    if logs:
        eps = guard(makers[program.nodes[logs[0]].inputs[0]], program.values)
        text += f" (it does not know of the {eps:g} in the logarithm, either)"
    return Hypothesis("wrong_axis", found.position, text, 0.1 if not logs else 0.2, None, make)


def _pulled(evidence: Evidence, found: Found, axes: Axes, override: Mapping[int, Any]) -> list[Any]:
    program, values = evidence.program, evidence.program.values
    maker = next(p for p in evidence.active if found.y in program.nodes[p].outputs)
    cotangents = walk(program, [p for p in evidence.active if p > maker], override=override)
    if found.y not in cotangents:
        return list(evidence.reference)
    to_x = found.normaliser.pullback(cotangents[found.y], values[found.y], values[found.x], axes)
    start = {n: c for n, c in cotangents.items() if n < found.x or n in program.leaves}
    start[found.x] = to_x
    before = [p for p in evidence.active if max(program.nodes[p].outputs) <= found.x]
    return gradient(program, walk(program, before, start=start))
