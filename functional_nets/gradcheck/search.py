"""The search for the mistake: every hypothesis is made on purpose, and listed only if it gives the same numbers."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck import conventions, pairs
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses import contributions, examples, leaves, unknown, whole
from functional_nets.gradcheck.hypotheses.careful import carefully
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.loops import (
    bypasses,
    coefficients,
    repeated,
    repeated_functions,
    shares,
    steps,
    together,
    upstreams,
)
from functional_nets.gradcheck.hypotheses.passes import (
    alternatives,
    choices,
    constants,
    forward,
    insertions,
    permutations,
    process,
    targets,
)
from functional_nets.gradcheck.hypotheses.rules import (
    convolutions,
    cosine,
    factors,
    functions,
    fused,
    log_sum_exp,
    normalisers,
    operands,
    reductions,
    regression,
    values,
)

SECONDS = 20.0  # Of this thread, so that a busy machine finds the same; then no further stage of the search begins.
FAR_FETCHED = 1.0  # A cause below this cost ends the search: later stages are for stranger mistakes.
LISTED = 6
WORTH_SAYING = 0.35  # Causes that much more far-fetched than the best one are not listed beside it.

STAGES = (
    (leaves, whole, factors, functions, normalisers, log_sum_exp, reductions, choices),
    (cosine, fused, contributions, examples),
    (operands, regression, values, convolutions),
    (shares, upstreams, coefficients),
    (repeated, repeated_functions),
    (steps, bypasses),
    (alternatives, constants, process, forward, targets),
    (insertions, permutations),
    (unknown,),
)


QUICK = STAGES[:5]

OTHERWISE = " (beside that, ties and kinks are decided in a way of its own, which is right as well)"

Signed = tuple[Hypothesis, np.ndarray]

SIGNED = (
    leaves, whole, factors, functions, normalisers, log_sum_exp, reductions, fused, operands, regression, contributions,
)  # fmt: skip
"""What proposes mistakes that have a quick projection."""

LOOPS = (shares, coefficients, repeated, repeated_functions, steps, bypasses)
"""What proposes mistakes that consist in other rules each time a line runs."""


class Candidate(NamedTuple):
    """A hypothesis that reproduces the gradient given, and how closely."""

    hypothesis: Hypothesis
    residual: float


def search(evidence: Evidence) -> list[Candidate]:
    """Returns the mistakes that reproduce the gradient given, the most plausible first.

    Where no single one does, two are looked for: then both are listed, and only together do they reproduce it.
    """
    if not evidence.wrong:
        return []
    evidence.deadline = time.thread_time() + SECONDS
    found = _singles(evidence, STAGES)
    return found or _pairs(evidence) or _leaf_by_leaf(evidence) or _beside_kinks(evidence)


def _beside_kinks(evidence: Evidence) -> list[Candidate]:
    """Returns a mistake of code that decides kinks and ties in its own way, as it may."""
    for other in carefully(evidence, "ties and kinks", conventions.decided_otherwise(evidence)):
        other.deadline = time.thread_time() + SECONDS / 4
        found = _singles(other, QUICK)
        if found:
            return [c._replace(hypothesis=c.hypothesis._replace(text=c.hypothesis.text + OTHERWISE)) for c in found]
    return []


def _singles(evidence: Evidence, stages: Sequence[Sequence[Any]]) -> list[Candidate]:
    found: list[Candidate] = []
    for stage in stages:
        for module in stage:
            found += _tested(evidence, _proposed(module, evidence), [])
        if any(candidate.hypothesis.cost <= FAR_FETCHED for candidate in found) or evidence.late:
            break
    return _ranked(evidence, found)


def _habits(evidence: Evidence, everywhere: Sequence[Signed]) -> list[Candidate]:
    matching = [hypothesis for hypothesis, signature in everywhere if evidence.matches(signature)]
    return _ranked(evidence, [c for c in (_verified(evidence, h) for h in matching) if c])


def _pairs(evidence: Evidence) -> list[Candidate]:
    """Returns two mistakes: one that explains a part, and one that explains the rest once the first is granted."""
    evidence.deadline = time.thread_time() + SECONDS / 2
    relaxed = evidence.relaxed()
    known = _in_loops(evidence, relaxed) or _loop_and_factor(evidence)
    if known:
        return known
    signed: list[Signed] = []
    for module in SIGNED:
        list(_tested(relaxed, _proposed(module, relaxed), signed))
    found: list[tuple[float, int, Hypothesis, Candidate]] = []
    everywhere = list(pairs.habits(evidence, signed))
    habits = _habits(evidence, everywhere)
    if habits:
        return habits
    for first in pairs.firsts(relaxed, signed):
        left = pairs.granted(evidence, first)
        if left is None or evidence.late:
            continue
        second = _singles(left, QUICK) if left.wrong else []
        if second:
            found.append((first.cost + second[0].hypothesis.cost, len(found), first, second[0]))
    if found:
        *_, first, plainest = min(found)
        return _both(first, plainest)
    for first, factor in pairs.scaled(relaxed, [*signed, *everywhere]):
        second = _factor(evidence, factor)
        if second:
            return _both(first, second[0])
    return []


def _in_loops(evidence: Evidence, relaxed: Evidence) -> list[Candidate]:
    """Returns two mistakes that are made each time a line runs, or one that is and one beside it."""
    proposed = [hypothesis for module in LOOPS for hypothesis in _proposed(module, relaxed) if hypothesis.change]
    if not proposed:
        return []
    proposed += together.beside(relaxed)
    end = time.thread_time() + SECONDS / 3  # The rest is for other pairs.
    for first, second in together.pairs(evidence, proposed):
        if time.thread_time() > end:
            break
        found = together.result(evidence, first, second)
        if evidence.reproduces(found):
            return _both(first, Candidate(second, evidence.residual(found)))
    return []


def _loop_and_factor(evidence: Evidence) -> list[Candidate]:
    """Returns a mistake in a loop, and the factor that is wrong beside it."""
    for module in (shares, repeated, repeated_functions, steps):
        for hypothesis in _proposed(module, evidence):
            if evidence.late:
                return []
            factor = pairs.factor_left(evidence, hypothesis)
            second = [] if factor is None else _factor(evidence, factor)
            if second:
                return _both(hypothesis, second[0])
    return []


def _factor(evidence: Evidence, factor: float) -> list[Candidate]:
    """Returns what makes the whole gradient so many times too large."""
    multiple = [factor * g if leaf in evidence.wrong else g for leaf, g in enumerate(evidence.reference)]
    alone = Evidence(evidence.program, multiple, evidence.paths, evidence.tolerances, evidence.rounding)
    return _ranked(evidence, list(_tested(alone, _proposed(factors, alone), [])))


def _both(first: Hypothesis, second: Candidate) -> list[Candidate]:
    both = sorted([first, second.hypothesis], key=lambda hypothesis: hypothesis.cost)
    return [Candidate(each._replace(text="one of two mistakes: " + each.text), second.residual) for each in both]


def _proposed(module: Any, evidence: Evidence) -> Iterator[Hypothesis]:
    return carefully(evidence, module.__name__.rsplit(".", 1)[-1], module.propose(evidence))


def _tested(evidence: Evidence, hypotheses: Iterable[Hypothesis], signed: list[Signed]) -> Iterator[Candidate]:
    for hypothesis in hypotheses:
        if evidence.late:
            return
        signature = hypothesis.signature(evidence)
        if signature is not None:
            if not np.all(np.isfinite(signature)):
                continue
            signed.append((hypothesis, signature))
            if not evidence.matches(signature):
                continue
        candidate = _verified(evidence, hypothesis)
        if candidate:
            yield candidate


def _verified(evidence: Evidence, hypothesis: Hypothesis) -> Candidate | None:
    try:
        with np.errstate(all="ignore"):
            found = hypothesis.result(evidence)
    except (ValueError, TypeError, IndexError, KeyError, LookupError):
        return None  # The changed program does not fit together: nobody's code ran like that.
    return Candidate(hypothesis, evidence.residual(found)) if evidence.reproduces(found) else None


def _leaf_by_leaf(evidence: Evidence) -> list[Candidate]:
    """Returns causes for each wrong leaf by itself, when several mistakes were made; none if one is unexplained."""
    if len(evidence.wrong) < 2:
        return []
    found: list[Candidate] = []
    for leaf in evidence.wrong:
        alone = [
            given if number == leaf or given is None else right
            for number, (given, right) in enumerate(zip(evidence.given, evidence.reference, strict=True))
        ]
        part = Evidence(evidence.program, alone, evidence.paths, evidence.tolerances, evidence.rounding)
        part.deadline = evidence.deadline
        causes = _singles(part, QUICK)
        if not causes:
            return []
        found.append(causes[0])
    return found


def _ranked(evidence: Evidence, found: list[Candidate]) -> list[Candidate]:
    """Returns the cheapest candidate of each kind and line, cheapest first."""
    ordered = sorted(found, key=lambda candidate: (candidate.hypothesis.cost, candidate.residual))
    kept: dict[tuple[str, object], Candidate] = {}
    for candidate in ordered:
        hypothesis = candidate.hypothesis
        where = None if hypothesis.position is None else evidence.program.nodes[hypothesis.position].where
        if hypothesis.cost <= ordered[0].hypothesis.cost + WORTH_SAYING:
            kept.setdefault((hypothesis.kind, where), candidate)
    return list(kept.values())[:LISTED]
