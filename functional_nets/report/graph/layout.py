"""A layered layout, from left to right, after Sugiyama: ranks, few crossings, straight edges, no overlap.

Each edge has a label, which takes room as a vertex does: it stands in a column of its own before the edge's end.
Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures" (1981); the
vertical places are least squares under the order, by pooling adjacent violators.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

COLUMN_GAP = 30.0  # Pixels between two columns, in which edges bend.
ROW_GAP = 12.0
SWEEPS = 12


class Box(NamedTuple):
    """The room that a vertex or a label takes: its width, and how far it reaches above and below its line."""

    width: float
    above: float
    below: float


class Line(NamedTuple):
    """An edge to be placed: from, to, and the room of its label."""

    source: str
    target: str
    label: Box


class Layout(NamedTuple):
    """Where everything stands, in pixels from the upper left corner.

    Attributes:
        vertices: The centres' x and the lines' y.
        labels: By edge, x of the label's left end and y of its line.
        routes: By edge, the points through which it runs; pairs of them are straight, and bends lie between.
        width: Of all.
        height: Of all.
    """

    vertices: dict[str, tuple[float, float]]
    labels: list[tuple[float, float]]
    routes: list[list[tuple[float, float]]]
    width: float
    height: float


@dataclass
class _Item:
    """A vertex, a label or the passage of a long edge through a column."""

    box: Box
    rank: int
    y: float = 0.0
    before: list["_Item"] = field(default_factory=list)
    after: list["_Item"] = field(default_factory=list)
    order: float = 0.0


def layout(vertices: Mapping[str, Box], lines: Sequence[Line]) -> Layout:
    """Returns the layout of an acyclic graph.

    Args:
        vertices: The room that each takes, in forward order.
        lines: The edges, in forward order.
    """
    ranks = _ranks(vertices, lines)
    items = {key: _Item(box, 2 * ranks[key]) for key, box in vertices.items()}
    chains = [_chain(line, items) for line in lines]
    columns: list[list[_Item]] = [[] for _ in range(max(item.rank for item in items.values()) + 1)]
    for item in [*items.values(), *(item for chain in chains for item in chain)]:
        columns[item.rank].append(item)
    _order(columns, list(items.values()))
    _place(columns)
    left = _lefts(columns)
    width = left[-1] + max((item.box.width for item in columns[-1]), default=0.0)
    top = min(item.y - item.box.above for column in columns for item in column)
    height = max(item.y + item.box.below for column in columns for item in column) - top
    for column in columns:
        for item in column:
            item.y -= top
    middles = {
        key: (left[item.rank] + max(each.box.width for each in columns[item.rank]) / 2, item.y)
        for key, item in items.items()
    }
    routes, labels = [], []
    for line, chain in zip(lines, chains, strict=True):
        wide = [max(each.box.width for each in columns[item.rank]) for item in chain]
        inner = [(left[i.rank] + end * w, i.y) for i, w in zip(chain, wide, strict=True) for end in (0, 1)]
        start, stop = middles[line.source], middles[line.target]
        ends = vertices[line.source].width / 2, vertices[line.target].width / 2
        routes.append([(start[0] + ends[0], start[1]), *inner, (stop[0] - ends[1], stop[1])])
        labels.append((left[chain[-1].rank], chain[-1].y))
    return Layout(middles, labels, routes, width, height)


def _ranks(vertices: Mapping[str, Box], lines: Sequence[Line]) -> dict[str, int]:
    ranks = dict.fromkeys(vertices, 0)
    for _ in vertices:
        moved = False
        for line in lines:
            if ranks[line.target] <= ranks[line.source]:
                ranks[line.target], moved = ranks[line.source] + 1, True
        if not moved:
            break
    sources = set(vertices) - {line.target for line in lines}
    for key in sources:  # What is given stands beside what takes it first.
        targets = [ranks[line.target] for line in lines if line.source == key]
        ranks[key] = min(targets) - 1 if targets else 0
    return ranks


def _chain(line: Line, items: Mapping[str, _Item]) -> list[_Item]:
    source, target = items[line.source], items[line.target]
    chain = [_Item(Box(0.0, 5.0, 5.0), rank) for rank in range(source.rank + 1, target.rank - 1)]
    chain.append(_Item(line.label, target.rank - 1))
    whole = [source, *chain, target]
    for a, b in pairwise(whole):
        a.after.append(b)
        b.before.append(a)
    return chain


def _order(columns: list[list[_Item]], vertices: Sequence[_Item]) -> None:
    """Orders each column for few crossings: as a walk back from the results meets them, then by barycentres."""
    met: dict[int, None] = {}

    def visit(item: _Item) -> None:
        stack = [item]
        while stack:
            here = stack.pop()
            if id(here) not in met:
                met[id(here)] = None
                stack += reversed(here.before)

    for vertex in reversed(vertices):
        if not vertex.after:
            visit(vertex)
    place = {key: number for number, key in enumerate(met)}
    for column in columns:
        column.sort(key=lambda item: place[id(item)])
    best, fewest = [list(column) for column in columns], _crossings(columns)
    for column in columns:
        _number(column)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            column.sort(key=lambda item: _barycentre(item, item.before if forward else item.after))
            _number(column)
        if (count := _crossings(columns)) < fewest:
            best, fewest = [list(column) for column in columns], count
    for column, order in zip(columns, best, strict=True):
        column[:] = order


def _number(column: list[_Item]) -> None:
    for number, item in enumerate(column):
        item.order = number / len(column)


def _barycentre(item: _Item, neighbours: list[_Item]) -> float:
    return sum(each.order for each in neighbours) / len(neighbours) if neighbours else item.order


def _crossings(columns: list[list[_Item]]) -> int:
    total = 0
    for column, after in pairwise(columns):
        place = {id(item): number for number, item in enumerate(after)}
        ends = [end for item in column for end in sorted(place[id(other)] for other in item.after)]
        seen: list[int] = []
        for end in ends:
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total


def _place(columns: list[list[_Item]]) -> None:
    """Sets each y as near to the neighbours' as the order and the rooms allow."""
    for column in columns:
        _settle(column, [0.0] * len(column), [1.0] * len(column))
    for sweep in range(4 * SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            both = sweep >= 2 * SWEEPS
            wanted = [_wanted(item, both or forward, both or not forward) for item in column]
            _settle(column, wanted, [4.0 if item.box.width == 0 else 1.0 for item in column])


def _wanted(item: _Item, before: bool, after: bool) -> float:
    """Returns where an item would stand best: beside its neighbours, most of all those that have no other."""
    if item.box.width == 0:
        return item.after[0].y  # A long edge is straight, and bends where it begins.
    sides = [(each.y, 1 / len(each.after) ** 2) for each in item.before if before]
    sides += [(each.y, 1 / len(each.before) ** 2) for each in item.after if after]
    mass = sum(weight for _, weight in sides)
    return sum(y * weight for y, weight in sides) / mass if sides else item.y


def _settle(column: list[_Item], wanted: list[float], weights: list[float]) -> None:
    """Solves min Σ weight (y - wanted)² with the rooms of neighbours apart: isotonic regression."""
    offsets, offset = [], 0.0
    for number, item in enumerate(column):
        if number:
            offset += column[number - 1].box.below + ROW_GAP + item.box.above
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, mass, count = want - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, other_mass, other_count = pools.pop()
            mean = (mean * mass + other * other_mass) / (mass + other_mass)
            mass, count = mass + other_mass, count + other_count
        pools.append((mean, mass, count))
    levels = [mean for mean, _, count in pools for _ in range(count)]
    for item, level, offset in zip(column, levels, offsets, strict=True):
        item.y = level + offset


def _lefts(columns: list[list[_Item]]) -> list[float]:
    lefts, x = [], 0.0
    for column in columns:
        lefts.append(x)
        x += max((item.box.width for item in column), default=0.0) + COLUMN_GAP
    return lefts
