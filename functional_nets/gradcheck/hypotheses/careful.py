"""A search that stumbles over an unusual program must not cost the user the other findings, nor the verdict."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from functional_nets.gradcheck.evidence import Evidence

Found = TypeVar("Found")

STRICT = False  # Whether an error in the search itself is raised; the project's own tests want it.


def carefully(evidence: Evidence, name: str, found: Iterable[Found]) -> Iterator[Found]:
    """Yields what is found until a search stumbles, which is noted in the evidence's gaps."""
    try:
        yield from found
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if STRICT:
            raise
        evidence.gaps.append(f"the search for {name} stopped early ({type(error).__name__}: {error}); please report it")
