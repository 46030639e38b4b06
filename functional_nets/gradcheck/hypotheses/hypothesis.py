"""What a hypothesis is."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.program import Node, Values, gradient, walk

Entry = Callable[[Node, Any, Values], tuple[Any, ...]]
"""A rule that stands in for a node's own: `entry(node, g, values)`."""


class Change(NamedTuple):
    """Other rules at some nodes, each time these are walked.

    Attributes:
        overrides: The rules that stand in for the nodes' own.
        nodes: Nodes that stand in for others.
        dropped: The nodes that are walked no more, their place being taken by one of those.
    """

    overrides: Mapping[int, Entry]
    nodes: Mapping[int, Node] = {}
    dropped: frozenset[int] = frozenset()

    @property
    def touched(self) -> frozenset[int]:
        """The positions at which something is other than it should be."""
        return frozenset((*self.overrides, *self.nodes)) | self.dropped

    def result(self, evidence: Evidence) -> list[Any]:
        """Returns the whole gradient that it leads to."""
        program = evidence.program
        if self.nodes:
            nodes = (self.nodes.get(position, node) for position, node in enumerate(program.nodes))
            program = program._replace(nodes=tuple(nodes))
        active = [p for p in evidence.active if p not in self.dropped]
        with np.errstate(all="ignore"):
            return gradient(program, walk(program, active, override=self.overrides))

    def beside(self, other: "Change") -> "Change":
        """Returns both changes; they must not touch the same nodes."""
        return Change(
            {**self.overrides, **other.overrides}, {**self.nodes, **other.nodes}, self.dropped | other.dropped
        )


class Hypothesis(NamedTuple):
    """One mistake at one place.

    Attributes:
        kind: The mistake's identifier.
        position: The node in whose backward pass it is made, None for the gradient's own leaves.
        text: What is wrong, and what to write instead.
        cost: How far-fetched it is: 0 is what everyone has done once.
        delta: The cotangents that it changes, by value, and by how much; None when it is not of that form.
        gradient: The gradient that it leads to, when it is not of that form or not at that place.
        change: The rules that are others, when it is of that form.
    """

    kind: str
    position: int | None
    text: str
    cost: float
    delta: Mapping[int, Any] | None = None
    gradient: Callable[[], list[Any]] | None = None
    change: Change | None = None

    def result(self, evidence: Evidence) -> list[Any]:
        """Returns the whole gradient that one gets by making the mistake."""
        if self.gradient is not None:
            return self.gradient()
        if self.change is not None:
            return self.change.result(evidence)
        assert self.delta is not None, "a hypothesis changes cotangents or says what gradient it gives"
        assert self.position is not None, "cotangents change at a node"
        return evidence.pulled(self.delta, self.position)

    def signature(self, evidence: Evidence) -> np.ndarray | None:
        """Returns the projections of the error that it makes, None when they are not cheaper than the error."""
        return None if self.delta is None else evidence.signature(self.delta)
