"""What people see: a run's progress in the terminal, its page afterwards, and the gradient graph of a function."""

from functional_nets.report.graph import Disagreement, GradientGraph, gradient_graph
from functional_nets.report.page import write_page
from functional_nets.report.progress import Progress

__all__ = ["gradient_graph", "GradientGraph", "Disagreement", "Progress", "write_page"]
