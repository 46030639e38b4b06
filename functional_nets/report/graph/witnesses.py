"""The gradient at every edge of a program by three ways that share no code: rules, `jax.grad`, differences."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.precision import PROBE, SAFETY, perturbed
from functional_nets.gradcheck.program import Program, is_real, walk
from functional_nets.report.graph.differences import Measured, measure, most_different
from functional_nets.report.graph.replay import by_jax
from functional_nets.report.graph.units import Place, Unit, active_positions, passed_back, units

FINEST = 1e-11  # JAX's functions round as they like; no mistake is smaller.


class Gradient(NamedTuple):
    """What flows back along one edge.

    Attributes:
        rule: By the hand-written rules.
        jax: By `jax.grad`; None where JAX cannot tell.
        measured: By finite differences; None for complex numbers.
        tolerance: The difference between the first two that rounding explains.
    """

    rule: Any
    jax: Any
    measured: Measured | None
    tolerance: float

    @property
    def undefined(self) -> bool:
        """Whether the rule and `jax.grad` agree on nan or infinity, which is nothing that one could descend along."""
        return not np.all(np.isfinite(self.rule)) and (self.jax is None or _close(self.rule, self.jax, self.tolerance))

    @property
    def scale(self) -> float:
        """The largest finite element of the gradient by rule."""
        return float(np.max(np.abs(self.rule), initial=0.0, where=np.isfinite(self.rule)))

    def differing(self) -> tuple[str, ...]:
        """Returns the witnesses that contradict another one: the odd one of three, if there is one.

        Those that say nan or infinity are contradicted by everything.
        """
        if self.undefined:
            return ("rule",) if self.jax is None else ("rule", "jax.grad")
        scale = self.scale
        by_jax = self.jax is None or _close(self.rule, self.jax, self.tolerance)
        rule, other = self.confirmed(self.rule, scale), self.jax is None or self.confirmed(self.jax, scale)
        if by_jax:
            return () if rule or other else ("differences",)
        if rule and other:
            return "rule", "jax.grad"
        return ("jax.grad",) if rule else ("rule",) if other else ("rule", "jax.grad", "differences")

    def confirmed(self, gradient: Any, scale: float) -> bool:
        """Whether differences allow a gradient, or cannot tell."""
        return all(
            slope.allows(g, scale) or slope.kinked(g, scale) or slope.noisy(scale) for g, slope in self.lines(gradient)
        )

    def lines(self, gradient: Any) -> list[tuple[float, Any]]:
        """Returns what a gradient says and what was measured, along each line that was measured."""
        if self.measured is None:
            return []
        found = [(float(np.asarray(gradient)[index]), slope) for index, slope in self.measured.elements.items()]
        if self.measured.along is not None:
            found.append((float(np.vdot(self.measured.direction, gradient)), self.measured.along))
        return found

    def kinked(self) -> bool:
        """Whether the value lies at a kink, where a derivative may be any slope between two."""
        scale = self.scale
        return any(not slope.allows(g, scale) and slope.kinked(g, scale) for g, slope in self.lines(self.rule))


class Testimony(NamedTuple):
    """A program with the gradients at its edges.

    Attributes:
        program: The traced function.
        units: Its operations, in order.
        edges: The gradient by edge, forward.
        totals: By value, the gradient by the rules: the sum over its uses.
        whole: `jax.grad` of the function itself by each leaf of its arguments, None where JAX has none.
        notes: What could not be told.
    """

    program: Program
    units: list[Unit]
    edges: dict[Place, Gradient]
    totals: dict[int, Any]
    whole: list[Any]
    notes: tuple[str, ...]


@np.errstate(all="ignore")
def testify(program: Program, fn: Callable[..., Any], args: Sequence[Any], tested: Mapping[int, Any]) -> Testimony:
    """Returns the gradient at every edge through which the result depends on an argument.

    Args:
        program: The traced function.
        fn: The function itself.
        args: Its arguments.
        tested: By value, a gradient under test: differences are to be measured where it is wrong.
    """
    active = active_positions(program)
    cotangents = walk(program, active)
    found = units(program, cotangents, active)
    moving = {*program.leaves, *program.arguments, *(n for unit in found for n in unit.outputs)}
    rules: dict[Place, Any] = {}
    for number, unit in enumerate(found):
        for place, entry in zip(unit.places, passed_back(unit, program, cotangents, program.values), strict=True):
            if entry is not None and unit.taken(place) in moving and is_real(program.values[unit.taken(place)]):
                rules[number, place] = np.asarray(entry)
    tolerances = _tolerances(program, found, active, rules)
    jaxs, whole, notes = by_jax(program, found, rules, fn, args)
    edges = {}
    for key, rule in rules.items():
        number, place = key
        other, taken = jaxs.get(key), found[number].taken(place)
        others = [each for each in (other, tested.get(taken)) if each is not None and each.shape == rule.shape]
        # Where the whole gradient is largest, each of several uses is measured: they can then be added up.
        chosen = [*(most_different([rule, each]) for each in others), most_different([cotangents[taken]])]
        edges[key] = Gradient(rule, other, measure(program, found[number], place, chosen), tolerances[key])
    return Testimony(program, found, edges, cotangents, whole, (*program.notes, *notes))


def _tolerances(
    program: Program, found: Sequence[Unit], active: Sequence[int], rules: dict[Place, Any]
) -> dict[Place, float]:
    """Returns, by edge, how far rounding may move the gradient: as far as rounding errors made on purpose do."""
    moved, cotangents = perturbed(program, active, np.random.default_rng(0))
    largest = {}
    for number, unit in enumerate(found):
        entries = passed_back(unit, program, cotangents, moved.values)
        for place, entry in zip(unit.places, entries, strict=True):
            rule = rules.get((number, place))
            if rule is not None and entry is not None:
                change = np.abs(np.asarray(entry) - rule) / PROBE
                size = float(np.max(np.abs(rule), initial=0.0, where=np.isfinite(rule)))
                largest[number, place] = max(size, float(np.max(change[np.isfinite(change)], initial=0.0)))
    relative = max(program.epsilon * SAFETY, FINEST)
    return {key: relative * largest.get(key, 0.0) for key in rules}


@np.errstate(all="ignore")
def _close(a: Any, b: Any, tolerance: float) -> bool:
    return bool(np.all((np.abs(a - b) <= tolerance) | (np.isnan(a) & np.isnan(b)) | (a == b)))
