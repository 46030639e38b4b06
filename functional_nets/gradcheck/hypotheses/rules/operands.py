"""Rules that are right, given the wrong array: the other factor, a neighbour, a transpose, another cotangent."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from functional_nets.backprop.rules import RULES, backward
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.forgotten import named
from functional_nets.gradcheck.hypotheses.rules.substitutes import in_place, near, substitutes
from functional_nets.gradcheck.program import entries, is_real, stretches

PRODUCTS = {"mul", "div", "dot_general", "conv_general_dilated", "pow", "atan2"}
MASKS = {"max", "min", "select_n", "relu", "reduce_max", "reduce_min", "clamp", "abs"}
POOLING = {"reduce_window_max", "reduce_max", "select_and_gather_add"}


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields each node's rule with one of its arrays exchanged."""
    for position in evidence.active:
        node = evidence.program.nodes[position]
        if node.op not in RULES or len(node.outputs) != 1:
            continue
        if not any(evidence.concerns(number) for number in (*node.inputs, *node.outputs)):
            continue
        yield from _upstream(evidence, position)
        if node.op in PRODUCTS | MASKS | {"log", "exp", "logistic", "tanh", "sqrt", "rsqrt", "integer_pow", "square"}:
            yield from _operands(evidence, position)


def variants(
    evidence: Evidence, position: int, g: Any, y: Any, inputs: tuple[Any, ...], kind: str, text: str, cost: float
) -> Iterator[Hypothesis]:
    """Yields one hypothesis per input, and one for all, when the rule is applied to these arrays instead."""
    node = evidence.program.nodes[position]
    try:
        with np.errstate(all="ignore"):
            found = backward(node.op, g, y, inputs, node.params)
    except (ValueError, TypeError, IndexError, FloatingPointError):
        return  # The array does not fit there.
    right = evidence.entries(position)
    changes: list[tuple[int, Any]] = []
    for number, new, old in zip(node.inputs, found, right, strict=True):
        if new is None or old is None or number not in evidence.reach or np.shape(new) != np.shape(old):
            continue
        change = np.asarray(new - old)
        if np.any(change):
            changes.append((number, change))
    for number, change in changes:
        yield Hypothesis(kind, position, text, cost, {number: change})
    if len(changes) > 1:
        together: dict[int, Any] = {}
        for number, change in changes:
            together[number] = together.get(number, 0) + change
        yield Hypothesis(kind, position, text, cost + 0.05, together)


def _upstream(evidence: Evidence, position: int) -> Iterator[Hypothesis]:
    """The rule with another cotangent than that of the node's output."""
    program = evidence.program
    node = program.nodes[position]
    y = program.values[node.outputs[0]]
    inputs = tuple(program.values[number] for number in node.inputs)
    g = np.asarray(evidence.cotangents_of(position))
    text = "the upstream gradient is {}: use the gradient of this operation's output as it comes"
    with np.errstate(all="ignore"):
        simple = [
            (np.ones_like(g), "ignored", 1.15 if np.ptp(g) else 3.0),
            (np.sign(g), "replaced by its sign", 2.0),
            (np.clip(g, -1, 1), "clipped to [-1, 1]", 2.0),
            (np.clip(g, -0.1, 0.1), "clipped to [-0.1, 0.1]", 2.2),
            (np.clip(g, -0.5, 0.5), "clipped to [-0.5, 0.5]", 2.2),
            (np.clip(g, -0.01, 0.01), "clipped to [-0.01, 0.01]", 2.2),
            *(
                (np.clip(g, -bound, bound), f"clipped to [-{bound}, {bound}]", 2.2)
                for bound in (5, 2, 0.25, 0.2, 0.3, 0.05, 0.02, 0.03, 0.005, 0.002, 0.001)
            ),
            (g * g, "squared", 2.3),
            (np.abs(g), "replaced by its absolute value", 2.3),
            (np.where(g > 0, g, 0), "cut off below 0", 2.3),
        ]
        if g.ndim and g.shape[0] > 1:
            simple.append((np.broadcast_to(g.mean(0), g.shape), "replaced by its mean over the batch", 2.2))
            simple.append((g / (np.linalg.norm(g) or 1), "scaled to length 1", 2.4))
        for axis in range(g.ndim):
            places = np.expand_dims(np.arange(g.shape[axis]), tuple(a for a in range(g.ndim) if a != axis))
            for index, name in ((0, "first"), (g.shape[axis] - 1, "last")):
                if g.shape[axis] > 1 and node.op in PRODUCTS | {"broadcast_in_dim", "gather", "take"}:
                    kind = "overwritten" if index else "wrong_reduction"
                    words = f"only the {name} index along axis {axis} is counted: add them all up (+=)"
                    yield from variants(evidence, position, g * (places == index), y, inputs, kind, words, 0.9)
    yield from _ignored(evidence, position, y, inputs)
    for other, how, cost in simple:
        if not np.array_equal(other, g):
            yield from variants(evidence, position, other, y, inputs, "upstream", text.format(how), cost)
    if g.ndim >= 2 and g.shape[-2] == g.shape[-1]:
        text_t = "the gradient is transposed on its way through this product, or not transposed where it must be"
        turned = np.swapaxes(g, -1, -2)
        yield from variants(evidence, position, turned, y, inputs, "transposed", text_t, 1.3)
    for axis in range(g.ndim):
        if g.shape[axis] > 1:
            order = f"the gradient arrives in another order along axis {axis}"
            yield from variants(evidence, position, np.flip(g, axis), y, inputs, "permuted", order, 1.9)
            yield from variants(evidence, position, np.roll(g, 1, axis), y, inputs, "permuted", order, 2.0)
            yield from variants(evidence, position, np.roll(g, -1, axis), y, inputs, "permuted", order, 2.0)
    if node.op in PRODUCTS | {"broadcast_in_dim", "add", "sub"}:
        for number in near(evidence, np.shape(g), position):
            if number != node.outputs[0] and number in evidence.cotangents:
                other = evidence.cotangents[number]
                text_o = "the gradient of another array is used here in place of that of this operation's output"
                kind, cost = "upstream", 1.7
                if node.op in ("add", "sub") and not in_place(evidence, number).isdisjoint(node.inputs):
                    kind, cost = "mutated", 1.0
                    text_o = (
                        "one branch changes the upstream gradient in place (a mask), and the other branch gets "
                        "what is left: copy it"
                    )
                yield from variants(evidence, position, other, y, inputs, kind, text_o, cost)


