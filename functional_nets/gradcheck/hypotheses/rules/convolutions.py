"""Convolutions whose backward forgets that windows overlap, or has other windows than the forward pass."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from functional_nets.backprop.rules import backward
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.rules.pooling import Found
from functional_nets.gradcheck.program import Node

LARGEST = 4096  # Elements of a kernel for which other geometries are tried.


def propose(evidence: Evidence) -> Iterator[Hypothesis]:
    """Yields the gradients of image and kernel for windows that lie elsewhere."""
    for position in evidence.active:
        node = evidence.program.nodes[position]
        if node.op == "conv_general_dilated" and any(evidence.concerns(n) for n in (*node.inputs, *node.outputs)):
            yield from _other_windows(evidence, position, node)


def _other_windows(evidence: Evidence, position: int, node: Node) -> Iterator[Hypothesis]:
    x, w = (evidence.program.values[number] for number in node.inputs)
    y, g = evidence.program.values[node.outputs[0]], evidence.cotangents_of(position)
    right = evidence.entries(position)
    if np.size(w) > LARGEST:
        return
    for text, params in _geometries(node, x.shape, w.shape, y.shape):
        try:
            found = backward(node.op, g, y, (x, w), params)
        except (ValueError, IndexError):
            continue  # These windows do not fit the image.
        for number, new, old in zip(node.inputs, found, right, strict=True):
            if old is not None and number in evidence.reach and np.shape(new) == np.shape(old):
                what = "image" if number == node.inputs[0] else "kernel"
                words = f"the gradient of the {what} is computed {text}: use the forward pass's windows"
                yield Hypothesis("permuted", position, words, 1.1, {number: new - old})


def _geometries(node: Node, x: Any, w: Any, y: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Other paddings and dilations for which the output has the same shape."""
    params = node.params
    numbers = params["dimension_numbers"]
    images, taps, outs = (tuple(spec[2:]) for spec in (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec))
    dilations = {tuple(params["rhs_dilation"]), (1,) * len(taps)}
    for dilation in sorted(dilations):
        padding: list[list[tuple[int, int]]] = []
        sizes = zip(images, taps, outs, params["window_strides"], dilation, params["lhs_dilation"], strict=True)
        for image, tap, out, stride, step, spread in sizes:
            total = (y[out] - 1) * stride + (w[tap] - 1) * step + 1 - ((x[image] - 1) * spread + 1)
            padding.append([(low, total - low) for low in (0, total // 2, total - total // 2, total) if total >= 0])
        for pads in zip(*padding, strict=True):
            changed = {**params, "rhs_dilation": dilation, "padding": pads}
            if (dilation, tuple(pads)) != (tuple(params["rhs_dilation"]), tuple(map(tuple, params["padding"]))):
                yield f"with dilation {dilation} and padding {pads}", changed


def overlapping(evidence: Evidence, position: int, node: Node) -> Found:
    """A convolution's windows overlap: each element of the image gets the sum of what they hand back."""
    x, w = (evidence.program.values[number] for number in node.inputs)
    g = np.asarray(evidence.cotangents_of(position))
    if np.size(w) > 4096 or node.params["batch_group_count"] != 1:
        return
    taps = node.params["dimension_numbers"].rhs_spec[2:]
    parts, supports = [], []
    ones = np.ones_like(w)
    for tap in np.ndindex(*(w.shape[axis] for axis in taps)):
        alone = np.zeros_like(w)
        index: list[Any] = [slice(None)] * w.ndim
        for axis, at in zip(taps, tap, strict=True):
            index[axis] = at
        alone[tuple(index)] = w[tuple(index)]
        y = evidence.program.values[node.outputs[0]]
        parts.append(backward(node.op, g, y, (x, alone), node.params)[0])
        supports.append(backward(node.op, np.ones_like(g), y, (x, np.where(alone != 0, ones, 0)), node.params)[0] != 0)
    text = "windows that overlap overwrite each other's gradient: add them (+=)"
    pairs = list(zip(parts, supports, strict=True))
    for order, cost in ((pairs, 0.5), (pairs[::-1], 0.55)):
        kept = np.zeros_like(x)
        for part, support in order:
            kept = np.where(support, part, kept)
        yield "overwritten", text, cost, kept
