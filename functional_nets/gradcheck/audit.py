"""What a gradient check cannot see: a loss that is not the one that was meant, differentiated rightly.

The official MNIST examples of JAX once divided their loss by 10, the number of classes, and every gradient check
agreed (jax issue 1023). A cross-entropy has values that are known beforehand; here they are asked for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nets.gradcheck.trace import to_float64

SLACK = 1e-6


class Finding(NamedTuple):
    """One property of a loss.

    Attributes:
        name: What was asked.
        ok: Whether it is as it should be; None if it could not be told.
        expected: The value that a mean cross-entropy has.
        found: The value that this loss has.
        message: What that means.
    """

    name: str
    ok: bool | None
    expected: float
    found: float
    message: str


class Audit(NamedTuple):
    """The properties of a loss; it is all right if none is violated."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no property is violated."""
        return all(finding.ok is not False for finding in self.findings)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        marks = {True: "ok   ", False: "WRONG", None: "?    "}
        lines = [f"  {marks[f.ok]}  {f.name}: {f.message}" for f in self.findings]
        return "\n".join([f"loss audit: {'ok' if self.ok else 'WRONG'}", *lines])


def audit_loss(loss_fn: Callable[..., Any], params: Any, x: Any, labels: Any, *, classes: int | None = None) -> Audit:
    """Returns whether a loss behaves as the mean cross-entropy of a classifier, in nats.

    Args:
        loss_fn: `loss_fn(params, x, labels) -> scalar`.
        params: Parameters at the start; a network whose parameters are all 0 gives all classes the same score.
        x: A batch.
        labels: Its classes, as integers or one-hot.
        classes: How many there are; by default the width of one-hot labels, or the largest label plus 1.
    """
    labels = np.asarray(labels)
    if classes is None:
        classes = labels.shape[-1] if labels.ndim > 1 else int(labels.max()) + 1
    with jax.enable_x64(True):
        params, x = to_float64((params, np.asarray(x)))
        value = jax.jit(loss_fn)

        def at(changed: Any) -> float:
            return float(value(changed, x, labels))

        return Audit((
            _log_classes(at(jax.tree.map(np.zeros_like, params)), classes, len(labels)),
            _start(at(params), classes),
            _twice(at(params), float(value(params, np.concatenate([x, x]), np.concatenate([labels, labels])))),
            _shift(at, params, classes),
        ))  # fmt: skip


def _log_classes(found: float, classes: int, batch: int) -> Finding:
    expected = float(np.log(classes))
    name = f"log {classes} where all scores are equal"
    if abs(found - expected) <= SLACK * expected:
        return Finding(name, True, expected, found, f"{found:.6g}")
    factors = {
        1 / classes: f"divided by the number of classes, {classes}", batch: f"summed over the batch of {batch}",
        1 / batch: f"divided by the batch size, {batch}, twice", 1 / np.log(2): "in bits, not in nats",
        -1.0: "of the wrong sign", classes: f"multiplied by the number of classes, {classes}",
    }  # fmt: skip
    words = next((text for f, text in factors.items() if abs(found - f * expected) <= SLACK * abs(f * expected)), None)
    what = f"the loss is {words}" if words else f"that is {found / expected:.6g} times too much"
    return Finding(name, False, expected, found, f"expected {expected:.6g}, found {found:.6g}: {what}")


def _start(found: float, classes: int) -> Finding:
    expected = float(np.log(classes))
    ok = None if found > 2 * expected or found < 0.2 * expected else True
    message = f"{found:.6g}" + (
        "" if ok else f", far from log {classes} = {expected:.6g}: are the weights scaled well?"
    )
    return Finding("the loss at the start", ok, expected, found, message)


def _twice(once: float, twice: float) -> Finding:
    ok = abs(twice - once) <= SLACK * max(abs(once), 1e-12)
    message = "unchanged" if ok else f"{once:.6g} becomes {twice:.6g}: the loss is no mean over the examples"
    return Finding("the same batch twice over", ok, once, twice, message)


def _shift(at: Callable[[Any], float], params: Any, classes: int) -> Finding:
    """A constant added to all scores, by way of the bias of the last layer, changes no probability."""
    leaves, structure = jax.tree.flatten(params)
    before = at(params)
    nearest = None
    for number, leaf in enumerate(leaves):
        if np.shape(leaf)[-1:] == (classes,) and np.size(leaf) == classes:
            after = at(jax.tree.unflatten(structure, [*leaves[:number], leaf + 3.0, *leaves[number + 1 :]]))
            if nearest is None or abs(after - before) < abs(nearest - before):
                nearest = after
    name = "a constant added to all scores"
    if nearest is None:
        return Finding(
            name, None, before, float("nan"), f"not tried: no bias of {classes} classes among the parameters"
        )
    ok = abs(nearest - before) <= SLACK * max(abs(before), 1e-12)
    message = "unchanged" if ok else f"{before:.6g} becomes {nearest:.6g}: is there a softmax, over the classes?"
    return Finding(name, ok, before, nearest, message)
