"""Networks and losses written again in NumPy, in float64: they share no code with what they judge."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PYTORCH = json.loads((Path(__file__).parent / "golden" / "pytorch.json").read_text())
"""What PyTorch computes; `tests/golden/pytorch.py` says from what and how."""

Array = NDArray[np.float64]


def correlate(images: NDArray, kernel: NDArray, bias: NDArray) -> Array:
    """Valid cross-correlation, one output pixel at a time."""
    height, width, _, outputs = kernel.shape
    rows, columns = images.shape[1] - height + 1, images.shape[2] - width + 1
    out = np.empty((len(images), rows, columns, outputs))
    for row in range(rows):
        for column in range(columns):
            seen = images[:, row : row + height, column : column + width, :, None]
            out[:, row, column] = (seen * kernel).sum((1, 2, 3)) + bias
    return out


def max_pool(images: NDArray, size: int = 2) -> Array:
    """The largest of each whole block, one block at a time."""
    rows, columns = images.shape[1] // size, images.shape[2] // size
    out = np.empty((len(images), rows, columns, images.shape[3]))
    for row in range(rows):
        for column in range(columns):
            block = images[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
            out[:, row, column] = block.max((1, 2))
    return out


def relu(x: NDArray) -> NDArray:
    return np.where(x > 0, x, 0)


def sigmoid(x: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-x))


def mlp(params: Mapping[str, Any], x: NDArray, activation: Any = relu) -> Array:
    x = x.reshape(len(x), -1)
    *hidden, last = sorted(params)
    for name in hidden:
        x = activation(x @ params[name]["w"] + params[name]["b"])
    return x @ params[last]["w"] + params[last]["b"]


def lenet(params: Mapping[str, Any], x: NDArray) -> Array:
    """Notebook `003`'s network on images [batch, 32, 32, 1]."""
    for name in ("conv1", "conv2"):
        x = max_pool(relu(correlate(x, params[name]["w"], params[name]["b"])))
    return mlp({name: params[name] for name in ("dense1", "dense2", "dense3")}, x)


def softmax(logits: NDArray) -> Array:
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def cross_entropy(logits: NDArray, labels: NDArray) -> Array:
    return -np.log(softmax(logits)[np.arange(len(labels)), labels])


def in_float64(params: Any) -> Any:
    """A nested dict of arrays, in NumPy and float64."""
    if isinstance(params, Mapping):
        return {name: in_float64(value) for name, value in params.items()}
    return np.asarray(params, np.float64)
