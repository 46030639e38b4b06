"""What must hold of a case: assertions that the tests make, and the mutation of the rules."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from functional_nets.backprop.numeric import complex_step, random_direction, sweep
from functional_nets.backprop.rules import NoRuleError, backward
from functional_nets.backprop.values import evaluate, widen
from tests.backprop.rule_cases import CASES
from tests.backprop.rule_cases.case import Case, Solution, solve
from tests.backprop.rule_cases.recorded import Recorded

# Primitives that are made of analytic functions, in NumPy also of complex numbers.
ANALYTIC = {
    "add", "add_any", "sub", "mul", "div", "neg", "square", "sqrt", "exp", "exp2", "expm1", "log", "log1p",
    "logistic", "tanh", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh",
    "atanh", "integer_pow", "rsqrt", "one_minus_square", "polynomial", "reduce_sum", "reduce_prod",
    "cumsum", "cumprod", "reshape", "squeeze", "expand_dims", "transpose", "rev", "broadcast_in_dim",
    "tile", "concatenate", "stack", "unstack", "slice", "dynamic_slice", "gather", "dot_general",
    "conv_general_dilated", "take", "scatter_add", "windows", "fold", "contract",
}  # fmt: skip


@functools.cache
def cases(name: str) -> list[Case]:
    """Return the cases of a primitive."""
    return [case for case in CASES if case.name == name]


@functools.cache
def solutions(name: str) -> dict[Case, Solution]:
    """Return what JAX makes of the cases of a primitive."""
    return solve(cases(name))


def inputs_of(case: Case) -> tuple[np.ndarray, ...]:
    """Return the inputs as the walk has them: every float in float64."""
    return tuple(map(widen, case.inputs))


@functools.cache
def value_of(case: Case) -> Any:
    """Return what the table of values made of the case first."""
    return evaluate(case.name, inputs_of(case), case.params)


def check_value(case: Case, solution: Solution | None, tolerance: float = 1e-14) -> None:
    """The value is JAX's, of the same shape and type, where every float is a float64; or what it was at first."""
    expected = value_of(case) if solution is None else solution.y
    found = evaluate(case.name, inputs_of(case), case.params)
    for ours, right in zip(_several(found), _several(expected), strict=True):
        assert np.asarray(ours).dtype == widen(right).dtype, f"value of {case}: type {np.asarray(ours).dtype}"
        assert_close(ours, widen(right), tolerance, f"value of {case}")


def check_all(name: str) -> None:
    """All that must hold of a primitive's value and rule."""
    for case in cases(name):
        solution = solutions(name).get(case)
        if case.refused:
            check_refused(case)
            continue
        if case.valued:
            check_value(case, solution)
        if solution is not None:
            check_gradients(case, solution)
        if case.smooth and case.valued:
            check_slopes(case)
        if case.valued:
            check_recorded(case)


def check_refused(case: Case) -> None:
    """The rule says that it does not hold for these inputs."""
    with pytest.raises(NoRuleError):
        backward(case.name, np.ones(value_of(case).shape), value_of(case), inputs_of(case), case.params)


def check_gradients(case: Case, solution: Solution, tolerance: float = 1e-12) -> None:
    """The rule's gradients are those of `jax.vjp`; there may be none where those are zero."""
    y = tuple(map(widen, solution.y)) if isinstance(solution.y, tuple) else widen(solution.y)
    found = backward(case.name, solution.g, y, inputs_of(case), case.params)
    for i, (ours, jax) in enumerate(zip(found, solution.gradients, strict=True)):
        if i in case.unknown:
            continue
        if ours is None or jax is None:
            assert ours is None, f"{case}: a gradient of input {i}, which has none"
            assert jax is None or not np.any(jax), f"{case}: no gradient of input {i}, expected\n{jax}"
        else:
            assert_close(ours, jax, tolerance, f"gradient of input {i} of {case}")


class Slope(NamedTuple):
    """The slope of a case along a direction of one input; `error` is zero where a complex step gave it."""

    place: int
    direction: Any
    slope: float
    error: float


