"""The search for the mistake: every hypothesis is made on purpose, and listed only if it gives the same numbers."""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses import (
    factors,
    forward,
    functions,
    leaves,
    loops,
    normalisers,
    operands,
    process,
    reductions,
)
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis

SECONDS = 20.0  # After so long no further stage of the search begins.
FAR_FETCHED = 1.0  # A cause below this cost ends the search: later stages are for stranger mistakes.
LISTED = 6

STAGES = (
    (leaves, factors, functions, normalisers, reductions),
    (operands, loops),
    (process, forward),
)


class Candidate(NamedTuple):
    """A hypothesis that reproduces the gradient given, and how closely."""

    hypothesis: Hypothesis
    residual: float


def search(evidence: Evidence) -> list[Candidate]:
    """Returns the mistakes that reproduce the gradient given, the most plausible first."""
    if not evidence.wrong:
        return []
    deadline = time.monotonic() + SECONDS
    found: list[Candidate] = []
    signed: list[tuple[Hypothesis, np.ndarray]] = []
    for stage in STAGES:
        for module in stage:
            found += _tested(evidence, module.propose(evidence), signed, deadline)
        if any(candidate.hypothesis.cost <= FAR_FETCHED for candidate in found) or time.monotonic() > deadline:
            break
    if not found:
        found = _leaf_by_leaf(evidence)
    return _ranked(evidence, found)


def _tested(
    evidence: Evidence,
    hypotheses: Iterable[Hypothesis],
    signed: list[tuple[Hypothesis, np.ndarray]],
    deadline: float,
) -> Iterator[Candidate]:
    for hypothesis in hypotheses:
        if time.monotonic() > deadline:
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
        causes = search(part)
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
        kept.setdefault((hypothesis.kind, where), candidate)
    return list(kept.values())[:LISTED]
