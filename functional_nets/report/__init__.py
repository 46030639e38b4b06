"""What people see: a run's progress in the terminal, its report afterwards, and the gradient graph of a function.

The graph is loaded when it is first asked for: a run that trains need not wait for it.
"""

from typing import TYPE_CHECKING, Any

from functional_nets.report.classifier import classifier_sections
from functional_nets.report.confusion import Answers
from functional_nets.report.document import Section
from functional_nets.report.progress import Progress
from functional_nets.report.run import write_report
from functional_nets.report.surface import Frame, surface_section
from functional_nets.report.tensorboard import TensorBoard, has_tensorboard

if TYPE_CHECKING:
    from functional_nets.report.graph import Disagreement, GradientGraph, gradient_graph

__all__ = [
    "gradient_graph", "GradientGraph", "Disagreement",
    "write_report", "Section", "classifier_sections", "Answers", "surface_section", "Frame",
    "Progress", "TensorBoard", "has_tensorboard",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from functional_nets.report import graph

    return getattr(graph, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
