"""The activations that one may be taken for another: by name, the value and the derivative."""

from collections.abc import Callable
from typing import Any

import numpy as np

from functional_nets.backprop.special import erf


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _gelu(x: Any) -> Any:
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def _gelu_slope(x: Any) -> Any:
    return 0.5 * (1 + erf(x / np.sqrt(2))) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _inner(x: Any) -> Any:
    return np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + _inner(x))


def _gelu_tanh_slope(x: Any) -> Any:
    t = _inner(x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x * x)


ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sigmoid": (_sigmoid, lambda x: _sigmoid(x) * (1 - _sigmoid(x))),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "ReLU": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "leaky ReLU of slope 0.01": (lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1.0, 0.01)),
    "leaky ReLU of slope 0.2": (lambda x: np.where(x > 0, x, 0.2 * x), lambda x: np.where(x > 0, 1.0, 0.2)),
    "ELU": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1.0, np.exp(x))),
    "softplus": (lambda x: np.logaddexp(x, 0), _sigmoid),
    "GELU (exact)": (_gelu, _gelu_slope),
    "GELU (tanh)": (_gelu_tanh, _gelu_tanh_slope),
    "GELU (x·sigmoid(1.702 x))": (
        lambda x: x * _sigmoid(1.702 * x),
        lambda x: _sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - _sigmoid(1.702 * x))),
    ),
    "SiLU": (lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x)))),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "abs": (np.abs, np.sign),
    "square": (np.square, lambda x: 2 * x),
    "exp": (np.exp, np.exp),
    "log(1 + x)": (np.log1p, lambda x: 1 / (1 + x)),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "the identity": (lambda x: x, np.ones_like),
}  # fmt: skip


def names_of(x: Any, y: Any) -> list[str]:
    """Returns the names under which the table knows the function from x to y, found by its values."""
    return [name for name, (value, _) in ACTIVATIONS.items() if _same(value, x, y)]


def _same(value: Callable[[Any], Any], x: Any, y: Any) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.allclose(value(x), y, rtol=1e-9, atol=1e-12))
