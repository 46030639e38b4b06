"""Another loss of the same prediction and target: the squared error for a cross-entropy, a root for a mean.

Every loss that compares element by element has a gradient that is one array times a constant; the constant is solved
for. What a function of one number does to the whole loss is a factor, and which one is seen from the number.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.loops.runs import repeated
from functional_nets.gradcheck.hypotheses.rules import factors
from functional_nets.gradcheck.hypotheses.rules.forgotten import close

SCALARS: tuple[tuple[str, Callable[[float], float]], ...] = (
    ("the square root of this", lambda s: 0.5 / np.sqrt(s)),
    ("the square root of twice this", lambda s: 1 / np.sqrt(2 * s)),
    ("the logarithm of this", lambda s: 1 / s),
    ("the exponential of this", np.exp),
    ("the square of this", lambda s: 2 * s),
)
BOUNDS = (1.0, 0.5, 0.1, 2.0, 5.0, 0.2)
SCALAR_OPS = {"sqrt", "log", "exp", "square", "integer_pow", "rsqrt", "neg", "div"}


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the gradients of other losses, wherever in the program they may begin."""
    yield from _of_one_number(evidence)
    again = repeated(evidence)
    for number, uses in evidence.uses.items():
        if evidence.concerns(number) and not any(position in again for position, _ in uses):
            for target in _targets(evidence, number):
                yield from _of_target(evidence, number, target)


def _of_one_number(evidence: Evidence) -> Iterator[Hypothesis]:
    """A function of a scalar that the loss has not, or one of the loss's that the gradient has not."""
    values = evidence.program.values
    for position in evidence.active:
        node = evidence.program.nodes[position]
        s = values[node.outputs[0]]
        g = evidence.cotangents.get(node.outputs[0])
        if np.shape(s) != () or g is None or not np.any(g) or not evidence.concerns(node.outputs[0]):
            continue
        found = factors.fitted(evidence, {node.outputs[0]: np.asarray(g)}) if evidence.strict else []
        for factor in found:
            delta = {node.outputs[0]: (factor - 1) * np.asarray(g)}
            with np.errstate(all="ignore"):
                for name, derivative in SCALARS:
                    if close(factor, float(derivative(float(s)))) and not close(factor, 1.0):
                        text = f"this is the gradient of a loss that takes {name}"
                        yield Hypothesis("wrong_loss", position, text, 0.95, delta, _pulled(evidence, delta))
                for entry in evidence.entries(position) if node.op in SCALAR_OPS else ():
                    if entry is not None and np.shape(entry) == () and close(factor * float(entry), float(g)):
                        text = f"the operation {node.op} here is left out of the loss that this gradient belongs to"
                        yield Hypothesis("wrong_loss", position, text, 1.0, delta, _pulled(evidence, delta))


def _targets(evidence: Evidence, number: int) -> Iterator[Any]:
    """Arrays that a prediction may be compared with: constants of its shape, and labels as one-hot rows."""
    prediction = np.asarray(evidence.program.values[number])
    if prediction.size < 3:
        return
    for constant in evidence.constants:
        value = np.asarray(evidence.program.values[constant])
        if value.shape == prediction.shape or (value.size == prediction.size and 1 in prediction.shape):
            yield value.reshape(prediction.shape)
    for argument in evidence.program.arguments:
        labels = evidence.program.values[argument]
        kind = getattr(getattr(labels, "dtype", None), "kind", "")
        if kind in "iu" and np.shape(labels) == prediction.shape[:-1] and np.size(labels):
            yield (np.expand_dims(np.asarray(labels), -1) == np.arange(prediction.shape[-1])) * 1.0


def _of_target(evidence: Evidence, number: int, t: Any) -> Iterator[Hypothesis]:
    x, g = np.asarray(evidence.program.values[number]), np.asarray(evidence.cotangents[number])
    right = evidence.signature({number: g})
    if not np.any(right):
        return
    for name, k in _slopes(x, t):
        if not np.all(np.isfinite(k)) or np.ptp(k) == 0 or _collinear(k, g):
            continue
        solved = evidence.solved([evidence.signature({number: k})], right)
        if solved is None or not np.isfinite(solved[0]) or abs(solved[0]) < 1e-9:
            continue
        delta = {number: solved[0] * k - g}
        text = f"this is the gradient of another loss, {name}, of this value and its target"
        first, kind = min(evidence.uses[number])[0], "wrong_loss"
        if any(
            np.allclose(solved[0] * k, g * slope, rtol=1e-6, atol=0)
            for slope in (x, x * (1 - x), _sigmoid(x) * _sigmoid(-x))
        ):
            kind = "wrong_derivative"
            text = "the slope of the last activation, which this loss cancels, is multiplied in: leave it out"
        later = 0.05 * number / len(evidence.program.values)  # The loss meets what is nearest to it.
        yield Hypothesis(kind, first, text, 1.25 - later, delta, _pulled(evidence, delta))


def _slopes(x: Any, t: Any) -> list[tuple[str, Any]]:
    """The slopes of the losses that people use, up to a constant."""
    with np.errstate(all="ignore"):
        e = np.exp(x - np.max(x, axis=-1, keepdims=True, initial=-np.inf))
        p, rows = _sigmoid(x), e / np.sum(e, axis=-1, keepdims=True)
        return [
            ("the squared error", x - t),
            ("the absolute error", np.sign(x - t)),
            ("the binary cross-entropy", (x - t) / (x * (1 - x))),
            ("the cross-entropy without the terms of the other class", -t / x),
            ("the binary cross-entropy of its sigmoid", p - t),
            ("the squared error of its sigmoid", (p - t) * p * (1 - p)),
            ("the cross-entropy of its softmax", rows - t),
            ("the squared error of its softmax", rows * (rows - t - np.sum((rows - t) * rows, -1, keepdims=True))),
            *(
                (f"the Huber loss, which clips the error to ±{bound:g}", np.clip(x - t, -bound, bound))
                for bound in BOUNDS
            ),
            *(
                (("the logistic loss", -t / (1 + np.exp(t * x))), ("the hinge loss", -t * (t * x < 1)))
                if np.all(np.abs(t) == 1)
                else ()
            ),
        ]


def _sigmoid(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _collinear(k: Any, g: Any) -> bool:
    factor = np.vdot(g, k) / (np.vdot(g, g) or 1.0)
    return bool(np.max(np.abs(k - factor * g)) <= 1e-7 * np.max(np.abs(k)))


def _pulled(evidence: Evidence, delta: dict[int, Any]) -> Callable[[], list[Any]]:
    (number,) = delta
    return partial(evidence.pulled, delta, evidence.made.get(number, -1) + 1)