@functools.cache
def slopes(case: Case) -> list[Slope]:
    """Return the slope for each input that has a gradient.

    It is that of the sum of the outputs' real parts, each times its cotangent. Infinite outputs are left out.
    """
    inputs, g = inputs_of(case), _several(case.cotangent(value_of(case)))
    complex_numbers = any(np.iscomplexobj(each) for each in (*inputs, *g))
    found = []
    for i, x in enumerate(inputs):
        if x.dtype.kind not in "fc" or i in case.fixed:
            continue

        def weighted(x: Any, i: int = i) -> Any:
            y = evaluate(case.name, (*inputs[:i], x, *inputs[i + 1 :]), case.params)
            outputs = zip(_several(y), g, strict=True)
            total = sum(np.sum(np.where(np.isfinite(a), a, 0) * b) for a, b in outputs if a.dtype.kind in "fc")
            return total + 0 * np.sum(x)

        if case.name in ANALYTIC and not complex_numbers:
            direction = random_direction(x, seed=i)
            found.append(Slope(i, direction, complex_step(weighted, x, direction), 0.0))
            continue
        parts = (x.real, x.imag) if x.dtype.kind == "c" else (x,)
        along = random_direction(parts, seed=i)
        curve = sweep(lambda parts, f=weighted: np.real(f(_joined(parts))), parts, along)
        best = int(np.argmin(curve.errors))
        slope = float((16 * curve.slopes[best + 1] - curve.slopes[best]) / 15)
        found.append(Slope(i, _joined(along), slope, float(curve.errors[best])))
    return found


def check_slopes(case: Case, tolerance: float = 1e-7) -> None:
    """The rule's gradients are what differences of the values say, or complex steps."""
    y = value_of(case)
    found = backward(case.name, case.cotangent(y), y, inputs_of(case), case.params)
    for i, direction, slope, error in slopes(case):
        assert found[i] is not None, f"{case}: no gradient of input {i}"
        parts = np.real(found[i] * direction)
        size = np.sqrt(np.sum(parts**2)) + abs(slope)
        assert error <= tolerance * size + 1e-12, f"{case}: differences cannot tell, {error} of {slope}"
        allowed = tolerance * size + error if error else 1e-12 * size + 1e-30  # It underflows.
        assert abs(np.sum(parts) - slope) <= allowed, f"{case}: slope {np.sum(parts)}, expected {slope}"


def check_recorded(case: Case) -> set[str]:
    """On values that record, the rule gives the same gradients, recorded; return the functions it took."""
    y, inputs = value_of(case), inputs_of(case)
    g = case.cotangent(y)
    functions: set[str] = set()

    def record(x: Any) -> Any:
        return tuple(map(record, x)) if isinstance(x, tuple) else Recorded(x, functions)

    plain = backward(case.name, g, y, inputs, case.params)
    recorded = backward(case.name, record(g), record(y), tuple(map(record, inputs)), case.params)
    for a, b in zip(plain, recorded, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert isinstance(b, Recorded), f"{case}: the rule loses what it was to record"
            assert_close(b.data, a, 1e-15, f"recorded gradient of {case}")
    return functions


def assert_close(found: Any, expected: Any, tolerance: float, what: str) -> None:
    """The same shape, kind of type, infinities and NaN, and numbers that are close by the largest of them."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    assert found.dtype.kind == expected.dtype.kind, f"{what}: type {found.dtype}, expected {expected.dtype}"
    if found.dtype.kind not in "fc":
        assert found.dtype == expected.dtype, f"{what}: type {found.dtype}, expected {expected.dtype}"
        assert np.array_equal(found, expected), f"{what}:\n{found}\nexpected\n{expected}"
        return
    finite = np.isfinite(expected)
    assert np.array_equal(found[~finite], expected[~finite], equal_nan=True), f"{what}:\n{found}\nexpected\n{expected}"
    assert np.isfinite(found[finite]).all(), f"{what}:\n{found}\nexpected\n{expected}"
    size = np.max(np.abs(expected[finite]), initial=0)
    error = np.max(np.abs(found[finite] - expected[finite]), initial=0)
    assert error <= tolerance * size, f"{what}: off by {error} of {size}:\n{found}\nexpected\n{expected}"


def _joined(parts: tuple[Any, ...]) -> Any:
    return parts[0] + 1j * parts[1] if len(parts) == 2 else parts[0]


def _several(y: Any) -> Sequence[Any]:
    return y if isinstance(y, list | tuple) else [y]
