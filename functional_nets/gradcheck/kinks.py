"""At a kink or a tie several slopes are right: the gradient under test may use any of them.

A ReLU at exactly 0, or so near to it that rounding decides on which side it falls, has every slope between 0 and
1; the elements that tie for a maximum may share its gradient in any proportion. So a gradient is right if it is
that of the loss with some choice for each such element. A choice outside of that, such as the whole gradient to
*each* of the tied elements, is a mistake as anywhere else.

Elements that are at the kink in float64 may all be decided alike, as a convention does. Those that are only within
the reach of a narrower type's rounding are decided one by one, at random: they explain a gradient if they are few.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.precision import SAFETY, reach
from functional_nets.gradcheck.program import Node, Program, Values, entries, gradient, walk
from functional_nets.gradcheck.ties import Alternative, alternatives

MOST_COLUMNS = 400  # Of more, all elements of an operation make the same choice.
MOST_NUMBERS = 2e7  # Of the matrix that is solved with.
MOST_CONVENTIONS = 27
EXACT = SAFETY * 2.0**-53
ITERATIONS = 12  # Choices behind one another multiply: their proportions are found by Newton's method.
SUM_TO_ONE = 1e3  # Weight of the condition against the rest, whose columns have a norm of at most 1.


class Kink(NamedTuple):
    """An operation of which some elements are at a kink.

    Attributes:
        position: Its node's.
        exact: Whether they are at it in float64, not only within reach.
        units: Where the elements are, in its output.
        choices: What each of its one-sided derivatives gives to the inputs.
    """

    position: int
    exact: bool
    units: np.ndarray
    choices: tuple[Alternative, ...]

    @property
    def key(self) -> tuple[int, bool]:
        """Returns what tells it from the others."""
        return self.position, self.exact


class Unit(NamedTuple):
    """What is decided together: elements of a kink's units."""

    kink: Kink
    where: np.ndarray


State = Mapping[tuple[int, bool], np.ndarray]
"""By kink, the weight of each choice at each element of the output; what is missing to 1 is the usual rule's."""


def explained(evidence: Evidence, rounding: float) -> list[str] | None:
    """Returns notes on the kinks that explain the gradient given; None if kinks do not explain it.

    Args:
        evidence: The gradient given and the right one.
        rounding: Relative error up to which the values may be off.
    """
    if any(leaf is None for leaf in evidence.given) or not evidence.wrong:
        return None
    kinks = list(find(evidence, rounding))
    if not kinks:
        return None
    states: list[tuple[float, State]] = [(np.inf, {})]
    for state in in_one_way(kinks):
        found = gradient(evidence.program, _walk(evidence, kinks, state))
        if _agrees(evidence, found):
            return _notes(evidence.program, kinks, state)
        states.append((evidence.residual(found), state))
    nearest = min(states, key=lambda pair: pair[0])[1]
    for start in ({}, nearest):
        mixed = _proportions(evidence, kinks, start)
        if mixed is not None:
            return _notes(evidence.program, kinks, mixed)
    return None


def _agrees(evidence: Evidence, found: Sequence[Any]) -> bool:
    """Whether a gradient is the one given; where rounding allows nothing, to the precision of the proportions."""
    pairs = zip(evidence.given, found, evidence.tolerances, evidence.scales, strict=True)
    return all(np.all(np.abs(a - b) <= max(tolerance, 1e-9 * scale)) for a, b, tolerance, scale in pairs)


def find(evidence: Evidence, rounding: float) -> Iterator[Kink]:
    """Yields the operations that have elements so near to a kink that rounding decides on the side."""
    program = evidence.program
    exactly = reach(program, evidence.active, EXACT)
    nearly = {number: size * rounding / EXACT for number, size in exactly.items()}
    producer = {number: node for node in program.nodes for number in node.outputs}
    for position in evidence.active:
        node = program.nodes[position]
        if len(node.outputs) > 1 or node.outputs[0] not in evidence.cotangents:
            continue
        here, choices = alternatives(node, program.values, exactly, producer)
        if choices and np.any(here):
            yield Kink(position, True, here, choices)
        if rounding > EXACT:
            near, choices = alternatives(node, program.values, nearly, producer)
            if choices and np.any(near & ~here):
                yield Kink(position, False, near & ~here, choices)


