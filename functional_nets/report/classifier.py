"""What a classifier got right and wrong: its confusion matrix, its worst mistakes, its first layer's weights."""

import html
from typing import Any

import numpy as np
from jaxtyping import Float

from functional_nets.report.confusion import Answers, confusion_section
from functional_nets.report.document import Section
from functional_nets.report.pictures import COLOURS, Sheet, data_uri, png, sheet, signed_colours, signed_scale
from functional_nets.report.plate import Scale, plate

WORST = 24
SHOWN_UNITS = 96
SHOWN_CLASSES = 3


@np.errstate(over="ignore", invalid="ignore")  # A network that went wrong is shown as it is.
def classifier_sections(answers: Answers, params: Any) -> list[Section]:
    """Returns the sections that show what the network does with its test images, and its first weights."""
    found = [confusion_section(answers), mistakes_section(answers), weights_section(params)]
    return [section for section in found if section]


def mistakes_section(answers: Answers) -> Section | None:
    """Returns the mistakes with the greatest loss, each with its image and probabilities; None without any."""
    probabilities = answers.probabilities
    predicted = answers.logits.argmax(axis=1)
    wrong = np.flatnonzero(predicted != answers.labels)
    if not wrong.size:
        return None
    of_label = probabilities[wrong, answers.labels[wrong]]
    worst = wrong[np.argsort(of_label, kind="stable")[:WORST]]
    tiles = Sheet(answers.images[worst, :, :, 0])
    items = "".join(
        f"<li>{tiles.tile(place, f'Image {number}: {answers.taken_for(answers.labels[number], predicted[number])}')}"
        f"{_bars(answers, probabilities[number], int(answers.labels[number]))}</li>"
        for place, number in enumerate(worst)
    )
    body = (
        f"<p>{len(wrong):,} of {len(answers.labels):,} test images are taken for something else. These {len(worst)} "
        "cost most: the network gives the least probability to what they are (✓).</p>"
        f'<ol class="mistakes" style="{tiles.style()}">{items}</ol>'
    )
    names = answers.class_names
    labels = [
        f"is {names[answers.labels[number]]}\ntaken for {names[predicted[number]]}\nat "
        f"{_percent(probabilities[number, predicted[number]])}"
        for number in worst
    ]
    title = f"The {len(worst)} worst of {len(wrong):,} mistakes in {len(answers.labels):,} test images"
    alone = plate(title, list(answers.images[worst, :, :, 0]), labels, columns=8, side=168)
    return Section("Worst mistakes", body, {"mistakes.png": alone})


def _bars(answers: Answers, probabilities: Float[np.ndarray, " classes"], label: int) -> str:
    """The greatest probabilities and the label's, each as words and a bar."""
    shown = [int(each) for each in np.argsort(-probabilities, kind="stable")[:SHOWN_CLASSES]]
    if label not in shown:
        shown[-1] = label
    return (
        "<ul>"
        + "".join(
            f'<li style="--p:{probabilities[each]:.4f}"><span>{html.escape(answers.class_names[each])}'
            f"{' ✓' if each == label else ''}</span><span>{_percent(probabilities[each])}</span></li>"
            for each in shown
        )
        + "</ul>"
    )


def _percent(probability: float) -> str:
    return f"{probability:.1%}" if probability >= 0.001 else f"{100 * probability:.1g}%"


def weights_section(params: Any) -> Section | None:
    """Returns what the units of the first layer look for, as images; None where they do not look at pixels."""
    w = np.asarray(next(iter(params.values()))["w"], np.float32)
    if w.ndim == 2 and round(w.shape[0] ** 0.5) ** 2 == w.shape[0] > 16:
        side = round(w.shape[0] ** 0.5)
        images = w.T.reshape(-1, side, side)
    elif w.ndim == 4 and w.shape[2] == 1:
        images = w[:, :, 0, :].transpose(2, 0, 1)
    else:
        return None
    strongest = np.argsort(-np.square(images).sum(axis=(1, 2)), kind="stable")[:SHOWN_UNITS]
    limit = float(np.quantile(np.abs(images[strongest]), 0.998))
    enlarged = max(1, 28 // images.shape[1])
    coloured = signed_colours(images[strongest], limit)
    large = coloured.repeat(enlarged, 1).repeat(enlarged, 2)
    content = png(sheet(large, columns=min(12, len(large)), gap=2))
    which = f"the {len(strongest)} units with the largest weights" if len(images) > len(strongest) else "all units"
    size = f"{images.shape[1]} × {images.shape[2]}"
    what = f"Weights of {which} of the first layer, {size} each, the largest first"
    body = (
        f"<p>{what}. A unit adds the pixels up by these weights: it answers to ink where they are bright, and is held "
        f"back by ink where they are dark.</p><figure>"
        f'<img class="pixels" src="{data_uri(content)}" alt="{what}">'
        f"<figcaption>{signed_scale(limit)}</figcaption></figure>"
    )
    alone = plate(
        "First-layer weights", list(coloured), columns=12, side=112, note=f"{what}.",
        scale=Scale(f"−{limit:.3g}", f"+{limit:.3g}", COLOURS),
    )  # fmt: skip
    return Section("First-layer weights", body, {"weights.png": alone})
