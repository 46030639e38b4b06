"""What a check cannot begin with is refused in words that say what was expected and found."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.gradcheck import check
from tests.gradcheck.agreement import line_of

PARAMS = {"dense": {"w": np.ones((2, 3)), "b": np.zeros(3)}}
RIGHT = {"dense": {"w": np.ones((2, 3)), "b": np.zeros(3)}}


def loss_fn(params):
    return 0.5 * jnp.sum(params["dense"]["w"] ** 2) + 0.5 * jnp.sum(params["dense"]["b"] ** 2)


@pytest.mark.parametrize(
    ("manual", "message"),
    [
        ({"dense": {"w": RIGHT["dense"]["w"]}}, "'dense/b'"),
        ({"dense": RIGHT["dense"] | {"scale": np.ones(3)}}, "'dense/scale'"),
        ({"dense1": RIGHT["dense"]}, "'dense/b'"),
        ([RIGHT["dense"]["b"], RIGHT["dense"]["w"]], "'dense/b'"),
        ({"dense": RIGHT["dense"] | {"b": None}}, "'dense/b'"),
        ({"dense": RIGHT["dense"] | {"b": [0.0, 0.0, 0.0]}}, "'dense/b'"),
        ({"dense": RIGHT["dense"] | {"b": "zero"}}, "'dense/b'"),
        ({"dense": RIGHT["dense"] | {"b": np.zeros(3, complex)}}, "complex128"),
        ({"dense": RIGHT["dense"] | {"b": np.array([0, np.nan, np.nan])}}, r"nan in 'dense/b' first at \[1\] \(2"),
        ({"dense": RIGHT["dense"] | {"w": np.full((2, 3), np.inf)}}, r"inf in 'dense/w' first at \[0, 0\]"),
    ],
)
def test_a_gradient_that_cannot_be_compared(manual, message):
    with pytest.raises(ValueError, match=message):
        check(loss_fn, PARAMS, manual=manual)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda p: p["dense"]["b"], r"one scalar, found float64 \[3\]"),
        (lambda p: (loss_fn(p), p["dense"]["b"]), r"one scalar, found float64 \[\], float64 \[3\]"),
        (lambda p: None, "one scalar, found nothing"),
        (lambda p: jnp.sum(p["dense"]["w"] > 0), "one real number, found int"),
        (lambda p: loss_fn(p) + 1j, "one real number, found complex128"),
    ],
)
def test_a_loss_that_is_no_scalar(loss, message):
    with pytest.raises(ValueError, match=message):
        check(loss, PARAMS, manual=RIGHT)


def test_parameters_of_integers_only():
    with pytest.raises(ValueError, match="floating-point numbers, found int64 in 'w'"):
        check(lambda p: jnp.sum(p["w"] ** 2), {"w": np.arange(3)}, manual={"w": 2 * np.arange(3)})


def test_a_loss_that_draws_random_numbers():
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"the same value each time, found 3\.\d+ and then"):
        check(lambda p: loss_fn(p) + random.random(), PARAMS, manual=RIGHT)


def test_a_loss_that_keeps_a_state():
    calls = itertools.count(1)
    with pytest.raises(ValueError, match="keeps a state"):
        check(lambda p: next(calls) * loss_fn(p), PARAMS)


def test_not_a_number_is_traced_to_the_operation_that_makes_it():
    def loss(params):
        return jnp.sum(jnp.log(params["dense"]["b"] - 1)) + loss_fn(params)

    line = line_of(__file__, "jnp.log(")
    with pytest.raises(ValueError, match=rf"finite loss, found nan: the first comes from log at .*:{line}"):
        check(loss, PARAMS, manual=RIGHT)


def test_not_a_number_among_the_parameters():
    with pytest.raises(ValueError, match="a parameter or an argument holds one"):
        check(lambda p: jnp.sum(p["w"]), {"w": np.array([1, np.nan])}, manual={"w": np.ones(2)})


def steep(params):
    return jnp.sum(jnp.sqrt(params["b"]))


def test_an_infinite_slope():
    line = line_of(__file__, "jnp.sqrt(")
    with pytest.raises(ValueError, match=rf"inf in 'b' at \[0\].*sqrt at 0 at .*:{line}"):
        check(steep, {"b": np.zeros(3)}, manual={"b": np.zeros(3)})
