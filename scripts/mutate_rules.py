#!/usr/bin/env python
"""Change every formula of the rule table in turn, and see whether a test notices.

    python scripts/mutate_rules.py [--page rules.arithmetic] [--verbose]

Each change is a slip that a person could make: a sign, a factor, the other operand, a swapped pair, a missing sum, a
comparison. Then the cases of `tests/backprop/rule_cases` run, against `jax.vjp` and against differences. The values and
the linear maps that the rules are made of are changed too; special functions have tests of their own.

Prints how many of the changes were caught, and each that was not. A change in `EQUIVALENT` cannot be, for the reason
that stands there; any other is a case that is missing, and the exit status is 1.
"""

import argparse
import ast
import contextlib
import importlib
import inspect
import signal
import sys
import time
import types
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from functional_nets.backprop.rules import RULES
from functional_nets.backprop.values import VALUES
from tests.backprop.rule_cases.changes import changes, replaced
from tests.backprop.rule_cases.check import CASES, check_all
from tests.backprop.rule_cases.equivalent import EQUIVALENT

TABLES = {"rule": RULES, "value": VALUES}
PAGES = (
    "rules.arithmetic", "rules.functions", "rules.linear", "rules.shapes", "rules.reductions", "rules.scans",
    "rules.contractions", "rules.windows", "rules.indexing", "values.arithmetic", "values.functions", "values.shapes",
    "values.reductions", "values.contractions", "values.windows", "values.indexing", "linear", "indexing", "pooling",
    "convolution",
)  # fmt: skip

SECONDS = 30  # A changed rule that takes longer is caught: it does not end.


class Mutant(NamedTuple):
    """A changed page: what was there and is there now, whose it is, and the primitives that it concerns."""

    owner: str
    before: str
    after: str
    line: int
    names: tuple[str, ...]
    tree: ast.Module

    def __str__(self) -> str:
        return f"{self.owner}: {self.before} → {self.after}"


class TooSlowError(Exception):
    """A changed rule did not come to an end in time."""


def users() -> dict[tuple[str, str], tuple[str, ...]]:
    """Run all cases as they are; return for each function of the package the primitives whose cases call it."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name in sorted({case.name for case in CASES}):

        def note(frame: types.FrameType, event: str, _: Any, name: str = name) -> None:
            if event == "call" and "functional_nets/backprop" in frame.f_code.co_filename:
                found[Path(frame.f_code.co_filename).stem, frame.f_code.co_qualname].add(name)

        check_all(name)  # What is slow is done once, before.
        sys.setprofile(note)
        check_all(name)
        sys.setprofile(None)
    return {key: tuple(sorted(names)) for key, names in found.items()}


def mutants(page: ast.Module, stem: str, used: dict[tuple[str, str], tuple[str, ...]]) -> Iterator[Mutant]:
    """Yield every change of a page, one at a time."""
    for owner, code, names in owners(page, stem, used):
        for node, other in changes(code):
            before, after = ast.unparse(node), ast.unparse(other)
            if before != after and names:
                yield Mutant(owner, before, after, getattr(node, "lineno", 0), names, replaced(page, node, other))


def owners(
    page: ast.Module, stem: str, used: dict[tuple[str, str], tuple[str, ...]]
) -> Iterator[tuple[str, ast.AST, tuple[str, ...]]]:
    """Yield each registered formula and each function of a page, with the primitives that it concerns."""
    for statement in page.body:
        if isinstance(statement, ast.FunctionDef):
            inner = [
                names for (file, name), names in used.items() if file == stem and name.split(".")[0] == statement.name
            ]
            yield statement.name, statement, tuple(sorted({name for names in inner for name in names}))
        if isinstance(statement, ast.ClassDef):
            for method in statement.body:
                if isinstance(method, ast.FunctionDef):
                    owner = f"{statement.name}.{method.name}"
                    yield owner, method, used.get((stem, owner), ())
        found = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id in TABLES:
            name, formula = ast.literal_eval(found.args[0]), found.args[1]
            if not isinstance(formula, ast.Name | ast.Attribute):
                yield name, formula, (name,)


@contextlib.contextmanager
def in_force(mutant: Mutant, module: types.ModuleType) -> Iterator[None]:
    """Run the changed page; have what it registers in the tables, and its functions' code in the functions."""
    tables = [(table, dict(table)) for table in TABLES.values()]
    codes: list[tuple[types.FunctionType, types.CodeType]] = []
    space: dict[str, Any] = {"__name__": module.__name__}
    try:
        exec(compile(mutant.tree, str(mutant), "exec"), space)
        for table, before in tables:
            new = {
                name: entry for name, entry in table.items() if name in mutant.names and entry is not before.get(name)
            }
            table.clear()
            table.update(before | new)
        if "." not in module.__name__.removeprefix("functional_nets.backprop."):
            old, new_code = (innermost(each, mutant.owner) for each in (vars(module), space))
            codes.append((old, old.__code__))
            old.__code__ = new_code.__code__
        yield
    finally:
        for table, before in tables:
            table.clear()
            table.update(before)
        for function, code in codes:
            function.__code__ = code


def innermost(space: Any, owner: str) -> types.FunctionType:
    """Return the function by its name, or by its class and name, without what decorates it."""
    first, _, method = owner.partition(".")
    found = inspect.getattr_static(space[first], method) if method else space[first]
    found = found.fget if isinstance(found, property) else found
    return inspect.unwrap(found)


def caught(mutant: Mutant, module: types.ModuleType) -> str:
    """Return how a case fails on the changed page: by a wrong `number` or by an `error`; or nothing."""

    def stop(*_: Any) -> None:
        raise TooSlowError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with in_force(mutant, module):
            for name in mutant.names:
                check_all(name)
    except (AssertionError, pytest.fail.Exception):
        return "number"
    except Exception:
        return "error"
    finally:
        signal.alarm(0)
    return ""


def main() -> int:
    """Change what is asked for, and print what no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", action="append", choices=PAGES, help="a page of the table (default: all)")
    parser.add_argument("--verbose", action="store_true", help="print the changes that were caught, too")
    options = parser.parse_args()
    warnings.simplefilter("error")

    start = time.perf_counter()
    used = users()
    print(f"all cases hold as it is ({time.perf_counter() - start:.0f} s)")
    total, equivalent, survivors, by = 0, 0, 0, Counter[str]()
    for page in options.page or PAGES:
        module = importlib.import_module(f"functional_nets.backprop.{page}")
        here = list(mutants(ast.parse(inspect.getsource(module)), page.split(".")[-1], used))
        seen = 0
        for mutant in here:
            if how := caught(mutant, module):
                by[how] += 1
                seen += 1
                verdict = "caught   " if options.verbose else ""
            elif str(mutant) in EQUIVALENT:
                equivalent += 1
                verdict = "equal    " if options.verbose else ""
            else:
                survivors += 1
                verdict = "survived "
            if verdict:
                print(f"{verdict} {page}:{mutant.line} {mutant}", flush=True)
        print(f"{page}: {seen} of {len(here)} caught", flush=True)
        total += len(here)
    print(
        f"caught / mutated: {by.total()} / {total}, {by['error']} of them by an error; {equivalent} change nothing, "
        f"{survivors} survive ({time.perf_counter() - start:.0f} s)"
    )
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
