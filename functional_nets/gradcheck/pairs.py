"""Two mistakes at once: each alone explains nothing, together they give the same numbers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.program import Cotangents, walk

Signed = tuple[Hypothesis, np.ndarray]

FIRST = 8  # Partial explanations after which a second one is looked for.


def habits(evidence: Evidence, signed: Sequence[Signed]) -> Iterator[Signed]:
    """Yields one mistake made at every operation of a kind, as by a function that is wrong and used everywhere."""
    alike: dict[tuple[Any, ...], list[Signed]] = defaultdict(list)
    for hypothesis, signature in signed:
        if hypothesis.position is not None and hypothesis.delta is not None:
            op = evidence.program.nodes[hypothesis.position].op
            alike[hypothesis.kind, op, hypothesis.text, hypothesis.cost].append((hypothesis, signature))
    for (kind, _, text, _), several in alike.items():
        places = {hypothesis.position for hypothesis, _ in several}
        if 1 < len(several) == len(places):
            first = min(several, key=lambda one: one[0].position or 0)[0]
            last = max(hypothesis.position or 0 for hypothesis, _ in several)
            words = f"{text} (at all {len(several)} operations of this kind)"
            delta = _sum([h for h, _ in several])
            pulled = partial(evidence.pulled, delta, last)
            every = Hypothesis(kind, first.position, words, first.cost + 0.2, delta, pulled)
            yield every, sum((s for _, s in several), np.zeros(1))


def added(evidence: Evidence, signed: Sequence[Signed]) -> list[Hypothesis]:
    """Returns mistakes whose errors, with that of another one, add up to the error seen, the most plausible first."""
    kept = _distinct(evidence, signed)
    if len(kept) < 2:
        return []
    matrix = np.stack([signature for _, signature in kept])
    scale = np.max(np.abs(evidence.target)) or 1.0
    weights = np.random.default_rng(1).standard_normal(matrix.shape[1]) / scale
    keys = matrix @ weights
    order = np.argsort(keys)
    wanted = evidence.target @ weights - keys
    room = 1e-5 + 64 * evidence.rounding * np.sqrt(matrix.shape[1])
    low, high = np.searchsorted(keys[order], wanted - room), np.searchsorted(keys[order], wanted + room)
    found = []
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        for j in order[a : min(b, a + 50)]:
            if i < j and evidence.matches(matrix[i] + matrix[j], 1e-7):
                found.append((kept[i][0], kept[j][0]))
    return [first for first, _ in sorted(found, key=lambda pair: pair[0].cost + pair[1].cost)[:FIRST]]


def _distinct(evidence: Evidence, signed: Sequence[Signed]) -> list[Signed]:
    """The cheapest hypothesis of each signature; those that change nothing are left out."""
    kept: dict[bytes, Signed] = {}
    scale = np.max(np.abs(evidence.target)) or 1.0
    for hypothesis, signature in sorted(signed, key=lambda one: one[0].cost):
        if hypothesis.cost <= 1.6 and np.max(np.abs(signature)) > 1e-7 * scale:
            kept.setdefault(np.round(signature / scale, 7).tobytes(), (hypothesis, signature))
    return list(kept.values())[:6000]


def partial_explanations(evidence: Evidence, signed: Sequence[Signed]) -> list[Hypothesis]:
    """Returns mistakes that explain some of the wrong leaves and do no harm to the others, best first."""
    rows = np.array([leaf for leaf, _ in evidence.directions])
    wrong = np.isin(rows, evidence.wrong)
    scored: list[tuple[int, float, int, Hypothesis]] = []
    for hypothesis, signature in _distinct(evidence, signed):
        right = np.abs(signature - evidence.target) <= evidence.room
        leaves = [leaf for leaf in evidence.wrong if np.all(right[rows == leaf])]
        harm = [leaf for leaf in np.unique(rows[~wrong]) if not np.all(right[rows == leaf])]
        if leaves and not harm:
            scored.append((-len(leaves), hypothesis.cost, len(scored), hypothesis))
    return [hypothesis for *_, hypothesis in sorted(scored)][:FIRST]


def firsts(evidence: Evidence, signed: Sequence[Signed]) -> list[Hypothesis]:
    """Returns mistakes that may be one of two, the most promising first."""
    some = partial_explanations(evidence, signed)
    some += added(evidence, signed)
    return list({id(hypothesis): hypothesis for hypothesis in some}.values())


def granted(evidence: Evidence, hypothesis: Hypothesis) -> Evidence | None:
    """Returns the evidence that is left when a mistake is taken for granted."""
    if hypothesis.delta is None or hypothesis.position is None:
        return None
    with np.errstate(all="ignore"):
        change = walk(evidence.program, evidence.active, start=dict(hypothesis.delta), below=hypothesis.position)
        moved: Cotangents = dict(evidence.cotangents)
        for number, delta in change.items():
            moved[number] = moved[number] + delta if number in moved else delta
        found = hypothesis.result(evidence)
    return evidence.after(found, moved) if all(np.all(np.isfinite(leaf)) for leaf in found) else None


def scaled(evidence: Evidence, signed: Sequence[Signed]) -> list[tuple[Hypothesis, float]]:
    """Returns mistakes that explain the gradient up to one constant factor, the most plausible first."""
    found = []
    wrong = np.isin([leaf for leaf, _ in evidence.directions], evidence.wrong)
    reference = evidence.projected(evidence.reference)[wrong]
    given = reference + evidence.target[wrong]
    for hypothesis, signature in _distinct(evidence, signed):
        if np.any(np.abs(signature[~wrong]) > evidence.room[~wrong]):
            continue
        made = reference + signature[wrong]
        size = np.vdot(made, made)
        if size > 0:
            factor = float(np.vdot(made, given) / size)
            close = abs(factor) > 1e-6 and np.max(np.abs(factor * made - given)) <= 1e-6 * np.max(np.abs(given))
            if close and abs(factor - 1) > 1e-5:
                found.append((hypothesis, factor))
    return sorted(found, key=lambda one: one[0].cost)[:FIRST]


def factor_left(evidence: Evidence, hypothesis: Hypothesis) -> float | None:
    """Returns the factor between the gradient that a mistake gives and the one seen, if that is all that differs."""
    if hypothesis.delta is not None:
        return None
    try:
        with np.errstate(all="ignore"):
            found = hypothesis.result(evidence)
    except (ValueError, TypeError, IndexError, LookupError):
        return None
    given = np.concatenate([np.ravel(evidence.given[leaf]) / evidence.scales[leaf] for leaf in evidence.wrong])
    made = np.concatenate([np.ravel(found[leaf]) / evidence.scales[leaf] for leaf in evidence.wrong])
    size = np.vdot(made, made)
    if not size > 0 or not np.isfinite(size):
        return None
    factor = float(np.vdot(made, given) / size)
    close = np.max(np.abs(factor * made - given)) <= 1e-8 + 16 * evidence.rounding
    return factor if close and abs(factor - 1) > 1e-6 and abs(factor) > 1e-6 else None


def _sum(hypotheses: Sequence[Hypothesis]) -> dict[int, Any]:
    total: dict[int, Any] = {}
    for hypothesis in hypotheses:
        for number, delta in (hypothesis.delta or {}).items():
            total[number] = total.get(number, 0) + delta
    return total