def _ignored(evidence: Evidence, position: int, y: Any, inputs: tuple[Any, ...]) -> Iterator[Hypothesis]:
    """The rule with a constant for its upstream gradient: the derivative alone, divided by the batch."""
    node = evidence.program.nodes[position]
    g = np.asarray(evidence.cotangents_of(position))
    ones = np.ones_like(g)
    if np.ptp(np.abs(g)) <= 1e-9 * np.max(np.abs(g), initial=0.0) or len(np.unique(g)) <= 2:
        return  # A constant one is a factor, and known as such.
    with np.errstate(all="ignore"):
        alone = backward(node.op, ones, y, inputs, node.params)
    for number, new, old in zip(node.inputs, alone, evidence.entries(position), strict=True):
        if new is None or old is None or number not in evidence.reach or np.size(new) < 3 or np.ptp(new) == 0:
            continue
        solved = evidence.solved([evidence.signature({number: new})], evidence.signature({number: old}))
        if solved is not None and solved[0] and named(evidence, float(solved[0]))[1]:
            text = f"the upstream gradient is ignored: the rule's own factor stands here alone, times {solved[0]:.6g}"
            yield Hypothesis("upstream", position, text, 1.2, {number: solved[0] * new - old})


def _operands(evidence: Evidence, position: int) -> Iterator[Hypothesis]:
    """The rule with one of the values that it keeps from the forward pass exchanged."""
    program = evidence.program
    node = program.nodes[position]
    g = evidence.cotangents_of(position)
    y = program.values[node.outputs[0]]
    inputs = tuple(program.values[number] for number in node.inputs)
    kind = "wrong_mask" if node.op in MASKS else "wrong_operand"
    if len(inputs) == 2:
        yield from _swapped(evidence, position)
    if node.op in ("mul", "dot_general") and np.shape(inputs[0]) == np.shape(inputs[1]):
        text = "the product rule takes the other factor: here each takes its own"
        yield from variants(evidence, position, g, y, inputs[::-1], kind, text, 0.5)
    elif (
        node.op == "mul"
        and all(np.size(x) > 1 for x in inputs)
        and _without_ones(inputs[0]) == _without_ones(inputs[1])
    ):
        own = tuple(np.reshape(a, np.shape(b)) for a, b in zip(inputs, inputs[::-1], strict=True))
        text = "the product rule takes the other factor: here each takes its own"
        yield from variants(evidence, position, g, y, own[::-1], kind, text, 0.6)
    yield from _own_value(evidence, position, g)
    yield from _extra_factor(evidence, position)
    if node.op == "select_n":
        yield from _choices(evidence, position, g, y, inputs)
    for place, value in enumerate(inputs):
        if not is_real(value) or np.size(value) < 2:
            continue
        if node.op == "mul" and node.inputs[place] not in evidence.reach and _is_mask(value):
            top = float(np.max(np.abs(value)))
            for new, words in (
                (np.full_like(value, top), "is missing"),
                (np.ones_like(value), "is missing"),
                (top - value, "is inverted"),
                ((value != 0) * 1.0, "has lost its scale"),
            ):
                changed = (*inputs[:place], new, *inputs[place + 1 :])
                text = f"the gradient must be multiplied by the same mask as the value; here the mask {words}"
                kind_m = "scale" if "scale" in words else "wrong_mask"
                yield from variants(evidence, position, g, y, changed, kind_m, text, 0.5)
        masked = node.inputs[place] not in evidence.reach and _is_mask(value)
        for new, how, cost, special in substitutes(evidence, position, place, value):
            changed = (*inputs[:place], new, *inputs[place + 1 :])
            of_masks = masked and len(np.unique(new)) <= 2
            named_kind = "wrong_mask" if of_masks and special in (None, "missing_term") else special or kind
            yield from variants(evidence, position, g, y, changed, named_kind, how, cost)
    if np.size(y) > 1:
        for number in near(evidence, np.shape(y), position):
            how = "the rule wants this operation's own output; another array is used in its place"
            yield from variants(evidence, position, g, program.values[number], inputs, kind, how, 1.6)


