"""The operation named for a NaN or an infinity is the one that made it, wherever it stands."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from functional_nets.training.origin import first_non_finite


def line_of(function, mark):
    """The number of the line of a function that ends with a mark."""
    lines = inspect.getsource(function).splitlines()
    (number,) = [number for number, line in enumerate(lines) if line.endswith(f"# {mark}")]
    return function.__code__.co_firstlineno + number


def softmax(x):
    powers = jnp.exp(x)  # overflows
    return powers / powers.sum()


def log_of_softmax(x):
    return jnp.log(softmax(x)).sum()  # of zero


def gradient_of_root(x):
    return jax.grad(lambda x: jnp.sqrt(x).sum())(x)  # of zero


def masked_everywhere(x):
    scores = jnp.where(jnp.arange(3) < 0, x, -jnp.inf)  # An infinity that is meant.
    shifted = scores - scores.max()  # of two infinities
    return jnp.exp(shifted)


def recurrent(x):
    def step(h, t):
        h = h * h * t  # grows
        return h, h

    return lax.scan(step, x, jnp.ones(20))[0]


def gradient_of_recurrent(x):
    return jax.grad(recurrent)(x)


def counted(x):
    def body(state):
        count, value = state
        return count + 1, jnp.exp(value)  # grows

    return lax.while_loop(lambda state: state[0] < 10, body, (0, x))[1]


def branched(x):
    def logarithm(x):
        return jnp.log(x - x)  # of zero

    return lax.cond(x.sum() > 0, logarithm, lambda x: x, x)


@jax.jit
def jitted(x):
    return jax.nn.relu(1 / (x - x))  # by zero


LARGE, SMALL, ONES = np.array([1000.0, 0, 0]), np.array([0.0, -1000, 0]), np.ones(3)
CASES = [
    (softmax, LARGE, "inf", "exp", "overflows"),
    (log_of_softmax, SMALL, "inf", "log", "of zero"),
    (gradient_of_root, np.zeros(3), "inf", "div", "of zero"),
    (masked_everywhere, ONES, "nan", "sub", "of two infinities"),
    (recurrent, np.array(10.0), "inf", "mul", "grows"),
    (counted, np.array(2.0), "inf", "exp", "grows"),
    (branched, ONES, "inf", "log", "of zero"),
    (jitted, ONES, "inf", "div", "by zero"),
]


@pytest.mark.parametrize(
    ("function", "x", "value", "op", "mark"), CASES, ids=lambda case: getattr(case, "__name__", None)
)
def test_the_operation_and_its_line_are_named(function, x, value, op, mark):
    origin = first_non_finite(function, x.astype(np.float32))
    where = inspect.unwrap(function)
    assert (origin.value, origin.op) == (value, op)
    assert (origin.where.file, origin.where.line) == (__file__, line_of(where, mark))
    assert str(origin) == f"{value} is made first by {op} at {__file__}:{origin.where.line} ({origin.where.function})"


def test_a_gradient_through_a_loop_names_the_line_in_the_loop():
    origin = first_non_finite(gradient_of_recurrent, np.float32(10))
    assert origin.where.line == line_of(recurrent, "grows")


def test_what_is_finite_has_no_origin():
    assert first_non_finite(softmax, np.ones(3, np.float32)) is None


def test_an_infinity_that_reaches_no_result_is_not_blamed():
    def guarded(x):
        logarithm = jnp.log(x)
        return jnp.where(x > 0, logarithm, 0.0).sum() + jnp.exp(1000 * x).sum()  # overflows

    origin = first_non_finite(guarded, np.array([0.0, 1.0], np.float32))
    assert (origin.op, origin.where.line) == ("exp", line_of(guarded, "overflows"))


def test_an_argument_that_was_not_finite_is_named():
    origin = first_non_finite(lambda batch: batch["x"] + batch["y"], {"x": np.ones(2), "y": np.array([1, np.nan])})
    assert str(origin) == "nan is in argument 0['y'] from the beginning"


def test_a_constant_that_is_not_a_number_is_traced_to_where_it_is_used():
    def spoilt(x):
        return x * np.float32(np.nan)  # used

    assert first_non_finite(spoilt, np.ones(2, np.float32)).where.line == line_of(spoilt, "used")
