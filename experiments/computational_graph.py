"""Apples and oranges: a computational graph with the values above and the gradients below each edge.

The shopping of "Deep Learning from Scratch", chapter 5, and of notebook `002`: two apples at 100 and three
oranges at 150, with 10 % tax, cost 715.0000000000001. If an orange becomes dearer by 1, the bill grows by
3.3. The book's layer objects and the tape give the same numbers to the last digit, and so does the notebook; at
every edge of the graph the rules, `jax.grad` and finite differences agree. `--out graph.html` writes it as a page.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from experiments._command import OptionError, option
from experiments._main import main
from functional_nets.backprop import Variable, backward
from functional_nets.backprop.layers import Add, Mul
from functional_nets.report import GradientGraph, gradient_graph
from functional_nets.report.graph.symbols import exact

FORMATS = (".html", ".svg", ".txt")


@dataclass(frozen=True)
class Config:
    """What can be set."""

    apple: float = option(100.0, "price of an apple")
    apples: float = option(2.0, "apples bought")
    orange: float = option(150.0, "price of an orange")
    oranges: float = option(3.0, "oranges bought")
    tax: float = option(1.1, "factor that the tax multiplies the bill with")
    out: Path | None = option(None, "file for the graph of both fruits: .html for a page, .svg, .txt (default: none)")

    @property
    def numbers(self) -> dict[str, float]:
        """What the bill is made of."""
        return {name: value for name, value in vars(self).items() if name != "out"}

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        for name, value in self.numbers.items():
            if not math.isfinite(value):
                raise OptionError(f"Expected --{name} to be a finite number, found {value}.")
        if self.out is not None and self.out.suffix.lower() not in FORMATS:
            raise OptionError(f"Expected --out to end in {', '.join(FORMATS)}, found {self.out}: add one of them.")
        if self.out is not None and not self.out.parent.is_dir():
            raise OptionError(
                f"Expected --out in a folder that exists, found {self.out}: make {self.out.parent} first."
            )


class Bill(NamedTuple):
    """What is to be paid, and by how much it grows with each number that it is made of."""

    total: float
    gradients: dict[str, float]


class Result(NamedTuple):
    """The two bills by two witnesses each, and their graphs.

    Attributes:
        apples: Apples only, by the layer objects.
        both: Apples and oranges, by the layer objects.
        tape: The same two, by the tape.
        graphs: The same two, as graphs whose gradients have three more witnesses.
    """

    apples: Bill
    both: Bill
    tape: tuple[Bill, Bill]
    graphs: tuple[GradientGraph, GradientGraph]


def by_layers(config: Config) -> tuple[Bill, Bill]:
    """Returns both bills as notebook `002` computes them, layer by layer and back."""
    times_apples, times_oranges, plus, times_tax = Mul(), Mul(), Add(), Mul()
    apples = times_apples.forward(config.apple, config.apples)
    total = times_tax.forward(apples, config.tax)
    d_apples, d_tax = times_tax.backward(1)
    d_apple, d_number = times_apples.backward(d_apples)
    only = Bill(total, {"apple": d_apple, "apples": d_number, "tax": d_tax})

    total = times_tax.forward(plus.forward(apples, times_oranges.forward(config.orange, config.oranges)), config.tax)
    d_sum, d_tax = times_tax.backward(1)
    d_apples, d_oranges = plus.backward(d_sum)
    d_apple, d_number = times_apples.backward(d_apples)
    d_orange, d_count = times_oranges.backward(d_oranges)
    names = {"apple": d_apple, "apples": d_number, "orange": d_orange, "oranges": d_count, "tax": d_tax}
    return only, Bill(total, names)


def apples_bill(apple: Any, apples: Any, tax: Any) -> Any:
    """What apples cost."""
    return apple * apples * tax


def bill(apple: Any, apples: Any, orange: Any, oranges: Any, tax: Any) -> Any:
    """What apples and oranges cost."""
    return (apple * apples + orange * oranges) * tax


def by_tape(config: Config) -> tuple[Bill, Bill]:
    """Returns both bills as plain arithmetic that the tape records."""
    given = {name: Variable(value, name) for name, value in config.numbers.items()}
    bills = []
    for total in (apples_bill(given["apple"], given["apples"], given["tax"]), bill(**given)):
        gradients = backward(total)
        bills.append(
            Bill(float(total.data), {name: float(gradients[x]) for name, x in given.items() if x in gradients})
        )
    return bills[0], bills[1]


def graphs(config: Config) -> tuple[GradientGraph, GradientGraph]:
    """Returns the graphs of both bills."""
    numbers = config.numbers
    return (
        gradient_graph(apples_bill, *(numbers[name] for name in ("apple", "apples", "tax"))),
        gradient_graph(bill, *numbers.values()),
    )


def run(config: Config) -> Result:
    """Prints both graphs, writes one if asked to, and returns their numbers."""
    config.check()
    result = Result(*by_layers(config), by_tape(config), graphs(config))
    for title, found, witness, graph in zip(
        ("Apples", "Apples and oranges"), (result.apples, result.both), result.tape, result.graphs, strict=True
    ):
        print(f"{title}: values above, gradients below\n\n{graph}\n")
        print(f"  to pay: {exact(found.total)}")
        for name, slope in found.gradients.items():
            print(f"  for each 1 that {name} grows, the bill grows by {exact(slope)}")
        same = found == witness
        print(f"  the layer objects and the tape {'agree to the last digit' if same else 'DIFFER'}\n")
    if config.out is not None:
        result.graphs[1].save(config.out)
        print(f"written: {config.out}")
    return result


if __name__ == "__main__":
    main(Config, "computational_graph", __doc__, run)
