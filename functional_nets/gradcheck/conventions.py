"""Code that decides kinks and ties in a way of its own, as it may, and has a mistake elsewhere."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.kinks import EXACT, find, in_one_way, rule
from functional_nets.gradcheck.program import Foreign, Node, Program, compute

FEW = 4  # Conventions beside which a mistake is looked for.


def decided_otherwise(evidence: Evidence) -> Iterator[Evidence]:
    """Yields the evidence with all kinks of a kind decided otherwise, each as a program of its own.

    Code that takes the first of the elements that tie is right, and may have a mistake elsewhere.
    """
    program = evidence.program
    kinks = [kink for kink in find(evidence, EXACT) if kink.exact]
    for state in itertools.islice(in_one_way(kinks), FEW) if kinks else ():
        nodes = list(program.nodes)
        for kink in kinks:
            if kink.key in state:
                node = nodes[kink.position]
                pullback = partial(_pullback, program, node, rule([(kink, state[kink.key])]))
                foreign = Foreign(partial(_value, node), pullback)
                nodes[kink.position] = node._replace(op=f"{node.op} at a kink", foreign=foreign)
        changed = program._replace(nodes=tuple(nodes))
        yield Evidence(changed, evidence.given, evidence.paths, evidence.tolerances, evidence.rounding)


def _value(node: Node, *inputs: Any) -> Any:
    return compute(node, inputs)[0]


def _pullback(program: Program, node: Node, decided: Any, g: Any, *inputs: Any) -> tuple[Any, ...]:
    return tuple(decided(node, g, program.values))
