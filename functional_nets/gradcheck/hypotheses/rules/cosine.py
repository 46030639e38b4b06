"""Cosines of pairs of rows, a·b / (|a| |b|): norms over the wrong axis, and terms of the gradient that get lost.

They are found by their values, in whatever order the loss divides.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Change, Hypothesis
from functional_nets.gradcheck.program import Foreign, Node, gradient, rerun, walk

REACH = 12  # Operations between the sum of the products and the cosine.
Pullback = Callable[[Any, Any, Any], tuple[Any, Any]]


class Cosine(NamedTuple):
    """A cosine in a program.

    Attributes:
        position: The operation that gives it.
        norm: The operation that sums the squares of the first of its vectors.
        a: The number of the first array of vectors, along their last axis.
        b: The number of the second.
        guards: What is added to the squared norms of the two.
    """

    position: int
    norm: int
    a: int
    b: int
    guards: tuple[float, float]


class Vectors(NamedTuple):
    """Vectors over their norms, the norms, and the cosines."""

    a: Any
    b: Any
    norm_a: Any
    norm_b: Any
    cosine: Any


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each cosine, the gradients that people write."""
    for found in _recognised(evidence):
        yield from _other_axis(evidence, found)
        for kind, text, pullback in _simplified(found):
            nodes = {found.position: _node(evidence, found, -1, pullback)}
            yield Hypothesis(kind, found.position, text, 0.6, change=Change({}, nodes))


def _recognised(evidence: Evidence) -> Iterator[Cosine]:
    nodes, values = evidence.program.nodes, evidence.program.values
    for index, position in enumerate(evidence.active):
        node = nodes[position]
        if node.op != "reduce_sum" or nodes[evidence.made.get(node.inputs[0], position)].op != "mul":
            continue
        a, b = nodes[evidence.made[node.inputs[0]]].inputs
        if a == b or np.shape(values[a]) != np.shape(values[b]) or node.params["axes"] != (np.ndim(values[a]) - 1,):
            continue
        norms = [norm for number in (a, b) if (norm := _norm(evidence, values[number]))]
        if len(norms) < 2:
            continue
        product = np.asarray(values[norms[0][0]] * values[norms[1][0]])
        for later in evidence.active[index : index + REACH]:
            y = nodes[later].outputs[0]
            if np.shape(values[y]) == np.shape(product) and np.allclose(
                values[y] * product, values[node.outputs[0]], rtol=1e-9, atol=0
            ):
                guards = (norms[0][1], norms[1][1])
                yield Cosine(later, evidence.made[norms[0][0]], a, b, guards)
                break


def _norm(evidence: Evidence, x: Any) -> tuple[int, float] | None:
    """The number of the value that is the norm of some vectors, and the guard that its square holds; else nothing."""
    squares = np.sum(np.square(x), axis=-1)
    for number in evidence.twins.get(np.shape(squares), []):
        value = evidence.program.values[number]
        if number in evidence.made and np.allclose(np.square(value), squares, rtol=1e-4, atol=0) and np.all(value > 0):
            return number, float(np.mean(np.square(value) - squares))
    return None


def _vectors(found: Cosine, a: Any, b: Any, axis: int) -> Vectors:
    norm_a, norm_b = (
        np.sqrt(np.sum(np.square(x), axis=axis, keepdims=True) + guard)
        for x, guard in zip((a, b), found.guards, strict=True)
    )
    unit_a, unit_b = a / norm_a, b / norm_b
    return Vectors(unit_a, unit_b, norm_a, norm_b, np.sum(unit_a * unit_b, axis=-1, keepdims=True))


def _by_rows(found: Cosine, axis: int, g: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """The gradients of the cosines as the formula for rows has them, whatever the norms run over."""
    v, g = _vectors(found, a, b, axis), g[..., None]
    return g * (v.b - v.cosine * v.a) / v.norm_a, g * (v.a - v.cosine * v.b) / v.norm_b


def _by_axis(found: Cosine, axis: int, g: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """The gradients of the cosines when the norms run over another axis."""
    v, g = _vectors(found, a, b, axis), g[..., None]

    def normed(g: Any, unit: Any, norm: Any) -> Any:
        return (g - unit * np.sum(g * unit, axis=axis, keepdims=True)) / norm

    return normed(g * v.b, v.a, v.norm_a), normed(g * v.a, v.b, v.norm_b)


def _simplified(found: Cosine) -> Iterator[tuple[str, str, Pullback]]:
    """What people write instead of (b/|b| - cos·a/|a|) / |a|."""

    def formula(change: Callable[[Any, Any, Any, Any], Any]) -> Pullback:
        def pullback(g: Any, a: Any, b: Any) -> tuple[Any, Any]:
            v, g = _vectors(found, a, b, -1), g[..., None]
            return g * change(v.a, v.b, v.norm_a, v.cosine), g * change(v.b, v.a, v.norm_b, v.cosine)

        return pullback

    slips: tuple[tuple[str, str, Callable[[Any, Any, Any, Any], Any]], ...] = (
        ("missing_term", "b / (|a| |b|), the norms being constants", lambda a, b, n, c: b / n),
        ("wrong_derivative", "not divided by |a|", lambda a, b, n, c: b - c * a),
        ("wrong_derivative", "without the cosine", lambda a, b, n, c: (b - a) / n),
        ("wrong_derivative", "divided by |a|²", lambda a, b, n, c: (b - c * a) / (n * n)),
        ("sign", "with a plus for the minus", lambda a, b, n, c: (b + c * a) / n),
    )
    for kind, words, change in slips:
        yield kind, f"the gradient of a cosine by a is (b/|b| - cos·a/|a|) / |a|; here it is {words}", formula(change)


def _other_axis(evidence: Evidence, found: Cosine) -> Iterator[Hypothesis]:
    for axis in range(np.ndim(evidence.program.values[found.a]) - 1):
        text = f"the norms of a cosine run over axis {axis}; they must run over the last one"
        for formula in (_by_rows, _by_axis):
            node = _node(evidence, found, axis, partial(formula, found, axis))
            yield Hypothesis("wrong_axis", found.norm, text, 0.5, None, partial(_passes, evidence, found, node))


def _node(evidence: Evidence, found: Cosine, axis: int, pullback: Pullback) -> Node:
    """The cosine as one operation with a gradient of its own."""
    own = evidence.program.nodes[found.position]

    def value(a: Any, b: Any) -> Any:
        return _vectors(found, a, b, axis).cosine[..., 0]

    return Node("a cosine", (found.a, found.b), own.outputs, {}, own.where, Foreign(value, pullback))


def _passes(evidence: Evidence, found: Cosine, node: Node) -> list[Any]:
    """The gradient when both passes have another cosine."""
    assert node.foreign is not None, "a cosine has a value of its own"
    nodes = list(evidence.program.nodes)
    nodes[found.position] = node
    changed = evidence.program._replace(nodes=tuple(nodes))
    values = rerun(changed, {}, edits={found.position: node.foreign.value})
    return gradient(changed, walk(changed, evidence.active, values=values))
