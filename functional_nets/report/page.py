"""One page about a run: `report.html`, which needs no other file."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from functional_nets.report.chart import line_chart

STYLE = """
:root { color-scheme: light dark; --ink: #1b2733; --paper: #fff; --faint: #8a97a5; --line: #d9e0e7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #10161d; --faint: #8a97a5; --line: #2b3540; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .15rem 1rem .15rem 0; text-align: left; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; vertical-align: top; }
th { font-weight: 500; color: var(--faint); white-space: nowrap; }
.notice { border-left: 4px solid #d29922; padding: .5rem 1rem; }
"""


def write_page(path: Path, summary: dict[str, Any], metrics: Sequence[dict[str, Any]], config: dict[str, Any]) -> None:
    """Writes the page of a run: its accuracy, its curves, what it found and with which options.

    Args:
        path: The file.
        summary: What `result.json` holds.
        metrics: The rows of `metrics.jsonl`.
        config: The options.
    """
    steps = [row["step"] for row in metrics]
    losses = {
        name: [row[key] for row in metrics]
        for name, key in (("training", "train_loss"), ("test", "test_loss"))
        if metrics and key in metrics[0]
    }
    accuracy = {"test": [row["test_accuracy"] for row in metrics]}
    notice = f'<p class="notice">{html.escape(summary["notice"])}</p>' if summary.get("notice") else ""
    title = f"{html.escape(summary['experiment'])}: {summary['test_accuracy']:.2%} test accuracy"
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><style>' + STYLE + f"</style><h1>{title}</h1>{notice}"
        '<div class="charts">'
        + line_chart("Loss, nats", steps, losses)
        + line_chart("Accuracy", steps, accuracy)
        + f"</div><h2>Result</h2>{_table(summary)}<h2>Options</h2>{_table(config)}</html>\n",
        encoding="utf-8",
    )


def _table(values: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(name.replace('_', ' '))}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in values.items()
        if value is not None
    )
    return f"<table>{rows}</table>"
