"""A contribution that is multiplied by a constant: left out (0), of the wrong sign (-1), or scaled.

One fit finds the constant for every operand of every node, and on one path all fit: the cost says where a
teacher would point, at the line that divides by N if a factor N is missing.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.forgotten import close, literals, named
from functional_nets.gradcheck.hypotheses.rules.places import reader, term
from functional_nets.gradcheck.hypotheses.rules.reductions import stretched_axes
from functional_nets.gradcheck.program import Node, is_real

REDUCTIONS = {"broadcast_in_dim", "reduce_sum", "reduce_window_sum"}
COMMON = (0.0, -1.0, 2.0, 0.5)
SQUARED = " (twice)"
POOLING = {"reduce_window_sum", "reduce_window_max", "reduce_max"}


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each operand whose contribution times a constant is the one given, what that constant means."""
    for position in evidence.active:
        node = evidence.program.nodes[position]
        for place, entry in enumerate(evidence.entries(position)):
            number = node.inputs[place]
            if entry is None or not evidence.wrong or not evidence.concerns(number):
                continue
            for factor in fitted(evidence, {number: entry}):
                yield explained(evidence, position, place, factor)


def fitted(evidence: Evidence, contribution: dict[int, Any]) -> list[float]:
    """Returns the c for which c times the contribution, in place of it, gives the gradient given.

    Where several mistakes are looked for, there may be another c for each leaf that this one alone explains, and none
    need fit: the common ones are given.
    """
    signature = evidence.signature(contribution)
    size = np.vdot(signature, signature)
    if not size > 0 or not np.isfinite(size):
        return []
    if not evidence.strict:
        return [*_by_leaf(evidence, signature), *COMMON]
    change = float(np.vdot(signature, evidence.target) / size)
    return [1 + change] if evidence.matches(change * signature) else []


def _by_leaf(evidence: Evidence, signature: np.ndarray) -> list[float]:
    rows = np.array([leaf for leaf, _ in evidence.directions])
    found: list[float] = []
    for leaf in evidence.wrong:
        part, wanted = signature[rows == leaf], evidence.target[rows == leaf]
        size = np.vdot(part, part)
        change = float(np.vdot(part, wanted) / size) if size > 0 else 0.0
        fits = np.all(np.abs(change * part - wanted) <= 1e-6 * np.max(np.abs(wanted)) + evidence.room[rows == leaf])
        if change and fits and not any(close(1 + change, other) for other in found):
            found.append(1 + change)
    return found


