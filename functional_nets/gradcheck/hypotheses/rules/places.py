"""Where a teacher would point: of operations on one path, which to name."""

import numpy as np

from functional_nets.gradcheck.evidence import Evidence

LAYOUT = {
    "slice",
    "split",
    "reshape",
    "squeeze",
    "transpose",
    "concatenate",
    "convert_element_type",
    "copy",
    "gather",
    "stack",
}


def term(evidence: Evidence, number: int, position: int) -> int:
    """Returns the operation that makes a term of a sum, constant factors in front of it apart."""
    while (made := evidence.made.get(number)) in evidence.active:
        position = made
        node = evidence.program.nodes[made]
        varying = [n for n in node.inputs if n in evidence.reach]
        if node.op not in ("mul", "div", "neg") or len(varying) != 1 or np.shape(evidence.program.values[number]):
            break
        number = varying[0]
    return position


def reader(evidence: Evidence, position: int) -> int:
    """Returns the operation that computes with a node's output, where the node itself only moves numbers about."""
    while evidence.program.nodes[position].op in LAYOUT:
        uses = [p for n in evidence.program.nodes[position].outputs for p, _ in evidence.uses.get(n, [])]
        if not uses:
            break
        position = min(uses)
    return position
