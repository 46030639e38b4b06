"""Values that are used several times: contributions lost, averaged, overwritten, or put back in another order."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Entry, Hypothesis
from functional_nets.gradcheck.hypotheses.loops.repeated import everywhere
from functional_nets.gradcheck.hypotheses.loops.runs import Runs, groups
from functional_nets.gradcheck.hypotheses.rules.places import reader
from functional_nets.gradcheck.program import Node, Values, entries

MOST_PARTS = 6  # Of which some may be assigned and others added.


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields what may have become of the contributions to a value, in each run of its line."""
    yield from _shared(evidence)
    yield from _assigned_each_step(evidence)
    together = groups(evidence)
    for runs in together:
        yield from _reordered(evidence, runs.positions)
        yield from _joined(evidence, runs.positions)
    yield from _slices(evidence, together)
    yield from _subsets(evidence, together)


def _reordered(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    """The parts of a split put together again in another order."""
    count = len(evidence.program.nodes[positions[0]].outputs)
    if evidence.program.nodes[positions[0]].op != "split" or not 1 < count <= 5:
        return
    for order in itertools.permutations(range(count)):
        if order != tuple(range(count)):
            text = f"the parts of this split come back in the order {order}: put them where they were"
            turned = dict.fromkeys(positions, _in_order(order))
            yield everywhere(turned, "permuted", text, 1.0)


def _joined(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    """A part of a concatenation that gets the gradient of other rows: those of [x, h] for those of [h, x]."""
    node = evidence.program.nodes[positions[-1]]
    if node.op != "concatenate":
        return
    axis = node.params["dimension"]
    whole = np.shape(evidence.program.values[node.outputs[0]])[axis]
    first = 0
    for place, number in enumerate(node.inputs):
        width = np.shape(evidence.program.values[number])[axis]
        for start in range(whole - width + 1) if number in evidence.reach else ():
            if start != first:
                text = f"this part of the concatenation gets the gradient of the places from {start} on; its own begin "
                text += f"at {first}, each time this line runs"
                cut = dict.fromkeys(positions, _cut(place, axis, start, width))
                yield everywhere(cut, "permuted", text, 0.9)
        first += width


def _cut(place: int, axis: int, start: int, width: int) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        found = list(entries(node, g, values))
        found[place] = np.take(np.asarray(g), range(start, start + width), axis)
        return tuple(found)

    return entry


def _subsets(evidence: Evidence, together: list[Runs]) -> Iterator[Hypothesis]:
    """A value that each step uses several times, and of whose contributions one is kept, or two are left out."""
    group = {position: runs for runs in together for position in runs.positions}
    seen = set()
    for uses in evidence.uses.values():
        places = [(group[p], place) for p, place in uses if p in group]
        key = tuple(sorted((runs.positions[0], place) for runs, place in places))
        if not 2 < len(places) == len(set(key)) <= 6 or key in seen or evidence.late:
            continue
        seen.add(key)
        for size in (len(places) - 1, 2):
            for dropped in itertools.combinations(places, size):
                silent: dict[int, set[int]] = defaultdict(set)
                for runs, place in dropped:
                    for p in runs.positions:
                        silent[p].add(place)
                zeros = {p: _without(frozenset(these)) for p, these in silent.items()}
                kind, text = "overwritten", "of this value's {} uses in each step only {} is counted: add them up (+=)"
                text = text.format(len(places), "one" if size == len(places) - 1 else len(places) - size)
                kept = [runs for runs, place in places if (runs, place) not in dropped]
                yield everywhere(zeros, kind, text, 0.9)._replace(position=kept[0].positions[-1])


def _without(places: frozenset[int]) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        return tuple(None if i in places else e for i, e in enumerate(entries(node, g, values)))

    return entry


def _slices(evidence: Evidence, together: list[Runs]) -> Iterator[Hypothesis]:
    """Slices of one value, of the same shape, whose gradients are put back in another order."""
    nodes, values = evidence.program.nodes, evidence.program.values
    lists: dict[tuple[int, ...], list[list[int]]] = defaultdict(list)
    group = {position: runs for runs in together for position in runs.positions}
    for uses in evidence.uses.values():
        parts = [p for p, _ in sorted(uses) if nodes[p].op == "slice"]
        if 1 < len(parts) <= 5 and len({np.shape(values[nodes[p].outputs[0]]) for p in parts}) == 1:
            lists[tuple(group[p].positions[0] if p in group else p for p in parts)].append(parts)
    for runs in lists.values():
        for order in itertools.permutations(range(len(runs[0]))):
            if order != tuple(range(len(order))):
                overrides = {p: entry for parts in runs for p, entry in _exchanged(nodes, parts, order).items()}
                text = f"the parts of this value come back in the order {order}: put them where they were"
                yield everywhere(overrides, "permuted", text, 0.95)
                makers = {evidence.made.get(nodes[parts[0]].inputs[0], -1): parts for parts in runs}
                if min(makers) in evidence.active:
                    blocks = {p: _blocks([nodes[i].params for i in parts], order) for p, parts in makers.items()}
                    found = everywhere(blocks, "permuted", text, 1.0)
                    yield found._replace(position=min(parts[0] for parts in runs))


def _blocks(slices: list[Any], order: tuple[int, ...]) -> Entry:
    """The rule of an elementwise operation, and then the blocks of its entries in another order."""

    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        found = []
        for each in entries(node, g, values):
            moved = None if each is None else np.array(each)
            if moved is not None and np.shape(moved) == np.shape(g):
                index = [tuple(map(slice, s["start_indices"], s["limit_indices"])) for s in slices]
                for to, source in zip(index, order, strict=True):
                    moved[to] = np.asarray(each)[index[source]]
            found.append(moved)
        return tuple(found)

    return entry


def _exchanged(nodes: Sequence[Node], parts: list[int], order: tuple[int, ...]) -> dict[int, Entry]:
    """Rules that collect the gradients of all parts, and hand them out in another order with the first part's."""
    collected: dict[int, Any] = {}

    def rule(position: int) -> Entry:
        def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
            collected[position] = g
            if position != parts[0]:
                return (None,)
            found = [
                entries(nodes[at], collected[parts[i]], values)[0]
                for at, i in zip(parts, order, strict=True)
                if parts[i] in collected
            ]
            return (sum(found),)

        return entry

    return {position: rule(position) for position in parts}


def _in_order(order: tuple[int, ...]) -> Entry:
    return lambda node, g, values: entries(node, tuple(g[i] for i in order), values)


def _shared(evidence: Evidence) -> Iterator[Hypothesis]:
    """A value used several times that keeps one contribution, or their mean."""
    for number, uses in evidence.uses.items():
        if len(uses) < 2 or not evidence.concerns(number):
            continue
        parts = [np.asarray(evidence.entries(position)[place]) for position, place in sorted(uses)]
        total = np.sum(parts, axis=0)
        first = _line(evidence, min(uses)[0])
        if len(uses) > 2:
            text = "this value is used {} times, and its gradient keeps only {} contribution: add them (+=)"
            for index, part in enumerate(parts[1:-1], 2):
                yield Hypothesis(
                    "overwritten", first, text.format(len(uses), f"number {index}"), 0.7, {number: part - total}
                )
            for part, which, cost in ((parts[0], "the last", 0.45), (parts[-1], "the first", 0.55)):
                words = text.format(len(uses), which)
                yield Hypothesis("overwritten", first, words, cost, {number: part - total})
        supports = [_support(evidence, position, place) for position, place in sorted(uses)]
        if len(uses) > 2 or not any(np.all(support) for support in supports):
            yield from _assigned(number, first, parts, supports, total)
        text = f"the {len(uses)} contributions to this value's gradient are averaged: add them"
        yield Hypothesis("wrong_reduction", first, text, 0.8, {number: total / len(uses) - total})
        if len(uses) == 2:
            a, b = parts
            for other in (a * b, a - b, b - a):
                text = "the two contributions to this value's gradient are not added"
                yield Hypothesis("missing_term", first, text, 1.6, {number: other - total})


def _assigned_each_step(evidence: Evidence) -> Iterator[Hypothesis]:
    """All wrong parameters' gradients assigned (=) in the loop over the steps, and not added up (+=)."""
    leaves = evidence.program.leaves
    uses = {leaf: sorted(evidence.uses.get(leaves[leaf], [])) for leaf in evidence.wrong}
    if len(uses) < 2 or any(len(each) < 2 for each in uses.values()):
        return
    for end, cost in ((0, 0.35), (-1, 0.4)):
        kept = {leaf: evidence.entries(each[end][0])[each[end][1]] for leaf, each in uses.items()}
        delta = {leaves[leaf]: np.asarray(part) - evidence.reference[leaf] for leaf, part in kept.items()}
        step = "first" if end == 0 else "last"
        text = f"each of these gradients keeps only the {step} step's contribution: add them up (+=)"
        first = min(each[0][0] for each in uses.values())
        yield Hypothesis("overwritten", first, text, cost, delta, partial(evidence.pulled, delta, 0))


def _line(evidence: Evidence, position: int) -> int:
    """Where a person looks for a value's use: not in a helper that cuts arrays into windows, but where it is called."""
    nodes = evidence.program.nodes
    here, later = nodes[position], reader(evidence, position)
    others = [
        p for p, n in enumerate(nodes)
        if n.where == here.where and n.op == here.op and n.inputs and n.inputs[0] != here.inputs[0]
    ]  # fmt: skip
    helps = any(nodes[reader(evidence, p)].where != nodes[later].where for p in others)
    return later if helps else position


def _support(evidence: Evidence, position: int, place: int) -> Any:
    """The elements of an operand that an operation reads."""
    g = np.ones_like(evidence.cotangents_of(position))
    return entries(evidence.program.nodes[position], g, evidence.program.values)[place] != 0


def _assigned(
    number: int, first: int, parts: Sequence[Any], supports: Sequence[Any], total: Any
) -> Iterator[Hypothesis]:
    """Slices of a value whose gradients are assigned (=) where they overlap: all of them, or two or three."""
    text = "the parts of this value overlap, and their gradients overwrite each other: add them (+=)"
    pairs = list(zip(parts, supports, strict=True))
    for order, cost in ((pairs, 0.5), (pairs[::-1], 0.55)):
        yield Hypothesis("overwritten", first, text, cost, {number: _last(order, total) - total})
    if len(pairs) > MOST_PARTS:
        return
    for count in (2, 3):
        for some in itertools.permutations(range(len(pairs)), count):
            order = [pairs[i] for i in some]
            added = sum(part for part, _ in order)
            change = _last(order, total) - added
            if np.any(change):
                yield Hypothesis("overwritten", first, text, 0.6 + 0.05 * count, {number: change})


def _last(order: Sequence[tuple[Any, Any]], total: Any) -> Any:
    """What is left of parts that are assigned one after the other."""
    kept = np.zeros_like(total)
    for part, support in order:
        kept = np.where(support, part, kept)
    return kept