def explained(evidence: Evidence, position: int, place: int, factor: float) -> Hypothesis:
    """Returns what the factor means at one operand of one node."""
    node = evidence.program.nodes[position]
    number = node.inputs[place]
    rounded = _round(factor)
    delta = {number: (rounded - 1) * np.asarray(evidence.entries(position)[place])}

    def hypothesis(kind: str, text: str, cost: float) -> Hypothesis:
        at = reader(evidence, position) if kind in ("sign", "scale") else position
        return Hypothesis(kind, at, text, cost, delta, partial(evidence.pulled, delta, position))

    if rounded == 0 and _constant_factor(evidence, node) and _inside_choice(evidence, position):
        return hypothesis("wrong_mask", "the gradient of one piece of this function is left out: it is not 0", 0.2)
    if rounded == 0 and node.op == "mul" and node.inputs[0] == node.inputs[1]:
        return hypothesis("scale", "the derivative of a square is twice its root; the factor 2 is missing", 0.2)
    if rounded == 0 and node.op in ("add", "sub") and not np.shape(evidence.program.values[node.outputs[0]]):
        text = "this term of the loss has no part in the gradient: add its contribution"
        return hypothesis("missing_term", text, 0.2)._replace(position=term(evidence, number, position))
    if rounded == 0:
        return hypothesis(*_missing(evidence, position, place))
    if rounded == -1:
        own = (
            (node.op == "neg" and not _inside_function(evidence, node))
            or (node.op == "sub" and place == 1)
            or _negative(evidence, node)
        )
        text = "the sign is flipped: the minus here is left out" if own else "the sign is flipped: negate it"
        falling = (node.op == "div" and place == 1) or node.op in ("rsqrt", "cos", "acos")
        falling = falling or (node.op == "integer_pow" and node.params["y"] < 0)
        cost = 0.3 if own else 0.4 if falling else 0.5 if node.op == "sub" else 0.9
        # Of two minus signs on one path, people forget the one that stands before the loss.
        found = hypothesis("sign", text, cost - 0.2 * position / len(evidence.program.nodes))
        scalar = node.op == "add" and not np.shape(evidence.program.values[node.outputs[0]])
        return found._replace(position=term(evidence, number, position)) if scalar else found
    added = node.op in ("add", "add_any") or number in evidence.program.leaves
    if rounded == 2 and added and len(evidence.uses[number]) > 1 and _literal(evidence, node, 2.0) is None:
        return hypothesis("accumulated", "this contribution is added twice: add it once", 0.3)
    reduced = _reduced_size(evidence, node, place)
    shared = node.op == "broadcast_in_dim" or bool(stretched_axes(evidence, node, place))
    if shared and reduced > 1 and close(rounded, 1 / reduced):
        text = f"the gradient is averaged over the {reduced} places that share this value: sum it"
        return hypothesis("wrong_reduction", text, 0.4 + _far(evidence, position, place))
    name, natural = named(evidence, rounded)
    for base, words in ((2, "two"), (10, "ten")):
        if _everywhere(evidence) and (close(rounded, 1 / math.log(base)) or close(rounded, math.log(base))):
            text = f"this is the gradient of the loss in logarithms to the base {words}: use the natural logarithm"
            return hypothesis("wrong_loss", text, 0.5 if _trunk(evidence, node) else 0.7)
    literal = _literal(evidence, node, rounded)
    if _everywhere(evidence) and close(rounded, 1.9) and position == evidence.active[-1]:
        text = "every gradient is 1.9 times too large: a velocity with momentum 0.9 after two steps, not a gradient"
        return hypothesis("accumulated", text, 0.9)
    if rounded in (2, 3) and literal is None and position == evidence.active[-1] and _everywhere(evidence):
        text = f"every gradient is {rounded:g} times too large, as if it were added up {rounded:g} times: "
        sizes = {size for number in evidence.program.arguments for size in np.shape(evidence.program.values[number])}
        natural = rounded in sizes or any(close(rounded, f) for c in literals(evidence) for f in (c, 1 / c))
        cost = 1.0 if natural else 0.15
        return hypothesis("accumulated", text + "set the gradients to zero before each backward pass", cost)
    cost = 1.05 + _far(evidence, position, place) + (0.0 if natural else 3.0)
    if _constant_factor(evidence, node) and _inside_choice(evidence, position) and not _bent(evidence, node):
        text = f"the slope of one piece of this function is {rounded:.6g} times what it should be"
        return hypothesis("wrong_derivative", text, 0.3)
    if literal is not None:
        cost = 0.35 if SQUARED in literal else 0.2
    elif _constant_factor(evidence, node) and _trunk(evidence, node):
        cost = 0.9 if natural else 2.9
    elif (power := _power(evidence, node)) and any(close(rounded, f) for f in (1 / power, -1 / power)):
        text = f"the power rule has the exponent in front, {power:g}·x^{power - 1:g}; here it is missing"
        return hypothesis("wrong_derivative" if rounded < 0 else "scale", text, 0.35)
    elif _squares(evidence, node) and (close(rounded, 2) or close(rounded, 0.5)):
        cost = 0.4
    elif node.op in REDUCTIONS and reduced > 1 and (close(rounded, reduced) or close(rounded, 1 / reduced)):
        cost = 0.6
    text = f"the gradient is {rounded:.6g} times what it should be: "
    if literal is not None:
        return hypothesis("scale", text + f"the factor {literal} here is missing", cost)
    how = "multiplied by {0} once too often, or not divided by it" if rounded > 1 else "divided by {0} once too often"
    return hypothesis("scale", text + how.format(name), cost)


def _missing(evidence: Evidence, position: int, place: int) -> tuple[str, str, float]:
    """A contribution that is left out; of a value that is used several times, whether its last one is kept."""
    program = evidence.program
    node = program.nodes[position]
    number = node.inputs[place]
    if node.op in POOLING:
        return "missing_term", "no gradient goes back through this operation: add its contribution", 1.0
    uses = evidence.uses[number]
    if len(uses) == 2:
        # Backward, the use that comes first in the forward pass is computed last.
        kept_last = (position, place) == max(uses)
        if kept_last and number in program.leaves and not _scalar_path(evidence, position):
            text = "this value is used twice, and its gradient keeps only the last contribution: add them (+=)"
            return "overwritten", text, 0.5
    fork = len(uses) > 1 or number in program.leaves
    what = "this use of it" if len(uses) > 1 else "this operand"
    text = f"the contribution of {what} is left out, as if it were a constant: add it"
    lone = sum(n in evidence.reach for n in node.inputs) == 1
    return "missing_term", text, 0.25 if fork else (0.55 if lone else 0.4) + 0.01 * _far(evidence, position, place)


def _scalar_path(evidence: Evidence, position: int) -> bool:
    """Whether a node leads to the loss through scalars that are added: a term of its own, as a regulariser."""
    program = evidence.program
    number = program.nodes[position].outputs[0]
    while number != program.result:
        uses = evidence.uses.get(number, [])
        if len(uses) != 1:
            return False
        node = program.nodes[uses[0][0]]
        if node.op in ("add", "add_any", "sub") and np.shape(program.values[number]) == ():
            return True
        if node.op not in ("mul", "div", "reduce_sum", "neg", "square", "integer_pow", "abs", "sqrt", "div"):
            return False
        number = node.outputs[0]
    return False


