"""Runs beside each other: what differs in their options and results, and their curves in one chart."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from functional_nets.report.chart import Line, line_chart
from functional_nets.report.document import Markup, Section, document, figure, table

RESULTS = {
    "test_accuracy": ("test accuracy", "{:.2%}", max),
    "test_loss": ("test loss, nats", "{:.4f}", min),
    "train_loss": ("training loss, nats", "{:.4f}", min),
    "steps": ("steps", "{:,}", None),
    "train_seconds": ("training, s", "{:.2f}", min),
    "compile_seconds": ("compiling, s", "{:.2f}", min),
    "total_seconds": ("in all, s", "{:.2f}", min),
}
"""What of a result is compared: its name, how it is written, and which is best."""


class Compared(NamedTuple):
    """A run.

    Attributes:
        name: What the page calls it; of all runs, each its own.
        config: Its options, with the experiment's name.
        metrics: The rows of `metrics.jsonl`.
        result: What `result.json` holds, empty for a run that has not ended.
    """

    name: str
    config: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    result: Mapping[str, Any]


class Row(NamedTuple):
    """A line of the comparison: what is compared, each run's value as text, and which runs are best."""

    name: str
    values: list[str]
    best: list[bool]


def differences(runs: Sequence[Compared]) -> list[Row]:
    """Returns the options that are not the same in all runs."""
    names = dict.fromkeys(itertools.chain(*(run.config for run in runs)))
    found = []
    for name in names:
        values = ["—" if run.config.get(name) is None else str(run.config[name]) for run in runs]
        if len(set(values)) > 1:
            found.append(Row(name.replace("_", " "), values, [False] * len(runs)))
    return found


def results(runs: Sequence[Compared]) -> list[Row]:
    """Returns the results of all runs; a run that has not ended has the scores of its last row.

    None is best where runs of different experiments stand beside each other.
    """
    found = []
    one_experiment = len({run.config.get("experiment") for run in runs}) == 1
    for key, (name, form, better) in RESULTS.items():
        values = [_value(run, key) for run in runs]
        known = [value for value in values if value is not None]
        if known:
            best = better(known) if better and one_experiment and len(set(known)) > 1 else None
            shown = ["—" if value is None else form.format(value) for value in values]
            found.append(Row(_asked(name, runs), shown, [value is not None and value == best for value in values]))
    same = [str(run.result.get("params_sha256", "—"))[:12] for run in runs]
    return [*found, Row("parameters' hash", same, [False] * len(runs))]


def _asked(name: str, runs: Sequence[Compared]) -> str:
    """The name of a measure: that of a test, unless all networks are asked about what they were trained on."""
    if not all(run.result.get("seen") for run in runs):
        return name
    words = name.lower().removeprefix("test ")
    return words.capitalize() if name[:1].isupper() else words


def _value(run: Compared, key: str) -> Any:
    if key in run.result or not run.metrics:
        return run.result.get(key)
    if key == "train_seconds":
        return sum(row["seconds"] for row in run.metrics)
    return run.metrics[-1].get("step" if key == "steps" else key)


def comparison_page(runs: Sequence[Compared]) -> str:
    """Returns the page that compares runs: one file that needs no other."""
    names = [run.name for run in runs]
    unlike, found = differences(runs), results(runs)
    marked = "<p>The best of each row is marked with ★.</p>" if any(True in row.best for row in found) else ""
    body = _table("Options that differ", ["option", *names], unlike) if unlike else "<p>All options are the same.</p>"
    sections = [
        Section(
            "Results",
            marked + _table("Results", ["result", *names], found),
        ),
        Section("Options", body),
        Section("Curves", f'<div class="charts">{"".join(map(figure, _charts(runs)))}</div>'),
    ]
    title = f"{len(runs)} runs compared"
    ended = sum(bool(run.result) for run in runs)
    unfinished = f" {len(runs) - ended} of them have not ended." if ended < len(runs) else ""
    experiments = ", ".join(dict.fromkeys(str(run.config.get("experiment")) for run in runs))
    return document(title, Markup(f'<p class="claim">Runs of {experiments}.{unfinished}</p>'), sections)


def _table(caption: str, head: Sequence[str], rows: Sequence[Row]) -> str:
    return table(
        caption,
        head,
        [
            [row.name, *(f"{value} ★" if best else value for value, best in zip(row.values, row.best, strict=True))]
            for row in rows
        ],
    )


def _charts(runs: Sequence[Compared]) -> list[str]:
    """Each measure by steps, and the accuracy by the time that training took."""
    by_step = [
        line_chart(
            _asked(title, runs), [_line(run, key, factor) for run in runs], x_label="steps", y_label=label, **more
        )
        for title, key, factor, label, more in (
            ("Test accuracy", "test_accuracy", 100, "right answers, %", {"most": 100.0}),
            ("Test loss", "test_loss", 1, "loss, nats", {}),
            ("Training loss", "train_loss", 1, "loss, nats", {"log": True}),
        )
    ]
    timed = [Line(line.name, _seconds(run), line.y) for run in runs for line in [_line(run, "test_accuracy", 100)]]
    return [
        *by_step,
        line_chart(
            _asked("Test accuracy by time", runs), timed, x_label="training, s", y_label="right answers, %", most=100.0
        ),
    ]


def _line(run: Compared, key: str, factor: float) -> Line:
    rows = [row for row in run.metrics if key in row]
    return Line(run.name, [row["step"] for row in rows], [factor * row[key] for row in rows])


def _seconds(run: Compared) -> list[float]:
    return list(itertools.accumulate(row["seconds"] for row in run.metrics if "test_accuracy" in row))
