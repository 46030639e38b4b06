"""Check a gradient from the command line.

    python -m functional_nets.gradcheck MODULE:LOSS --manual MODULE:GRAD --inputs FILE.npz

FILE.npz holds what the loss is called with:

    params/NAME     an array of the parameters; params/dense/w is params["dense"]["w"]
    params          the parameters, if they are a single array
    arg0, arg1, …   what loss(params, …) takes beside them

Exit status: 0 the gradient is right, 1 it is wrong, 2 the input cannot be used.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from functional_nets.data import DataError, bounded, npz

LARGEST = 2**28
"""Bytes that all arrays of FILE.npz may have together."""

DEEPEST = 30
"""Names on the way to an array: JAX goes down a tree by recursion, which has an end."""


class BadInputError(Exception):
    """What was expected, what was found, and what to do, in one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the report and returns the exit status."""
    parser = _Parser(
        prog="python -m functional_nets.gradcheck",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("loss", metavar="MODULE:LOSS", help="the loss, loss(params, *args) -> scalar, in JAX")
    parser.add_argument(
        "--manual",
        metavar="MODULE:GRAD",
        help="the gradient to test, grad(params, *args) -> a tree like params; without it, jax.grad is tested",
    )
    parser.add_argument("--inputs", metavar="FILE.npz", required=True, type=Path, help="params and args, as above")
    parser.add_argument("--order", type=int, choices=(1, 2), default=1, help="2 checks the second derivative, too")
    parser.add_argument("--forward", action="store_true", help="check forward mode, jax.jvp, too")
    parser.add_argument("--batched", action="store_true", help="check that jax.vmap of the gradient is that of each")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    try:
        options = parser.parse_args(argv)
        params, args = read(options.inputs)
        loss = function(options.loss)
        manual = function(options.manual) if options.manual else None
        _try(loss, params, args, options.inputs)
        from functional_nets.gradcheck import check

        report = check(
            loss, params, *args,
            manual=manual, order=options.order, forward=options.forward, batched=options.batched,
        )  # fmt: skip
    except (BadInputError, ValueError, TypeError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(report.to_json() if options.json else report)
    return 0 if report.ok else 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInputError(f"{message}; {self.format_usage().strip()}")


def function(name: str) -> Callable[..., Any]:
    """Returns the function that `MODULE:NAME` names.

    Raises:
        BadInputError: There is none.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise BadInputError(f"Expected MODULE:NAME, found {name!r}: write my_module:my_function.")
    sys.path.insert(0, "")  # Modules of the working folder, also where the command is run by its path.
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise BadInputError(f"Expected a module {module!r} that can be imported, found: {error}.") from error
    finally:
        sys.path.remove("")
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise BadInputError(f"Expected a function {attribute!r} in {module!r}, found none: check its name.")
    return found


def _try(loss: Callable[..., Any], params: Any, args: Sequence[Any], file: Path) -> None:
    """Raises BadInputError when the loss cannot be called with what the file holds: a name or a shape is another."""
    try:
        loss(params, *args)
    except Exception as error:  # A loss is the user's: it raises what it likes.
        raise BadInputError(
            f"Expected a loss that takes what {file} holds, found {type(error).__name__}: {error}."
        ) from error


def read(file: Path) -> tuple[Any, list[Any]]:
    """Returns the parameters and the other arguments that a file holds.

    Raises:
        BadInputError: It is no such file.
    """
    try:
        held = npz.read(file, largest=LARGEST)
    except DataError as error:
        raise BadInputError(str(error)) from error
    known = [name for name in held if name == "params" or name.startswith("params/") or name[:3] == "arg"]
    if strange := [bounded.shown(name) for name in held if name not in known]:
        raise BadInputError(f"Expected params/NAME and arg0, arg1, … in {file}, found {strange[0]!r}: rename it.")
    args: list[Any] = []
    while f"arg{len(args)}" in held:
        args.append(held[f"arg{len(args)}"])
    if len(args) < sum(name[:3] == "arg" for name in held):
        raise BadInputError(f"Expected arg0, arg1, … without a gap in {file}, found no arg{len(args)}: number them.")
    return _parameters({name: array for name, array in held.items() if name[:3] != "arg"}, file), args


def _parameters(held: dict[str, Any], file: Path) -> Any:
    """The tree whose leaves the arrays are, or the one array that is all of it."""
    if not held:
        raise BadInputError(f"Expected params/NAME in {file}, found none.")
    if list(held) == ["params"]:
        return held["params"]
    if "params" in held:
        raise BadInputError(f"Expected params or params/NAME in {file}, found both: rename one.")
    tree: dict[str, Any] = {}
    for name, array in held.items():
        _, *outer, last = name.split("/")
        if len(outer) > DEEPEST or not all((*outer, last)) or not name.isprintable():
            raise BadInputError(f"Expected names params/NAME/NAME… in {file}, found {bounded.shown(name)}: rename it.")
        branch: Any = tree
        for key in outer:
            branch = branch.setdefault(key, {}) if isinstance(branch, dict) else None
        if not isinstance(branch, dict) or last in branch:
            raise BadInputError(f"Expected each of params/NAME in {file} once, found two at {name}: rename one.")
        branch[last] = array
    return tree


if __name__ == "__main__":
    sys.exit(main())
