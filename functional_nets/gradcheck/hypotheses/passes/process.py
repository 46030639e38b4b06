"""Mistakes of process: the right rules at other parameters, or on another batch."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.fitting import fitted, simple
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.program import gradient, is_real, rerun, walk

RATES = (1.0, 0.5, 0.1, 0.01, 0.001, 0.05, 0.005, 1e-4, 0.2, 0.3, 0.9)


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the gradient after an update, before it, and with each argument in another order."""
    yield from _after_update(evidence)
    yield from _updated_early(evidence)
    yield from _reordered(evidence)


def at(evidence: Evidence, replaced: dict[int, Any]) -> list[Any]:
    """Returns the right gradient when some values are others."""
    program = evidence.program
    values = rerun(program, replaced)
    return gradient(program, walk(program, evidence.active, values=values))


def _after_update(evidence: Evidence) -> Iterator[Hypothesis]:
    program = evidence.program
    if len(evidence.compared) < len(program.leaves):
        return
    text = "the gradient is that at {}: compute all gradients before the parameters change"

    def moved(step: float, by: Sequence[Any], name: str) -> Hypothesis:
        def make() -> list[Any]:
            return at(
                evidence,
                {number: program.values[number] - step * g for number, g in zip(program.leaves, by, strict=True)},
            )

        return Hypothesis("stale", None, text.format(name), 1.5, None, make)

    for by in (evidence.given, evidence.reference):
        step = _fitted_step(evidence, by)
        if step:
            sign = "after" if step > 0 else "before"
            yield moved(step, by, f"the parameters {sign} an update with learning rate {abs(step):.6g}")


PICKS = {"gather", "take", "slice", "dynamic_slice"}
VIEWS = {"gather", "take", "slice", "dynamic_slice", "transpose", "reshape", "squeeze", "expand_dims", "split", "rev"}


def _updated_early(evidence: Evidence) -> Iterator[Hypothesis]:
    """One parameter that has made its step when another's gradient reads it; the forward pass had the old one."""
    program = evidence.program
    for leaf in evidence.compared:
        if leaf in evidence.wrong:
            continue
        number = program.leaves[leaf]
        views = [number]
        for node in program.nodes:
            if node.op in VIEWS and node.inputs[0] in views:
                views += node.outputs

        def moved(theta: Any, leaf: int = leaf, number: int = number, views: Sequence[int] = tuple(views)) -> list[Any]:
            other = rerun(program, {number: program.values[number] - float(np.ravel(theta)[0]) * evidence.given[leaf]})
            values = [
                new if n in views else old for n, (old, new) in enumerate(zip(program.values, other, strict=True))
            ]
            return _where_wrong(evidence, gradient(program, walk(program, evidence.active, values=values)))

        def everywhere(theta: Any, leaf: int = leaf, number: int = number) -> list[Any]:
            stepped = program.values[number] - float(np.ravel(theta)[0]) * evidence.given[leaf]
            return _where_wrong(evidence, at(evidence, {number: stepped}))

        again = fitted(evidence, everywhere, [0.0])
        if again is not None and abs(again[0]) > 1e-9:
            rate = simple(float(again[0]))[0]
            text = f"{evidence.paths[leaf]} had made its step (learning rate {rate:g}) when this gradient was computed"
            yield Hypothesis("stale", None, text, 1.05, None, partial(everywhere, rate))
        found = fitted(evidence, moved, [0.0])
        if found is not None and abs(found[0]) > 1e-9:
            rate = simple(float(found[0]))[0]
            text = (
                f"{evidence.paths[leaf]} was updated (learning rate {rate:g}) before this gradient used it: update last"
            )
            yield Hypothesis("mutated", reader(evidence, number), text, 1.1, None, partial(moved, rate))


def _where_wrong(evidence: Evidence, found: Sequence[Any]) -> list[Any]:
    """Another gradient for the wrong leaves; the others were computed before, or by the way."""
    return [
        new if leaf in evidence.wrong else right
        for leaf, (new, right) in enumerate(zip(found, evidence.reference, strict=True))
    ]


