"""Slopes and factors that are a·k + b with some k at hand: a and b are solved for, not guessed."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.backprop.rules import backward
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.fitting import simple
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.functions import is_curved, regions, slope
from functional_nets.gradcheck.program import is_real

PRODUCTS = {"mul", "dot_general", "conv_general_dilated"}
LARGEST = 1e4  # A slope or a shift beyond it is a numerical accident.


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the slopes of functions of one variable, and the factors of products, that fit."""
    for inside, x, y in regions(evidence):
        several = np.size(evidence.program.values[x]) > 2 and y in evidence.cotangents
        if several and evidence.concerns(x) and any(is_curved(evidence, position) for position in inside):
            yield from _slopes(evidence, inside, x, y)
    for position in evidence.active:
        if evidence.program.nodes[position].op in PRODUCTS:
            yield from _factors(evidence, position)


def _slopes(evidence: Evidence, inside: tuple[int, ...], x: int, y: int) -> Iterator[Hypothesis]:
    values = evidence.program.values
    g, d = evidence.cotangents[y], slope(evidence, inside, x, y)
    right = evidence.signature({x: g * d})
    ones = evidence.signature({x: g})
    with np.errstate(all="ignore"):
        known = _dictionary(values[x], values[y], d)
        for name, k, mask in known:
            if not np.all(np.isfinite(k)) or np.ptp(k) == 0 or (name != "y'" and _collinear(k, d)):
                continue
            by_k = evidence.signature({x: g * k})
            for columns in ([by_k], [by_k, ones]):
                solved = evidence.solved(columns, right)
                if solved is None or np.max(np.abs(solved)) > LARGEST:
                    continue
                (a, plain), (b, plain_b) = (simple(float(c), rounding=evidence.rounding) for c in (*solved, 0.0)[:2])
                if a == 0 or _collinear(a * k + b, d):
                    break
                text = f"the slope of this function y(x) is taken to be {_formula(a, b, name)}, which it is not"
                kind = "wrong_mask" if mask else "wrong_derivative"
                cost = 1.3 + 0.1 * len(columns) + (0.0 if plain and plain_b else 0.5)
                yield Hypothesis(kind, inside[0], text, cost, {x: g * (a * k + b) - g * d})
                break


def _dictionary(x: Any, y: Any, d: Any) -> list[tuple[str, Any, bool]]:
    """Functions of what a rule has at hand; the last entry says whether it is a mask."""
    return [
        ("y", y, False), ("x", x, False), ("y²", y * y, False), ("x²", x * x, False), ("xy", x * y, False),
        ("1/x", 1 / x, False), ("1/y", 1 / y, False), ("exp(x)", np.exp(x), False), ("exp(-x)", np.exp(-x), False),
        ("√y", np.sqrt(y), False), ("|x|", np.abs(x), False), ("|y|", np.abs(y), False), ("y³", y**3, False),
        ("sign(x)", np.sign(x), False), ("max(y', 0)", np.maximum(d, 0), False),
        ("min(y', 0)", np.minimum(d, 0), False), ("y'", d, False), ("y'²", d * d, False), ("1/y'", 1 / d, False),
        ("√y'", np.sqrt(d), False), ("|y'|", np.abs(d), False), ("y·y'", y * d, False), ("x·y'", x * d, False),
        ("x + y", x + y, False), ("y'(y)", np.interp(y, *_ordered(x, d)), False),
        ("1/x²", 1 / x**2, False), ("log(x)", np.log(x), False), ("y(1 - y)", y * (1 - y), False),
        ("x(1 - x)", x * (1 - x), False),
        ("1 where x > 0", (x > 0) * 1.0, True), ("1 where y > 0", (y > 0) * 1.0, True),
        ("1 where y > ½", (y > 0.5) * 1.0, True), ("1 where |x| < 1", (np.abs(x) < 1) * 1.0, True),
        ("1 where y' > 0", (d > 0) * 1.0, True),
    ]  # fmt: skip


def _collinear(k: Any, d: Any) -> bool:
    """Whether k is a multiple of the derivative: then it is a factor that is wrong, and not the function."""
    factor = np.vdot(d, k) / (np.vdot(d, d) or 1.0)
    return bool(np.max(np.abs(k - factor * d)) <= 1e-9 * np.max(np.abs(k)))


def _ordered(x: Any, d: Any) -> tuple[Any, Any]:
    order = np.argsort(np.ravel(x))
    return np.ravel(x)[order], np.ravel(d)[order]


def _factors(evidence: Evidence, position: int) -> Iterator[Hypothesis]:
    """The gradient of one factor of a product, with a·k + b for the other factor k."""
    program = evidence.program
    node = program.nodes[position]
    inputs = tuple(program.values[number] for number in node.inputs)
    g = evidence.cotangents_of(position)
    y = program.values[node.outputs[0]]
    for place in (0, 1):
        number, other = node.inputs[1 - place], inputs[place]
        if number not in evidence.reach or not evidence.concerns(number) or not is_real(other):
            continue
        right = evidence.entries(position)[1 - place]
        if right is None or np.size(other) < 2 or np.ptp(other) == 0:
            continue
        ones = (*inputs[:place], np.ones_like(other), *inputs[place + 1 :])
        flat = backward(node.op, g, y, ones, node.params)[1 - place]
        columns = [evidence.signature({number: right}), evidence.signature({number: flat})]
        solved = evidence.solved(columns, columns[0])
        if solved is None or np.max(np.abs(solved)) > LARGEST:
            continue
        (a, plain), (b, plain_b) = (simple(float(c), rounding=evidence.rounding) for c in solved)
        if b != 0:
            text = f"the rule wants the other factor k of this product; here {_formula(a, b, 'k')} stands for it"
            cost = 1.15 if plain and plain_b else 1.7
            mask = np.any(other == 0) and len(np.unique(other)) == 2 and (abs(a) < 1e-8 or a == -1)
            kind = "wrong_mask" if mask else "wrong_operand"
            fixed = node.inputs[place] not in evidence.reach and evidence.made.get(node.inputs[place]) is not None
            at = evidence.made[node.inputs[place]] if fixed and is_real(other) else position
            delta = {number: (a - 1) * right + b * flat}
            yield Hypothesis(kind, at, text, cost, delta, partial(evidence.pulled, delta, position))


def _formula(a: float, b: float, name: str) -> str:
    first = {1.0: name, -1.0: f"-{name}"}.get(a, f"{a:.6g}·{name}")
    return first if b == 0 else f"{first} {'+' if b > 0 else '-'} {abs(b):.6g}"