def _literal(evidence: Evidence, node: Node, factor: float) -> str | None:
    """Returns the constant of a product or quotient, when the factor is that constant or its inverse."""
    if node.op not in ("mul", "div"):
        return None
    for number in node.inputs:
        value = evidence.program.values[number]
        if number in evidence.reach or not is_real(value) or np.size(value) == 0:
            continue
        first = float(np.real(value).flat[0])
        if not first or np.ptp(np.real(value)) != 0:
            continue
        if any(close(factor, c) for c in (first, 1 / first)):
            return f"{first:g}" if node.op == "mul" else f"1/{first:g}"
        if any(close(factor, c) for c in (first**2, first**-2)):
            return f"{first:g}{SQUARED}" if node.op == "mul" else f"1/{first:g}{SQUARED}"
        if first != 1 and any(close(factor, c) for c in (first / (1 - first), 1 / first - 1)):
            return f"{first:g}, for which 1 - {first:g} stands," if node.op == "mul" else f"1/{first:g}"
    return None


def _inside_function(evidence: Evidence, node: Node) -> bool:
    """Whether a minus belongs to a function's formula, as that of a sigmoid's exp(-x) does."""
    uses = evidence.uses.get(node.outputs[0], [])
    return bool(uses) and all(evidence.program.nodes[p].op in ("exp", "logistic") for p, _ in uses)


def _bent(evidence: Evidence, node: Node) -> bool:
    """Whether what a node multiplies by a constant is a curved function, and not the variable of a straight piece."""
    numbers = [n for n in node.inputs if n in evidence.reach]
    while numbers:
        made = evidence.made.get(numbers.pop())
        if made is None:
            continue
        before = evidence.program.nodes[made]
        if before.op in ("abs", "square", "integer_pow", "log", "sqrt"):
            return True
        if before.op in ("add", "sub", "neg"):
            numbers += [n for n in before.inputs if n in evidence.reach]
    return False


def _negative(evidence: Evidence, node: Node) -> bool:
    """Whether a node multiplies by a negative constant, as -0.5 * x does."""
    constants = [evidence.program.values[n] for n in node.inputs if n not in evidence.reach]
    return node.op in ("mul", "div") and any(
        is_real(c) and np.size(c) and np.ptp(np.real(c)) == 0 and np.real(c).flat[0] < 0 for c in constants
    )


def _constant_factor(evidence: Evidence, node: Node) -> bool:
    """Whether a node multiplies or divides by one constant, as a mean divides by N."""
    return node.op in ("mul", "div") and any(
        number not in evidence.reach and np.size(evidence.program.values[number]) == 1 for number in node.inputs
    )


def _trunk(evidence: Evidence, node: Node) -> bool:
    """Whether the whole gradient passes through a node: it gives a scalar."""
    return np.shape(evidence.program.values[node.outputs[0]]) == ()


def _inside_choice(evidence: Evidence, position: int) -> bool:
    """Whether a node makes one piece of a function that chooses between pieces, such as a leaky ReLU."""
    program = evidence.program
    uses = evidence.uses.get(program.nodes[position].outputs[0], [])
    if len(uses) != 1:
        return False
    choice = program.nodes[uses[0][0]]
    if choice.op == "select_n":
        return choice.inputs[0] in evidence.moving
    return choice.op in ("max", "min")


def _squares(evidence: Evidence, node: Node) -> bool:
    return _power(evidence, node) == 2 or (node.op == "mul" and node.inputs[0] == node.inputs[1])


def _power(evidence: Evidence, node: Node) -> float:
    """Returns the exponent of a power, 0 if a node is none or has another each time."""
    if node.op == "integer_pow":
        return float(node.params["y"])
    exponent = evidence.program.values[node.inputs[1]] if node.op == "pow" else ()
    if np.size(exponent) and np.ptp(exponent) == 0 and node.inputs[1] not in evidence.reach:
        return float(np.real(exponent).flat[0])
    return {"square": 2.0, "sqrt": 0.5, "rsqrt": -0.5, "cbrt": 1 / 3}.get(node.op, 0.0)


def _reduced_size(evidence: Evidence, node: Node, place: int) -> int:
    """How many elements one element of a reduction or of a broadcast stands for."""
    sizes = [np.size(evidence.program.values[number]) for number in (node.inputs[place], node.outputs[0])]
    return max(sizes) // max(1, min(sizes))


def _everywhere(evidence: Evidence) -> bool:
    """Whether every leaf that has a gradient is wrong."""
    return all(
        leaf in evidence.wrong or not np.any(evidence.reference[leaf]) for leaf in range(len(evidence.reference))
    )


def _far(evidence: Evidence, position: int, place: int) -> float:
    """How far an operand is from a leaf: 0 for a leaf's own use, little for a value that few use."""
    number = evidence.program.nodes[position].inputs[place]
    return 0.0 if number in evidence.program.leaves else 0.2


def _round(factor: float) -> float:
    """Returns the simple number that a fitted factor stands for, if it is within its precision."""
    for candidate in (round(factor), round(factor * 2) / 2):
        if abs(factor - candidate) < 1e-5 * max(1.0, abs(factor)):
            return float(candidate)
    return factor
