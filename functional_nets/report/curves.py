"""What is measured through training, as curves and as numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from functional_nets.report.chart import Line, line_chart, standalone
from functional_nets.report.document import Section, figure, table

Rows = Sequence[Mapping[str, Any]]
"""The rows of `metrics.jsonl`."""
NORMS = {
    "Gradients": ("gradient_norm", "gradient norm, nats per unit", "gradients.svg"),
    "Steps": ("update_norm", "step norm", "updates.svg"),
}


def curves(metrics: Rows, *, seen: bool = False) -> list[Section]:
    """Returns the section with loss and accuracy through training; none without a row.

    Args:
        metrics: The rows.
        seen: Whether the examples that the network is asked about are those that it is trained on.
    """
    if not metrics:
        return []
    asked = "training examples" if seen else "test"
    losses = [_line(metrics, "train_loss", "training"), _line(metrics, "test_loss", asked)]
    if seen:
        losses[0] = losses[0]._replace(name="mean while training")
    shares = [_line(metrics, "train_accuracy", "training", 100), _line(metrics, "test_accuracy", asked, 100)]
    loss = line_chart("Loss", losses, x_label="steps", y_label="loss, nats")
    accuracy = line_chart("Accuracy", shares, x_label="steps", y_label="right answers, %", most=100)
    about = " The training accuracy is of as many training examples as there are test examples." if shares[0].x else ""
    lag = f"The training loss is the mean over the steps since the row before, so it lags a little behind.{about}"
    if len(metrics) == 1:
        body = f"<p>Measured once, at the end, so there is no curve. {lag}</p>{_numbers(metrics, seen)}"
        return [Section("Curves", body)]
    body = (
        f'<div class="charts">{figure(loss)}{figure(accuracy)}</div>'
        f"<p>The curves begin with the first row, at step {metrics[0]['step']:,}. {lag}</p>"
        f"<details><summary>All numbers</summary>{_numbers(metrics, seen)}</details>"
    )
    drawn = {"loss.svg": loss, "accuracy.svg": accuracy}
    return [Section("Curves", body, {name: standalone(svg) for name, svg in drawn.items() if svg})]


def _line(metrics: Rows, key: str, name: str, factor: float = 1) -> Line:
    rows = [row for row in metrics if key in row]
    return Line(name, [row["step"] for row in rows], [factor * row[key] for row in rows])


def _numbers(metrics: Rows, seen: bool) -> str:
    asked = "" if seen else "test "
    columns = {
        "epoch": ("epoch", "{:,}"),
        "train_loss": ("training loss, nats", "{:.4f}"),
        "test_loss": (f"{asked}loss, nats", "{:.4f}"),
        "train_accuracy": ("training accuracy", "{:.2%}"),
        "test_accuracy": (f"{asked}accuracy", "{:.2%}"),
        "seconds": ("training, s", "{:.3f}"),
    }
    kept = {key: shown for key, shown in columns.items() if any(key in row for row in metrics)}
    rows = [
        [f"{row['step']:,}", *(form.format(row[key]) if key in row else "" for key, (_, form) in kept.items())]
        for row in metrics
    ]
    return table("Metrics by step", ["step", *(name for name, _ in kept.values())], rows)


def norms_section(metrics: Rows) -> list[Section]:
    """Returns the section with each layer's gradients and steps; none for a run that has not measured them."""
    prefix = "gradient_norm/"
    layers = [name.removeprefix(prefix) for name in (metrics[-1] if metrics else ()) if name.startswith(prefix)]
    rows = [row for row in metrics if all(prefix + layer in row for layer in layers)]
    if not layers:
        return []
    charts = {
        name: line_chart(title, _by_layer(rows, key, layers), x_label="steps", y_label=label, log=True)
        for title, (key, label, name) in NORMS.items()
        if len(rows) > 1  # Else the table says it all.
    }
    last = rows[-1]
    table_rows = []
    for layer in layers:
        gradient, update, parameter = (last[f"{kind}_norm/{layer}"] for kind in ("gradient", "update", "parameter"))
        table_rows.append((layer, f"{gradient:.3g}", f"{update:.3g}", f"{parameter:.3g}", _ratio(update, parameter)))
    head = ("layer", "gradient", "step", "parameters", "step / parameters")
    body = (
        f'<div class="charts">{"".join(map(figure, charts.values()))}</div>'
        "<p>Measured at each row, always on the same batch, the first of the training examples: the loss's gradient "
        "there, and the step that the optimizer would take from it. Norms are Euclidean, over all of a layer's "
        "parameters. Steps of about a thousandth of the parameters are usual.</p>"
    ) + table(f"Norms at step {last['step']:,}", head, table_rows)
    return [Section("Gradients by layer", body, {name: standalone(svg) for name, svg in charts.items() if svg})]


def _by_layer(rows: Rows, key: str, layers: Sequence[str]) -> list[Line]:
    steps = [row["step"] for row in rows]
    return [Line(layer, steps, [row[f"{key}/{layer}"] for row in rows]) for layer in layers]


def _ratio(part: float, whole: float) -> str:
    return f"{part / whole:.1e}" if whole else ""
