"""`table.json` of a sweep: what it searches and what its trials have found. Nothing in the file is believed."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from experiments._command import OptionError
from experiments._folder import RunFolder
from experiments._search import Search
from functional_nets.data import DataError, bounded
from functional_nets.report.sweep import Tried

NAME = "table.json"
LARGEST = 2**26
"""Bytes of a `table.json`."""
MOST_TRIALS = 100_000
"""Trials whose table is no larger, however many options they differ in."""

_RESTORE = "restore the file, or begin anew with --overwrite"


class Table(NamedTuple):
    """What a sweep has done so far.

    Attributes:
        contract: What must be the same when it goes on.
        seconds: The time that its programs took, with compiling.
        tried: The trials that have ended.
    """

    contract: dict[str, Any]
    seconds: float
    tried: list[Tried]

    def write(self, folder: RunFolder, command: str | None) -> None:
        """Writes the file, whole or as it was; `command` is what repeats the best trial."""
        rows = [each._asdict() for each in sorted(self.tried, key=lambda each: each.trial)]
        table = {"sweep": self.contract, "seconds": round(self.seconds, 4), "best": command, "trials": rows}
        folder.write(NAME, json.dumps(table, indent=1) + "\n")


def read_table(folder: Path, contract: dict[str, Any], search: Search) -> Table:
    """Returns what the sweep in a folder has done.

    Raises:
        OptionError: When there is none, or it is another sweep; the message says in what.
        DataError: When the file is not as a sweep writes it.
    """
    path = folder / NAME
    if not path.is_file():
        raise OptionError(f"Expected a sweep to go on with in {folder}, found no {NAME}: begin one without --resume.")
    found = bounded.parse_json(bounded.read(path, LARGEST, _RESTORE), str(path), _RESTORE)
    was = found.get("sweep")
    if not isinstance(was, dict):
        raise OptionError(f"Expected a sweep to go on with in {folder}, found another table: name another folder.")
    for name, value in contract.items():
        if was.get(name) != value:
            raise OptionError(
                f"Expected {name} of the sweep in {folder}, {bounded.shown(was.get(name))}, "
                f"found {bounded.shown(value)}: give the same, or another --out."
            )
    rows, seconds = found.get("trials"), found.get("seconds")
    if not isinstance(rows, list) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise DataError(f"Expected trials and seconds in {path}, found none; {_RESTORE}.")
    tried = [_row(row, search, path) for row in rows]
    if len({each.trial for each in tried}) < len(tried):
        raise DataError(f"Expected each trial once in {path}, found one twice; {_RESTORE}.")
    return Table(contract, seconds, tried)


def _row(row: Any, search: Search, path: Path) -> Tried:
    """A row of the table, which must be of a trial of this sweep."""
    if isinstance(row, dict) and set(row) == set(Tried._fields):
        tried = Tried(**row)
        scores = (tried.test_accuracy, tried.test_loss, tried.train_loss)
        diverged = type(tried.diverged_at) is int and tried.diverged_at > 0 and scores == (None, None, None)
        stopped = tried.stopped_at is None or (type(tried.stopped_at) is int and tried.stopped_at > 0)
        measured = tried.diverged_at is None and all(map(_is_number, scores)) and 0 <= (tried.test_accuracy or 0) <= 1
        if type(tried.trial) is int and search.holds(tried.trial, tried.options) and stopped and (diverged or measured):
            return tried
    raise DataError(f"Expected a trial of this sweep, found {bounded.shown(row)} in {path}; {_RESTORE}.")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
