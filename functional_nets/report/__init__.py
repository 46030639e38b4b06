"""What people see: a run's progress in the terminal, its page afterwards, and the gradient graph of a function.

The graph is loaded when it is first asked for: a run that trains need not wait for it.
"""

from typing import TYPE_CHECKING, Any

from functional_nets.report.page import write_page
from functional_nets.report.progress import Progress

if TYPE_CHECKING:
    from functional_nets.report.graph import Disagreement, GradientGraph, gradient_graph

__all__ = ["gradient_graph", "GradientGraph", "Disagreement", "Progress", "write_page"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from functional_nets.report import graph

    return getattr(graph, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
