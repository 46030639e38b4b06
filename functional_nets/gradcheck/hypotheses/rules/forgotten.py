"""Numbers that people forget to multiply or divide by."""

import math
from collections.abc import Iterator

import numpy as np

from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.program import is_real


def named(evidence: Evidence, factor: float) -> tuple[str, bool]:
    """Returns words for a factor or its inverse, the larger of the two, and whether people forget such a one."""
    for value, name in forgotten(evidence):
        if close(factor, value) or close(factor, 1 / value):
            return name, True
    return f"{max(abs(factor), 1 / abs(factor)):.6g}", False


def forgotten(evidence: Evidence) -> Iterator[tuple[float, str]]:
    """Yields the numbers that people forget, with words for them: sizes, their products and quotients, constants."""
    program = evidence.program
    sizes: dict[int, str] = {}
    for number in program.arguments:
        shape = np.shape(program.values[number])
        if shape and shape[0] > 1:
            sizes.setdefault(shape[0], f"{shape[0]} (the batch)")
    for node in program.nodes:
        for number in node.outputs:
            for size in np.shape(program.values[number]):
                if size > 1:
                    sizes.setdefault(size, str(size))
    yield from ((2.0, "2"), (3.0, "3"), (4.0, "4"), (10.0, "10"), (100.0, "100"))
    yield from ((float(size), name) for size, name in sizes.items())
    some = sorted(sizes)[:12]
    yield from ((float(a * b), f"{a}·{b}") for a in some for b in some if a <= b)
    yield from ((math.sqrt(a), f"√{a}") for a in some)
    yield from ((2.0 * a, f"2·{a}") for a in some)
    yield from ((a / (a - 1), f"{a}/{a - 1}") for a in some if a > 2)
    yield from ((a / b, f"{a}/{b}") for a in some for b in some if a != b)
    yield from ((value, f"{value:g}") for value in literals(evidence))
    yield from ((2 * value, f"2·{value:g}") for value in literals(evidence))


def literals(evidence: Evidence) -> list[float]:
    """Returns the scalars that stand in the program and do not depend on the parameters."""
    program = evidence.program
    made = {number for node in program.nodes for number in node.outputs}
    found = []
    for node in program.nodes:
        for number in node.inputs:
            value = program.values[number]
            if number not in made and is_real(value) and np.size(value) == 1:
                scalar = abs(float(np.real(value).flat[0]))
                if np.isfinite(scalar) and scalar not in (0.0, 1.0):
                    found.append(scalar)
    return list(dict.fromkeys(found))[:24]


def close(a: float, b: float) -> bool:
    """Whether two numbers are the same, up to the precision of a fit."""
    return abs(a - b) <= 1e-5 * max(abs(a), abs(b))
