"""What a hypothesis is."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from functional_nets.gradcheck.evidence import Evidence


class Hypothesis(NamedTuple):
    """One mistake at one place.

    Attributes:
        kind: The mistake's identifier.
        position: The node in whose backward pass it is made, None for the gradient's own leaves.
        text: What is wrong, and what to write instead.
        cost: How far-fetched it is: 0 is what everyone has done once.
        delta: The cotangents that it changes, by value, and by how much; None when it is not of that form.
        gradient: The gradient that it leads to, when it is not of that form or not at that place.
    """

    kind: str
    position: int | None
    text: str
    cost: float
    delta: Mapping[int, Any] | None = None
    gradient: Callable[[], list[Any]] | None = None

    def result(self, evidence: Evidence) -> list[Any]:
        """Returns the whole gradient that one gets by making the mistake."""
        if self.gradient is not None:
            return self.gradient()
        assert self.delta is not None, "a hypothesis changes cotangents or says what gradient it gives"
        assert self.position is not None, "cotangents change at a node"
        return evidence.pulled(self.delta, self.position)

    def signature(self, evidence: Evidence) -> np.ndarray | None:
        """Returns the projections of the error that it makes, None when they are not cheaper than the error."""
        return None if self.delta is None else evidence.signature(self.delta)
