"""What people see of a run: its progress in the terminal, its page afterwards."""

from functional_nets.report.page import write_page
from functional_nets.report.progress import Progress

__all__ = ["Progress", "write_page"]