def in_one_way(kinks: Sequence[Kink]) -> Iterator[State]:
    """Yields states in which all kinks of a kind are decided alike: by the usual rule, at one end, at the other."""
    kinks = [kink for kink in kinks if kink.exact]
    kinds = list(dict.fromkeys(kink.choices[0].kind for kink in kinks))
    plans = itertools.product((None, 0, -1), repeat=len(kinds))
    for plan in itertools.islice(plans, 1, MOST_CONVENTIONS):
        state = {}
        for kink in kinks:
            choice = plan[kinds.index(kink.choices[0].kind)]
            if choice is not None:
                state[kink.key] = np.zeros((len(kink.choices), *kink.units.shape))
                state[kink.key][choice, ...] = kink.units
        yield state


def rule(decided: Sequence[tuple[Kink, np.ndarray]]) -> Any:
    """Returns the backward rule of a node some of whose elements make other choices, with the given weights."""

    def decided_rule(node: Node, g: Any, values: Values) -> tuple[Any, ...]:
        usual = 1.0 - sum(weights.sum(0) for _, weights in decided)
        total = list(entries(node, g * usual, values))
        for kink, weights in decided:
            for choice, weight in zip(kink.choices, weights, strict=True):
                for place, part in enumerate(choice(g * weight)):
                    if part is not None and total[place] is not None:
                        total[place] = total[place] + part
        return tuple(total)

    return decided_rule


def _walk(
    evidence: Evidence, kinks: Sequence[Kink], state: State, start: Any = None, below: int | None = None
) -> dict[int, Any]:
    decided: dict[int, list[tuple[Kink, np.ndarray]]] = {}
    for kink in kinks:
        if kink.key in state:
            decided.setdefault(kink.position, []).append((kink, state[kink.key]))
    override = {position: rule(pairs) for position, pairs in decided.items()}
    with np.errstate(all="ignore"):
        return walk(evidence.program, evidence.active, start=start, below=below, override=override)


def _proportions(evidence: Evidence, kinks: Sequence[Kink], state: State) -> State | None:
    """Returns the state near this one that gives the gradient given, None if there is none."""
    units = _units(kinks, sum(np.size(leaf) for leaf in evidence.reference))
    best = np.inf
    for _ in range(ITERATIONS if units else 0):
        cotangents = _walk(evidence, kinks, state)
        now = gradient(evidence.program, cotangents)
        residual = evidence.residual(now)
        if _agrees(evidence, now):
            return state
        if not residual < 0.9 * best:
            return None
        best = residual
        state = _step(evidence, kinks, units, state, cotangents, now)
    return None


def _units(kinks: Sequence[Kink], numbers: int) -> list[Unit]:
    """Returns what decides by itself: each element, or if they are too many, each operation whose kinks are exact."""

    def columns(of: Sequence[Kink]) -> int:
        return sum(int(np.sum(kink.units)) * len(kink.choices) for kink in of)

    most = min(MOST_COLUMNS, int(MOST_NUMBERS / max(1, numbers)))
    exact, near = [kink for kink in kinks if kink.exact], [kink for kink in kinks if not kink.exact]
    near = near if columns(near) <= most else []
    if columns(exact) + columns(near) <= most:
        return [Unit(kink, where) for kink in exact + near for where in _one_by_one(kink.units)]
    whole = [Unit(kink, kink.units) for kink in exact]
    if columns(near) + sum(len(kink.choices) for kink in exact) > most:
        return []
    return whole + [Unit(kink, where) for kink in near for where in _one_by_one(kink.units)]


def _one_by_one(units: np.ndarray) -> Iterator[np.ndarray]:
    for place in np.argwhere(units):
        one = np.zeros_like(units)
        one[tuple(place)] = True
        yield one


