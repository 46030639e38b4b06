"""Operations that are the same one in several runs of a line: in a loop, or in a function that several layers call."""

import itertools
from collections import defaultdict
from typing import Any, NamedTuple

from functional_nets.gradcheck.evidence import Evidence, once

Key = tuple[Any, ...]


class Runs(NamedTuple):
    """One operation of a line, in each run of the line.

    Attributes:
        key: Its line, primitive, number of operands and place on the line.
        positions: Its positions in the program, first run first.
    """

    key: Key
    positions: list[int]


def groups(evidence: Evidence) -> list[Runs]:
    """Returns the operations that run several times and have a part in a wrong leaf's gradient."""
    wrong = frozenset(evidence.wrong)
    active = set(evidence.active)
    nodes = evidence.program.nodes
    found = []
    for key, positions in keyed(evidence).items():
        kept = [p for p in positions if p in active]
        if len(kept) > 1 and any(wrong & evidence.reach.get(n, frozenset()) for n in nodes[kept[-1]].inputs):
            found.append(Runs(key, kept))
    return found


def repeated(evidence: Evidence) -> set[int]:
    """Returns the operations that run more than twice."""
    return {p for positions in keyed(evidence).values() if len(positions) > 2 for p in positions}


def slots(evidence: Evidence) -> dict[Key, list[int]]:
    """Returns, for each operation that runs several times, the values that it gives, run by run."""
    nodes = evidence.program.nodes
    return {
        key: [nodes[p].outputs[0] for p in positions]
        for key, positions in keyed(evidence).items()
        if len(positions) > 1 and len(nodes[positions[0]].outputs) == 1
    }


@once
def keyed(evidence: Evidence) -> dict[Key, list[int]]:
    """Returns all operations by key.

    A run of a line ends where another line's operation comes, or, in a loop of one line, where its operations
    begin again; the second product of a line is then the second in each of its runs.
    """
    found = defaultdict(list)
    nodes = evidence.program.nodes
    for where, block in itertools.groupby(range(len(nodes)), key=lambda position: nodes[position].where):
        positions = list(block)
        length = _period([nodes[p].op for p in positions])
        first = len(positions) % length
        for start in range(first - length if first else 0, len(positions), length):
            counts: dict[str, int] = defaultdict(int)
            # Runs are counted from their ends: a first one may lack what does not depend on the parameters yet.
            for position in reversed(positions[max(start, 0) : start + length]):
                node = nodes[position]
                counts[node.op] += 1
                if where is not None:
                    found[where, node.op, len(node.inputs), counts[node.op]].append(position)
    return dict(found)


def _period(ops: list[str]) -> int:
    """Returns after how many operations a sequence begins again, its own length if it does not."""
    for length in range(3, len(ops) // 2 + 1):
        if all(a == b for a, b in zip(ops[::-1], ops[::-1][length:], strict=False)):
            return length
    return max(len(ops), 1)


def initial(evidence: Evidence) -> dict[int, int]:
    """Returns, by a loop's first value of a kind, what stands for it before the loop: the start of a carry."""
    nodes = evidence.program.nodes
    together = keyed(evidence)
    run_of = {nodes[p].outputs[0]: (key, i) for key, ps in together.items() for i, p in enumerate(ps)}
    found: dict[int, int] = {}
    for positions in together.values():
        if len(positions) < 2:
            continue
        for place, number in enumerate(nodes[positions[1]].inputs):
            if place >= len(nodes[positions[0]].inputs) or number not in run_of:
                continue
            key, run = run_of[number]
            if run == 0 and len(together[key]) > 1:
                found.setdefault(number, nodes[positions[0]].inputs[place])
    return found


def neighbour(run: int, count: int, slot: list[int], shift: int, start: dict[int, int]) -> int | None:
    """Returns a slot's value `shift` runs before a given run, runs being aligned at the end, or None."""
    index = len(slot) - (count - run) - shift
    if 0 <= index < len(slot):
        return slot[index]
    return start.get(slot[0]) if index == -1 else None