def _own_value(evidence: Evidence, position: int, g: Any) -> Iterator[Hypothesis]:
    """An operand whose gradient is the upstream one times itself: of h @ w, dz times h for dz times w."""
    program = evidence.program
    node = program.nodes[position]
    if node.op != "dot_general":
        return
    for number, entry in zip(node.inputs, evidence.entries(position), strict=True):
        value = program.values[number]
        stretched = np.ndim(value) == np.ndim(g) + 1 > 1 and np.shape(value)[:-1] == np.shape(g)
        if entry is not None and number in evidence.reach and stretched:
            other = np.expand_dims(g, -1) * value
            if np.shape(other) == np.shape(entry):
                text = "the product rule takes the other factor: here this one takes its own"
                yield Hypothesis("wrong_operand", position, text, 0.7, {number: other - entry})


def _swapped(evidence: Evidence, position: int) -> Iterator[Hypothesis]:
    """Each operand gets the other's gradient, as when a tuple is unpacked in the wrong order."""
    (first, a), (second, b) = (_laid(evidence, position, place) for place in (0, 1))
    if a is None or b is None or np.shape(a) != np.shape(b) or not {first, second} <= evidence.reach.keys():
        return
    text = "the gradients of the two operands are exchanged: each goes to the other"
    delta = {first: b - a, second: a - b}
    below = max(evidence.made.get(first, -1), evidence.made.get(second, -1)) + 1
    yield Hypothesis("permuted", position, text, 0.9, delta, partial(evidence.pulled, delta, below))


def _laid(evidence: Evidence, position: int, place: int) -> tuple[int, Any]:
    """An operand and its entry, before it was transposed or reshaped for the operation."""
    program = evidence.program
    number, entry = program.nodes[position].inputs[place], evidence.entries(position)[place]
    while number in evidence.made and entry is not None:
        node = program.nodes[evidence.made[number]]
        if node.op not in ("transpose", "reshape") or len(evidence.uses.get(number, [])) != 1:
            break
        number, entry = node.inputs[0], entries(node, entry, program.values)[0]
    return number, entry


def _without_ones(value: Any) -> tuple[int, ...]:
    return tuple(n for n in np.shape(value) if n > 1)


def _extra_factor(evidence: Evidence, position: int) -> Iterator[Hypothesis]:
    """A constant array of the program, by which this contribution is multiplied or divided as well."""
    program = evidence.program
    node = program.nodes[position]
    for number, entry in zip(node.inputs, evidence.entries(position), strict=True):
        if entry is None or number not in evidence.reach or not evidence.concerns(number):
            continue
        for constant in evidence.constants:
            k = program.values[constant]
            if constant in node.inputs or not stretches(np.shape(k), np.shape(entry)):
                continue
            kind = "wrong_mask" if _is_mask(k) else "wrong_operand"
            text = "the gradient is {} here by a constant array (of the loss's line {}) that has no part in it"
            made = evidence.made.get(constant)
            where = program.nodes[made].where if made is not None else None
            line = where.line if where else "of the arguments"
            yield Hypothesis(kind, position, text.format("multiplied", line), 1.35, {number: entry * (k - 1)})
            if np.all(k != 0):
                yield Hypothesis(kind, position, text.format("divided", line), 1.4, {number: entry * (1 / k - 1)})


def _is_mask(value: Any) -> bool:
    """Whether an array holds zeros and one other value, as a dropout mask does."""
    return len(np.unique(value)) == 2 and bool(np.any(value == 0))


def _choices(evidence: Evidence, position: int, g: Any, y: Any, inputs: tuple[Any, ...]) -> Iterator[Hypothesis]:
    """A choice between two arrays: each gets the gradient where it was chosen."""
    which, rest = inputs[0], inputs[1:]
    if np.asarray(which).dtype != bool or len(rest) != 2:
        return
    text = "each side of this choice gets the gradient where it was chosen; here the mask is {}"
    for new, words in (
        (~which, "inverted"), (np.ones_like(which), "missing"), (np.zeros_like(which), "missing"),
    ):  # fmt: skip
        yield from variants(evidence, position, g, y, (new, *rest), "wrong_mask", text.format(words), 0.5)
    both = {
        number: np.asarray(g - entry)
        for number, entry in zip(evidence.program.nodes[position].inputs, evidence.entries(position), strict=True)
        if entry is not None and number in evidence.reach and np.shape(entry) == np.shape(g)
    }
    if len(both) > 1:
        yield Hypothesis("wrong_mask", position, text.format("missing on both sides"), 0.6, both)
