"""Runs an experiment as a command: from its options, or those of the run that it resumes, to the exit status."""

import os
import signal
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments._command import EXIT_BAD_INPUT, OF_THE_MOMENT, Config, OptionError, parse, printable

EXIT_NON_FINITE_LOSS = 3


def main(config_class: type[Config], name: str, description: str, run: Callable[[Config], Any]) -> None:
    """Parses the command line, runs the experiment and ends the process with the contract's exit status.

    0 done; 2 bad option or input, one line on standard error; 3 a loss was NaN or infinite; 4 another process of
    the same run was lost; 130 or 143 stopped by SIGINT or SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # A name that the terminal cannot show ends no run.
    config: Any = parse(config_class, name, description)
    if getattr(config, "resume", False) and config.out is not None:
        config = parse(config_class, name, description, defaults=options_of_run(config_class, config.out))
    if getattr(config, "strict", False):
        os.environ["PJRT_NPROC"] = "1"  # Read when JAX first computes, which nothing has had it do so far.
    # Imported after parsing, so that --help and a mistyped option answer at once.
    from experiments._processes import several_processes
    from functional_nets.data import DataError
    from functional_nets.training import (
        CheckpointError,
        DevicesError,
        NonFiniteLossError,
        ProcessesError,
        WrongArithmeticError,
        keep_programs,
    )

    keep_programs()
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # As experiments/__init__.py has left it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with several_processes(config):
            run(config)
    except (OptionError, DataError, CheckpointError, DevicesError, ProcessesError, WrongArithmeticError) as error:
        print(printable(str(error)), file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT) from None
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        print(
            f"Expected to read and write the run's files, found {error.strerror or error}{name}: "
            "make room or mend the permissions, and say --resume if the run has begun.",
            file=sys.stderr,
        )
        raise SystemExit(EXIT_BAD_INPUT) from None
    except NonFiniteLossError as error:
        print(error, file=sys.stderr)
        raise SystemExit(EXIT_NON_FINITE_LOSS) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def options_of_run(config_class: type, folder: Path) -> dict[str, Any]:
    """Returns what the run in a folder was told, so that `--resume` need not be told again; empty if there is none.

    Of `--epochs` and `--steps`, one that is given on the command line stands alone.
    """
    from experiments._records import read_record
    from functional_nets.data import DataError

    try:
        found = read_record(folder / "config.json") if (folder / "config.json").is_file() else {}
    except DataError as error:
        print(error, file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT) from None
    if "swept" in found:  # A sweep's record says of itself that it is one, as a run's says which experiment it is.
        found["experiment"] = found["swept"]
    own = {"out", "overwrite", "resume", "allow_inexact", "quiet", "json", *OF_THE_MOMENT}
    if any(word.partition("=")[0] in ("--epochs", "--steps") for word in sys.argv):
        own |= {"epochs", "steps"}
    hints = typing.get_type_hints(config_class)
    return {name: value for name, value in found.items() if name in hints.keys() - own and _suits(value, hints[name])}


def _suits(value: Any, hint: Any) -> bool:
    kinds = {kind for kind in (*typing.get_args(hint), hint) if isinstance(kind, type)}
    if typing.get_origin(hint) is tuple:
        return isinstance(value, list) and all(type(each) in kinds for each in value)
    # A path is text in JSON, and text is converted as a word of the command line is.
    as_word = isinstance(value, str) and bool not in kinds
    return type(value) in kinds or as_word or (type(value) is int and float in kinds)
