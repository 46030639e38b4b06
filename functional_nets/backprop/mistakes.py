"""What people write instead of a rule: the notes in the margin of the table.

A mistake takes what the rule takes: `g`, the cotangent of the output, `y`, the output, then the input `x`, and
`d`, the derivative as it should be. It returns the gradient that one gets by making it. `EVERYWHERE` holds those that
are made with any function of one variable; they are tried on functions made of several operations, too, such as
a sigmoid written as 1 / (1 + exp(-x)).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Formula = Callable[[Any, Any, Any, Any], Any]
EVERYWHERE = "a function of one variable"


class Mistake(NamedTuple):
    """One way to get a derivative wrong.

    Attributes:
        function: Where it is made: a primitive's name, a function's, or EVERYWHERE.
        kind: Its identifier in a report.
        text: What is wrong, and what to write instead.
        formula: `formula(g, y, x, d)`, the gradient one gets.
        rarity: How much more far-fetched it is than the others.
    """

    function: str
    kind: str
    text: str
    formula: Formula
    rarity: float = 0.0


MISTAKES: list[Mistake] = []


def mistake(function: str, kind: str, text: str, formula: Formula, rarity: float = 0.0) -> None:
    """Adds a mistake to the table."""
    MISTAKES.append(Mistake(function, kind, text, formula, rarity))


def leaky(slope: float) -> Formula:
    """Returns the gradient of a leaky ReLU."""
    return lambda g, y, x, d: np.where(x > 0, g, slope * g)


# fmt: off
# Sigmoid, y = 1 / (1 + exp(-x)).
mistake("sigmoid", "wrong_derivative", "the derivative of sigmoid is y(1 - y); this uses y alone",
        lambda g, y, x, d: g * y)
mistake("sigmoid", "wrong_derivative", "the derivative of sigmoid is y(1 - y); this uses 1 - y alone",
        lambda g, y, x, d: g * (1 - y))
mistake("sigmoid", "wrong_derivative", "y(1 - y) wants sigmoid's output; this puts its input x there, x(1 - x)",
        lambda g, y, x, d: g * x * (1 - x))
mistake("sigmoid", "wrong_derivative", "sigmoid is applied once more before its derivative is taken: use y(1 - y) "
        "of the output as it is", lambda g, y, x, d: g * sigmoid(y) * (1 - sigmoid(y)))
mistake("sigmoid", "wrong_derivative", "the derivative of sigmoid is y(1 - y); this is tanh's, 1 - y²",
        lambda g, y, x, d: g * (1 - y * y))
mistake("sigmoid", "wrong_derivative", "the derivative of sigmoid is y(1 - y); this uses y²",
        lambda g, y, x, d: g * y * y)
mistake("sigmoid", "wrong_derivative", "the derivative of sigmoid is y(1 - y); this uses y(1 + y)",
        lambda g, y, x, d: g * y * (1 + y))

# Tanh.
mistake("tanh", "wrong_derivative", "the derivative of tanh is 1 - y²; this uses 1 - y",
        lambda g, y, x, d: g * (1 - y))
mistake("tanh", "wrong_derivative", "the derivative of tanh is 1 - y²; this is sigmoid's, y(1 - y)",
        lambda g, y, x, d: g * y * (1 - y))
mistake("tanh", "wrong_derivative", "1 - y² wants tanh's output; this puts its input x there, 1 - x²",
        lambda g, y, x, d: g * (1 - x * x))
mistake("tanh", "wrong_derivative", "tanh is applied once more before its derivative is taken: use 1 - y² of the "
        "output as it is", lambda g, y, x, d: g * (1 - np.tanh(y) ** 2))
mistake("tanh", "wrong_derivative", "the derivative of tanh is 1 - y²; this uses 1 + y²",
        lambda g, y, x, d: g * (1 + y * y))
mistake("tanh", "wrong_derivative", "the derivative of tanh is 1 - y²; this uses y",
        lambda g, y, x, d: g * y)
mistake("tanh", "wrong_derivative", "the derivative of tanh is 1 - y²; this uses y²",
        lambda g, y, x, d: g * y * y)

# ReLU, y = max(x, 0).
mistake("relu", "wrong_mask", "ReLU passes the gradient on where its input is positive; here the mask is missing",
        lambda g, y, x, d: g)
mistake("relu", "wrong_mask", "ReLU passes the gradient on where its input is positive; here the mask is inverted",
        lambda g, y, x, d: np.where(x > 0, 0, g))
mistake("relu", "wrong_mask", "ReLU's mask comes from its input, x > 0; here it comes from the gradient, g > 0",
        lambda g, y, x, d: np.where(g > 0, g, 0))
mistake("relu", "wrong_mask", "ReLU's mask comes from its input alone; here the gradient is masked by g > 0, too",
        lambda g, y, x, d: np.where((x > 0) & (g > 0), g, 0))
mistake("relu", "wrong_derivative", "the slope of ReLU is 1 where x > 0; this multiplies by its output",
        lambda g, y, x, d: g * y)
mistake("relu", "wrong_derivative", "the slope of ReLU is 1 where x > 0; this multiplies by its input",
        lambda g, y, x, d: g * x)
mistake("relu", "wrong_mask", "ReLU passes nothing on where its input is negative; this passes -g there, as |x| does",
        lambda g, y, x, d: g * np.sign(x))
mistake("relu", "wrong_mask", "ReLU's threshold is 0; here the mask is x > 1",
        lambda g, y, x, d: np.where(x > 1, g, 0))
for leak in (0.01, 0.1, 0.2, 0.3):
    mistake("relu", "wrong_derivative", f"ReLU passes nothing on where its input is negative; this passes {leak} g "
            "there, as a leaky ReLU does", leaky(leak))

# Piecewise functions: leaky ReLU, ELU, clip, hinge, Huber.
mistake("piecewise", "wrong_mask", "the slope differs from piece to piece; here the mask is missing",
        lambda g, y, x, d: g)
mistake("piecewise", "wrong_mask", "the slope where x > 0 and the one where x < 0 are exchanged",
        lambda g, y, x, d: g * exchanged(x, d))
mistake("piecewise", "wrong_derivative", "this is ReLU's derivative, 0 where x < 0",
        lambda g, y, x, d: np.where(x > 0, g, 0))

# Logarithms: the loss itself is changed when one is left out.
mistake("log", "wrong_loss", "this is the gradient of the loss without its logarithm: divide by x",
        lambda g, y, x, d: g)
mistake("log", "wrong_derivative", "the derivative of log is 1/x; this multiplies by x",
        lambda g, y, x, d: g * x)
mistake("log", "wrong_derivative", "the derivative of log is 1/x; this divides by the output, log x",
        lambda g, y, x, d: g / y)
mistake("square", "wrong_loss", "this is the gradient of the absolute value, not of the square",
        lambda g, y, x, d: g * np.sign(x))
mistake("square", "wrong_derivative", "this takes the sign of x where x itself belongs",
        lambda g, y, x, d: 2 * g * np.sign(x))
mistake("power", "wrong_derivative", "the derivative of xⁿ is n·xⁿ⁻¹; this is a square's, 2x",
        lambda g, y, x, d: 2 * g * x)
mistake("power", "wrong_derivative", "the derivative of xⁿ is n·xⁿ⁻¹; this is n·x, without the power",
        lambda g, y, x, d: g * d * x * x / y)
mistake("power", "wrong_derivative", "the derivative of xⁿ is n·xⁿ⁻¹; here the exponent is not lowered",
        lambda g, y, x, d: g * d * x)
mistake("power", "wrong_derivative", "the derivative of xⁿ is n·xⁿ⁻¹; here the exponent is lowered by 2",
        lambda g, y, x, d: g * d / x)
mistake("abs", "wrong_loss", "this is the gradient of the square, not of the absolute value",
        lambda g, y, x, d: 2 * g * x)
mistake("abs", "wrong_loss", "this is the gradient of half the square, not of the absolute value",
        lambda g, y, x, d: g * x)

# Softplus, log(1 + exp x), and the gated functions x Φ(x), x σ(x).
mistake("softplus", "wrong_derivative", "the derivative of softplus is sigmoid(x); this uses 1 - sigmoid(x)",
        lambda g, y, x, d: g * (1 - d))
mistake("softplus", "wrong_derivative", "the derivative of softplus is sigmoid(x); this is sigmoid's own derivative",
        lambda g, y, x, d: g * d * (1 - d))
mistake("softplus", "wrong_derivative", "the derivative of softplus is sigmoid(x); this takes the sigmoid of the "
        "output", lambda g, y, x, d: g * sigmoid(y))
mistake("softplus", "wrong_derivative", "the derivative of softplus is sigmoid(x); this is ReLU's, x > 0",
        lambda g, y, x, d: np.where(x > 0, g, 0))
mistake("gate", "wrong_derivative", "the product rule has two terms; this keeps only the gate and drops x times "
        "the gate's slope", lambda g, y, x, d: g * gate(y, x))
mistake("gate", "wrong_derivative", "the product rule has two terms; this keeps only x times the gate's slope",
        lambda g, y, x, d: g * (d - gate(y, x)))
mistake("gate", "wrong_derivative", "this is ReLU's derivative, x > 0",
        lambda g, y, x, d: np.where(x > 0, g, 0))
mistake("gate", "wrong_derivative", "this is the derivative of x sigmoid(x), not of this function",
        lambda g, y, x, d: g * (sigmoid(x) + x * sigmoid(x) * (1 - sigmoid(x))))
mistake("gate", "wrong_derivative", "this is the derivative of x sigmoid(1.702 x), an approximation",
        lambda g, y, x, d: g * (sigmoid(1.702 * x) + 1.702 * x * sigmoid(1.702 * x) * (1 - sigmoid(1.702 * x))))
mistake("gate", "wrong_derivative", "the slope of the gate is added without the factor x",
        lambda g, y, x, d: g * (gate(y, x) + (d - gate(y, x)) / x))

# Any function y = f(x) with derivative d.
mistake(EVERYWHERE, "wrong_derivative", "the gradient is passed through as if the function were not there: multiply "
        "by its derivative", lambda g, y, x, d: g)
mistake(EVERYWHERE, "wrong_derivative", "the derivative is taken for the value: this multiplies by the output",
        lambda g, y, x, d: g * y)
mistake(EVERYWHERE, "wrong_derivative", "this multiplies by the input instead of the derivative",
        lambda g, y, x, d: g * x)
mistake(EVERYWHERE, "wrong_derivative", "this uses y(1 - y), sigmoid's derivative",
        lambda g, y, x, d: g * y * (1 - y))
mistake(EVERYWHERE, "wrong_derivative", "this uses 1 - y², tanh's derivative",
        lambda g, y, x, d: g * (1 - y * y))
mistake(EVERYWHERE, "wrong_derivative", "this uses 1 - y", lambda g, y, x, d: g * (1 - y))
mistake(EVERYWHERE, "wrong_derivative", "the derivative is squared", lambda g, y, x, d: g * d * d, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this divides by the derivative instead of multiplying",
        lambda g, y, x, d: g / d, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "the derivative is multiplied by the output once too often",
        lambda g, y, x, d: g * d * y, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "the derivative is multiplied by the input once too often",
        lambda g, y, x, d: g * d * x, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "the derivative is divided by the input once too often",
        lambda g, y, x, d: g * d / x, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "the derivative is divided by the output once too often",
        lambda g, y, x, d: g * d / y, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "the absolute value of the derivative is used",
        lambda g, y, x, d: g * np.abs(d), rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses 1/x", lambda g, y, x, d: g / x, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses 1/x²", lambda g, y, x, d: g / (x * x), rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses x²", lambda g, y, x, d: g * x * x, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses 2x", lambda g, y, x, d: 2 * g * x, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses exp(x)", lambda g, y, x, d: g * np.exp(x), rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses sin(x)", lambda g, y, x, d: g * np.sin(x), rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses cos(x)", lambda g, y, x, d: g * np.cos(x), rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses the sign of x", lambda g, y, x, d: g * np.sign(x), rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses 1/y", lambda g, y, x, d: g / y, rarity=0.7)
mistake(EVERYWHERE, "wrong_derivative", "this uses y²", lambda g, y, x, d: g * y * y, rarity=0.7)
mistake(EVERYWHERE, "wrong_mask", "the gradient is set to 0 where x is not positive",
        lambda g, y, x, d: np.where(x > 0, g * d, 0), rarity=0.7)
mistake(EVERYWHERE, "upstream", "the upstream gradient is ignored: multiply the derivative by it",
        lambda g, y, x, d: d + 0 * g)
mistake(EVERYWHERE, "upstream", "the upstream gradient is added to the derivative: multiply them",
        lambda g, y, x, d: d + g, rarity=0.7)
mistake(EVERYWHERE, "upstream", "only the sign of the upstream gradient is used",
        lambda g, y, x, d: np.sign(g) * d, rarity=0.7)
mistake(EVERYWHERE, "upstream", "the upstream gradient is squared", lambda g, y, x, d: g * g * d, rarity=0.7)
mistake(EVERYWHERE, "upstream", "the absolute value of the upstream gradient is used",
        lambda g, y, x, d: np.abs(g) * d, rarity=1.0)
mistake(EVERYWHERE, "upstream", "the upstream gradient is clipped to [-1, 1]",
        lambda g, y, x, d: np.clip(g, -1, 1) * d)
# fmt: on


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def gate(y: Any, x: Any) -> Any:
    """Returns what x is multiplied by to give y."""
    return np.where(x == 0, 0.5, y / np.where(x == 0, 1, x))


def exchanged(x: Any, d: Any) -> Any:
    """A slope of two pieces with the two exchanged."""
    positive, negative = d[x > 0], d[x < 0]
    if not positive.size or not negative.size:
        return d
    return np.where(x > 0, negative.flat[0], positive.flat[0])


def recognised(y: Any, x: Any, d: Any) -> tuple[str, ...]:
    """Returns the names under which the table may know a function, found by its values.

    However a sigmoid is written, its values are a sigmoid's.
    """

    def same(a: Any) -> bool:
        return bool(np.allclose(y, a, rtol=1e-9, atol=1e-12))

    if not np.size(x):
        return ()
    names = []
    with np.errstate(all="ignore"):
        if same(sigmoid(x)):
            names.append("sigmoid")
        elif same(np.tanh(x)):
            names.append("tanh")
        elif same(np.maximum(x, 0)):
            names.append("relu")
        elif same(np.log(x)):
            names.append("log")
        elif same(x * x) or same(0.5 * x * x):
            names.append("square")
        elif same(x**3) or same(x**4):
            names.append("power")
        elif same(np.abs(x)) or (np.ptp(np.abs(d)) <= 1e-9 * np.max(np.abs(d)) and np.any(d < 0) and np.any(d > 0)):
            names.append("abs")
        elif same(np.logaddexp(x, 0)):
            names.append("softplus")
        elif len(np.unique(np.round(d, 9))) <= 3 and np.size(d) > 3:
            names.append("piecewise")
        elif np.all((gate(y, x) > -1e-9) & (gate(y, x) < 1 + 1e-9)):
            names.append("gate")
    return tuple(names)
