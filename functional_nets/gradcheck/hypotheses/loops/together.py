"""Two mistakes of which at least one is made each time a line runs.

Such mistakes compound, so that the errors of two are not quite the sum of what each makes alone. They are often nearly
so: the pairs are tried in the order of what is left of the gradient's error when both are taken from it.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.loops.repeated import everywhere, scaled
from functional_nets.gradcheck.hypotheses.loops.runs import Runs, groups
from functional_nets.gradcheck.hypotheses.loops.steps import turned

PLAUSIBLE = 1.3  # The cost above which a mistake is not looked for beside another.
SINGLE = 500  # Mistakes that are made alone first; each costs a walk.
TRIED = 60  # Pairs of them that are made together, those first after which least is left.
LIKELY = 45  # Of the most plausible ones, all pairs are tried: where much compounds, little is told by what is left.


def beside(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields what is most often wrong with an operation that runs once: left out, of the other sign, transposed."""
    several = {position for runs in groups(evidence) for position in runs.positions}
    for position in evidence.active:
        if position in several:
            continue
        for place, entry in enumerate(evidence.entries(position)):
            if entry is not None and np.any(entry):
                zero, minus = ({position: scaled(place, factor)} for factor in (0.0, -1.0))
                text = "the contribution of this operand is left out, as if it were a constant: add it"
                yield everywhere(zero, "missing_term", text, 0.8)
                yield everywhere(minus, "sign", "the sign is flipped: negate it", 1.1)
        yield from turned(evidence, Runs((), [position]))


class Alone(NamedTuple):
    """A mistake, and the signature of the error that it makes alone."""

    hypothesis: Hypothesis
    signature: np.ndarray


def pairs(evidence: Evidence, hypotheses: Sequence[Hypothesis]) -> Iterator[tuple[Hypothesis, Hypothesis]]:
    """Yields two mistakes that may have been made together, the most promising first.

    Args:
        evidence: What is to be explained.
        hypotheses: Mistakes that consist in other rules at some nodes.
    """
    plausible = sorted((h for h in hypotheses if h.change and h.cost <= PLAUSIBLE), key=lambda h: h.cost)
    alone = _distinct(evidence, plausible[:SINGLE])
    if len(alone) < 2:
        return
    scale = np.max(np.abs(evidence.target)) or 1.0
    signatures = np.stack([one.signature for one in alone]) / scale
    left = evidence.target / scale - signatures
    off = [
        (float(np.linalg.norm(left[i] - signatures[j])), i, j) for i, j in itertools.combinations(range(len(alone)), 2)
    ]
    nearest = [(i, j) for _, i, j in sorted(off)[:TRIED]]
    likely = itertools.combinations(range(min(len(alone), LIKELY)), 2)
    for i, j in dict.fromkeys([*nearest, *sorted(likely, key=sum)]):
        first, second = alone[i].hypothesis, alone[j].hypothesis
        if first.change and second.change and first.change.touched.isdisjoint(second.change.touched):
            yield first, second


def result(evidence: Evidence, first: Hypothesis, second: Hypothesis) -> list[Any]:
    """Returns the gradient that one gets by making two such mistakes."""
    assert first.change is not None, "only other rules can be made together"
    assert second.change is not None, "only other rules can be made together"
    return first.change.beside(second.change).result(evidence)


def _distinct(evidence: Evidence, hypotheses: Sequence[Hypothesis]) -> list[Alone]:
    """The cheapest hypothesis of each effect, among those that leave the right leaves alone."""
    kept: dict[bytes, Alone] = {}
    scale = np.max(np.abs(evidence.target)) or 1.0
    right = ~np.isin([leaf for leaf, _ in evidence.directions], evidence.wrong)
    for hypothesis in hypotheses:
        if evidence.late:
            break
        error = _error(evidence, hypothesis.result)
        if (
            error is None
            or np.any(np.abs(error[right]) > evidence.room[right])
            or not np.any(np.abs(error) > 1e-7 * scale)
        ):
            continue
        kept.setdefault(np.round(error / scale, 7).tobytes(), Alone(hypothesis, error))
    return list(kept.values())


def _error(evidence: Evidence, result: Callable[[Evidence], list[Any]]) -> np.ndarray | None:
    """The signature of the error that a mistake makes; None where the changed rules do not fit together."""
    try:
        found = result(evidence)
    except (ValueError, TypeError, IndexError, LookupError):
        return None
    if any(np.shape(leaf) != np.shape(right) for leaf, right in zip(found, evidence.reference, strict=True)):
        return None
    error = evidence.projected([leaf - right for leaf, right in zip(found, evidence.reference, strict=True)])
    return error if np.all(np.isfinite(error)) else None
