"""Mistakes in one array of the gradient itself: another shape, another order, another array's, a term added."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, when one leaf is wrong, what may have been done to it; when two are, that they were exchanged."""
    if len(evidence.wrong) == 1:
        (leaf,) = evidence.wrong
        position = first_use(evidence, leaf)
        for kind, text, cost, array in rearranged(evidence.reference[leaf]):
            yield _single(evidence, leaf, position, kind, text, cost, array)
        yield from _added(evidence, leaf, position)
        yield from _clipped(evidence, leaf, position)
    yield from _exchanged(evidence)
    yield from _decayed(evidence)
    yield from _penalised(evidence)
    yield from _averaged(evidence)
    yield from _limited(evidence)


def first_use(evidence: Evidence, leaf: int) -> int | None:
    """Returns the node that uses a leaf first in the forward pass: where a person looks for its gradient."""
    uses = evidence.uses.get(evidence.program.leaves[leaf])
    return min(uses)[0] if uses else None


def _single(
    evidence: Evidence, leaf: int, position: int | None, kind: str, text: str, cost: float, array: Any
) -> Hypothesis:
    def gradient() -> list[Any]:
        return [array if number == leaf else right for number, right in enumerate(evidence.reference)]

    return Hypothesis(kind, position, f"{evidence.paths[leaf]}: {text}", cost, None, gradient)


def rearranged(right: Any) -> Iterator[tuple[str, str, float, Any]]:
    """Yields (kind, text, cost, array): the right gradient with its elements in another order."""
    if right.ndim == 2 and right.shape[0] == right.shape[1]:
        yield "transposed", "the gradient is transposed", 0.3, right.T
    if right.ndim > 2:
        for order in itertools.permutations(range(right.ndim)):
            if order != tuple(range(right.ndim)) and tuple(right.shape[a] for a in order) == right.shape:
                yield "transposed", f"its axes are in the order {order}", 0.6, np.transpose(right, order)
    for count in range(1, min(right.ndim, 2) + 1):
        for axes in itertools.combinations(range(right.ndim), count):
            names = " and ".join(map(str, axes))
            flipped = np.flip(right, axes)
            yield "permuted", f"the gradient is reversed along axis {names}", 0.5 + 0.1 * count, flipped
    for axis in range(right.ndim):
        for step in (1, -1):
            text = f"the gradient is shifted by one along axis {axis}"
            yield "permuted", text, 0.9, np.roll(right, step, axis)
    if right.ndim > 1:
        text = "the elements are laid out in another order (column by column)"
        yield "permuted", text, 0.7, np.reshape(right.ravel(order="F"), right.shape)
        yield "permuted", text, 0.7, np.reshape(right.ravel(), right.shape, order="F")
        for order in itertools.islice(itertools.permutations(range(right.ndim)), 1, 24):
            text = f"the elements are laid out with the axes in the order {order}"
            yield "permuted", text, 0.9, np.transpose(right, order).reshape(right.shape)
    for axis in range(right.ndim):
        mean = np.broadcast_to(right.mean(axis, keepdims=True), right.shape)
        yield "wrong_reduction", f"the gradient is averaged over axis {axis}, which it has", 1.5, mean
        total = np.broadcast_to(right.sum(axis, keepdims=True), right.shape)
        yield "wrong_reduction", f"the gradient is summed over axis {axis}, which it has", 1.5, total
    yield "wrong_reduction", "the gradient is averaged over all its elements", 1.5, np.full_like(right, right.mean())
    yield "wrong_reduction", "all its elements are summed", 1.5, np.full_like(right, right.sum())
    yield "upstream", "the absolute value is given", 1.6, np.abs(right)
    yield "wrong_operand", "the gradient is squared", 1.8, right * right


def _added(evidence: Evidence, leaf: int, position: int | None) -> Iterator[Hypothesis]:
    """A multiple of something that has the leaf's shape."""
    error = evidence.given[leaf] - evidence.reference[leaf]
    ones = np.ones_like(error)
    if np.size(error) > 1 and np.ptp(error) <= 1e-9 * (np.max(np.abs(error)) or 1):
        constant = float(error.flat[0])
        text = f"a constant {constant:.6g} is added to every element"
        yield _single(evidence, leaf, position, "extra_term", text, 1.6, evidence.reference[leaf] + constant * ones)
    off = np.abs(error) > max(evidence.tolerances[leaf], 1e-12 * evidence.scales[leaf])
    rows = np.reshape(off, (len(error), -1)) if error.ndim else np.zeros((0, 1), bool)
    row = np.flatnonzero(np.any(rows, axis=1))
    if len(row) == 1 and error.shape[0] > 2 and not np.any(evidence.given[leaf][row[0]]):
        array = evidence.reference[leaf].copy()
        array[row[0]] = 0
        text = f"row {row[0]} is left at zero: a loop that starts or ends one too early"
        yield _single(evidence, leaf, position, "missing_term", text, 1.0, array)


