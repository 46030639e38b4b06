"""The layout leaves every label its room, leads from left to right and crosses no edges without need."""

import numpy as np
import pytest

from functional_nets.report.graph.layout import Box, Line, layout


def random_graph(seed):
    """A random acyclic graph in which every vertex but the first is reached."""
    random = np.random.default_rng(seed)
    count = int(random.integers(3, 18))
    vertices = {str(i): Box(*(float(n) for n in random.uniform(10, 60, 3))) for i in range(count)}
    lines = []
    for target in range(1, count):
        for source in random.choice(target, min(target, int(random.integers(1, 4))), replace=False):
            label = Box(*(float(n) for n in random.uniform(10, 60, 3)))
            lines.append(Line(str(source), str(target), label))
    return vertices, lines


def rooms(vertices, lines):
    """The left, right, top and bottom of everything that takes room."""
    placed = layout(vertices, lines)
    found = [
        (x - box.width / 2, x + box.width / 2, y - box.above, y + box.below)
        for (x, y), box in ((placed.vertices[key], box) for key, box in vertices.items())
    ]
    found += [
        (x, x + line.label.width, y - line.label.above, y + line.label.below)
        for (x, y), line in zip(placed.labels, lines, strict=True)
    ]
    return placed, found


@pytest.mark.parametrize("seed", range(12))
def test_nothing_overlaps_or_leaves_the_picture(seed):
    placed, found = rooms(*random_graph(seed))
    for number, (left, right, top, bottom) in enumerate(found):
        assert min(left, top) >= -1e-6
        assert right <= placed.width + 1e-6
        assert bottom <= placed.height + 1e-6
        for other in found[:number]:
            apart = left >= other[1] or other[0] >= right or top >= other[3] - 1e-6 or other[2] >= bottom - 1e-6
            assert apart, (number, other)


@pytest.mark.parametrize("seed", range(4))
def test_every_edge_leads_from_its_source_to_its_target_and_never_back(seed):
    vertices, lines = random_graph(seed)
    placed = layout(vertices, lines)
    for line, route in zip(lines, placed.routes, strict=True):
        x = [point[0] for point in route]
        assert x == sorted(x)
        assert route[0][1] == placed.vertices[line.source][1]
        assert route[-1][1] == placed.vertices[line.target][1]


def test_the_same_graph_is_laid_out_the_same():
    assert layout(*random_graph(5)) == layout(*random_graph(5))


def test_a_tree_is_drawn_without_crossings():
    box = Box(10, 10, 10)
    vertices = dict.fromkeys(("a", "b", "c", "d", "ac", "bd", "end"), box)
    ends = [("a", "ac"), ("b", "bd"), ("c", "ac"), ("d", "bd"), ("ac", "end"), ("bd", "end")]
    placed = layout(vertices, [Line(*end, box) for end in ends])
    heights = [sorted(placed.vertices[name][1] for name in pair) for pair in ("ac", "bd")]
    first, second = sorted(heights)
    assert first[1] < second[0]


def test_a_chain_is_a_straight_line():
    box = Box(10, 10, 30)
    placed = layout(dict.fromkeys("abcd", box), [Line(*end, box) for end in ("ab", "bc", "cd")])
    assert len({round(y, 6) for route in placed.routes for _, y in route}) == 1
