"""What a gradient check has found, for people (`str`) and for programs (attributes, JSON)."""

import json
import linecache
from typing import Any, NamedTuple

from functional_nets.gradcheck.cells import shown_file


class Leaf(NamedTuple):
    """One array of the gradient.

    Attributes:
        path: Where it stands in the tree, such as `dense1/w`.
        shape: The shape that the gradient should have.
        relative_error: The largest difference, divided by the largest element of either array.
        worst_index: Where that difference is.
        ok: Whether the difference can be explained by rounding.
        given: The element given there, None when the shapes differ.
        expected: The element that it should be.
        power: The smallest relative error that this check would have seen here.
    """

    path: str
    shape: tuple[int, ...]
    relative_error: float
    worst_index: tuple[int, ...]
    ok: bool
    given: float | complex | None
    expected: float | complex | None
    power: float


class Cause(NamedTuple):
    """A mistake that reproduces the given gradient.

    Attributes:
        mistake: Its kind, one of the contract's identifiers.
        op: The operation in whose backward pass it is made.
        file: The file of the user's forward code.
        line: The line there.
        leaves: The leaves that it changes.
        residual: The largest relative difference that is left when the mistake is made on purpose.
        message: What is wrong and what to write instead, in a sentence.
        witness: Which further witness has seen it, such as `vmap`; empty for the gradient itself.
    """

    mistake: str
    op: str
    file: str | None
    line: int | None
    leaves: tuple[str, ...]
    residual: float
    message: str
    witness: str = ""


class Suspect(NamedTuple):
    """An operation that lies in the smallest region which must hold an error that no known mistake explains."""

    op: str
    file: str | None
    line: int | None


class Report(NamedTuple):
    """The result of a gradient check.

    Attributes:
        ok: Whether nothing is wrong.
        leaves: One entry per array of the gradient, and per array that a further witness has compared.
        causes: Mistakes that reproduce the gradient given, the most plausible first.
        suspects: Where the error must lie when there are no causes.
        notes: What is no mistake but worth knowing.
        witnesses: For each independent computation of the gradient, its largest relative error against the
            backward walk.
    """

    ok: bool
    leaves: tuple[Leaf, ...]
    causes: tuple[Cause, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    notes: tuple[str, ...] = ()
    witnesses: dict[str, float] = {}  # noqa: RUF012  Never written to.

    def __bool__(self) -> bool:
        return self.ok  # So that `assert check(…)` means what it says.

    def to_json(self) -> str:
        """Returns the report as JSON text."""
        return json.dumps(_plain(self), indent=2)

    def __str__(self) -> str:
        parts = [_headline(self), _table(self.leaves)]
        if not self.ok:
            parts.append(_explanation(self))
        parts += [f"note: {note}" for note in self.notes]
        return "\n".join(part for part in parts if part)


class GradientMismatch(AssertionError):
    """The gradient is wrong; `report` says how and, if it could be found, where and why."""

    def __init__(self, report: Report):
        super().__init__(f"\n{report}")
        self.report = report


def _headline(report: Report) -> str:
    wrong = [leaf for leaf in report.leaves if not leaf.ok]
    if report.ok:
        worst = max((leaf.relative_error for leaf in report.leaves), default=0.0)
        return f"gradient check: ok, {_count(report.leaves, 'agree')}, largest relative error {worst:.1e}"
    if not wrong:
        return f"gradient check: WRONG, though {_count(report.leaves, 'agree')}"
    return f"gradient check: WRONG in {len(wrong)} of {_count(report.leaves)}"


def _count(leaves: tuple[Leaf, ...], verb: str = "") -> str:
    if len(leaves) == 1:
        return "1 array" + (f" {verb}s" if verb else "")
    return f"{len(leaves)} arrays" + (f" {verb}" if verb else "")


def _table(leaves: tuple[Leaf, ...]) -> str:
    rows: list[tuple[str, ...]] = [("", "array", "relative error", "worst at", "given", "expected")]
    for leaf in leaves:
        index = "[" + ", ".join(map(str, leaf.worst_index)) + "]" if leaf.worst_index else ""
        given = "other shape" if leaf.given is None else f"{leaf.given:.6g}"
        expected = "" if leaf.expected is None else f"{leaf.expected:.6g}"
        mark = "ok" if leaf.ok else "WRONG"
        detail = ("", "", "") if leaf.ok else (index, given, expected)
        rows.append((mark, leaf.path, f"{leaf.relative_error:.1e}", *detail))
    if all(leaf.ok for leaf in leaves):
        rows = [row[:3] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _explanation(report: Report) -> str:
    seen = [f"{_place(cause.file, cause.line)}\n  {cause.message}" for cause in report.causes if cause.witness]
    causes = [cause for cause in report.causes if not cause.witness]
    parts = [_of_gradient(report, causes)] if causes or report.suspects or not seen else []
    return "\n".join([*parts, *seen])


def _of_gradient(report: Report, causes: list[Cause]) -> str:
    if not causes:
        if not report.suspects:
            return "No known mistake reproduces this gradient."
        lines = dict.fromkeys(_place(suspect.file, suspect.line) for suspect in report.suspects)
        shown = "\n".join(f"  {line}" for line in lines)
        return f"No known mistake reproduces this gradient. The error must lie in the backward of:\n{shown}"
    first, *others = causes
    parts = [
        f"{_place(first.file, first.line)}",
        f"  {first.message}",
        # What was seen directly, as a gradient that grows from call to call, was not made on purpose.
        f"  ({first.mistake}; making this mistake on purpose gives your numbers, up to {first.residual:.0e})"
        if first.residual
        else f"  ({first.mistake})",
    ]
    if others:
        parts.append("The same numbers would also come from:")
        parts += [f"  {_place(c.file, c.line, source=False)}: {c.message} ({c.mistake})" for c in others[:3]]
    return "\n".join(parts)


def _place(file: str | None, line: int | None, *, source: bool = True) -> str:
    if file is None or line is None:
        return "in the gradient itself"
    text = linecache.getline(file, line).strip() if source else ""
    return f"{shown_file(file)}:{line}" + (f"    {text}" if text else "")


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, complex):
        return {"real": _plain(value.real), "imag": _plain(value.imag)}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
