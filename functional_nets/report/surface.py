"""The decision surface of a network with two inputs, from the first step to the last."""

import html
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from functional_nets.report.chart import Line, line_chart, standalone
from functional_nets.report.document import Section, figure, table
from functional_nets.report.pictures import HIGH, LOW, data_uri, png
from functional_nets.report.plate import Scale, plate

SIDE = 96
"""Pixels of a surface's edge."""
BORDER = 0.25
"""How far the picture reaches beyond the inputs 0 and 1."""
INK = (10, 14, 18)


class Frame(NamedTuple):
    """The network at one step.

    Attributes:
        step: How many steps it has taken.
        params: Its parameters.
    """

    step: int
    params: Any


def surface_section(
    apply: Callable[[Any, Any], Any], frames: Sequence[Frame], inputs: np.ndarray, labels: np.ndarray
) -> Section:
    """Returns the section with the surface, a slider over the steps, and the network's outputs.

    Args:
        apply: From parameters and inputs `[n, 2]` to probabilities `[n]`.
        frames: The network through training, at least once.
        inputs: The inputs `[n, 2]` that it learns.
        labels: What it shall answer, 0 or 1.
    """
    points = np.concatenate([_grid(), inputs.astype(np.float32)])
    probabilities = np.stack([np.asarray(apply(frame.params, points)) for frame in frames])
    outputs = probabilities[:, SIDE * SIDE :]
    pictures = [_coloured(each[: SIDE * SIDE].reshape(SIDE, SIDE)) for each in probabilities]
    steps = [frame.step for frame in frames]
    names = [f"{int(a)} xor {int(b)}" for a, b in inputs]
    chart = line_chart(
        "The four outputs", [Line(name, steps, each) for name, each in zip(names, outputs.T, strict=True)],
        x_label="steps", y_label="output, a probability",
    )  # fmt: skip
    rows = [
        (name, label, f"{output:.4f}", "right" if (output >= 0.5) == label else "WRONG")
        for name, label, output in zip(names, labels, outputs[-1], strict=True)
    ]
    body = (
        "<p>The colour of a point is the network's output there: blue is 0, yellow is 1, and the dark line where it "
        "is ½ parts the two answers. The circles are the four inputs and what is wanted there.</p>"
        f'<div class="pair">{_slider(frames, pictures, outputs, names)}'
        f"<div>{table('Outputs after the last step', ('input', 'wanted', 'output', 'answer'), rows)}"
        f"{figure(chart)}</div></div>"
    )
    alone = plate(
        "The decision surface through training", pictures, [f"step {step:,}" for step in steps],
        columns=8, side=2 * SIDE, scale=Scale("output 0", "1", (LOW, HIGH)),
        note=f"Across the first input, up the second, each from −{BORDER} to {1 + BORDER}; the dark line is at ½.",
    )  # fmt: skip
    return Section("Decision surface", body, {"surface.png": alone, "outputs.svg": standalone(chart)})


def _grid() -> Float[np.ndarray, "pixels 2"]:
    """The inputs that the pixels stand for: the first across, the second up."""
    steps = np.linspace(-BORDER, 1 + BORDER, SIDE, dtype=np.float32)
    second, first = np.meshgrid(steps[::-1], steps, indexing="ij")
    return np.stack([first.ravel(), second.ravel()], axis=1)


def _coloured(probabilities: Float[np.ndarray, "side side"]) -> np.ndarray:
    """The surface in RGB, in 32 shades, with the line where it crosses ½."""
    low, high = np.array(LOW, float), np.array(HIGH, float)
    pixels = low + np.round(probabilities[..., None] * 31) / 31 * (high - low)
    above = probabilities >= 0.5
    line = np.zeros_like(above)
    line[:-1] |= above[:-1] != above[1:]
    line[:, :-1] |= above[:, :-1] != above[:, 1:]
    pixels[line] = INK
    return pixels.astype(np.uint8)


def _slider(
    frames: Sequence[Frame],
    pictures: Sequence[np.ndarray],
    outputs: Float[np.ndarray, "frames n"],
    names: Sequence[str],
) -> str:
    shown = ""
    for number, (frame, picture, output) in enumerate(zip(frames, pictures, outputs, strict=True)):
        words = ", ".join(f"{name} → {value:.2f}" for name, value in zip(names, output, strict=True))
        hidden = "" if number == len(frames) - 1 else " hidden"
        shown += (
            f'<div class="frame" data-step="{frame.step:,}"{hidden}>'
            f'<img src="{data_uri(png(picture))}" alt="Decision surface at step {frame.step:,}: {html.escape(words)}">'
            f"<p>{html.escape(words)}</p></div>"
        )
    corners = "".join(
        f'<span class="corner" style="left:{_place(a)};top:{_place(1 - b)}">{a ^ b}</span>'
        for a in (0, 1)
        for b in (0, 1)
    )
    last = len(frames) - 1
    return (
        f'<figure class="surface"><div class="frames">{shown}'
        f'<div class="corners" aria-hidden="true">{corners}</div></div>'
        '<p class="axis">first input →, second input ↑, both from −0.25 to 1.25</p>'
        f"<label>Step <output>{frames[-1].step:,}</output>"
        f'<input type="range" min="0" max="{last}" value="{last}" aria-label="Step of the training"></label></figure>'
    )


def _place(value: int) -> str:
    return f"{(value + BORDER) / (1 + 2 * BORDER):.2%}"
