"""The table of backward rules, and the one function that applies one of them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Formula = Callable[..., tuple[Any, ...]]


class NoRuleError(LookupError):
    """A primitive that the table does not know."""


@dataclass(frozen=True)
class Rule:
    """How the cotangent of a primitive's output becomes those of its inputs.

    `formula(g, y, *inputs, **params)` returns one entry for each input: an array that broadcasts like the
    output, or None where there is no gradient. `g` is the cotangent of the output `y`; both are tuples where
    the primitive can have `several` outputs. `keywords` names the params that the formula takes.
    """

    name: str
    formula: Formula
    keywords: frozenset[str]
    several: bool = False

    def __call__(self, g: Any, y: Any, /, *inputs: Any, **params: Any) -> tuple[Any, ...]:
        """Return the entries of `formula`, not yet summed to the shapes of the inputs."""
        return self.formula(g, y, *inputs, **{k: v for k, v in params.items() if k in self.keywords})


RULES: dict[str, Rule] = {}


def rule(name: str, formula: Formula, *, several: bool = False) -> None:
    """Register the rule of the primitive `name`; the formula's keyword-only arguments are params it needs."""
    RULES[name] = Rule(name, formula, keyword_only(formula), several)


def no_gradient(*names: str) -> None:
    """State that these primitives pass no gradient on, to any input."""
    for name in names:
        rule(name, lambda g, y, *inputs: (None,) * len(inputs))


def keyword_only(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of the keyword-only arguments."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def backward(name: str, g: Any, y: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """Return the gradient of each input, of the input's own shape, or None where it has none.

    Args:
        name: The primitive.
        g: The cotangent of its output; a tuple where it has several, with anything for integer outputs.
        y: The output, or the tuple of them.
        inputs: What it was applied to: arrays, Python numbers, or values that record.
        params: All params of the equation; those that the rule does not take are dropped.

    Raises:
        NoRuleError: The table has no such primitive.
        ValueError: The rule returned an entry too many or too few, or of a shape that does not fit its input.
    """
    if name not in RULES:
        raise NoRuleError(f"Expected a primitive with a backward rule, got {name!r}: add it with rule({name!r}, …).")
    arrays = tuple(x if hasattr(x, "shape") else np.asarray(x) for x in inputs)
    # Infinities and NaN are values like any other here: masks downstream may drop them, as in JAX.
    with np.errstate(all="ignore"):
        if RULES[name].several and not isinstance(g, tuple | list):
            g, y = (g,), (y,)
        entries = tuple(RULES[name](g, y, *arrays, **params))
        if len(entries) != len(arrays):
            raise ValueError(f"Expected {len(arrays)} entries from the rule of {name!r}, got {len(entries)}.")
        return tuple(
            None if entry is None or x.dtype.kind in "biu" else unbroadcast(entry, x.shape)
            for entry, x in zip(entries, arrays, strict=True)
        )


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` over the axes that broadcasting added to `shape` or stretched from one.

    Broadcasting copies a value, and the cotangent of a value that is used often is the sum over its uses.

    Raises:
        ValueError: An array of `shape` does not broadcast to that of `g`.
    """
    if g.shape == tuple(shape):
        return g
    added = g.ndim - len(shape)
    stretched = tuple(added + i for i, n in enumerate(shape) if n == 1)
    if added < 0 or any(n not in (1, m) for n, m in zip(shape, g.shape[added:], strict=True)):
        raise ValueError(f"Expected a gradient whose shape {tuple(shape)} broadcasts to, got {g.shape}.")
    return np.reshape(np.sum(g, axis=(*range(added), *stretched)), shape)
