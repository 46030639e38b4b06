"""The report of a run: what it claims, how it got there, and how to do it again."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from functional_nets.report.curves import Rows, curves, norms_section
from functional_nets.report.document import Section, document, table
from functional_nets.report.words import counted
from functional_nets.training import write_whole

PICTURES = "pictures"
"""The folder beside the page that holds what it shows."""
NAMES = {
    "complete": "all of the data", "compile_seconds": "compiling", "train_seconds": "training",
    "total_seconds": "in all",
}  # fmt: skip
UNITS = {"accuracy": "{:.2%}", "loss": "{:.4f} nats", "seconds": "{:.2f} s"}
"""How a number is written, by the last word of its name."""


def write_report(
    folder: Path,
    summary: Mapping[str, Any],
    metrics: Rows,
    config: Mapping[str, Any],
    command: str,
    sections: Sequence[Section] = (),
) -> None:
    """Writes `report.html`, one file that needs no other, and its pictures as files in `pictures/`.

    Args:
        folder: That of the run.
        summary: What `result.json` holds.
        metrics: The rows of `metrics.jsonl`.
        config: The options.
        command: What repeats the run.
        sections: What the experiment shows beside that.
    """
    every = [
        *curves(metrics, seen=bool(summary.get("seen"))),
        *sections,
        *norms_section(metrics),
        *gradient_section(summary.get("gradient_check")),
        repeat_section(summary, config, command),
    ]
    which = "accuracy on its training examples" if summary.get("seen") else "test accuracy"
    title = f"{summary['experiment']}: {summary['test_accuracy']:.2%} {which}"
    page = document(title, claim(summary), every)
    pictures = {name: content for section in every for name, content in section.pictures.items()}
    (folder / PICTURES).mkdir(exist_ok=True)
    for name, content in pictures.items():
        (folder / PICTURES / name).write_bytes(content)
    # A path need not be UTF-8, and whatever stops the program here leaves the page whole or as it was.
    write_whole(folder / "report.html", page.encode(errors="backslashreplace"))


def claim(summary: Mapping[str, Any]) -> str:
    """Returns what the run has found, in plain words and four numbers."""
    notice = f'<p class="notice" role="note">{html.escape(summary["notice"])}</p>' if summary.get("notice") else ""
    asked = "training" if summary.get("seen") else "test"
    checking = " and checking" if summary.get("gradient_check") else ""
    cards = {
        f"of the {asked} examples are right": f"{summary['test_accuracy']:.2%}",
        f"nats is {'their mean loss' if summary.get('seen') else 'the mean test loss'}": f"{summary['test_loss']:.4f}",
        "seconds of training": f"{summary['train_seconds']:.3g}",
        f"seconds in all, with compiling{checking}": f"{summary['total_seconds']:.3g}",
    }
    shown = "".join(f"<div><dd>{value}</dd><dt>{name}</dt></div>" for name, value in cards.items())
    return f'<p class="claim">{html.escape(in_words(summary))}</p>{notice}<dl class="cards">{shown}</dl>'


def in_words(summary: Mapping[str, Any]) -> str:
    """Returns the claim as sentences."""
    tests, trained = summary.get("test_examples"), summary.get("train_examples")
    accuracy = f"{summary['test_accuracy']:.2%}"
    if summary.get("seen"):
        right = (
            f"answers {accuracy} of the {f'{tests:,} ' if tests else ''}examples that it was trained on as it should"
        )
    else:
        right = f"is right about {accuracy} of {f'{tests:,} ' if tests else ''}test examples that it has never seen"
    on = f" on {counted(trained, 'training examples')}" if trained else ""
    after = f"After {counted(summary['steps'], 'steps')}{on}"
    places = {
        "embedded": "from inside the package",
        "idx": "from IDX files",
        "tfds": "from TensorFlow Datasets",
    }
    whole = "" if summary.get("complete", True) else ", only a part of them"
    where = places.get(summary["source"], summary["source"])
    return f"{after}, the network {right}. The data, {summary.get('dataset', 'its own')}, come {where}{whole}."


def gradient_section(check: Mapping[str, Any] | None) -> list[Section]:
    """Returns the section with what the gradient check found in each array, or that it was left out."""
    if check is None:
        return [Section("Gradient check", "<p>It was left out of this run, by <code>--no-gradient-check</code>.</p>")]
    verdict = "agree" if check["ok"] else "DISAGREE"
    rows = [
        (leaf["path"], " × ".join(map(str, leaf["shape"])) or "1", f"{leaf['relative_error']:.1e}",
         "ok" if leaf["ok"] else "WRONG")
        for leaf in check.get("leaves", [])
    ]  # fmt: skip
    body = (
        f"<p>Before the first step, independent witnesses and <code>jax.grad</code> {verdict} about the gradient of "
        f"the loss: the largest relative error is {check['largest_relative_error']:.1e}.</p>"
    )
    if rows:
        body += table("Gradient check by array", ("array", "shape", "relative error", "verdict"), rows)
    return [Section("Gradient check", body)]


def repeat_section(summary: Mapping[str, Any], config: Mapping[str, Any], command: str) -> Section:
    """Returns the section that lets others do it again: command, options, environment and all results."""
    environment = {
        **summary.get("environment", {}),
        **{name: summary.get(name) for name in ("jax", "jaxlib", "devices")},
    }
    prefix = "test_" if summary.get("seen") else ""
    results = {
        name.removeprefix(prefix): value
        for name, value in summary.items()
        if name not in {*environment, "environment", "gradient_check", "notice", "seen"}
        and not isinstance(value, Mapping)
    }
    body = (
        f"<p>This command repeats the run, to the same bits on the same kind of machine{_threads(summary)}:</p>"
        f'<pre tabindex="0"><code>{html.escape(command)}</code></pre>'
        f"<details open><summary>Result</summary>{_pairs('Result', results)}</details>"
        f"<details><summary>Options</summary>{_pairs('Options', config)}</details>"
        f"<details><summary>Environment</summary>{_pairs('Environment', environment)}</details>"
    )
    return Section("Do it again", body)


def _threads(summary: Mapping[str, Any]) -> str:
    """What the bits depend on beside the machine: each number of threads sums large products in an order of its own."""
    count = summary.get("threads")
    return (
        f" with {counted(count, 'threads')}, which share the sums of large products" if isinstance(count, int) else ""
    )


def _pairs(caption: str, values: Mapping[str, Any]) -> str:
    rows = [(_name(name), _shown(name, value)) for name, value in values.items() if value is not None]
    return table(caption, (), rows)


def _name(name: str) -> str:
    return NAMES.get(name, name.replace("_", " "))


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    form = UNITS.get(name.rpartition("_")[2])
    if isinstance(value, float) and form:
        return form.format(value)
    if isinstance(value, int) and name != "seed":
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
