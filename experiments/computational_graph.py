"""Apples and oranges: a computational graph with the values above and the gradients below each edge.

The shopping of "Deep Learning from Scratch", chapter 5, and of notebook `002`: two apples at 100 and three
oranges at 150, with 10 % tax, cost 715.0000000000001. If an orange becomes dearer by 1, the bill grows by
3.3. The book's layer objects and the tape give the same numbers to the last digit, and so does the notebook.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from experiments._command import OptionError, main, option
from experiments._graph_drawing import draw, graph, number
from functional_nets.backprop import Variable, backward
from functional_nets.backprop.layers import Add, Mul


@dataclass(frozen=True)
class Config:
    """What can be set."""

    apple: float = option(100.0, "price of an apple")
    apples: float = option(2.0, "apples bought")
    orange: float = option(150.0, "price of an orange")
    oranges: float = option(3.0, "oranges bought")
    tax: float = option(1.1, "factor that the tax multiplies the bill with")

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        for name, value in vars(self).items():
            if not math.isfinite(value):
                raise OptionError(f"Expected --{name} to be a finite number, found {value}.")


class Bill(NamedTuple):
    """What is to be paid, and by how much it grows with each number that it is made of."""

    total: float
    gradients: dict[str, float]


class Result(NamedTuple):
    """The two bills by two witnesses each, and the drawings.

    Attributes:
        apples: Apples only, by the layer objects.
        both: Apples and oranges, by the layer objects.
        tape: The same two, by the tape.
        drawings: The same two, as graphs.
    """

    apples: Bill
    both: Bill
    tape: tuple[Bill, Bill]
    drawings: tuple[str, str]


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


def by_tape(config: Config) -> tuple[tuple[Bill, Bill], tuple[str, str]]:
    """Returns both bills as plain arithmetic that the tape records, and what it recorded, drawn."""
    given = {name: Variable(value, name) for name, value in vars(config).items()}
    apples = given["apple"] * given["apples"]
    only = apples * given["tax"]
    both = (apples + given["orange"] * given["oranges"]) * given["tax"]
    bills = []
    for total in (only, both):
        gradients = backward(total)
        bills.append(
            Bill(float(total.data), {name: float(gradients[x]) for name, x in given.items() if x in gradients})
        )
    return (bills[0], bills[1]), (draw(graph(only)), draw(graph(both)))


def run(config: Config) -> Result:
    """Prints both graphs and returns their numbers."""
    config.check()
    apples, both = by_layers(config)
    tape, drawings = by_tape(config)
    result = Result(apples, both, tape, drawings)
    for title, bill, witness, drawing in zip(
        ("Apples", "Apples and oranges"), (apples, both), tape, drawings, strict=True
    ):
        print(f"{title}: values above, gradients below\n\n{drawing}\n")
        print(f"  to pay: {number(bill.total)}")
        for name, slope in bill.gradients.items():
            print(f"  for each 1 that {name} grows, the bill grows by {number(slope)}")
        same = bill == witness
        print(f"  the layer objects and the tape {'agree to the last digit' if same else 'DIFFER'}\n")
    return result


if __name__ == "__main__":
    main(Config, "computational_graph", __doc__, run)