def _fitted_step(evidence: Evidence, by: Sequence[Any]) -> float | None:
    """Returns the step for which the gradient, so far along `by`, is the one given, found by Newton's method."""
    program = evidence.program

    def off(step: float) -> np.ndarray:
        found = at(
            evidence,
            {number: program.values[number] - step * g for number, g in zip(program.leaves, by, strict=True)},
        )
        return np.concatenate(
            [((found[leaf] - evidence.given[leaf]) / evidence.scales[leaf]).ravel() for leaf in evidence.compared]
        )

    with np.errstate(all="ignore"):
        start = off(0.0)
        for guess in RATES:
            if np.max(np.abs(off(guess)), initial=0.0) < 1e-7:
                return guess
        step, width = 0.0, 1e-4
        here = start
        for _ in range(8):
            slope = (off(step + width) - here) / width
            size = np.vdot(slope, slope)
            if not np.isfinite(size) or size == 0:
                return None
            step -= float(np.vdot(slope, here) / size)
            here = off(step)
            if not np.all(np.isfinite(here)):
                return None
            if np.max(np.abs(here), initial=0.0) < 1e-10:
                break
    return step if np.max(np.abs(here), initial=0.0) < 1e-6 else None


def _reordered(evidence: Evidence) -> Iterator[Hypothesis]:
    program = evidence.program
    for which, number in enumerate(program.arguments):
        value = np.asarray(program.values[number]) if not hasattr(program.values[number], "addressable_data") else None
        if value is None or value.ndim == 0 or value.shape[0] < 2:
            continue
        changes: list[tuple[str, float, Any]] = [
            (f"shifted by {abs(step)}", 0.8, np.roll(value, step, 0))
            for step in sorted(range(-min(8, len(value) // 2), min(8, len(value) // 2) + 1), key=abs)
            if step
        ]
        changes.append(("reversed", 0.9, value[::-1]))
        for axis in range(1, value.ndim):
            changes.append((f"reversed along axis {axis}", 1.2, np.flip(value, axis)))
            changes.append((f"shifted by one along axis {axis}", 1.2, np.roll(value, 1, axis)))
            changes.append((f"shifted by one along axis {axis}", 1.2, np.roll(value, -1, axis)))
        if value.dtype.kind in "iu":
            top = int(value.max())
            changes.append(("off by one", 0.9, np.minimum(value + 1, top)))
            changes.append(("off by one", 0.9, np.maximum(value - 1, 0)))
            changes.append(("off by one", 0.9, (value + 1) % (top + 1)))
            changes.append(("off by one", 0.9, (value - 1) % (top + 1)))
            changes.append(("in reverse order of classes", 0.9, top - value))
            changes.append(("all the first class", 1.0, np.zeros_like(value)))
            changes += [("taken from another argument", 1.0, other) for other in _labels(evidence, number)]
        elif is_real(value) and value.ndim == 2 and value.shape[0] == value.shape[1]:
            changes.append(("transposed", 1.0, value.T))
        for how, cost, other in changes:
            if np.array_equal(other, value):
                continue
            text = f"the gradient is that for argument {which + 1} {how}, against the other arguments"
            yield Hypothesis("permuted", reader(evidence, number), text, cost, None, _with(evidence, number, other))


def _labels(evidence: Evidence, own: int) -> Iterator[Any]:
    """Other arguments that could be labels: integers of the same shape, and one-hot rows, as those of inputs."""
    value = np.asarray(evidence.program.values[own])
    for number in evidence.program.arguments:
        other = evidence.program.values[number]
        if number == own or hasattr(other, "addressable_data"):
            continue
        if other.dtype.kind in "iu" and other.shape == value.shape:
            yield other
        if is_real(other) and other.shape[:-1] == value.shape and np.all(np.sum(other, axis=-1) == 1):
            yield np.argmax(other, axis=-1).astype(value.dtype)


def _with(evidence: Evidence, number: int, value: Any) -> Callable[[], list[Any]]:
    return lambda: at(evidence, {number: value})


def reader(evidence: Evidence, number: int) -> int | None:
    """Returns the first operation that reads an argument, through operations that lead to the loss."""
    nodes = evidence.program.nodes
    uses = [position for position, node in enumerate(nodes) if number in node.inputs]
    if uses and _is_table(evidence, number) and all(nodes[position].op in PICKS for position in uses):
        return uses[0]
    reached = {number}
    active = set(evidence.active)
    for position, node in enumerate(nodes):
        if not reached.isdisjoint(node.inputs):
            if position in active:
                return position
            reached.update(node.outputs)
    return None


def _is_table(evidence: Evidence, number: int) -> bool:
    """Whether an argument is a row of numbers, such as class weights, from which a line picks one at a time."""
    value = evidence.program.values[number]
    return is_real(value) and np.ndim(value) == 1
