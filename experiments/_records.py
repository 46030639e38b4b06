"""What runs write, and read back. A run's folder may come from anywhere, so nothing in it is believed."""

import io
import json
import math
import sys
from pathlib import Path
from typing import Any

from functional_nets.data import DataError, bounded

LARGEST_RECORD = 2**20
"""Bytes of a `config.json` or `result.json`; they have some two thousand."""

LARGEST_METRICS = 2**26
"""Bytes of a `metrics.jsonl`: `MOST_ROWS` of some 450 bytes."""

MOST_ROWS = 100_000

LARGEST_ROW = 2**12
COUNTS = ("epoch", "step")
MEASURES = ("train_loss", "seconds", "test_accuracy", "test_loss")

_RESTORE = "restore the file, or begin anew with --overwrite"


def as_json(value: Any, *, indent: int | None = None) -> str:
    """Returns the value as JSON, which has no word for NaN and infinity: they become null."""

    def sayable(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: sayable(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [sayable(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(sayable(value), indent=indent, allow_nan=False)


def read_record(path: Path) -> dict[str, Any]:
    """The object in a `config.json` or `result.json`.

    Raises:
        DataError: It is none, or cannot be read.
    """
    return bounded.parse_json(bounded.read(path, LARGEST_RECORD, _RESTORE), str(path), _RESTORE)


def read_metrics(path: Path, length: int | None = None) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`: `COUNTS`, `MEASURES` and perhaps more, each a number, or NaN for null.

    Args:
        path: The file, or where none is: no rows. A last line that a crash has cut is left out.
        length: How many of its bytes count; None means all.

    Raises:
        DataError: Another line is no such row, or the file cannot be read.
    """
    if length == 0 or not path.exists():
        return []
    content = bounded.read(path, LARGEST_METRICS, _RESTORE)[:length]
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(io.BytesIO(content), 1):
        origin = f"line {number} of {path}"
        if len(line) > LARGEST_ROW:
            raise DataError(f"Expected at most {LARGEST_ROW:,} bytes, found {len(line):,} in {origin}; {_RESTORE}.")
        try:
            rows.append(_row(line, origin))
        except DataError:
            if line.endswith(b"\n"):
                raise
    return rows


def _row(line: bytes, origin: str) -> dict[str, Any]:
    found = bounded.parse_json(line, origin, _RESTORE)
    row = {name: math.nan if value is None and name not in COUNTS else value for name, value in found.items()}
    for name in (*COUNTS, *MEASURES, *row):
        value = row.get(name)
        if not _is_number(value) or (name in COUNTS and not (type(value) is int and value >= 0)):
            kind = "count" if name in COUNTS else "number"
            raise DataError(
                f"Expected a {kind} as {bounded.shown(name)}, found {bounded.shown(value)} in {origin}; {_RESTORE}."
            )
    return {sys.intern(name): value for name, value in row.items()}  # One copy of each name for all rows.


def _is_number(value: Any) -> bool:
    # `type` rather than `isinstance`: true and false are no numbers here. JSON's integers have no bound.
    return type(value) is float or (type(value) is int and abs(value) < 2**63)
