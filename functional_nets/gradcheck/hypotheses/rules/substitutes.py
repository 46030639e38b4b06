"""Arrays that stand in for an operand: the other factor, a neighbour, a transpose, one that was changed in place."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.program import Node

SOURCES = 6  # Operations, and values, that an array is followed back through.
NEAREST = 24  # Arrays of the same shape that are tried in place of an operand.


def substitutes(
    evidence: Evidence, position: int, place: int, value: Any
) -> Iterator[tuple[Any, str, float, str | None]]:
    """Yields (array, what it is, cost, kind or None) to stand in for an operand."""
    program = evidence.program
    node = program.nodes[position]
    own = node.inputs[place]
    name = _ordinal(node, place)
    derived = in_place(evidence, own)
    for number in near(evidence, np.shape(value), position):
        if number == own:
            continue
        if number in node.inputs:
            yield program.values[number], "the product rule takes the other factor: here it takes its own", 0.5, None
        elif number in derived:
            text = f"{name} was changed in place after the forward pass had used it: keep a copy"
            yield program.values[number], text, 1.35, "mutated"
            text = f"{name} is taken after the next operation instead of before it"
            yield program.values[number], text, 1.3, None
        else:
            yield program.values[number], f"the rule wants {name}; another array of its shape is used", 1.4, None
    for a, b in itertools.combinations(range(value.ndim), 2):
        if value.shape[a] == value.shape[b]:
            turned = f"{name} is transposed here, or not transposed where it must be"
            yield np.swapaxes(value, a, b), turned, 0.6, "transposed"
    if value.ndim >= 2 and node.op == "dot_general":
        turned_shape = (*value.shape[:-2], value.shape[-1], value.shape[-2])
        for number in near(evidence, turned_shape, position):
            other = np.swapaxes(program.values[number], -1, -2)
            if number != own and not np.array_equal(other, value):
                text = "the product rule takes the other factor: here it takes its own"
                yield other, text, 1.4, None
    if value.ndim >= 2:
        for axis in range(value.ndim):
            flipped = f"{name} is reversed along axis {axis}, or not where it must be"
            yield np.flip(value, axis), flipped, 1.8, "permuted"
            yield np.roll(value, 1, axis), f"{name} is shifted by one along axis {axis}", 2.0, "permuted"
            yield np.roll(value, -1, axis), f"{name} is shifted by one along axis {axis}", 2.0, "permuted"
        if node.op == "conv_general_dilated":
            for axes in ((0, 1), (2, 3)):
                text = f"{name} is flipped in both directions, or not where it must be"
                yield np.flip(value, axes), text, 0.8, "permuted"
    if node.op in ("mul", "div", "dot_general"):
        for array in written_over(evidence, own):
            text = f"a gradient was written into the array of {name} before this gradient read it: keep a copy"
            yield array, text, 1.15, "mutated"
    special = "scale" if node.op == "div" and place == 1 and own not in evidence.reach else "missing_term"
    yield np.ones_like(value), f"the factor {name} is left out", 1.0, special
    if own in program.leaves:
        leaf = program.leaves.index(own)
        given = evidence.given[leaf]
        if given is not None:
            for rate in (0.1, 0.01, 0.5, 1.0, 0.001, 0.05, 0.2, 0.3):
                text = f"{evidence.paths[leaf]} was updated (learning rate {rate:g}) before this gradient used it"
                yield value - rate * given, text, 1.2, "mutated"
                yield value - rate * given, text, 1.25, "stale"


def in_place(evidence: Evidence, number: int) -> set[int]:
    """The values that elementwise operations make of a value, as code that works in place would."""
    program = evidence.program
    shape = np.shape(program.values[number])
    found = {number}
    for position in evidence.active:
        node = program.nodes[position]
        if not found.isdisjoint(node.inputs) and np.shape(program.values[node.outputs[0]]) == shape:
            found.add(node.outputs[0])
    return found - {number}


def written_over(evidence: Evidence, number: int) -> Iterator[Any]:
    """Yields the gradients that code which works in place leaves in a value's array.

    They are that of the value itself, whole or in part, and those of the few values of its shape that it was made of.
    """
    program = evidence.program
    shape = np.shape(program.values[number])
    if number in program.leaves and evidence.given[program.leaves.index(number)] is not None:
        yield evidence.given[program.leaves.index(number)]
    uses = evidence.uses.get(number, [])
    if 1 < len(uses) <= 4:
        yield from (np.asarray(evidence.entries(position)[place]) for position, place in uses)
    for source in sources(evidence, number):
        g = evidence.cotangents.get(source)
        if g is not None and np.shape(g) == shape:
            yield np.asarray(g)


def sources(evidence: Evidence, number: int) -> list[int]:
    """Returns a value and the values of its shape that it is made of, through a few operations."""
    program = evidence.program
    shape = np.shape(program.values[number])
    found, frontier = [number], [number]
    for _ in range(SOURCES):
        made = [evidence.made[n] for n in frontier if n in evidence.made]
        frontier = [n for p in made for n in program.nodes[p].inputs if n in evidence.reach and n not in found]
        found += dict.fromkeys(frontier)
    return [n for n in found if np.shape(program.values[n]) == shape][:SOURCES]


def near(evidence: Evidence, shape: tuple[int, ...], position: int) -> list[int]:
    """Returns the arrays of a shape, those first that stand near a node in the program."""
    here = evidence.program.nodes[position].outputs[0]
    return sorted(evidence.twins.get(tuple(shape), []), key=lambda number: abs(number - here))[:NEAREST]


def _ordinal(node: Node, place: int) -> str:
    return "its operand" if len(node.inputs) == 1 else f"its {('first', 'second', 'third')[min(place, 2)]} operand"
