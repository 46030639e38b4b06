"""Softmax and other functions that tie the elements of a row together, with the Jacobians that people write."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

Axes = tuple[int, ...]


class Normaliser(NamedTuple):
    """A function that ties the elements along some axes together.

    Attributes:
        name: What people call it.
        value: `value(x, axes)`.
        pullback: `pullback(g, y, x, axes)`, the gradient of x.
        simpler: (text, kind, formula) of gradients that leave something out.
        places: For each of those, which operation it is about: the first reduction, the second, the root.
        sums: `sums(g, y, x, other, axes)`, the pullback whose sums run over other axes, if that is to be tried.
    """

    name: str
    value: Callable[[Any, Axes], Any]
    pullback: Callable[[Any, Any, Any, Axes], Any]
    simpler: tuple[tuple[str, str, Callable[[Any, Any, Any, Axes], Any]], ...]
    places: tuple[str, ...] = ()
    sums: Callable[[Any, Any, Any, Axes, Axes], Any] | None = None


def _sum(x: Any, axes: Axes) -> Any:
    return np.sum(x, axis=axes, keepdims=True)


def _softmax(x: Any, axes: Axes) -> Any:
    e = np.exp(x - np.max(x, axis=axes, keepdims=True, initial=-np.inf))
    return e / _sum(e, axes)


def _log_softmax(x: Any, axes: Axes) -> Any:
    shifted = x - np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    return shifted - np.log(_sum(np.exp(shifted), axes))


def _centred(x: Any, axes: Axes) -> Any:
    return x - np.mean(x, axis=axes, keepdims=True)


def _unit(x: Any, axes: Axes) -> Any:
    return x / np.sqrt(_sum(x * x, axes))


DIAGONAL = "the softmax Jacobian has off-diagonal terms: y(g - Σ g y); "
NORMALISERS = (
    Normaliser(
        "softmax", _softmax, lambda g, y, x, axes: y * (g - _sum(g * y, axes)),
        (
            (DIAGONAL + "this is its diagonal alone, y(1 - y) g", "wrong_derivative",
             lambda g, y, x, axes: y * (1 - y) * g),
            (DIAGONAL + "this is y g", "wrong_derivative", lambda g, y, x, axes: y * g),
            (DIAGONAL + "this passes g through", "wrong_derivative", lambda g, y, x, axes: g),
            (DIAGONAL + "this leaves the factor y out", "wrong_derivative",
             lambda g, y, x, axes: g - _sum(g * y, axes)),
            (DIAGONAL + "this sums g without y", "wrong_derivative",
             lambda g, y, x, axes: y * (g - _sum(g, axes))),
            (DIAGONAL + "this has a mean for the sum", "wrong_reduction",
             lambda g, y, x, axes: y * (g - np.mean(g * y, axis=axes, keepdims=True))),
            (DIAGONAL + "this has y² for y in front of the sum", "wrong_derivative",
             lambda g, y, x, axes: y * g - y * y * _sum(g, axes)),
        ),
    ),
    Normaliser(
        "log_softmax", _log_softmax, lambda g, y, x, axes: g - np.exp(y) * _sum(g, axes),
        (
            ("the log-sum-exp of a log-softmax depends on the logits, too: subtract softmax(x) Σ g", "missing_term",
             lambda g, y, x, axes: g),
            ("each log-probability depends on all logits; this keeps its own alone, g(1 - p)", "missing_term",
             lambda g, y, x, axes: g * (1 - np.exp(y))),
            ("this subtracts the softmax without Σ g", "upstream", lambda g, y, x, axes: g - np.exp(y)),
            ("this uses log-softmax where the softmax belongs", "wrong_operand",
             lambda g, y, x, axes: g - y * _sum(g, axes)),
            ("this uses the logits where the softmax belongs", "wrong_operand",
             lambda g, y, x, axes: g - x * _sum(g, axes)),
            ("this multiplies by the softmax's own derivative y(1 - y) as well", "wrong_derivative",
             lambda g, y, x, axes: (g - np.exp(y) * _sum(g, axes)) * np.exp(y) * (1 - np.exp(y))),
        ),
    ),
    Normaliser(
        "subtracting the mean", _centred, lambda g, y, x, axes: g - np.mean(g, axis=axes, keepdims=True),
        (("the mean depends on every element, too: subtract the mean of g", "missing_term",
          lambda g, y, x, axes: g),),
    ),
    Normaliser(
        "scaling to length 1", _unit,
        lambda g, y, x, axes: (g - y * _sum(g * y, axes)) / np.sqrt(_sum(x * x, axes)),
        (("the length depends on every element, too: subtract y Σ g y", "missing_term",
          lambda g, y, x, axes: g / np.sqrt(_sum(x * x, axes))),
         ("the division by the length is left out", "missing_term",
          lambda g, y, x, axes: g - y * _sum(g * y, axes)),
         ("the part along y is added: subtract y Σ g y", "sign",
          lambda g, y, x, axes: (g + y * _sum(g * y, axes)) / np.sqrt(_sum(x * x, axes))),
         ("this divides by the square of the length", "wrong_derivative",
          lambda g, y, x, axes: (g - y * _sum(g * y, axes)) / _sum(x * x, axes)),
         ("x stands where y, of length 1, belongs", "wrong_operand",
          lambda g, y, x, axes: (g - x * _sum(g * x, axes)) / np.sqrt(_sum(x * x, axes))),
         ("the sum is left out: subtract y Σ g y", "wrong_reduction",
          lambda g, y, x, axes: (g - y * g * y) / np.sqrt(_sum(x * x, axes)))),
        (),
        lambda g, y, x, other, axes: (g - y * _sum(g * y, other)) / np.sqrt(_sum(x * x, axes)),
    ),
)  # fmt: skip


def standardiser(eps: float) -> Normaliser:
    """Returns (x - mean) / √(variance + eps), as layer and batch normalisation have it."""

    def spread(x: Any, axes: Axes) -> Any:
        return np.sqrt(np.var(x, axis=axes, keepdims=True) + eps)

    def mean(x: Any, axes: Axes) -> Any:
        return np.mean(x, axis=axes, keepdims=True)

    def inner(g: Any, y: Any, axes: Axes) -> Any:
        return g - mean(g, axes) - y * mean(g * y, axes)

    def by_power(power: float, g: Any, y: Any, x: Any, axes: Axes) -> Any:
        along = y * mean(g * y, axes) * spread(x, axes) ** power
        return (g - mean(g, axes)) / spread(x, axes) - along

    keep = "mean and variance depend on every element, too; "
    return Normaliser(
        "normalising to mean 0 and variance 1",
        lambda x, axes: (x - mean(x, axes)) / spread(x, axes),
        lambda g, y, x, axes: inner(g, y, axes) / spread(x, axes),
        (
            (keep + "both are treated as constants here", "missing_term",
             lambda g, y, x, axes: g / spread(x, axes)),
            (keep + "the variance is treated as a constant here", "missing_term",
             lambda g, y, x, axes: (g - mean(g, axes)) / spread(x, axes)),
            (keep + "the mean is treated as a constant here", "missing_term",
             lambda g, y, x, axes: (g - y * mean(g * y, axes)) / spread(x, axes)),
            ("the division by the standard deviation is left out", "missing_term",
             lambda g, y, x, axes: inner(g, y, axes)),
            ("this divides by the variance, not by its root", "wrong_derivative",
             lambda g, y, x, axes: inner(g, y, axes) / spread(x, axes) ** 2),
            ("the sums over the elements are not divided by their number", "wrong_reduction",
             lambda g, y, x, axes: (g - _sum(g, axes) - y * _sum(g * y, axes)) / spread(x, axes)),
            ("the input is used where the normalised value belongs", "wrong_operand",
             lambda g, y, x, axes: (g - mean(g, axes) - x * mean(g * x, axes)) / spread(x, axes)),
            ("the centred value is used where the normalised one belongs", "wrong_operand",
             lambda g, y, x, axes: (g - mean(g, axes) - _centred(x, axes) * mean(g * _centred(x, axes), axes))
             / spread(x, axes)),
            *(
                (f"the power of variance + eps in the variance's gradient is -3/2; here it is {power}",
                 "wrong_derivative", partial(by_power, 2 * power + 2))
                for power in (-1, -3, 0.5, 1.5)
            ),
            *(
                ("the normalised value stands where the centred one belongs: was it divided in place?",
                 "mutated", partial(by_power, 2 * power + 2))
                for power in (-2, -2.5)
            ),
            ("the gradient of the normalised value is divided by the variance, not by its root", "wrong_derivative",
             lambda g, y, x, axes: ((g - mean(g, axes)) / spread(x, axes) - y * mean(g * y, axes)) / spread(x, axes)),
        ),
        ("second", "second", "first", "root", "root", "second", "root", "root", *["root"] * 7),
        lambda g, y, x, other, axes: inner(g, y, other) / spread(x, axes),
    )  # fmt: skip


def root_mean_square(eps: float) -> Normaliser:
    """Returns x / √(mean x² + eps), as RMSNorm has it."""

    def size(x: Any, axes: Axes) -> Any:
        return np.sqrt(np.mean(x * x, axis=axes, keepdims=True) + eps)

    def mean(x: Any, axes: Axes) -> Any:
        return np.mean(x, axis=axes, keepdims=True)

    keep = "the root of the mean square depends on every element, too; "
    return Normaliser(
        "scaling to mean square 1",
        lambda x, axes: x / size(x, axes),
        lambda g, y, x, axes: (g - y * mean(g * y, axes)) / size(x, axes),
        (
            (keep + "it is treated as a constant here", "missing_term", lambda g, y, x, axes: g / size(x, axes)),
            ("the mean of g is subtracted as well, as LayerNorm needs and this does not", "extra_term",
             lambda g, y, x, axes: (g - mean(g, axes) - y * mean(g * y, axes)) / size(x, axes)),
            ("the division by the root is left out", "missing_term",
             lambda g, y, x, axes: g - y * mean(g * y, axes)),
            ("the part along y is added: subtract y times the mean of g y", "sign",
             lambda g, y, x, axes: (g + y * mean(g * y, axes)) / size(x, axes)),
            ("this divides by the mean square, not by its root", "wrong_derivative",
             lambda g, y, x, axes: (g - y * mean(g * y, axes)) / size(x, axes) ** 2),
            ("the sum over the elements is not divided by their number", "wrong_reduction",
             lambda g, y, x, axes: (g - y * _sum(g * y, axes)) / size(x, axes)),
            ("x stands where the scaled y belongs", "wrong_operand",
             lambda g, y, x, axes: (g - x * mean(g * x, axes)) / size(x, axes)),
        ),
        ("root", "first", "root", "first", "root", "first", "first"),
        lambda g, y, x, other, axes: (g - y * mean(g * y, other)) / size(x, axes),
    )  # fmt: skip


def all_axes(ndim: int) -> Iterator[Axes]:
    """Yields every choice of axes."""
    for count in range(1, ndim + 1):
        yield from itertools.combinations(range(ndim), count)


def over(axes: Axes, ndim: int) -> str:
    """Returns words for what a normalisation over some axes ties together."""
    if len(axes) == ndim and ndim > 1:
        return "the whole array"
    if ndim == 2:
        return "each row" if axes == (1,) else "each column"
    return "axis " + " and ".join(map(str, axes))
