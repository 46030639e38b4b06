"""What the search for a mistake knows: the right backward pass, the wrong gradient, and quick projections."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, wraps
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from functional_nets.gradcheck.program import (
    Cotangents,
    Program,
    active_nodes,
    cotangent,
    entries,
    gradient,
    is_real,
    walk,
)
from functional_nets.gradcheck.shifts import without_shifts
from functional_nets.gradcheck.tangents import tangents

Found = TypeVar("Found")

PROBES = 3  # Directions of each leaf.
EQUATIONS = 8  # Projections in all, at least: weights are solved for.


def once(function: Callable[["Evidence"], Found]) -> Callable[["Evidence"], Found]:
    """Has a function of the evidence answer from memory when it is asked again: several hypotheses ask the same."""
    known: WeakKeyDictionary[Evidence, Found] = WeakKeyDictionary()

    @wraps(function)
    def asked(evidence: Evidence) -> Found:
        if evidence not in known:
            known[evidence] = function(evidence)
        return known[evidence]

    return asked


class Evidence:
    """The right backward pass of a program and the gradient that was given instead.

    Args:
        program: The traced loss.
        given: The gradient under test, per leaf; None for a leaf of another shape, which then says nothing.
        paths: The leaves' names.
        tolerances: Per leaf, the absolute error that rounding explains.
        rounding: The relative error that rounding explains in a gradient of ordinary conditioning.
    """

    def __init__(
        self,
        program: Program,
        given: Sequence[Any],
        paths: Sequence[str],
        tolerances: Sequence[float],
        rounding: float = 0.0,
    ):
        self.active = active_nodes(program, program.leaves)
        self.cotangents = walk(program, self.active)
        self.program = without_shifts(program, self.active, self.cotangents)
        # What lies behind a stop_gradient leads to the loss, and yet has no cotangent.
        self.active = [p for p in self.active if not self.cotangents.keys().isdisjoint(program.nodes[p].outputs)]
        self.reference = [np.asarray(leaf) for leaf in gradient(program, self.cotangents)]
        self.given = list(given)
        self.paths = list(paths)
        self.tolerances = list(tolerances)
        self.rounding = rounding
        self.strict = True
        self.deadline = float("inf")
        self.gaps: list[str] = []
        self._entries: dict[int, tuple[Any, ...]] = {}

    @cached_property
    def compared(self) -> list[int]:
        """The leaves that can be compared: those of the right shape."""
        return [number for number, leaf in enumerate(self.given) if leaf is not None]

    @cached_property
    def scales(self) -> list[float]:
        """The size of each leaf's gradient, given or right."""
        sizes = [
            max(_size(right), 0.0 if given is None else _size(given))
            for right, given in zip(self.reference, self.given, strict=True)
        ]
        return [size or 1.0 for size in sizes]

    @cached_property
    def wrong(self) -> list[int]:
        """The leaves that differ by more than rounding."""
        return [
            number
            for number in self.compared
            if not _size(self.given[number] - self.reference[number]) <= self.tolerances[number]
        ]

    def entries(self, position: int) -> tuple[Any, ...]:
        """Returns what the right rule at a node gives to each of its inputs."""
        if position not in self._entries:
            node = self.program.nodes[position]
            g = cotangent(node, self.cotangents, self.program.values)
            with np.errstate(all="ignore"):
                self._entries[position] = (
                    (None,) * len(node.inputs) if g is None else entries(node, g, self.program.values)
                )
        return self._entries[position]

    @cached_property
    def uses(self) -> dict[int, list[tuple[int, int]]]:
        """By value, the nodes that take it and the place at which they do."""
        found = defaultdict(list)
        for position in self.active:
            for place, number in enumerate(self.program.nodes[position].inputs):
                if number in self.reach and self.entries(position)[place] is not None:
                    found[number].append((position, place))
        return dict(found)

    @cached_property
    def reach(self) -> dict[int, frozenset[int]]:
        """By value, the leaves that it depends on."""
        found = {number: frozenset([leaf]) for leaf, number in enumerate(self.program.leaves)}
        for position in self.active:
            node = self.program.nodes[position]
            union = frozenset().union(*(found.get(number, frozenset()) for number in node.inputs))
            for number in node.outputs:
                if is_real(self.program.values[number]):
                    found[number] = union
        return found

    @cached_property
    def moving(self) -> set[int]:
        """All values, masks and integers among them, that depend on the parameters."""
        found = set(self.program.leaves)
        for node in self.program.nodes:
            if not found.isdisjoint(node.inputs):
                found.update(node.outputs)
        return found

    @cached_property
    def made(self) -> dict[int, int]:
        """By value, the node that makes it."""
        return {number: position for position, node in enumerate(self.program.nodes) for number in node.outputs}

    @cached_property
    def constants(self) -> list[int]:
        """Real arrays that do not depend on the parameters, the small ones that a rule could take for another."""
        distinct: dict[bytes, int] = {}
        for number, value in enumerate(self.program.values):
            if number not in self.moving and is_real(value) and 1 < np.size(value) <= 4096 and np.ptp(value) > 0:
                distinct.setdefault(value.tobytes() + repr(np.shape(value)).encode(), number)
        return list(distinct.values())[:12]

    @cached_property
    def twins(self) -> dict[tuple[int, ...], list[int]]:
        """By shape, the real values that have it."""
        found = defaultdict(list)
        for number, value in enumerate(self.program.values):
            if is_real(value) and np.size(value) > 1:
                found[np.shape(value)].append(number)
        return dict(found)

    # Projections. A leaf has PROBES random directions; row 2·leaf + k of a signature belongs to its k-th.

    @cached_property
    def directions(self) -> list[tuple[int, Any]]:
        """The random directions, each with the number of its leaf."""
        random = np.random.default_rng(7)
        return [
            (leaf, random.standard_normal(np.shape(self.reference[leaf])) / self.scales[leaf])
            for leaf in self.compared
            for _ in range(max(PROBES, -(-EQUATIONS // len(self.compared))))
        ]

    @cached_property
    def _tangents(self) -> list[dict[int, Any]]:
        return [tangents(self.program, {self.program.leaves[leaf]: direction}) for leaf, direction in self.directions]

    @cached_property
    def target(self) -> np.ndarray:
        """The signature of the error: of the gradient given less the right one."""
        return self.projected([None if g is None else g - r for g, r in zip(self.given, self.reference, strict=True)])

    def projected(self, leaves: Sequence[Any]) -> np.ndarray:
        """Returns the projections of a gradient."""
        return np.array([np.vdot(direction, leaves[leaf]) for leaf, direction in self.directions]).real

    def signature(self, delta: Mapping[int, Any]) -> np.ndarray:
        """Returns the signature of the error that changing cotangents by `delta` would make."""
        with np.errstate(all="ignore"):
            return np.array(
                [
                    sum(np.vdot(tangent[number], d) for number, d in delta.items() if number in tangent)
                    for tangent in self._tangents
                ]
            ).real

    def matches(self, signature: np.ndarray, slack: float = 1e-6) -> bool:
        """Whether a signature is the target's, up to the precision of the projections and of the data."""
        room = slack * np.max(np.abs(self.target)) + self.room
        return bool(np.all(np.abs(signature - self.target) <= room))

    @cached_property
    def room(self) -> np.ndarray:
        """How far rounding moves each projection."""
        noise = np.array([self.tolerances[leaf] / self.scales[leaf] for leaf, _ in self.directions])
        return 8 * (noise + self.rounding) * self._norms + 1e-9 * np.max(np.abs(self.target))

    def solved(self, columns: Sequence[np.ndarray], right: np.ndarray) -> np.ndarray | None:
        """Returns the coefficients with which some signatures add up to that of the gradient given, or None.

        Args:
            columns: Signatures of what may stand in a contribution's place.
            right: The signature of the contribution as it should be.
        """
        matrix = np.stack(columns, axis=1)
        wanted = self.target + right
        if not (np.all(np.isfinite(matrix)) and np.all(np.isfinite(wanted))) or len(wanted) <= len(columns):
            return None
        found = np.linalg.lstsq(matrix, wanted, rcond=1e-12)[0]
        return found if self.matches(matrix @ found - right) else None

    @cached_property
    def _norms(self) -> np.ndarray:
        """How far a direction's projection moves when each element moves by its leaf's scale, at random."""
        return np.array([np.sqrt(np.size(direction)) for _, direction in self.directions])

    def pulled(self, delta: Mapping[int, Any], below: int) -> list[Any]:
        """Returns the whole gradient when cotangents change by `delta` and the nodes below pass it on."""
        with np.errstate(all="ignore"):
            change = walk(self.program, self.active, start=dict(delta), below=below)
        return [a + b for a, b in zip(self.reference, gradient(self.program, change), strict=True)]

    def concerns(self, number: int) -> bool:
        """Whether a mistake at a value can explain the wrong leaves: all of them, or some if several are looked for."""
        reached = self.reach.get(number, frozenset())
        return frozenset(self.wrong) <= reached if self.strict else not reached.isdisjoint(self.wrong)

    @property
    def late(self) -> bool:
        """Whether the search should come to an end."""
        return time.thread_time() > self.deadline

    def relaxed(self) -> "Evidence":
        """Returns the same evidence, for which a mistake is worth a look if it reaches any of the wrong leaves."""
        other = self.after(self.reference, self.cotangents)
        other.strict = False
        return other

    def after(self, found: Sequence[Any], cotangents: Cotangents) -> "Evidence":
        """Returns what is known once one mistake is granted: the gradient and the cotangents that it gives."""
        other = Evidence(self.program, self.given, self.paths, self.tolerances, self.rounding)
        other.deadline = self.deadline
        other.cotangents = cotangents
        other.reference = [np.asarray(leaf) for leaf in found]
        return other

    def residual(self, found: Sequence[Any]) -> float:
        """Returns the largest difference from the gradient given, relative to each leaf's scale."""
        worst = 0.0
        for leaf in self.compared:
            if np.shape(found[leaf]) != np.shape(self.given[leaf]):
                return np.inf
            difference = _size(found[leaf] - self.given[leaf]) / self.scales[leaf]
            worst = max(worst, difference if difference == difference else np.inf)
        return worst

    def reproduces(self, found: Sequence[Any], slack: float = 1e-9) -> bool:
        """Whether a gradient is the one given, up to 1e-9 or what rounding explains."""
        return all(
            np.shape(found[leaf]) == np.shape(self.given[leaf])
            and _size(found[leaf] - self.given[leaf])
            <= max(max(slack, 4 * self.rounding) * self.scales[leaf], 4 * self.tolerances[leaf])
            for leaf in self.compared
        )

    def cotangents_of(self, position: int) -> Cotangents | Any:
        """Returns the cotangent of a node's output."""
        return cotangent(self.program.nodes[position], self.cotangents, self.program.values)


def _size(array: Any) -> float:
    return float(np.max(np.abs(array), initial=0.0))
