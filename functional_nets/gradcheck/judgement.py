"""A gradient against a program: leaf by leaf, and what explains the difference."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.comparison import compare
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.leaves import first_use
from functional_nets.gradcheck.hypotheses.shapes import misshapen
from functional_nets.gradcheck.numpy_code.forwards import guards
from functional_nets.gradcheck.numpy_code.slopes import Evaluate, between
from functional_nets.gradcheck.precision import SAFETY, sensitivity
from functional_nets.gradcheck.program import Program, active_nodes, gradient, rerun, walk
from functional_nets.gradcheck.report import Leaf
from functional_nets.gradcheck.search import Candidate, search

MEASURED = 1e-7  # Relative error of a reference that is measured by differences.


class Explanation(NamedTuple):
    """A mistake that reproduces a gradient.

    Attributes:
        kind: Its identifier.
        position: The operation at which it is made, None for none.
        text: What is wrong and what to do.
        residual: How closely it reproduces the gradient.
        cost: How far-fetched it is.
        leaves: The numbers of the leaves that it explains.
        forward: Whether it is the forward pass that is wrong.
    """

    kind: str
    position: int | None
    text: str
    residual: float
    cost: float
    leaves: tuple[int, ...]
    forward: bool = False


class Judgement(NamedTuple):
    """What a comparison has shown.

    Attributes:
        leaves: One entry per array.
        evidence: What a search for the mistake needs.
        given: The gradient that was compared.
        notes: What is no mistake.
    """

    leaves: tuple[Leaf, ...]
    evidence: Evidence
    given: tuple[Any, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the gradient is right."""
        return all(leaf.ok for leaf in self.leaves)

    @property
    def wrong(self) -> list[int]:
        """The numbers of the leaves that are wrong, of another shape included."""
        return [number for number, leaf in enumerate(self.leaves) if not leaf.ok]


def judge(
    program: Program,
    given: Sequence[Any],
    paths: Sequence[str],
    narrowest: float,
    *,
    evaluate: Sequence[Evaluate] | None = None,
    measured: bool = False,
) -> Judgement:
    """Returns the comparison of a gradient with that of a program.

    Args:
        program: What is differentiated.
        given: The gradient under test, leaf by leaf.
        paths: The leaves' names.
        narrowest: Relative rounding error of the narrowest type in which it was computed.
        evaluate: Per leaf, the program's result at another value of it, by which kinks are recognised.
        measured: Whether the program's own gradient is a measurement.
    """
    active = active_nodes(program, program.leaves)
    reference = [np.asarray(leaf) for leaf in gradient(program, walk(program, active))]
    tolerances = [max(narrowest, program.epsilon) * SAFETY * size for size in sensitivity(program, active, reference)]
    if measured:
        largest = max((float(np.max(np.abs(leaf), initial=0.0)) for leaf in reference), default=0.0)
        tolerances = [max(tolerance, MEASURED * max(largest, 1e-3)) for tolerance in tolerances]
    leaves = list(compare(paths, given, reference, tolerances))
    kept: list[Any] = [
        np.asarray(array, np.float64) if np.shape(array) == np.shape(right) else None
        for array, right in zip(given, reference, strict=True)
    ]
    notes = []
    for number, leaf in enumerate(leaves):
        x = program.values[program.leaves[number]]
        if leaf.ok or kept[number] is None or evaluate is None:
            continue
        if between(evaluate[number], x, kept[number], reference[number], tolerances[number]):
            leaves[number], kept[number] = leaf._replace(ok=True), reference[number]
            notes.append(
                f"{leaf.path}: at a kink any gradient between the slopes on both sides is right; this one lies between"
            )
    return Judgement(tuple(leaves), Evidence(program, kept, paths, tolerances), tuple(given), tuple(notes))


Proposal = Callable[[Evidence], Iterable[Hypothesis]]


def explain(
    judgement: Judgement, forwards: Sequence[Proposal] = (), backwards: Sequence[Proposal] = ()
) -> list[Explanation]:
    """Returns what reproduces a wrong gradient, the most plausible first.

    Args:
        judgement: The comparison.
        forwards: They propose mistakes of the forward pass, which are tried first.
        backwards: They propose mistakes of the backward pass beside those that the search knows.
    """
    evidence = judgement.evidence
    found = list(_shapes(judgement))
    if not evidence.wrong:
        return found
    others = []
    for number, eps in guards(evidence.program).items():
        # A loss is often guarded by log(y + ε) in forward only, whatever else is wrong.
        without = evidence.program._replace(values=rerun(evidence.program, {number: np.zeros_like(eps)}))
        other = Evidence(without, evidence.given, evidence.paths, evidence.tolerances)
        if not other.wrong:
            text = (
                f"forward adds {float(eps):g} inside the logarithm, and backward does not know of it: use one of both"
            )
            where = next(p for p, n in enumerate(without.nodes) if number in n.inputs)
            residual = evidence.residual(other.reference)
            return [*found, Explanation("wrong_loss", where, text, residual, 0.0, tuple(evidence.wrong))]
        others.append((other, f" (beside that, it does not know of the {float(eps):g} in the logarithm)"))
    explained = _found(evidence, forwards, backwards)
    for other, beside in others:
        explained = explained or [e._replace(text=e.text + beside) for e in _found(other, forwards, backwards)]
    return [*found, *explained]


def _found(evidence: Evidence, forwards: Sequence[Proposal], backwards: Sequence[Proposal]) -> list[Explanation]:
    wrong = tuple(evidence.wrong)
    for propose, forward in [*((p, True) for p in forwards), *((p, False) for p in backwards)]:
        for hypothesis in propose(evidence):
            with np.errstate(all="ignore"):
                result = hypothesis.result(evidence)
            if evidence.reproduces(result):
                candidate = Candidate(hypothesis, evidence.residual(result))
                return [_explanation(candidate, wrong)._replace(forward=forward)]
    found = [_explanation(candidate, wrong) for candidate in search(evidence)]
    # One pass has run, from a fresh start: what several passes leave behind is seen by running them, not guessed.
    others = [each for each in found if each.kind != "accumulated"]
    return others or [
        each._replace(kind="scale", text="the gradient is a multiple of what it should be") for each in found
    ]


def _explanation(candidate: Candidate, leaves: tuple[int, ...]) -> Explanation:
    hypothesis = candidate.hypothesis
    return Explanation(
        hypothesis.kind, hypothesis.position, hypothesis.text, candidate.residual, hypothesis.cost, leaves
    )


def _shapes(judgement: Judgement) -> Iterable[Explanation]:
    evidence = judgement.evidence
    for leaf in judgement.wrong:
        right, array = evidence.reference[leaf], judgement.given[leaf]
        if np.shape(array) == np.shape(right):
            continue
        path = evidence.paths[leaf]
        kind, text = misshapen(evidence, leaf, array, right)
        yield Explanation(kind, first_use(evidence, leaf), f"{path}: {text}", 0.0, 0.0, (leaf,))
