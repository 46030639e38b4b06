"""Each function of NumPy that the tape knows: its value, its gradient and its second derivative.

The oracle is the complex step, f'(x)·u = Im f(x + ihu) / h, exact to the last digits, where NumPy's function
takes complex numbers as an analytic function; elsewhere central differences; for the choices where a
convention decides, `jax.grad`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.backprop.tape import Variable, backward, records
from functional_nets.backprop.values import VALUES
from tests.backprop.tape_cases import ANALYTIC, CASES, POSITIVE


def arguments(shapes):
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 2, shape[1:]) if shape[:1] == (POSITIVE,) else rng.normal(size=shape) for shape in shapes]


def weighted(f, args):
    """A scalar that all elements of f's result count in, differently."""
    weights = np.random.default_rng(1).normal(size=np.shape(f(*args)))
    return lambda *xs: np.sum(f(*xs) * weights)


def complex_step(loss, args, us):
    return loss(*(a + 1e-30j * u for a, u in zip(args, us, strict=True))).imag / 1e-30


def difference(loss, args, us):
    ahead, behind = (loss(*(a + h * u for a, u in zip(args, us, strict=True))) for h in (1e-6, -1e-6))
    return (ahead - behind) / 2e-6


def along(loss, us, arrays, create_graph=False):
    """The derivative along `us` that the tape gives, and the variables."""
    xs = [Variable(a) for a in arrays]
    grads = backward(loss(*xs), create_graph=create_graph)
    return sum(np.sum(grads[x] * u) for x, u in zip(xs, us, strict=True)), xs


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients(name):
    f, shapes = CASES[name]
    args = arguments(shapes)
    loss = weighted(f, args)
    us = [np.random.default_rng(2).normal(size=a.shape) for a in args]
    np.testing.assert_allclose(f(*map(Variable, args)).data, f(*args), rtol=1e-13, atol=1e-13)

    first, xs = along(loss, us, args, create_graph=True)
    if name in ANALYTIC:
        assert float(first.data) == pytest.approx(complex_step(loss, args, us), rel=1e-12, abs=1e-12)
    else:
        assert float(first.data) == pytest.approx(difference(loss, args, us), rel=1e-7, abs=1e-8)

    second = sum(np.sum(backward(first)[x] * u) for x, u in zip(xs, us, strict=True)) if first.needs_gradient else 0
    assert second == pytest.approx(difference(lambda *a: along(loss, us, a)[0], args, us), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_what_is_recorded_can_be_evaluated_again(name):
    f, shapes = CASES[name]
    for record in records(f(*map(Variable, arguments(shapes)))):
        again = VALUES[record.primitive](*(node.data for node in record.inputs), **record.params)
        np.testing.assert_allclose(again, record.output.data, rtol=1e-13, atol=1e-13)
        assert np.shape(again) == record.output.shape


def test_whole_numbers_in_variables_say_where_and_how_far():
    places, x = Variable([2, 0]), Variable([1.0, 2.0, 3.0])
    for picked, expected in (
        (np.take(x, places), [1, 0, 1]),
        (x[places], [1, 0, 1]),
        (np.roll(x, places[0])[:1], [0, 1, 0]),
        (np.repeat(x[1:], places), [0, 2, 0]),
        (np.take(np.ones(3), places) * x[:2], [1, 1, 0]),
    ):
        np.testing.assert_array_equal(backward(np.sum(picked))[x], expected)


# A tie, or a kink: what each side says differs, and JAX's choice is ours.
TIES = {
    "maximum": lambda np, x: np.maximum(x, 1.0),
    "minimum of two": lambda np, x: np.minimum(x, x[::-1]),
    "clip at its bounds": lambda np, x: np.clip(x, 0.0, 1.0),
    "max along an axis": lambda np, x: np.max(x, axis=1),
    "min of all": lambda np, x: np.min(x),
    "abs at 0": lambda np, x: np.abs(x),
    "sign at 0": lambda np, x: np.sign(x),
    "where at 0": lambda np, x: np.where(x > 0, x * 3, x * 5),
    "prod with zeros": lambda np, x: np.prod(x, axis=0),
    "cumprod with zeros": lambda np, x: np.cumprod(x, axis=1),
    "sort of equals": lambda np, x: np.sort(x, axis=1),
    "square of 0": lambda np, x: x**2 + x**3 + x**1 + x**0,
    "logaddexp of equals": lambda np, x: np.logaddexp(x, x[::-1]),
}


DATA = np.array([[0.0, 1.0, 1.0, -2.0], [1.0, 0.0, 1.0, -2.0], [0.0, 0.0, 3.0, 3.0]])


def loss_of_ties(f, numpy):
    weights = np.random.default_rng(0).normal(size=f(np, DATA).shape)
    return lambda x: numpy.sum(f(numpy, x) * weights)


@pytest.fixture(scope="module")
def jax_gradients():
    with jax.enable_x64(True):
        losses = {name: loss_of_ties(f, jnp) for name, f in TIES.items()}
        return jax.jit(lambda x: {name: jax.grad(loss)(x) for name, loss in losses.items()})(DATA)


@pytest.mark.parametrize("name", TIES)
def test_ties_are_broken_as_jax_breaks_them(name, jax_gradients):
    x = Variable(DATA)
    ours = backward(loss_of_ties(TIES[name], np)(x))[x]
    np.testing.assert_allclose(ours, jax_gradients[name], rtol=1e-12, atol=1e-12)
