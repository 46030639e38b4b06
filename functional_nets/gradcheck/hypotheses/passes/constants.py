"""Another constant: an epsilon, a slope, weights or a mask that the loss holds and the code under test has otherwise.

Either the forward pass that the gradient belongs to has the other constant, too, or the backward pass alone does.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.fitting import fitted, simple
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.loops.runs import repeated
from functional_nets.gradcheck.hypotheses.rules.forgotten import named
from functional_nets.gradcheck.program import Values, gradient, is_real, rerun, walk

MOST = 60
PIECEWISE = {"max", "min", "clamp", "gt", "lt", "ge", "le", "eq", "ne", "sign", "floor", "round"}
COMPARISONS = {"gt", "lt", "ge", "le", "eq", "ne"}
CHOICES = {"select_n", "gather", "take"}
FACTORS = (0.0, -1.0, 0.1, 10.0, 0.5, 2.0, 0.01, 100.0)


class Constant(NamedTuple):
    """A value that does not depend on the parameters, wherever one line uses it.

    Attributes:
        numbers: Its numbers in the program: one literal is another value in each run of a loop.
        value: The value.
        position: The operation that takes it.
        before: Constants of the same shape that it was made of.
    """

    numbers: tuple[int, ...]
    value: Any
    position: int
    before: tuple[int, ...]


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields, for each constant, the number or the array that would explain the gradient."""
    known = constants(evidence)
    scalars = [float(c.value) for c in known if np.size(c.value) == 1 and np.isfinite(float(c.value))]
    for constant in known:
        for everywhere in (True, False):
            if evidence.late:
                return
            if np.size(constant.value) == 1:
                yield from _numbers(evidence, constant, everywhere, scalars)
            else:
                yield from _arrays(evidence, constant, everywhere)
    yield from _exchanged(evidence, [c for c in known if np.size(c.value) == 1])
    for constant in known:
        if not evidence.late:
            yield from _in_values(evidence, constant)


def constants(evidence: Evidence) -> list[Constant]:
    """Returns what the loss holds constant and the gradient may depend on, nearest to the parameters first."""
    program = evidence.program
    made = {number: node for node in program.nodes for number in node.outputs}
    again = repeated(evidence)
    found: dict[Any, list[Any]] = {}
    for position, node in enumerate(program.nodes):
        if evidence.moving.isdisjoint(node.outputs):
            continue
        for number in _behind(evidence, [n for n in node.inputs if n not in evidence.moving], made):
            value = program.values[number]
            scalar = np.size(value) == 1
            key = (float(np.real(value).flat[0]), node.where, node.op) if scalar else number
            if not scalar and position in again and number not in program.arguments:
                continue  # One step's array; what is wrong with all of them is a loop's affair.
            found.setdefault(key, [position, [], value])[1].append(number)
    ordered = []
    for position, numbers, value in found.values():
        before = tuple(
            n for n in (made[numbers[0]].inputs if numbers[0] in made else ())
            if is_real(program.values[n]) and np.shape(program.values[n]) == np.shape(value)
        )  # fmt: skip
        numbers = tuple(dict.fromkeys(numbers))
        ordered.append(Constant(numbers, value, position, before))
        if 1 < len(numbers) <= 4 and position not in again:
            # The same number twice on a line, as in a mean and a variance: each may be wrong alone.
            ordered += [Constant((number,), value, position, ()) for number in numbers]
    return ordered[:MOST]


def _behind(evidence: Evidence, numbers: list[int], made: dict[int, Any]) -> Iterator[int]:
    """The real constants among some values, and those that they are computed from."""
    seen = set()
    while numbers:
        number = numbers.pop()
        if number in seen or number in evidence.moving:
            continue
        seen.add(number)
        value = evidence.program.values[number]
        if is_real(value) and np.size(value) and np.all(np.isfinite(value)):
            yield number
        if number in made:
            numbers += made[number].inputs


def at(evidence: Evidence, constant: Constant, everywhere: bool, value: Any) -> list[Any]:
    """Returns the gradient with another value of a constant, in both passes or in the backward pass alone."""
    program = evidence.program
    replaced = {number: np.broadcast_to(value, np.shape(program.values[number])) for number in constant.numbers}
    with np.errstate(all="ignore"):
        if everywhere:
            values: Values = rerun(program, replaced)
        else:
            values = rerun_constants(evidence, replaced)
        return gradient(program, walk(program, evidence.active, values=values))