def _step(
    evidence: Evidence,
    kinks: Sequence[Kink],
    units: Sequence[Unit],
    state: State,
    cotangents: Mapping[int, Any],
    now: Sequence[Any],
) -> State:
    """Returns the state that would give the gradient given if what the choices change were to add up."""
    columns, owners, before = [], [], []
    for number, (kink, where) in enumerate(units):
        node = evidence.program.nodes[kink.position]
        g = np.where(where, cotangents.get(node.outputs[0], 0.0), 0.0)
        usual = entries(node, g, evidence.program.values)
        for place, choice in enumerate(kink.choices):
            delta: dict[int, Any] = {}
            for value, a, b in zip(node.inputs, choice(g), usual, strict=True):
                if a is not None and b is not None:
                    delta[value] = delta.get(value, 0.0) + (a - b)
            change = gradient(evidence.program, _walk(evidence, kinks, state, delta, kink.position))
            columns.append(_flat(evidence, change))
            owners.append(number)
            before.append(float(state[kink.key][place, ...][where].max()) if kink.key in state else 0.0)
    matrix = np.stack(columns, axis=1)
    error = _flat(evidence, [a - b for a, b in zip(evidence.given, now, strict=True)])
    weights = _bounded(matrix, error + matrix @ np.array(before), np.array(owners))
    new = {kink.key: np.zeros((len(kink.choices), *kink.units.shape)) for kink in kinks}
    for weight, owner, place in zip(weights, owners, itertools.count(), strict=False):
        kink, where = units[owner]
        new[kink.key][place - owners.index(owner), ...][where] = weight
    return new


def _flat(evidence: Evidence, leaves: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) / scale for leaf, scale in zip(leaves, evidence.scales, strict=True)])


def _bounded(matrix: np.ndarray, target: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Returns the weights that come nearest to the target, none negative, those of an owner at most 1 in all."""
    size = float(np.max(np.linalg.norm(matrix, axis=0))) or 1.0
    count = int(owners.max()) + 1
    # What an owner's weights leave of 1 is a weight, too.
    shares = np.equal.outer(np.arange(count), owners).astype(float)
    upper = np.concatenate([matrix / size, np.zeros((len(target), count))], axis=1)
    rows = np.concatenate([upper, SUM_TO_ONE * np.concatenate([shares, np.eye(count)], axis=1)])
    from scipy.optimize import nnls  # Half a second of importing, for gradients at a kink alone.

    weights = nnls(rows, np.concatenate([target / size, np.full(count, SUM_TO_ONE)]))[0][: len(owners)]
    return weights / np.maximum(shares @ weights, 1.0)[owners]


def _notes(program: Program, kinks: Sequence[Kink], state: State) -> list[str]:
    found: dict[tuple[str, str, str], tuple[int, list[int]]] = {}
    for kink in kinks:
        moved = _moved(program, kink, state)
        if not np.any(moved):
            continue
        node = program.nodes[kink.position]
        where = f"{node.where.file}:{node.where.line}: " if node.where else ""
        key = (where, node.op, kink.choices[0].text)
        count, first = found.get(key, (0, [int(i) for i in np.argwhere(moved)[0]]))
        found[key] = count + int(np.sum(moved)), first
    return [
        f"{where}{op} is at a kink in {count} {'element' if count == 1 else 'elements'}"
        + (f", {'at' if count == 1 else 'first at'} {first}" if first else "")
        + f": {text}, and this gradient does not take the one that JAX takes"
        for (where, op, text), (count, first) in found.items()
    ]


def _moved(program: Program, kink: Kink, state: State) -> np.ndarray:
    """Returns the units that do otherwise than the usual rule."""
    weights = state.get(kink.key)
    if weights is None:
        return np.zeros_like(kink.units)
    node = program.nodes[kink.position]
    g = kink.units.astype(float)
    pairs = zip(rule([(kink, weights)])(node, g, program.values), entries(node, g, program.values), strict=True)
    changes = [np.abs(a - b) > 1e-9 for a, b in pairs if a is not None and b is not None]
    elementwise = [change for change in changes if np.shape(change) == kink.units.shape]
    return kink.units & (np.any(elementwise, axis=0) if elementwise else weights.sum(0) > 1e-9)
