"""The page of a sweep: its best trial and how to repeat it, parallel coordinates, and a table of all trials."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from functional_nets.report.document import Markup, Section, document, table
from functional_nets.report.parallel import Dimension, Path, parallel_coordinates


class Tried(NamedTuple):
    """What a trial has found; without scores where it has diverged.

    Attributes:
        trial: Its number, from 1.
        options: The values that it was given.
        test_accuracy: Share of the test examples that are right, from 0 to 1.
        test_loss: In nats.
        train_loss: Mean over the last report's steps, in nats.
        diverged_at: The first step whose loss was not finite.
        stopped_at: The step after which it was stopped, since others did better; its scores are of that step.
    """

    trial: int
    options: Mapping[str, str | int | float]
    test_accuracy: float | None = None
    test_loss: float | None = None
    train_loss: float | None = None
    diverged_at: int | None = None
    stopped_at: int | None = None


class Sweep(NamedTuple):
    """What a page tells of a sweep.

    Attributes:
        experiment: Its name.
        dimensions: What the trials differ in.
        tried: The trials that have ended.
        planned: How many there are to be.
        search: How they were chosen, to stand after "trials, ".
        manner: How they were trained, to stand after "seconds".
        seconds: How long that took, with compiling.
        command: What repeats the best of them; None when there is none.
        notice: What must not be missed about the data.
    """

    experiment: str
    dimensions: Sequence[Dimension]
    tried: Sequence[Tried]
    planned: int
    search: str
    manner: str
    seconds: float
    command: str | None
    notice: str | None


def ranked(tried: Sequence[Tried]) -> list[Tried]:
    """Returns the trials, the best first: those that ended before those that were stopped, at last those that diverged.

    The best has the highest accuracy; of equal ones, the lowest test loss.
    """
    return sorted(
        tried,
        key=lambda each: (
            each.test_accuracy is None,
            each.stopped_at is not None,
            -(each.test_accuracy or 0.0),
            math.inf if each.test_loss is None else each.test_loss,
            each.trial,
        ),
    )


def cells(tried: Tried) -> list[str]:
    """Returns a trial's options and scores as they are shown, one text a column of `columns`."""
    options = [f"{value:g}" if isinstance(value, float) else str(value) for value in tried.options.values()]
    if tried.test_accuracy is None:
        return [str(tried.trial), *options, f"diverged at step {tried.diverged_at:,}", "—", "—"]
    losses = [f"{tried.test_loss:.4f}", f"{tried.train_loss:.4f}"]
    stopped = "" if tried.stopped_at is None else f", stopped at step {tried.stopped_at:,}"
    return [str(tried.trial), *options, f"{tried.test_accuracy:.2%}{stopped}", *losses]


def columns(names: Sequence[str]) -> list[str]:
    """Returns the names of the columns of `cells`."""
    options = [name.replace("_", " ") for name in names]
    return ["trial", *options, "test accuracy", "test loss, nats", "training loss, nats"]


def sweep_page(sweep: Sweep) -> str:
    """Returns the page: one file that needs no other."""
    order = ranked(sweep.tried)
    chart = parallel_coordinates(
        f"Trials of {sweep.experiment}, by option and test accuracy",
        sweep.dimensions,
        [_path(each) for each in order],
    )
    legend = (
        "<p>Each line is a trial: from option to option, and at the right to its accuracy, which stands by the "
        "logarithm of its error. The better, the stronger in colour and the thicker; the best are labelled with their "
        "trials. Dashed lines have diverged"
        + (", dotted ones were stopped early.</p>" if any(each.stopped_at for each in order) else ".</p>")
    )
    body = table("Trials, the best first", columns([each.name for each in sweep.dimensions]), map(cells, order))
    sections = [
        Section("The best", _best(sweep, order)),
        Section("Parallel coordinates", f'{legend}<figure class="wide" tabindex="0">{chart}</figure>'),
        Section("Trials", body),
    ]
    return document(f"Sweep of {sweep.experiment}", _header(sweep, order), sections)


def _path(tried: Tried) -> Path:
    stopped = tried.stopped_at is not None
    return Path(f"trial {tried.trial}", tuple(tried.options.values()), tried.test_accuracy, stopped)


def _header(sweep: Sweep, order: Sequence[Tried]) -> str:
    diverged = sum(each.test_accuracy is None for each in order)
    best = order[0].test_accuracy if order else None
    cards = {
        "of the test examples are right in the best trial": "—" if best is None else f"{best:.2%}",
        _trials(sweep): f"{len(order):,}",
        "of them diverged": f"{diverged:,}",
        f"seconds, with compiling, {sweep.manner}": f"{sweep.seconds:.3g}",
    }
    shown = "".join(f"<div><dd>{value}</dd><dt>{name}</dt></div>" for name, value in cards.items())
    notice = f'<p class="notice">{html.escape(sweep.notice)}</p>' if sweep.notice else ""
    return f'{notice}<dl class="cards">{shown}</dl>'


def _trials(sweep: Sweep) -> str:
    if len(sweep.tried) == sweep.planned:
        return f"{'trial' if sweep.planned == 1 else 'trials'}, {sweep.search}"
    return f"of {sweep.planned:,} trials, {sweep.search}, have ended"


def _best(sweep: Sweep, order: Sequence[Tried]) -> str:
    if sweep.command is None:
        return "<p>No trial has ended with finite numbers: take smaller learning rates.</p>"
    values = [[name.replace("_", " "), value] for name, value in order[0].options.items()]
    return (
        table(f"Options of trial {order[0].trial}", (), values)
        + "<p>This repeats it, up to the order of float additions, and writes its own report:</p>"
        + Markup(f"<pre><code>{html.escape(sweep.command)}</code></pre>")
        + "<p>The test examples chose it, so its accuracy on them is a little better than on new ones.</p>"
    )
