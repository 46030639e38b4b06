"""Five witnesses of every gradient here: the layer objects, the tape, the walk, finite differences and `jax.grad`.

For every model and loss of the package, in float64: the largest relative error of each pair, and the seconds
that each witness took. Gradients agree to 1e-10; differences along a random direction, two evaluations a step
whatever the number of parameters, to what they can tell. The exit status is 1 if any two disagree.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments._command import OptionError, option
from experiments._gradient_cases import NAMES, Case, cases
from experiments._main import main
from functional_nets.backprop import numeric, tape
from functional_nets.backprop.numeric import DirectionalResult
from functional_nets.gradcheck.program import active_nodes, gradient, walk
from functional_nets.gradcheck.trace import trace
from functional_nets.gradcheck.witnesses import jax_gradient

EXIT_DISAGREES = 1
BOUND = 1e-10  # Of the relative error between two gradients in float64.
DIFFERENCES = "differences"


@dataclass(frozen=True)
class Config:
    """What can be set."""

    only: str | None = option(None, "the one model or loss to check (default: all)", NAMES)
    batch_size: int = option(64, "examples of a batch")
    seed: int = option(0, "seed of parameters, examples and directions")

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        if self.batch_size < 1:
            raise OptionError(f"Expected --batch-size of at least 1, found {self.batch_size}.")
        if self.seed < 0:
            raise OptionError(f"Expected --seed of at least 0, found {self.seed}.")


class Comparison(NamedTuple):
    """What the witnesses of one gradient say.

    Attributes:
        title: The model and the loss.
        parameters: How many numbers are differentiated by.
        seconds: What each witness took; of `jax.grad` that is mostly the compilation.
        errors: The largest relative error of each pair; with the differences, that of the slope along a direction.
        verdict: What the differences say, as `numeric.directional_check` puts it.
        ok: Whether all agree.
    """

    title: str
    parameters: int
    seconds: dict[str, float]
    errors: dict[tuple[str, str], float]
    verdict: str
    ok: bool


def compare(case: Case, seed: int = 0) -> Comparison:
    """Returns the comparison of all witnesses of a case."""
    witnesses: dict[str, Callable[[], Any]] = {
        "tape": lambda: tape.grad(case.plain)(case.params, *case.args),
        "walk": lambda: _walked(case),
        "jax.grad": lambda: jax_gradient(case.loss_fn, case.params, *case.args),
    }
    if case.layered is not None:
        layered = case.layered
        witnesses = {"layers": lambda: layered(case.params, *case.args), **witnesses}
    found: dict[str, list[Any]] = {}
    seconds: dict[str, float] = {}
    for name, witness in witnesses.items():
        start = time.perf_counter()
        found[name] = [np.asarray(leaf) for leaf in jax.tree.leaves(witness())]
        seconds[name] = time.perf_counter() - start
    start = time.perf_counter()
    measured = _measured(case, found["walk"], seed)
    seconds[DIFFERENCES] = time.perf_counter() - start
    errors = {pair: _apart(*(found[name] for name in pair)) for pair in itertools.combinations(found, 2)}
    ok = all(error <= BOUND for error in errors.values()) and measured.verdict != "differs"
    slope = abs(measured.analytic - measured.numeric) / (max(abs(measured.analytic), abs(measured.numeric)) or 1.0)
    # The gradients agree so closely that the slope of one stands for all.
    errors |= {(name, DIFFERENCES): slope for name in found}
    count = sum(np.size(leaf) for leaf in jax.tree.leaves(case.params))
    return Comparison(case.title, count, seconds, errors, measured.verdict, ok)


def _walked(case: Case) -> list[Any]:
    program = trace(case.loss_fn, case.params, *case.args)
    return gradient(program, walk(program, active_nodes(program, program.leaves)))


def _measured(case: Case, grads: list[Any], seed: int) -> DirectionalResult:
    tree = jax.tree.unflatten(jax.tree.structure(case.params), grads)
    return numeric.directional_check(lambda params: case.plain(params, *case.args), case.params, tree, seed=seed)


def _apart(a: list[Any], b: list[Any]) -> float:
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        if x.shape != y.shape:
            return np.inf
        size = max(np.max(np.abs(x), initial=0.0), np.max(np.abs(y), initial=0.0))
        worst = max(worst, float(np.max(np.abs(x - y), initial=0.0) / (size or 1.0)))
    return worst


def table(comparison: Comparison) -> str:
    """Returns a triangle of errors, one row and one column for each witness."""
    names = list(comparison.seconds)
    rows = [["", "seconds", *names[:-1]]]
    for place, name in enumerate(names):
        errors = (comparison.errors[other, name] for other in names[:place])
        rows.append([name, f"{comparison.seconds[name]:.3f}", *(f"{error:.0e}" for error in errors)])
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(rows[0]))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    ]
    verdict = f"ok; finite differences: {comparison.verdict.replace('_', ' ')}" if comparison.ok else "THEY DISAGREE"
    size = f"{comparison.parameters:,} numbers, {sum(comparison.seconds.values()):.2f} s"
    return "\n".join([f"{comparison.title} ({size}): {verdict}", *lines])


def run(config: Config) -> dict[str, Comparison]:
    """Prints the table of each case; returns the comparisons by the case's name."""
    config.check()
    found = {}
    for name, build in cases(config.batch_size, config.seed).items():
        if config.only in (None, name):
            found[name] = compare(build(), config.seed)
            print(f"{table(found[name])}\n", flush=True)
    worst = max(error for each in found.values() for pair, error in each.errors.items() if DIFFERENCES not in pair)
    wrong = [name for name, comparison in found.items() if not comparison.ok]
    print(
        f"largest relative error between two gradients: {worst:.1e}" + (f"; WRONG: {', '.join(wrong)}" if wrong else "")
    )
    return found


def command(config: Config) -> None:
    """Runs the experiment; ends with status 1 if any two witnesses disagree."""
    if not all(comparison.ok for comparison in run(config).values()):
        raise SystemExit(EXIT_DISAGREES)


if __name__ == "__main__":
    main(Config, "gradient_check", __doc__, command)
