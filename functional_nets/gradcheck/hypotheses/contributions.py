"""Terms that are added up, each with a weight of its own: which are missing, of the wrong sign, or counted twice.

The weights are solved for, all at once: two terms that are wrong in different ways are found as easily as one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.fitting import simple
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.forgotten import close, literals, named
from functional_nets.gradcheck.hypotheses.rules.places import term as line_of_term

MOST = 8  # Terms of a sum.
SUMS = ("add", "sub", "add_any")


class Term(NamedTuple):
    """One contribution: the value whose cotangent it is part of, the part, and where a person would look."""

    number: int
    part: Any
    position: int


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each value used several times and each sum of several terms, the weights that fit."""
    for number, uses in evidence.uses.items():
        if 2 <= len(uses) <= MOST and evidence.concerns(number):
            terms = [Term(number, np.asarray(evidence.entries(p)[place]), p) for p, place in sorted(uses)]
            yield from _weighted(evidence, terms, "use", min(uses)[0])
            yield from _one_against_the_rest(evidence, terms)
    for position in evidence.active:
        terms = list(_terms(evidence, position))
        if 2 <= len(terms) <= MOST and any(evidence.concerns(n) for n in evidence.program.nodes[position].outputs):
            yield from _weighted(evidence, terms, "term", position)


def _one_against_the_rest(evidence: Evidence, terms: list[Term]) -> Iterator[Hypothesis]:
    """A branch and a shortcut that hold one array: what one writes into it, the other finds."""
    number, total = terms[0].number, np.sum([term.part for term in terms], axis=0)
    by_operation: dict[int, Any] = defaultdict(float)  # The two of a square are one branch.
    for term in terms:
        by_operation[term.position] = by_operation[term.position] + term.part
    if len(by_operation) < 2 or np.shape(total) != np.shape(evidence.program.values[number]):
        return
    below = evidence.made.get(number, -1) + 1
    text = "one branch's gradient is written over the array of the other's, and is counted twice: copy it"
    for position, part in by_operation.items():
        for change in (total - 2 * part, 2 * part - total):
            if np.any(change):
                delta = {number: change}
                yield Hypothesis("mutated", position, text, 0.7, delta, partial(evidence.pulled, delta, below))


def _terms(evidence: Evidence, position: int) -> Iterator[Term]:
    """The terms of a sum, however it is bracketed; nothing for a sum that is a term of another."""
    node = evidence.program.nodes[position]
    if node.op not in SUMS or any(evidence.program.nodes[p].op in SUMS for p, _ in _uses(evidence, position)):
        return
    stack = [position]
    while stack:
        here = stack.pop()
        for place, number in enumerate(evidence.program.nodes[here].inputs):
            made = evidence.made.get(number)
            entry = evidence.entries(here)[place]
            if entry is None or number not in evidence.reach:
                continue
            if made is not None and evidence.program.nodes[made].op in SUMS and len(_uses(evidence, made)) == 1:
                stack.append(made)
            else:
                yield Term(number, np.asarray(entry), line_of_term(evidence, number, here))


def _uses(evidence: Evidence, position: int) -> list[tuple[int, int]]:
    return evidence.uses.get(evidence.program.nodes[position].outputs[0], [])


def _weighted(evidence: Evidence, terms: list[Term], what: str, above: int) -> Iterator[Hypothesis]:
    """The weights that fit, for the uses of a value or for the terms of the sum at the position above."""
    columns = [evidence.signature({term.number: term.part}) for term in terms]
    kept = [i for i, column in enumerate(columns) if np.max(np.abs(column), initial=0.0) > 0]
    if len(kept) < 2 or 2 * len(kept) > len(evidence.target):
        return
    columns = [columns[i] for i in kept]
    terms = [terms[i] for i in kept]
    if np.linalg.matrix_rank(np.stack(columns)) < len(columns):
        return
    solved = evidence.solved(columns, np.sum(columns, axis=0))
    if solved is None:
        return
    weights = [simple(float(weight), rounding=evidence.rounding) for weight in solved]
    weights = [(weight, plain or (what == "term" and named(evidence, weight)[1])) for weight, plain in weights]
    wrong = [i for i, (weight, _) in enumerate(weights) if weight != 1]
    exchanged = what == "term" and len(wrong) == 2 and _exchanged(evidence, *(weights[i][0] for i in wrong))
    if len(wrong) < 2 or not (exchanged or all(plain for _, plain in weights)):
        return
    if len(set(weights)) == 1 and (what == "term" or weights[0][0] not in (0, -1)):
        return  # A factor of the whole, and known as such.
    delta: dict[int, Any] = {}
    for (weight, _), term in zip(weights, terms, strict=True):
        if weight != 1:
            delta[term.number] = delta.get(term.number, 0) + (weight - 1) * term.part
    first = min(wrong, key=lambda i: (weights[i][0] != 0, i))
    kind, text, cost = _described([weight for weight, _ in weights], what, weights[first][0])
    position = terms[first].position
    if exchanged and weights[first][0] > 0:
        kind, cost, position = "wrong_operand", 0.6, above
        text = "the weights of two terms of this sum are exchanged: " + text
    if what == "use" and not any(weight for weight, _ in weights):
        # Nothing is wrong with the uses: what makes the value is passed over.
        position, cost = evidence.made.get(terms[0].number, position), 0.5
        text = "no gradient goes back from this value: if another one has overwritten it, add the two (+=)"
    yield Hypothesis(kind, position, text, cost, delta, _pulled(evidence, delta, terms))


def _exchanged(evidence: Evidence, first: float, second: float) -> bool:
    """Whether two weights are what is left of two constants of the program when each stands for the other."""
    known = [c for literal in literals(evidence) for c in (literal, 1 - literal) if c > 0]
    return close(first * second, 1.0) and any(close(first, a / b) for a in known for b in known if a != b)


def _pulled(evidence: Evidence, delta: dict[int, Any], terms: list[Term]) -> Callable[[], list[Any]]:
    """The gradient after the change, wherever the blame is put."""
    below = max(evidence.made.get(term.number, -1) for term in terms) + 1
    return partial(evidence.pulled, delta, below)


def _described(weights: list[float], what: str, first: float) -> tuple[str, str, float]:
    shown = ", ".join(f"{weight:g}" for weight in weights)
    text = f"of {len(weights)} {what}s, in order, the gradient counts {shown} times: count each once"
    zeros = weights.count(0)
    if what == "use" and zeros == len(weights) - 1 and 1 in weights:
        return "overwritten", f"only one of {len(weights)} uses of this value is counted: add them all up (+=)", 0.6
    kind = "missing_term" if first == 0 else "sign" if first == -1 else "scale"
    alike = len({weight for weight in weights if weight != 1}) == 1
    cost = (0.8 if alike else 1.0) + (0.0 if first in (0, -1) else 0.3)
    return kind, text, cost - (0.1 if what == "term" else 0.0)