def rerun_constants(evidence: Evidence, replaced: dict[int, Any]) -> Values:
    """Returns the values with some replaced, and computed again what is made of them and of constants alone."""
    program = evidence.program
    again = rerun(program, replaced)
    return [
        old if number in evidence.moving else new
        for number, (old, new) in enumerate(zip(program.values, again, strict=True))
    ]


def _numbers(evidence: Evidence, constant: Constant, everywhere: bool, scalars: list[float]) -> Iterator[Hypothesis]:
    right = float(constant.value)

    def make(theta: Any) -> list[Any]:
        return at(evidence, constant, everywhere, np.ravel(theta)[0])

    tried: list[float] = []
    node = evidence.program.nodes[constant.position]
    if node.op in PIECEWISE:
        tried = [factor * right for factor in FACTORS] + [1.0, -1.0, 0.5] + scalars
    else:
        found = fitted(evidence, make, [right])
        tried = [] if found is None else [float(found[0])]
        if 0 < abs(right) <= 0.01:
            tried += [10.0**-power for power in range(2, 17)]  # An epsilon is a power of ten.
    for number in dict.fromkeys(tried):
        if number == right:
            continue
        rounded, plain = simple(number, [*scalars, *_sizes(evidence)])
        text = f"the constant {right:.6g} here is {rounded:.6g} in this gradient's {_pass(everywhere)}"
        kind = "sign" if rounded == -right else _kind(evidence, constant, everywhere)
        cost = (1.15 if plain else 1.5) + (0.0 if everywhere else 0.1)
        yield Hypothesis(kind, constant.position, text, cost, None, partial(make, rounded))


def _in_values(evidence: Evidence, constant: Constant) -> Iterator[Hypothesis]:
    """The forward pass divides by another number than the loss, as an unbiased variance does; backward does not."""
    program = evidence.program
    node = program.nodes[constant.position]
    if np.size(constant.value) > 1 or node.op not in ("mul", "div"):
        return
    (number,) = node.outputs

    def make(theta: Any) -> list[Any]:
        values = rerun(program, {number: program.values[number] * float(np.ravel(theta)[0])})
        return gradient(program, walk(program, evidence.active, values=values))

    found = fitted(evidence, make, [1.0])
    if found is not None and abs(found[0] - 1) > 1e-6 and named(evidence, float(found[0]))[1]:
        text = f"the forward pass of this gradient has {found[0]:.6g} times this value, its backward pass has not"
        yield Hypothesis("wrong_loss", constant.position, text, 1.25, None, partial(make, float(found[0])))


