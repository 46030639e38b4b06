"""Loss and last activation differentiated in one step, as everyone does by hand: softmax minus one-hot, and its slips.

A program has no such operation; the gradient that it stands for is that of the logits. What people write there is a
combination of a few arrays, and which one is solved for.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.fitting import simple
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.functions import regions
from functional_nets.gradcheck.hypotheses.rules.log_sum_exp import log_sum_exps
from functional_nets.gradcheck.hypotheses.rules.normalisers import recognised
from functional_nets.gradcheck.program import is_real

ROWS = "1 in the rows (not the columns) that the labels name"
COLUMNS = "1 in each row at the labels of all rows (not of its own)"


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields what may stand for the gradient of the logits where the loss depends on them by a softmax or sigmoid."""
    for logits in _logits(evidence):
        if evidence.concerns(logits.x) and logits.x in evidence.cotangents:
            yield from _combinations(evidence, *logits)


class Logits(NamedTuple):
    """The input of a softmax or sigmoid.

    Attributes:
        x: Its number.
        position: The operation that ties it together.
        labels: The operation that picks the labels' logits.
        p: The probabilities.
    """

    x: int
    position: int
    labels: int
    p: Any


def _logits(evidence: Evidence) -> Iterator[Logits]:
    """The input of each softmax, log-softmax, log Σ exp and sigmoid."""
    values = evidence.program.values
    seen = set()
    for found in recognised(evidence):
        if found.normaliser.name in ("softmax", "log_softmax") and found.x not in seen:
            seen.add(found.x)
            y = values[found.y]
            yield Logits(
                found.x, found.position, found.position, y if found.normaliser.name == "softmax" else np.exp(y)
            )
    for total in log_sum_exps(evidence):
        if total.x not in seen:
            seen.add(total.x)
            yield Logits(total.x, total.position, _label_use(evidence, total.x, total.position), total.p)
    with np.errstate(all="ignore"):
        for inside, x, y in regions(evidence):
            p = 1 / (1 + np.exp(-values[x]))
            if x not in seen and np.size(p) > 2 and np.allclose(values[y], p, rtol=1e-9, atol=1e-12):
                seen.add(x)
                yield Logits(x, inside[0], inside[0], p)


def _label_use(evidence: Evidence, x: int, position: int) -> int:
    """Where log Σ exp x is a term of the loss, the operation that takes the labels' logits for the other term."""
    shifted = [evidence.program.nodes[p].outputs[0] for p, _ in evidence.uses.get(x, [])]
    uses = [p for number in (x, *shifted) for p, _ in evidence.uses.get(number, [])]
    picking = [p for p in uses if evidence.program.nodes[p].op in ("gather", "take", "mul", "dot_general")]
    return min(picking, default=position)


def _combinations(evidence: Evidence, x: int, position: int, labels: int, p: Any) -> Iterator[Hypothesis]:
    g, logits = evidence.cotangents[x], evidence.program.values[x]
    known = _dictionary(evidence, logits, p)
    right = evidence.signature({x: g})
    by_p = evidence.signature({x: p})
    tried: list[tuple[tuple[str, Any], ...]] = [((name, k),) for name, k in known]
    tried += [(("g", g), (name, k)) for name, k in known]
    tried += [(("p", p), (name, k)) for name, k in known if name != "p"]
    tried += [(("g", g), ("p", p), (name, k)) for name, k in known if name != "p"]
    for terms in tried:
        columns = [right if n == "g" else by_p if n == "p" else evidence.signature({x: k}) for n, k in terms]
        solved = evidence.solved(columns, right)
        if solved is None or not np.all(np.isfinite(solved)) or np.any(np.abs(solved) < 1e-9):
            continue
        rounded = [simple(float(c), rounding=evidence.rounding)[0] for c in solved]
        instead = sum((c * k for c, (_, k) in zip(rounded, terms, strict=True)), np.zeros_like(g))
        names = " + ".join(f"{c:.4g}·{name}" for c, (name, _) in zip(rounded, terms, strict=True))
        kind, text, cost = "wrong_derivative", f"for the gradient g of the logits stands {names}", 1.1
        at = position
        only = [name for name, _ in terms]
        if only == ["p"]:
            kind, cost, at = "missing_term", 0.5, labels
            text = (
                "the gradient of the logits is the probabilities minus the labels; here the labels are not subtracted"
            )
        if only == ["p(1 - p)"] and rounded == [1.0]:
            kind, cost = "upstream", 0.5
            text = "the upstream gradient is ignored: multiply the derivative by it"
        if ROWS in only:
            kind, at = "permuted", _picked(evidence, position)
        if COLUMNS in only:
            kind, cost, at = "wrong_mask", 1.0, _picked(evidence, position)
        yield Hypothesis(kind, at, text, cost + 0.15 * len(terms), {x: instead - g}, _pulled(evidence, x, instead - g))


def _pulled(evidence: Evidence, x: int, delta: Any) -> Any:
    """The gradient after a change at the logits, wherever the blame is put."""
    return partial(evidence.pulled, {x: delta}, evidence.made.get(x, -1) + 1)


def _picked(evidence: Evidence, position: int) -> int:
    """The operation that picks the labels' probabilities, if there is one."""
    later = (p for p in evidence.active if p > position and evidence.program.nodes[p].op == "gather")
    return next(later, position)


def _dictionary(evidence: Evidence, logits: Any, p: Any) -> list[tuple[str, Any]]:
    found = [("p", p), ("logits", logits), ("1", np.ones_like(p)), ("p(1 - p)", p * (1 - p)), ("p²", p * p)]
    found += [("1 where p > ½", (p > 0.5) * 1.0), ("log p", np.log(np.maximum(p, 1e-300)))]
    if p.ndim:
        found.append(("1 for the most probable class", (p == p.max(-1, keepdims=True)) * 1.0))
    for number in evidence.program.arguments:
        index = evidence.program.values[number]
        if np.ndim(p) == 2 and np.asarray(index).dtype.kind in "iu" and np.shape(index) == np.shape(p)[:1]:
            rows, columns = np.zeros_like(p), np.zeros_like(p)
            with contextlib.suppress(IndexError):
                columns[:, index] = 1.0
                found.append((COLUMNS, columns))
                rows[index] = 1.0
                found.append((ROWS, rows))
    for number in evidence.twins.get(np.shape(logits), []):
        if number not in evidence.reach and is_real(evidence.program.values[number]):
            found.append(("the labels", evidence.program.values[number]))
    return found