def _clipped(evidence: Evidence, leaf: int, position: int | None) -> Iterator[Hypothesis]:
    given, right = evidence.given[leaf], evidence.reference[leaf]
    bound = float(np.max(np.abs(given), initial=0.0))
    if bound and np.count_nonzero(np.abs(given) == bound) > 1:
        text = f"the gradient is clipped to [-{bound:g}, {bound:g}]"
        yield _single(evidence, leaf, position, "upstream", text, 0.8, np.clip(right, -bound, bound))


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


def _exchanged(evidence: Evidence) -> Iterator[Hypothesis]:
    if len(evidence.wrong) != 2:
        return
    a, b = evidence.wrong
    if evidence.reference[a].shape != evidence.reference[b].shape:
        return

    def gradient() -> list[Any]:
        swapped = list(evidence.reference)
        swapped[a], swapped[b] = swapped[b], swapped[a]
        return swapped

    text = f"the gradients of {evidence.paths[a]} and {evidence.paths[b]} are exchanged"
    yield Hypothesis("permuted", first_use(evidence, a), text, 0.3, None, gradient)


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
    program = evidence.program
    squares = [
        p for p in evidence.active
        if program.nodes[p].op in ("square", "integer_pow", "abs") and program.nodes[p].inputs[0] in program.leaves
    ]  # fmt: skip
    return max(squares) if squares else first_use(evidence, leaf)


def intermediate(evidence: Evidence, given: Any) -> tuple[str, str] | None:
    """Returns (kind, text) if the array is the gradient of another value of the loss, else None."""
    given = np.asarray(given)
    for number, g in evidence.cotangents.items():
        if np.shape(g) == given.shape and np.size(g) > 1 and np.any(g) and np.allclose(g, given, rtol=1e-6, atol=0):
            made = evidence.made.get(number)
            where = evidence.program.nodes[made].where if made is not None else None
            line = f"what line {where.line} gives" if where else "another value"
            return (
                "wrong_shape",
                f"this is the gradient of {line}, of shape {list(given.shape)}: it has to go on to here",
            )
    return None


def reshaped(given: Any, right: Any) -> tuple[str, str] | None:
    """Returns (kind, text) for a gradient of another shape whose values can be explained, else None."""
    given = np.asarray(given)

    def same(a: Any) -> bool:
        a = np.asarray(a)
        scale = np.max(np.abs(right), initial=0.0) or 1.0
        return a.shape == right.shape and bool(np.max(np.abs(a - right), initial=0.0) <= 1e-6 * scale)

    shapes = f"expected {list(right.shape)}, found {list(given.shape)}"
    if given.ndim == right.ndim and given.ndim >= 2:
        for order in itertools.permutations(range(given.ndim)):
            if same(np.transpose(given, order)):
                return "transposed", f"the gradient is transposed: {shapes}"
    if given.size == right.size and same(given.reshape(right.shape)):
        return "wrong_shape", f"the values are right, the shape is not: {shapes}; reshape it"
    if given.size == right.size and same(given.reshape(right.shape, order="F")):
        return "permuted", f"the elements are in another order and the shape is not the parameter's: {shapes}"
    if given.ndim == right.ndim and all(a >= b for a, b in zip(given.shape, right.shape, strict=True)):
        for first in itertools.product(*(range(a - b + 1) for a, b in zip(given.shape, right.shape, strict=True))):
            if same(given[tuple(slice(f, f + n) for f, n in zip(first, right.shape, strict=True))]):
                return "wrong_shape", f"what was padded is not cut off: {shapes}; cut it off"
    used = right[np.any(np.reshape(right, (len(right), -1)) != 0, axis=1)] if right.ndim else right
    if used.shape == given.shape != right.shape and np.allclose(used, given, rtol=1e-6, atol=0):
        return "wrong_shape", f"only the rows that are not 0 are given: {shapes}; put them where they belong"
    for count in range(1, given.ndim + 1):
        for axes in itertools.combinations(range(given.ndim), count):
            names = " and ".join(map(str, axes))
            for keep in (False, True):
                total = given.sum(axes, keepdims=keep)
                if total.size == right.size and same(total.reshape(right.shape)):
                    return "wrong_reduction", f"axis {names} is left unsummed: {shapes}; sum over it"
                mean = given.mean(axes, keepdims=keep)
                if mean.size == right.size and same(mean.reshape(right.shape)):
                    return "wrong_shape", f"the values are repeated along axis {names}: {shapes}"
    for count in range(1, right.ndim + 1):
        for axes in itertools.combinations(range(right.ndim), count):
            names = " and ".join(map(str, axes))
            for reduced, how in ((right.sum(axes), "summed"), (right.mean(axes), "averaged")):
                if reduced.size == given.size and np.allclose(reduced.ravel(), given.ravel(), rtol=1e-6, atol=0):
                    return "wrong_reduction", f"the gradient is {how} over axis {names}, which it has: {shapes}"
    return None