def _arrays(evidence: Evidence, constant: Constant, everywhere: bool) -> Iterator[Hypothesis]:
    program = evidence.program
    right = np.asarray(constant.value)
    kind = _kind(evidence, constant, everywhere)
    where = f"in this gradient's {_pass(everywhere)}"
    others: list[tuple[str, float, Any]] = [("left out, as if it were 1,", 1.02, np.ones_like(right))]
    others += [("taken before the operation that made it", 1.1, program.values[number]) for number in constant.before]
    if len(np.unique(right)) == 2 and np.any(right == 0):
        others.append(("inverted", 1.05, right.max() - right))
        others.append(("without its scale", 1.05, (right != 0) * 1.0))
    if np.ptp(right):
        others.append(("replaced by its mean", 1.06, np.full_like(right, right.mean())))
    for axis in range(right.ndim):
        if right.shape[axis] > 1:
            others.append((f"reversed along axis {axis}", 1.2, np.flip(right, axis)))
            others += [(f"shifted by one along axis {axis}", 1.3, np.roll(right, step, axis)) for step in (1, -1)]
    if right.ndim == 2 and right.shape[0] == right.shape[1]:
        others.append(("transposed", 1.1, right.T))
    others += _normalised_otherwise(evidence, constant)
    for words, cost, value in others:
        if not np.array_equal(value, right):
            special = "transposed" if words == "transposed" else "wrong_axis" if "normalised" in words else kind
            special = "permuted" if words.startswith(("reversed", "shifted")) else special
            special = "wrong_reduction" if "mean" in words else special
            text = f"a constant array of shape {list(right.shape)} here is {words} {where}"
            make = partial(at, evidence, constant, everywhere, value)
            own = evidence.made.get(constant.numbers[0], constant.position)
            blamed = own if "before" in words or "normalised" in words else constant.position
            yield Hypothesis(special, blamed, text, cost + (0.0 if everywhere else 0.1), None, make)
    found = fitted(evidence, lambda theta: at(evidence, constant, everywhere, theta[0] * right + theta[1]), [1.0, 0.0])
    if found is not None:
        (a, plain), (b, plain_b) = (simple(float(each)) for each in found)
        if b == 0:
            return  # A factor, and known as such.
        text = f"a constant array k of shape {list(right.shape)} here is {a:.6g}·k + {b:.6g} {where}"
        make = partial(at, evidence, constant, everywhere, a * right + b)
        cost = 1.15 if (a, b) == (-1, 1) else 1.2 if plain and plain_b else 1.4
        kind = "wrong_operand" if kind == "wrong_mask" and a not in (0, -1) else kind
        made = evidence.made.get(constant.numbers[0])
        chosen = made is not None and program.nodes[made].op in CHOICES
        yield Hypothesis(kind, made if chosen else constant.position, text, cost, None, make)


def _normalised_otherwise(evidence: Evidence, constant: Constant) -> list[tuple[str, float, Any]]:
    """A matrix that was divided by the sums of its rows or columns, divided by the others."""
    made = evidence.made.get(constant.numbers[0])
    if made is None or evidence.program.nodes[made].op != "div":
        return []
    whole = evidence.program.values[evidence.program.nodes[made].inputs[0]]
    if np.shape(whole) != np.shape(constant.value):
        return []
    found = []
    with np.errstate(all="ignore"):
        for axis in range(np.ndim(whole)):
            other = whole / np.sum(whole, axis=axis, keepdims=True)
            if np.all(np.isfinite(other)):
                found.append((f"normalised over axis {axis}", 1.05, other))
    return found


def _exchanged(evidence: Evidence, scalars: list[Constant]) -> Iterator[Hypothesis]:
    """Two constants of one line, each in the place of the other."""
    nodes = evidence.program.nodes
    for index, a in enumerate(scalars):
        for b in scalars[:index]:
            if nodes[a.position].where == nodes[b.position].where and float(a.value) != float(b.value):
                text = f"the constants {float(b.value):.6g} and {float(a.value):.6g} are exchanged"
                make = _swapped(evidence, a, b)
                yield Hypothesis("wrong_operand", a.position, text, 1.0, None, make)


def _swapped(evidence: Evidence, a: Constant, b: Constant) -> Callable[[], list[Any]]:
    def make() -> list[Any]:
        program = evidence.program
        replaced = dict.fromkeys(a.numbers, b.value) | dict.fromkeys(b.numbers, a.value)
        return gradient(program, walk(program, evidence.active, values=rerun_constants(evidence, replaced)))

    return make


def _sizes(evidence: Evidence) -> list[float]:
    sizes = {size for number in evidence.program.arguments for size in np.shape(evidence.program.values[number])}
    return [float(size + step) for size in sorted(sizes) for step in (0, -1)][:12]


def _pass(everywhere: bool) -> str:
    return "forward pass" if everywhere else "backward pass"


def _kind(evidence: Evidence, constant: Constant, everywhere: bool) -> str:
    node = evidence.program.nodes[constant.position]
    scalar = np.size(constant.value) == 1
    if node.op in COMPARISONS or (not scalar and len(np.unique(constant.value)) == 2 and np.any(constant.value == 0)):
        return "wrong_mask" if node.op not in ("sub", "add") else "wrong_loss"
    if node.op in ("mul", "div"):
        return "scale" if scalar else "wrong_operand"
    if node.op in ("dot_general", "conv_general_dilated"):
        return "wrong_operand"
    return "wrong_loss" if everywhere or node.op in ("add", "sub") else "wrong_derivative"
