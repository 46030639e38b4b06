"""NumPy's elementwise functions: the primitive that each is, or the formula that makes it of others."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.tape.dispatch import FUNCTIONS, PLAIN, plain
from functional_nets.backprop.tape.variable import Variable, constant, primitive

PRIMITIVES: dict[np.ufunc, str] = {
    np.add: "add", np.subtract: "sub", np.multiply: "mul", np.divide: "div", np.negative: "neg",
    np.maximum: "max", np.minimum: "min", np.absolute: "abs", np.fabs: "abs", np.fmod: "rem",
    np.sign: "sign", np.floor: "floor", np.ceil: "ceil", np.positive: "copy",
    np.square: "square", np.sqrt: "sqrt", np.cbrt: "cbrt",
    np.exp: "exp", np.exp2: "exp2", np.expm1: "expm1", np.log: "log", np.log2: "log2", np.log1p: "log1p",
    np.logaddexp: "logaddexp", np.logaddexp2: "logaddexp2",
    np.sin: "sin", np.cos: "cos", np.tan: "tan", np.arcsin: "asin", np.arccos: "acos", np.arctan: "atan",
    np.arctan2: "atan2", np.sinh: "sinh", np.cosh: "cosh", np.tanh: "tanh", np.arcsinh: "asinh",
    np.arccosh: "acosh", np.arctanh: "atanh",
}  # fmt: skip


def elementwise(ufunc: np.ufunc, name: str) -> Callable[..., Any]:
    """What records a function of NumPy that is a primitive."""
    return lambda *operands: primitive(name, *operands, compute=ufunc)


class Rounding(NamedTuple):
    """What JAX calls the way of rounding."""

    name: str


def power(x: Any, y: Any) -> Any:
    """`x ** y`; a whole number as exponent is no operand but part of the primitive."""
    exponent = plain(y)
    if np.ndim(exponent) == 0 and not (isinstance(y, Variable) and y.needs_gradient) and float(exponent).is_integer():
        return primitive("integer_pow", x, compute=lambda a: a**exponent, y=int(exponent))
    return primitive("pow", x, y, compute=lambda a, b: a**b)


def remainder(x: Any, y: Any) -> Any:
    """`x % y`, with the sign of `y`."""
    rest = np.fmod(x, y)
    return np.where((rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest)


def rint(x: Any) -> Any:
    """The nearest whole number, the even one of two."""
    return primitive("round", x, compute=np.rint, rounding_method=Rounding("TO_NEAREST_EVEN"))


def clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """The larger of `x` and `a_min`, and the smaller of that and `a_max`."""
    low, high = a_min if min is None else min, a_max if max is None else max
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def where(condition: Any, *cases: Any) -> Any:
    """The first case where the condition is true, else the second; without cases, where it is true."""
    if not cases:
        return np.where(plain(condition))
    return primitive(
        "select_n", np.array(plain(condition), bool), *cases[::-1], compute=lambda c, b, a: np.where(c, a, b)
    )


def constant_like(make: Any, x: Any, *args: Any, **options: Any) -> Any:
    """`np.zeros_like` and its like: a variable, so that what is written into it can be recorded."""
    return Variable.of(constant(make(plain(x), *args, **options)))


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """The same elements in an array of their own."""
    return primitive("copy", a, compute=lambda x: x.copy(order))


def full_like(x: Any, fill_value: Any, **options: Any) -> Any:
    """An array like `x`, each element `fill_value`."""
    filled = constant_like(np.zeros_like, x, **options)
    filled[...] = fill_value
    return filled


# fmt: off
COMPOSED: dict[Callable[..., Any], Callable[..., Any]] = {
    np.power:        power,
    np.float_power:  lambda x, y: power(np.multiply(1.0, x), np.multiply(1.0, y)),
    np.reciprocal:   lambda x: 1 / x,
    np.log10:        lambda x: np.log(x) / np.log(10),
    np.remainder:    remainder,
    np.divmod:       lambda x, y: (np.floor_divide(x, y), np.remainder(x, y)),
    np.rint:         rint,
    np.trunc:        lambda x: np.where(x < 0, np.ceil(x), np.floor(x)),
    np.hypot:        lambda x, y: np.sqrt(x * x + y * y),
    np.deg2rad:      lambda x: x * (np.pi / 180),
    np.rad2deg:      lambda x: x * (180 / np.pi),
    np.clip:         clip,
    np.where:        where,
    np.round:        lambda x, decimals=0: np.rint(x * 10.0**decimals) / 10.0**decimals,
    np.nan_to_num:   lambda x, **options: np.where(np.isfinite(x), x, np.nan_to_num(plain(x), **options)),
    np.copysign:     lambda x, y: np.where(np.signbit(x) == np.signbit(y), x, -x),
    np.real:         lambda x: x,
    np.conjugate:    lambda x: x,
    np.full_like:    full_like,
    np.copy:         copy,
}
# fmt: on

FUNCTIONS |= {ufunc: elementwise(ufunc, name) for ufunc, name in PRIMITIVES.items()}
FUNCTIONS |= COMPOSED
FUNCTIONS |= {make: partial(constant_like, make) for make in (np.zeros_like, np.ones_like, np.empty_like)}
PLAIN |= {
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.isclose, np.allclose,
    np.isnan, np.isinf, np.isfinite, np.signbit, np.isin, np.array_equal, np.iscomplexobj, np.isrealobj,
    np.logical_and, np.logical_or, np.logical_not, np.logical_xor, np.all, np.any, np.count_nonzero,
    np.nonzero, np.flatnonzero, np.argwhere, np.argmax, np.argmin, np.argsort, np.searchsorted, np.unique,
    np.floor_divide, np.bincount, np.digitize, np.shape, np.ndim, np.size, np.result_type,
    np.array_repr, np.array_str, np.array2string, np.may_share_memory, np.shares_memory,
}  # fmt: skip
