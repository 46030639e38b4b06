"""One mistake at a line that runs several times: in a loop, or in a function that several layers call.

Mistakes that are made at each step compound, so most of these hypotheses have no quick projection: each costs a walk.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Change, Entry, Hypothesis
from functional_nets.gradcheck.hypotheses.loops.runs import groups
from functional_nets.gradcheck.hypotheses.rules.places import reader
from functional_nets.gradcheck.program import Node, Values, entries

CLIPPED = {"tanh", "logistic", "relu", "max", "dot_general", "add"}
FACTORS = ((0.0, "missing_term", 0.8), (-1.0, "sign", 1.2), (2.0, "scale", 1.4), (0.5, "scale", 1.5))
BOUNDS = (1, 5, 0.1, 0.5, 0.01, 0.05, 0.2, 0.3, 2, 0.02, 0.03, 0.25, 0.15, 0.001, 0.005, 10, 3)


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields mistakes that are made at all operations of one line at once, and at shared values."""
    together = groups(evidence)
    for runs in together:
        yield from _factors(evidence, runs.positions)
    yield from _left_out(evidence, [runs.positions for runs in together])
    for runs in together:
        yield from _upstream(evidence, runs.positions)


def everywhere(overrides: Mapping[int, Entry], kind: str, text: str, cost: float) -> Hypothesis:
    """Returns the hypothesis that some operations' rules are others."""
    return Hypothesis(kind, min(overrides), text, cost, change=Change(overrides))


def _factors(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    """The contribution of one operand times a constant: each time the line runs, or at one end of the loop."""
    node = evidence.program.nodes[positions[0]]
    count = len(positions)
    if evidence.late:
        return
    parts = [
        (positions, "each time this line runs", 0.0),
        (positions[1:], "each time this line runs but the first", 0.1),
        (positions[:-1], "each time this line runs but the last", 0.1),
    ]
    if count > 2:
        parts += [(positions[:1], "the first time this line runs", 0.15)]
        parts += [(positions[-1:], "the last time this line runs", 0.15)]
    for place in range(len(node.inputs)):
        if any(evidence.entries(p)[place] is None for p in positions[1:]):
            continue
        for some, when, more in parts:
            known = [p for p in some if evidence.entries(p)[place] is not None]
            if not known:
                continue
            for factor, kind, cost in FACTORS:
                text = (
                    "the contribution of this operand is left out"
                    if factor == 0
                    else f"the gradient is multiplied by {factor:g}"
                )
                changed = dict.fromkeys(known, scaled(place, factor))
                found = everywhere(changed, kind, f"{text}, {when}", cost + more)
                if kind in ("sign", "scale"):
                    found = found._replace(position=reader(evidence, known[-1]))
                if factor == 0 and len(some) == count - 1:
                    found = found._replace(kind="overwritten")
                yield found
        for factor in _own_factors(evidence, positions[-1]):
            text = f"the gradient is {factor:.6g} times what it should be, each time this line runs"
            yield everywhere(dict.fromkeys(positions, scaled(place, factor)), "scale", text, 1.0)


def _own_factors(evidence: Evidence, position: int) -> list[float]:
    """By what a product's gradient is wrong if the product's constant is left out of it, or applied twice."""
    node = evidence.program.nodes[position]
    if node.op not in ("mul", "div"):
        return []
    fixed = [evidence.program.values[n] for n in node.inputs if n not in evidence.reach]
    own = [float(np.real(c).flat[0]) for c in fixed if np.size(c) and np.ptp(np.real(c)) == 0 and np.all(c != 0)]
    known = [f for c in own for f in (c, 1 / c, (1 - c) / c)]
    return [factor for factor in dict.fromkeys(known) if factor not in (0.0, 1.0)]


def _left_out(evidence: Evidence, together: list[list[int]]) -> Iterator[Hypothesis]:
    """The first or the last run of a loop: a range that ends one too early."""
    longest = max((len(positions) for positions in together), default=0)
    for run, name in ((-longest, "first"), (-1, "last")):
        cut = [positions[run] for positions in together if len(positions) >= abs(run)]
        if longest > 2 and cut:
            text = f"the {name} step of this loop is left out: does the backward loop run as often as the forward one?"
            silent = dict.fromkeys(cut, _nothing)
            yield everywhere(silent, "missing_term", text, 0.7)


def _nothing(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
    return (None,) * len(node.inputs)


def scaled(place: int, factor: float) -> Entry:
    """Returns the rule of a node with the contribution of one operand times a constant."""

    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        found = list(entries(node, g, values))
        if found[place] is not None:
            found[place] = factor * found[place]
        return tuple(found)

    return entry


def _upstream(evidence: Evidence, positions: list[int]) -> Iterator[Hypothesis]:
    if evidence.late:
        return

    def with_g(change: Callable[[Any], Any], among: Sequence[int] = positions) -> dict[int, Entry]:
        return dict.fromkeys(among, lambda node, g, values: entries(node, change(np.asarray(g)), values))

    node = evidence.program.nodes[positions[0]]
    if len(node.outputs) > 1:
        return
    when = ", each time this line runs"
    yield everywhere(with_g(np.ones_like), "upstream", "the upstream gradient is ignored" + when, 1.4)
    yield everywhere(with_g(np.sign), "upstream", "only the upstream gradient's sign is used" + when, 2.0)
    text = "the last step's upstream gradient is added at every step: only the last one has it" + when
    upstream = [np.asarray(evidence.cotangents_of(p)) for p in positions]
    if len({g.shape for g in upstream}) == 1:
        added = with_g(lambda g: g + upstream[-1])
        del added[positions[-1]]
        yield everywhere(added, "extra_term", text, 1.5)
    largest = max(float(np.max(np.abs(g), initial=0.0)) for g in upstream)
    for bound in BOUNDS if node.op in CLIPPED else ():
        if bound >= largest:
            continue
        text = f"the upstream gradient is clipped to [-{bound}, {bound}]" + when
        clip = partial(np.clip, a_min=-bound, a_max=bound)
        yield everywhere(with_g(clip), "upstream", text, 1.8)
        yield everywhere(with_g(clip, positions[:-1]), "upstream", text + " but the last", 1.85)
        if node.op == "dot_general":
            text = f"the gradient is clipped to [-{bound}, {bound}] on its way to the step before" + when
            last = evidence.program.nodes[positions[-1]]
            for place in (i for i, n in enumerate(last.inputs) if n not in evidence.program.leaves):
                yield everywhere(dict.fromkeys(positions, _clipped(place, bound)), "upstream", text, 1.8)


def _clipped(place: int, bound: float) -> Entry:
    def entry(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        found = list(entries(node, g, values))
        if found[place] is not None:
            found[place] = np.clip(found[place], -bound, bound)
        return tuple(found)

    return entry
