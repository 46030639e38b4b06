"""The confusion matrix of a classifier, whose cells show their images."""

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from functional_nets.report.chart import DAY
from functional_nets.report.document import Markup, Section
from functional_nets.report.pictures import Sheet

CELL_IMAGES = 12


class Answers(NamedTuple):
    """What a classifier makes of its test images.

    Attributes:
        images: uint8 `[n, 28, 28, 1]`.
        labels: What they are, `[n]`.
        logits: What the network gives, `[n, classes]`.
        class_names: By label.
    """

    images: UInt8[np.ndarray, "n height width 1"]
    labels: Int[np.ndarray, " n"]
    logits: Float[np.ndarray, "n classes"]
    class_names: Sequence[str]

    @property
    def probabilities(self) -> Float[np.ndarray, "n classes"]:
        """The softmax of each row, in float64."""
        exponentials = np.exp(self.logits.astype(float) - self.logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def taken_for(self, true: int, taken: int) -> str:
        """Returns in words that an image of class `true` was taken for one of class `taken`."""
        if true == taken:
            return f"{self.class_names[true]}, recognised"
        return f"{self.class_names[true]}, taken for {self.class_names[taken]}"


def confusion_section(answers: Answers) -> Section:
    """Returns the confusion matrix; a cell shows its images, those first of which the network was surest."""
    predicted = answers.logits.argmax(axis=1)
    sure = np.take_along_axis(answers.probabilities, predicted[:, None], axis=1)[:, 0]
    count = len(answers.class_names)
    counts = np.zeros((count, count), int)
    np.add.at(counts, (answers.labels, predicted), 1)
    order = np.argsort(-sure, kind="stable")
    cells = {
        (int(true), int(taken)): order[(answers.labels[order] == true) & (predicted[order] == taken)][:CELL_IMAGES]
        for true, taken in zip(*counts.nonzero(), strict=True)
    }
    tiles = Sheet(answers.images[np.concatenate(list(cells.values())), :, :, 0])
    panels, thumbnails, at = [], {}, 0
    for cell, chosen in cells.items():
        labels = [f"{answers.taken_for(*cell)} at {sure[number]:.1%}, image {number}" for number in chosen]
        shown = [tiles.tile(at + place, label) for place, label in enumerate(labels)]
        panels.append(_panel(answers, cell, int(counts[cell]), shown))
        thumbnails[cell] = shown[0]
        at += len(shown)
    body = (
        f"<p>Rows are what the images are, columns what the network takes them for. "
        f"Choose a number to see its images, the surest first.</p>"
        f'<div class="confusion" style="{tiles.style()}">{_matrix(answers, counts, thumbnails)}'
        f'<div class="chosen" aria-live="polite"></div>'
        f"<details><summary>The images of all cells</summary>{''.join(panels)}</details></div>"
    )
    return Section("Confusion matrix", body, {"confusion.svg": _confusion_picture(answers.class_names, counts)})


def _panel(answers: Answers, cell: tuple[int, int], count: int, tiles: Sequence[str]) -> str:
    which = f"the {len(tiles)} surest of {count:,}" if count > len(tiles) else f"{count:,} in all"
    caption = html.escape(f"{answers.taken_for(*cell)}: {which}")
    return (
        f'<figure id="cell-{cell[0]}-{cell[1]}"><figcaption>{caption}</figcaption>'
        f'<div class="tiles">{"".join(tiles)}</div></figure>'
    )


def _matrix(answers: Answers, counts: Int[np.ndarray, "n n"], thumbnails: dict[tuple[int, int], str]) -> Markup:
    names = [html.escape(name) for name in answers.class_names]
    most = max(1, (counts - np.diag(counts.diagonal())).max())
    head = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    rows = ""
    for true, row in enumerate(counts):
        cells = ""
        for taken, count in enumerate(row):
            if not count:
                cells += '<td class="none">0</td>'
                continue
            kind, strength = ("right", 16) if true == taken else ("wrong", 6 + 30 * count / most)
            cells += (
                f'<td><button type="button" class="{kind}" style="--tint:{strength:.0f}%" '
                f'data-cell="cell-{true}-{taken}" '
                f'aria-label="{count}: {html.escape(answers.taken_for(true, taken))}">'
                f'<span aria-hidden="true">{thumbnails[true, taken]}</span>{count}</button></td>'
            )
        rows += f'<tr><th scope="row">{names[true]}</th>{cells}</tr>'
    return Markup(
        '<div class="wide" tabindex="0" role="group" aria-label="Confusion matrix">'
        f'<table class="matrix{" long" if max(map(len, names)) > 2 else ""}">'
        f"<caption>Test images by what they are and what they were taken for</caption>"
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _confusion_picture(names: Sequence[str], counts: Int[np.ndarray, "n n"]) -> bytes:
    """The matrix as a picture of its own."""
    step, left, top = 40, 110, 110
    most = max(1, (counts - np.diag(counts.diagonal())).max())
    size = left + step * len(names) + 12
    parts = [f'<rect width="{size}" height="{size}" fill="{DAY[1]}"/><g fill="{DAY[0]}">']
    for row, name in enumerate(map(html.escape, names)):
        middle = step * row + step / 2
        parts.append(f'<text x="{left - 8}" y="{top + middle + 4}" text-anchor="end">{name}</text>')
        parts.append(f'<text transform="translate({left + middle + 4} {top - 8}) rotate(-90)">{name}</text>')
    parts.append(f'<text x="8" y="{top - 8}">is ↓ taken for →</text></g>')
    for (row, column), count in np.ndenumerate(counts):
        tint, opacity = (DAY[4], 0.16) if row == column else (DAY[5], 0.5 * count / most)
        x, y = left + step * column, top + step * row
        parts.append(
            f'<rect x="{x}" y="{y}" width="{step - 1}" height="{step - 1}" fill="{tint}" fill-opacity="{opacity:.2f}"/>'
            f'<text x="{x + step / 2}" y="{y + step / 2 + 4}" text-anchor="middle" fill="{DAY[0]}">{count}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" font-family="sans-serif" font-size="12">'
        f"<title>Confusion matrix</title>{''.join(parts)}</svg>\n"
    ).encode()
