"""What was done to the gradient as a whole: its arrays exchanged, a penalty added, clipped, added up over calls."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.leaves import first_use
from functional_nets.gradcheck.hypotheses.rules.forgotten import named

MULTIPLES = (
    (2.0, "as if it were added up 2 times: set the gradients to zero before each backward pass"),
    (3.0, "as if it were added up 3 times: set the gradients to zero before each backward pass"),
    (1.9, "a velocity with momentum 0.9 after two steps, not a gradient"),
)


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields what may have been done to several arrays of the gradient alike."""
    yield from _exchanged(evidence)
    yield from _accumulated(evidence)
    yield from _decayed(evidence)
    yield from _penalised(evidence)
    yield from _averaged(evidence)
    yield from _limited(evidence)


def _exchanged(evidence: Evidence) -> Iterator[Hypothesis]:
    """Right arrays in other places: two parameters mixed up, a list of layers that was built from the last one on."""
    found = {leaf: _source(evidence, leaf) for leaf in evidence.wrong}
    sources = {leaf: source for leaf, source in found.items() if source is not None}
    if len(sources) < 2 or sorted(sources.values()) != evidence.wrong:
        return
    paths = evidence.paths
    order = ", ".join(f"{paths[leaf]} has that of {paths[source]}" for leaf, source in list(sources.items())[:4])
    text = f"the arrays are right and in other places: {order}{', …' if len(sources) > 4 else ''}; put them in order"
    if len(sources) == 2:
        text = f"the gradients of {paths[evidence.wrong[0]]} and {paths[evidence.wrong[1]]} are exchanged"
    arrays = [evidence.reference[sources.get(leaf, leaf)] for leaf in range(len(evidence.reference))]
    cost = 0.3 if len(sources) == 2 else 0.1
    yield Hypothesis("permuted", first_use(evidence, evidence.wrong[0]), text, cost, None, lambda: arrays)


def _source(evidence: Evidence, leaf: int) -> int | None:
    """The other wrong leaf whose gradient stands here."""
    given = evidence.given[leaf]
    for other in evidence.wrong:
        right = evidence.reference[other]
        room = max(1e-9, 4 * evidence.rounding) * evidence.scales[other] + 4 * evidence.tolerances[other]
        if other != leaf and np.shape(right) == np.shape(given) and np.max(np.abs(right - given), initial=0.0) <= room:
            return other
    return None


def _accumulated(evidence: Evidence) -> Iterator[Hypothesis]:
    """A loss that ends in a sum has no operation through which the whole gradient passes: here it is multiplied."""
    last = evidence.program.nodes[evidence.active[-1]] if evidence.active else None
    if last is None or last.op not in ("add", "sub", "add_any"):
        return
    yield from _scaled(evidence)
    for factor, words in MULTIPLES:
        text = f"every gradient is {factor:g} times too large, {words}"
        multiple = partial(_each, evidence, partial(np.multiply, factor))
        yield Hypothesis("accumulated", None, text, 0.15 if factor == 2 else 0.4, None, multiple)


def _scaled(evidence: Evidence) -> Iterator[Hypothesis]:
    """The whole gradient times one number, such as a mean over the steps of a loop that adds up."""
    right = evidence.projected(evidence.reference)
    size = np.vdot(right, right)
    factor = 1 + float(np.vdot(right, evidence.target) / size) if size > 0 else 1.0
    name, natural = named(evidence, factor) if factor > 0 else ("", False)
    if natural and factor not in (1.0, 2.0, 3.0):
        text = f"every gradient is {factor:.6g} times what it should be, a factor of {name}: the loss is a sum, no mean"
        position = evidence.active[-1]
        yield Hypothesis("scale", position, text, 0.35, None, partial(_each, evidence, partial(np.multiply, factor)))


def _decayed(evidence: Evidence) -> Iterator[Hypothesis]:
    """A multiple of the parameters themselves is added, with one constant for all the leaves that are wrong."""
    values = [evidence.program.values[number] for number in evidence.program.leaves]
    wrong = [leaf for leaf in evidence.wrong if np.any(values[leaf])]
    if len(wrong) != len(evidence.wrong) or sum(np.size(values[leaf]) for leaf in wrong) < 3:
        return  # One number fits anything.
    for power, name in ((1, "the parameters themselves"), (0, "the parameters' signs")):
        terms = [np.sign(v) if power == 0 else v for v in values]
        error = np.concatenate([(evidence.given[leaf] - evidence.reference[leaf]).ravel() for leaf in wrong])
        term = np.concatenate([terms[leaf].ravel() for leaf in wrong])
        rate = float(np.vdot(term, error) / np.vdot(term, term))

        def gradient(rate: float = rate, terms: Sequence[Any] = terms) -> list[Any]:
            return [
                right + rate * terms[leaf] if leaf in wrong else right for leaf, right in enumerate(evidence.reference)
            ]

        text = f"{rate:.6g} times {name} is added, as by weight decay, and the loss has no such term"
        yield Hypothesis("extra_term", _penalty(evidence, wrong[0]), text, 1.9, None, gradient)


