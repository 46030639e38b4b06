"""The computation graph of a function, with the gradient at every edge by three independent witnesses."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from functional_nets.gradcheck import Report
from functional_nets.report.graph.building import build
from functional_nets.report.graph.disagreements import Disagreement, disagreements
from functional_nets.report.graph.model import Model
from functional_nets.report.graph.page import page
from functional_nets.report.graph.parts import View
from functional_nets.report.graph.picture import picture
from functional_nets.report.graph.text import WIDTH, columns, drawing, table
from functional_nets.report.graph.verdict import Sentence, verdict

__all__ = ["gradient_graph", "GradientGraph", "Disagreement"]

LONG = 16  # Operations, above which a graph is shown with its layers folded.


def gradient_graph(fn: Callable[..., Any], *args: Any, manual: Any = None) -> "GradientGraph":
    """Returns the graph of `fn(*args)`: on each edge the value, and the gradient by three independent witnesses.

    These are the hand-written rules, `jax.grad` of the rest of the program by what flows along this edge, and
    finite differences of it, all in float64. Edges where they contradict each other are marked. A notebook shows
    the graph as a picture, `str` as text, and `save` writes a page with search, zoom and layers that unfold.

    Args:
        fn: A pure JAX function that returns one real scalar.
        args: Its arguments: numbers, arrays or trees of them. The gradient is that by all floats among them.
        manual: A gradient under test: a tree like the first argument or what returns one from `args`, or a tuple
            with one tree for each argument. Where it is wrong, the gradient check says why and on which line.

    Raises:
        ValueError: `fn` returns something else, there is no argument of floats, or `manual` is another tree.
    """
    return GradientGraph(build(fn, args, manual), getattr(fn, "__name__", type(fn).__name__))


class GradientGraph:
    """A function's computation graph with the gradient at every edge; see `gradient_graph`."""

    def __init__(self, model: Model, name: str):
        self.model = model
        self.name = "function" if name == "<lambda>" else name

    @property
    def ok(self) -> bool:
        """Whether everything is finite, all witnesses agree, and the gradient under test is right if there is one."""
        return all(sentence.good for sentence in self.verdict)

    @property
    def report(self) -> Report | None:
        """The gradient check's report of the gradient under test."""
        return self.model.report

    @cached_property
    def disagreements(self) -> list[Disagreement]:
        """Where witnesses contradict each other, or the gradient under test: in backward order."""
        return disagreements(self.model)

    @property
    def first(self) -> Disagreement | None:
        """The first disagreement in backward order: where the gradient goes wrong.

        None if no edge is to blame, as for a gradient function that adds to what it returned before.
        """
        return self.disagreements[0] if self.disagreements else None

    @cached_property
    def verdict(self) -> list[Sentence]:
        """What was found, in sentences, each with whether it is good news."""
        return verdict(self.model, briefly=False)

    def svg(self, fold: bool | None = None) -> str:
        """Returns the picture as SVG text.

        Args:
            fold: Whether layers are folded; by default in graphs of more than 16 operations.
        """
        return picture(self._view(fold), verdict(self.model, briefly=True), self.title)

    def html(self) -> str:
        """Returns a page that needs no other file and no network: search, zoom, layers and tensors that unfold."""
        return page(self.model, self.title, verdict(self.model, briefly=True), fold=self._long)

    def save(self, path: str | Path) -> None:
        """Writes the graph: a page to `….html`, the picture to `….svg`, text to `….txt`.

        Raises:
            ValueError: The name ends otherwise.
        """
        makers = {".html": self.html, ".svg": self.svg, ".txt": lambda: self._text(WIDTH) + "\n"}
        suffix = Path(path).suffix.lower()
        if suffix not in makers:
            raise ValueError(
                f"Expected a file name ending in .html, .svg or .txt, found {str(path)!r}: add one of them."
            )
        Path(path).write_text(makers[suffix](), encoding="utf-8")

    def drawing(self, widest: int | None = None) -> str:
        """Returns the graph drawn in text, values above and gradients below the edges; empty if it is too large.

        Args:
            widest: Of how many columns it may be; by default as many as the terminal has, or 120.
        """
        widest = columns() if widest is None else widest
        return drawing(self._view(None), widest) or drawing(self._view(True), widest)

    @property
    def title(self) -> str:
        """The function's name, and what the graph is."""
        return f"Gradient graph of {self.name}"

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return self._text(columns())

    def _text(self, widest: int) -> str:
        view = self._view(None)
        backward = [edge.key for edge in self.model.backward]
        edges = sorted(view.edges, key=lambda edge: min(backward.index(key) for key in edge.key.split("+")))
        sentences = "\n".join(sentence.text for sentence in self.verdict)
        parts = [self.drawing(widest), "backward, edge by edge:\n" + table(edges, view.vertices), sentences]
        return "\n\n".join(part for part in parts if part)

    @property
    def _long(self) -> bool:
        return len(self.model.testimony.units) > LONG and bool(self.model.layers)

    def _view(self, fold: bool | None) -> View:
        return self.model.view(() if (self._long if fold is None else fold) else None)
