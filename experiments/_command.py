"""Turns a frozen dataclass into a command line whose every error is one line."""

import argparse
import dataclasses
import re
import shlex
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

Config = TypeVar("Config")

DISPLAY = ("quiet", "json", "tensorboard")
"""Options that decide what is shown, and nothing else."""
OF_THE_MOMENT = ("coordinator", "processes", "process_id", "join_seconds")
"""Options that tell where a run runs, and nothing of what it is."""

EXIT_BAD_INPUT = 2


class OptionError(ValueError):
    """An option's value cannot be used; the message is one line."""


def option(default: Any, help: str, choices: Sequence[str] = ()) -> Any:
    """Returns a dataclass field with the text that `--help` shows for it; one of type `tuple[…, …]` takes several."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": tuple(choices)})


def argument(help: str, *, optional: bool = False) -> Any:
    """Returns a dataclass field that is given by its place; a field of type `tuple[…, …]` takes several.

    Args:
        help: What `--help` says.
        optional: Whether there may be none: an empty tuple.
    """
    metadata = {"help": help, "choices": (), "positional": True}
    return dataclasses.field(default=(), metadata=metadata) if optional else dataclasses.field(metadata=metadata)


class OneLineParser(argparse.ArgumentParser):
    """An argparse parser that reports an error without the usage before it."""

    def error(self, message: str) -> NoReturn:
        """Writes one line on standard error and exits with status 2.

        Python's own messages are put as all others here: what was expected, what was found.
        """
        for pattern, line in (
            (r"unrecognized arguments: (.*)", r"expected options of this experiment, found \1"),
            (r"argument (--\S+): expected (?:one|at least one) argument", r"expected a value after \1, found none"),
            (r"argument (--\S+): ignored explicit argument (.*)", r"expected no value for \1, found \2"),
            (r"the following arguments are required: (.*)", r"expected \1, found none"),
            (r"argument \S+: (.*)", r"\1"),
        ):
            message = re.sub(f"^{pattern}$", line, message)
        print(f"{message[:1].upper()}{message[1:]}: {self.prog} --help lists the options.", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT)


def parse(
    config_class: type[Config],
    name: str,
    description: str,
    arguments: Sequence[str] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Config:
    """Returns the configuration that the command line asks for.

    Field names become options, `learning_rate` becomes `--learning-rate`; a boolean that is true by
    default becomes `--no-…`.

    Args:
        config_class: A frozen dataclass whose fields are made by `option`.
        name: The experiment's.
        description: What `--help` says first.
        arguments: The words after the command; by default those of this process.
        defaults: Values, by field, of options that are not given, instead of the fields' own.

    Raises:
        SystemExit: With status 2 after one line on standard error, or 0 after `--help`.
    """
    parser = OneLineParser(
        prog=f"python -m experiments.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):  # type: ignore[arg-type]  # mypy: a TypeVar is no dataclass.
        _add_option(parser, field, hints[field.name])
    parser.set_defaults(**(defaults or {}))
    values = vars(parser.parse_args(arguments))
    return config_class(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _add_option(parser: argparse.ArgumentParser, field: dataclasses.Field, hint: Any) -> None:
    if field.metadata.get("positional"):
        _add_argument(parser, field, hint)
        return
    flag = "--" + field.name.replace("_", "-")
    text = field.metadata["help"].replace("%", "%%")
    if hint is bool:
        flag = flag.replace("--", "--no-", 1) if field.default else flag
        action = "store_false" if field.default else "store_true"
        parser.add_argument(flag, dest=field.name, action=action, help=text)
        return
    kind = next((part for part in typing.get_args(hint) if part is not types.NoneType), hint)
    shown = "" if field.default in (None, ()) else f" (default: {field.default})"
    choices = field.metadata["choices"]
    parser.add_argument(
        flag,
        dest=field.name,
        default=field.default,
        type=_converter(flag, kind, choices),
        metavar="{" + ",".join(choices) + "}" if choices else kind.__name__.upper(),
        help=text + shown,
        nargs="+" if typing.get_origin(hint) is tuple else None,
    )


def _add_argument(parser: argparse.ArgumentParser, field: dataclasses.Field, hint: Any) -> None:
    kind, *several = typing.get_args(hint) or (hint,)
    name = field.name.upper()
    parser.add_argument(
        field.name,
        type=_converter(name, kind, ()),
        metavar=name,
        help=field.metadata["help"],
        nargs=None if not several else "+" if field.default is dataclasses.MISSING else "*",
    )


def _converter(flag: str, kind: type, choices: Sequence[str]) -> Callable[[str], Any]:
    wanted = {int: "a whole number", float: "a number", Path: "a path", str: "a word"}[kind]

    def convert(text: str) -> Any:
        if choices and text not in choices:
            raise argparse.ArgumentTypeError(f"expected {flag} to be one of {', '.join(choices)}, found {text!r}")
        try:
            if kind is Path and not text:
                raise ValueError
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {wanted} for {flag}, found {text!r}") from None

    return convert


def command_line(name: str, config: Any) -> str:
    """Returns the command that runs an experiment again with this configuration, into a new folder.

    What the run only showed is left out.
    """
    words = ["python", "-m", f"experiments.{name}"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value == field.default or field.name in ("out", "overwrite", "resume", *DISPLAY, *OF_THE_MOMENT):
            continue
        flag = "--" + field.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, *map(str, value if isinstance(value, tuple) else [value])]
    return shlex.join(words)


def printable(text: str) -> str:
    """Returns a text from a file, perhaps, in which nothing is left that a terminal would obey."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
