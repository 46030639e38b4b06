"""Short texts: what stands on an operation, and numbers."""

from typing import Any

import numpy as np

from functional_nets.report.graph.units import Unit
from functional_nets.report.graph.witnesses import Testimony

SYMBOLS = {
    "mul": "×", "add": "+", "add_any": "+", "sub": "−", "div": "÷", "neg": "−( )", "square": "( )²", "sqrt": "√",
    "rsqrt": "1/√", "dot_general": "@", "reduce_sum": "Σ", "reduce_max": "max", "reduce_min": "min",
    "reduce_prod": "Π", "logistic": "σ", "broadcast_in_dim": "broadcast", "select_n": "where",
    "gather": "pick", "take": "pick", "conv_general_dilated": "conv", "pow": "^",
    "convert_element_type": "convert", "abs": "|·|",
}  # fmt: skip
"""What a course writes for a primitive; of the others the name."""

BINARY = {"mul", "add", "sub", "div", "max", "min", "pow"}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def symbol(unit: Unit, testimony: Testimony) -> str:
    """Returns what stands on an operation, a constant operand included: `÷ 6`."""
    if unit.custom:
        return unit.op
    if unit.op == "integer_pow":
        return "( )" + str(unit.params["y"]).translate(SUPERSCRIPTS)
    name = SYMBOLS.get(unit.op, unit.op.replace("_", " "))
    if unit.op == "reduce_sum" and len(unit.params["axes"]) < np.ndim(testimony.program.values[unit.operands[0]]):
        return f"{name} axis {', '.join(map(str, unit.params['axes']))}"
    if unit.op in BINARY:
        return _with_constant(name, unit, testimony)
    return name


def _with_constant(name: str, unit: Unit, testimony: Testimony) -> str:
    values = testimony.program.values
    moving = {*testimony.program.leaves, *testimony.program.arguments}
    moving.update(number for each in testimony.units for number in each.outputs)
    first, second = unit.operands
    if second not in moving:
        return f"{name} {_constant(values[second])}"
    if first not in moving:
        return f"{_constant(values[first])} {name}"
    return name


def _constant(value: Any) -> str:
    array = np.asarray(value)
    if array.size and np.all(array == array.flat[0]):
        return brief(array.flat[0])
    return f"[{shape(array)}]"


def brief(value: Any, digits: int = 5) -> str:
    """Returns a number with a few digits and a true minus sign."""
    number = complex(value) if np.iscomplexobj(value) else float(value)
    return f"{number:.{digits}g}".replace("-", "−").replace("e−0", "e−").replace("e+0", "e")


def printable(text: str) -> str:
    """Returns a name in one line, without characters that are not to be seen."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def exact(value: Any) -> str:
    """Returns a scalar with all its digits; an array as its shape."""
    if np.shape(value):
        return f"array {list(np.shape(value))}"
    return repr(complex(value) if np.iscomplexobj(value) else float(value)).removesuffix(".0")


def shape(value: Any) -> str:
    """Returns an array's shape: `6×4`."""
    return "×".join(map(str, np.shape(value)))


def norm(value: Any) -> float:
    """Returns the Euclidean norm of all elements."""
    sizes = np.abs(np.asarray(value))
    largest = float(np.max(sizes, initial=0.0))
    return largest * float(np.sqrt(np.sum((sizes / largest) ** 2))) if 0 < largest < np.inf else largest