def _penalised(evidence: Evidence) -> Iterator[Hypothesis]:
    """The penalty on some parameters taken for others, too, with the same constant: a bias, or an intercept alone."""
    program = evidence.program
    for position in evidence.active:
        node = program.nodes[position]
        if node.op not in ("square", "integer_pow", "mul") or len(set(node.inputs)) != 1:
            continue
        x, part = (
            program.values[node.inputs[0]],
            np.sum([e for e in evidence.entries(position) if e is not None], axis=0),
        )
        if not np.any(x) or np.shape(x) != np.shape(part):
            continue
        rate = float(np.vdot(x, part) / np.vdot(x, x))
        if np.max(np.abs(part - rate * x)) > 1e-9 * np.max(np.abs(part)):
            continue

        if any(evidence.program.leaves[leaf] == node.inputs[0] for leaf in evidence.wrong):
            continue  # It holds that one.

        def gradient(rate: float = rate) -> list[Any]:
            """With the penalty on all elements of all leaves that are wrong, once."""
            found = list(evidence.reference)
            for leaf in evidence.wrong:
                off = np.abs(evidence.given[leaf] - evidence.reference[leaf]) > 4 * evidence.tolerances[leaf]
                found[leaf] = evidence.reference[leaf] + np.where(off, rate * program.values[program.leaves[leaf]], 0)
            return found

        text = f"the penalty here, {rate:.6g} times the parameter, is added for parameters that it does not hold"
        yield Hypothesis("extra_term", position, text, 0.6, None, gradient)


def _penalty(evidence: Evidence, leaf: int) -> int | None:
    """The line of a penalty on other parameters, if the loss has one: these were taken for some of them."""
    nodes, values = evidence.program.nodes, evidence.program.values
    terms = [
        p for p in evidence.active
        if np.shape(values[nodes[p].outputs[0]]) == () and len(evidence.reach[nodes[p].outputs[0]]) == 1
    ]  # fmt: skip
    return max(terms) if terms else first_use(evidence, leaf)


def _averaged(evidence: Evidence) -> Iterator[Hypothesis]:
    """Parameters that a loop uses at each step, and whose gradients are divided by the number of steps."""
    counts = {len(evidence.uses.get(evidence.program.leaves[leaf], [])) for leaf in evidence.wrong}
    if len(counts) != 1 or max(counts) < 3:
        return
    (count,) = counts

    def gradient() -> list[Any]:
        return [g / count if leaf in evidence.wrong else g for leaf, g in enumerate(evidence.reference)]

    text = f"the gradients of the {count} uses of each of these parameters are averaged: add them up"
    yield Hypothesis("wrong_reduction", first_use(evidence, evidence.wrong[0]), text, 0.4, None, gradient)


def _limited(evidence: Evidence) -> Iterator[Hypothesis]:
    """Every array of the gradient clipped to the same bounds, or all of them together to a length."""
    compared = [(evidence.given[leaf], evidence.reference[leaf]) for leaf in evidence.compared]
    bound = max((float(np.max(np.abs(given), initial=0.0)) for given, _ in compared), default=0.0)
    several = sum(int(np.count_nonzero(np.abs(given) == bound)) for given, _ in compared) > 1
    if bound and (several or float(f"{bound:.1g}") == bound):
        text = f"the gradient is clipped to [-{bound:g}, {bound:g}]"
        clipped = partial(_each, evidence, partial(np.clip, a_min=-bound, a_max=bound))
        yield Hypothesis("upstream", None, text, 0.8, None, clipped)
    length = float(np.sqrt(sum(np.sum(np.square(given)) for given, _ in compared)))
    whole = float(np.sqrt(sum(np.sum(np.square(right)) for _, right in compared)))
    if whole and length < whole and abs(float(f"{length:.1g}") / (length or 1.0) - 1) < 1e-6:
        text = f"the whole gradient is scaled to length {length:.4g}"
        shorter = partial(_each, evidence, lambda right: right * length / whole)
        yield Hypothesis("upstream", None, text, 0.1, None, shorter)
    text = "only the signs of the gradient are given"
    yield Hypothesis("upstream", None, text, 0.9, None, partial(_each, evidence, np.sign))


def _each(evidence: Evidence, change: Callable[[Any], Any]) -> list[Any]:
    return [change(right) for right in evidence.reference]
