"""A wrong derivative of a function that a line computes several times, or several lines do."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.mistakes import EVERYWHERE, MISTAKES, Formula, recognised
from functional_nets.equations import Location
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.activations import ACTIVATIONS, names_of
from functional_nets.gradcheck.hypotheses.hypothesis import Change, Hypothesis
from functional_nets.gradcheck.hypotheses.rules.functions import regions, slope
from functional_nets.gradcheck.program import Foreign, Node


class Run(NamedTuple):
    """A function from value x to value y, made of the operations `inside`, last first."""

    inside: tuple[int, ...]
    x: int
    y: int


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields wrong derivatives of the same function, whatever it is made of, at each of its runs."""
    for where, runs in _alike(evidence):
        slopes = [slope(evidence, inside, x, y) for inside, x, y in runs]
        if all(np.ptp(d) == 0 for d in slopes if np.size(d)):
            continue
        often = "each time this line runs" if where else "wherever there is such a function"
        for kind, text, cost, formula in _formulas(evidence, runs[0], slopes[0]):
            change = _replaced(evidence, runs, slopes, formula)
            more = 0.0 if where else 0.1
            changed = (run for run, d in zip(runs, slopes, strict=True) if _differs(evidence, run, d, formula))
            first = next(changed, runs[0])
            yield Hypothesis(kind, first.inside[0], f"{text}, {often}", cost + more, change=change)


def _alike(evidence: Evidence) -> Iterator[tuple[Location | None, list[Run]]]:
    """The functions that one line computes several times, and those that several lines do."""
    found: dict[tuple[Location | None, tuple[str, ...]], list[Run]] = defaultdict(list)
    program = evidence.program
    for inside, x, y in regions(evidence):
        last = program.nodes[inside[0]]
        ops = tuple(program.nodes[p].op for p in inside)
        if last.where is not None and all(program.nodes[p].where == last.where for p in inside):
            found[last.where, ops].append(Run(inside, x, y))
            found[None, ops].append(Run(inside, x, y))
    for (where, ops), runs in found.items():
        on_one_line = where is None and any(len(found[key]) == len(runs) for key in found if key[0] and key[1] == ops)
        if len(runs) < 2 or on_one_line:
            continue
        yield where, runs


def _formulas(evidence: Evidence, run: Run, right: Any) -> Iterator[tuple[str, str, float, Formula]]:
    """What the table of mistakes knows for a function of the run's kind, and other activations' derivatives."""
    x, y = evidence.program.values[run.x], evidence.program.values[run.y]
    names = recognised(y, x, right)
    for mistake in MISTAKES:
        if mistake.function in (*names, EVERYWHERE):
            cost = 0.35 if mistake.function != EVERYWHERE else 1.1 + mistake.rarity
            yield mistake.kind, mistake.text, cost, mistake.formula
    own = names_of(x, y) if np.size(x) > 2 else []
    for name, (_, derivative) in ACTIVATIONS.items() if own else ():
        if name not in own:
            text = f"this is the derivative of {name}; the activation here is {own[0]}"
            yield "wrong_derivative", text, 0.9, _derivative(derivative)


def _differs(evidence: Evidence, run: Run, d: Any, formula: Formula) -> bool:
    """Whether a formula gives another slope than the right one at a run; a product with 1 has many right ones."""
    values = evidence.program.values
    with np.errstate(all="ignore"):
        return not np.allclose(formula(np.ones_like(d), values[run.y], values[run.x], d), d)


def _derivative(of: Callable[[Any], Any]) -> Formula:
    return lambda g, y, x, d: g * of(x)


def _replaced(evidence: Evidence, runs: list[Run], slopes: list[Any], formula: Formula) -> Change:
    """Returns each run's operations replaced by one whose pullback is the formula."""
    values = evidence.program.values
    nodes: dict[int, Node] = {}
    dropped: set[int] = set()
    for (inside, x, y), d in zip(runs, slopes, strict=True):
        dropped.update(inside[1:])

        def pullback(g: Any, fx: Any, y: int = y, d: Any = d) -> tuple[Any, ...]:
            with np.errstate(all="ignore"):
                return (formula(g, values[y], fx, d),)

        foreign = Foreign(lambda fx: fx, pullback)
        nodes[inside[0]] = Node("a function", (x,), (y,), {}, None, foreign)
    return Change({}, nodes, frozenset(dropped))
