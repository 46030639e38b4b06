"""`order=2`, `forward=True`, `batched=True`: what further witnesses say, against derivatives in closed form."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_derivatives import linear_call

from functional_nets.gradcheck import GradientMismatch, assert_gradients, check, check_vjp
from functional_nets.gradcheck.point import Point
from functional_nets.gradcheck.second_order import differences

ALL = {"order": 2, "forward": True, "batched": True}
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 3))
SQUARE = RANDOM.normal(size=(3, 3))


def with_rule(backward, name="cube"):
    """x³ with the rule `backward(x, g)`."""

    def cube(x):
        return x**3

    cube.__name__ = name
    wrapped = jax.custom_vjp(cube)
    wrapped.defvjp(lambda x: (x**3, x), lambda x, g: (backward(x, g),))
    return wrapped


def callback(function, vmap_method):
    """A NumPy function of arrays of one shape, for JAX to call."""

    def call(x, g):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(lambda *arrays: np.asarray(function(*arrays)), shape, x, g, vmap_method=vmap_method)

    return call


@jax.custom_jvp
def square(x):
    return x * x


@square.defjvp
def _square_rule(primals, tangents):
    return square(*primals), 3 * primals[0] * tangents[0]


right = with_rule(lambda x, g: 3 * x**2 * g)
frozen = with_rule(lambda x, g: 3 * jax.lax.stop_gradient(x) ** 2 * g)
wrong_within = with_rule(lambda x, g: 3 * square(x) * g)
by_numpy = with_rule(callback(lambda x, g: 3 * x**2 * g, "sequential"))
mixing = with_rule(callback(lambda x, g: 3 * x**2 * g * (1 if x.ndim < 3 else x.mean()), "broadcast_all"))
not_batched = with_rule(callback(lambda x, g: 3 * x**2 * g, None))


def total(f):
    return lambda x: jnp.sum(f(x))


def row(report, name):
    return next(leaf for leaf in report.leaves if leaf.path == name)


def network(params, x):
    h = jnp.tanh(x @ params["w"] + params["b"])
    return jnp.mean(jax.nn.softmax(jax.nn.relu(h) @ params["v"])[:, 0]) + jnp.mean(right(h))


NETWORK = {"w": RANDOM.normal(size=(3, 3)), "b": RANDOM.normal(size=3), "v": RANDOM.normal(size=(3, 2))}


def test_what_is_right_is_right_for_all_witnesses():
    report = check(network, NETWORK, X, **ALL)
    assert report.ok
    assert {"b", "v (second derivative)", "w (vmap)", "value (vmap)"} < {leaf.path for leaf in report.leaves}
    assert report.witnesses["second order"] < 1e-8
    assert report.witnesses["vmap"] < 1e-12


def test_narrow_parameters_are_widened():
    report = check(total(right), X.astype(np.float32), **ALL)
    assert report.ok
    assert report.witnesses["second order"] < 1e-8


def test_the_measured_second_derivative_is_that_of_a_cubic_form():
    def loss(p):
        return jnp.sum((SQUARE @ p["x"]) ** 3) + p["y"] ** 2 * jnp.sum(p["x"])

    x, y = RANDOM.normal(size=3), 0.7
    point = Point(loss, {"x": x, "y": np.array(y)})
    v, u = RANDOM.normal(size=3), 1.3
    by_x, by_y = differences(point.walked, point.leaves, [v, np.array(u)], 2.0**-53, point.sensitivities)
    hessian = 6 * SQUARE.T @ np.diag(SQUARE @ x) @ SQUARE
    np.testing.assert_allclose(by_x.value, hessian @ v + 2 * y * u, rtol=1e-9)
    np.testing.assert_allclose(by_y.value, 2 * y * v.sum() + 2 * u * x.sum(), rtol=1e-9)
    assert np.max(np.abs(by_x.value - hessian @ v - 2 * y * u)) <= by_x.error < 1e-6


def test_a_direction_moves_one_leaf():
    point = Point(network, NETWORK, [X])
    assert [[bool(np.any(part)) for part in each] for each in point.directions] == np.eye(3, dtype=bool).tolist()


def test_rounding_errors_of_zero_are_no_relative_error():
    """What is added to all numbers is gone with their mean: the first and the second derivative by it are 0."""

    def loss(p):
        z = jnp.sin(X + p["shift"]) + p["bias"]
        return jnp.sum((z - jnp.mean(z)) ** 3)

    report = check(loss, {"shift": np.array(0.3), "bias": np.array(0.2)}, **ALL)
    assert report.ok
    assert row(report, "bias").relative_error > 1e-3
    assert report.witnesses["second order"] < 1e-6


@pytest.mark.parametrize(("f", "error"), [(frozen, 1.0), (wrong_within, 1 / 3)], ids=["frozen", "wrong within"])
def test_a_right_gradient_with_a_wrong_derivative_is_found(f, error):
    """The second derivative of x³ is 6x; these rules make 0 and 9x of it."""
    assert check(total(f), X).ok
    report = check(total(f), X, order=2)
    assert not report.ok
    assert row(report, "params").ok
    assert row(report, "params (second derivative)").relative_error == pytest.approx(error)
    assert report.witnesses["second order"] == pytest.approx(error)
    (cause,) = report.causes
    assert (cause.mistake, cause.op, cause.witness) == ("wrong_derivative", "cube", "second derivative")
    assert cause.file == __file__
    assert "cube (custom_vjp)" in str(report)
    assert json.loads(report.to_json())["witnesses"]["second order"] == pytest.approx(error)


def test_a_rule_that_cannot_be_differentiated_is_a_finding():
    report = check(total(by_numpy), X, order=2)
    assert not report.ok
    assert "second derivative: jax.jvp of jax.grad raises ValueError: Pure callbacks do not support JVP" in str(report)
    assert "No known mistake" not in str(report)
    assert json.loads(report.to_json())["witnesses"]["second order"] == "inf"


def test_a_rule_with_a_second_derivative_in_forward_mode_alone_is_right():
    def backward(x, g):
        return jax.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] * x), (0, 3 * g))[1]

    report = check(total(with_rule(backward)), X, order=2)
    assert report.ok
    assert any("jax.grad of jax.grad · v cannot be taken" in note for note in report.notes)


def test_a_second_derivative_that_is_not_a_number_is_found():
    report = check(total(with_rule(lambda x, g: 3 * jnp.sqrt(x**4) * g)), np.array([0.0, 1.0]), order=2)
    assert not report.ok
    assert row(report, "params (second derivative)").relative_error == np.inf


def by_hand(x):
    return 3 * x**2


def by_hand_frozen(x):
    return 3 * jax.lax.stop_gradient(x) * x


def in_numpy(x):
    return 3 * np.asarray(x) ** 2


def in_numpy_narrow(x):
    return 3 * np.asarray(x, np.float32) ** 2


def in_numpy_frozen(x):
    return 3 * X * np.asarray(x)


@pytest.mark.parametrize("manual", [by_hand, in_numpy, in_numpy_narrow])
def test_the_derivative_of_the_function_given_may_be_right(manual):
    x = X.astype(np.float32) if manual is in_numpy_narrow else X
    report = check(lambda x: jnp.sum(x**3), x, manual=manual, order=2)
    assert report.ok
    assert row(report, "params (second derivative)").relative_error < 1e-4


@pytest.mark.parametrize("manual", [by_hand_frozen, in_numpy_frozen])
def test_the_derivative_of_the_function_given_may_be_wrong(manual):
    """Half of 6x is left: the gradient was a product of the argument and a number."""
    with jax.enable_x64(True):
        report = check(lambda x: jnp.sum(x**3), X, manual=manual, order=2)
    assert not report.ok
    assert row(report, "params (second derivative)").relative_error == pytest.approx(0.5)
    (cause,) = report.causes
    assert (cause.op, cause.file) == (manual.__name__, __file__)
    assert cause.line == manual.__code__.co_firstlineno


@pytest.mark.parametrize("function", [jax.nn.relu, jnp.abs])
def test_a_kink_is_no_wrong_second_derivative(function):
    report = check(total(function), np.array([0.0, 1.0, -1.0]), order=2)
    assert report.ok
    assert any("differences cannot tell" in note for note in report.notes)


def test_of_many_leaves_the_wrong_one_is_named():
    params = {f"p{i}": RANDOM.normal(size=2) for i in range(10)}
    report = check(lambda p: sum(total(frozen if n == "p7" else right)(x) for n, x in p.items()), params, order=2)
    assert [leaf.path for leaf in report.leaves if not leaf.ok] == ["p7 (second derivative)"]


def test_where_the_gradient_is_wrong_its_derivative_is_not_looked_at():
    report = check(lambda x: jnp.sum(x**3), X, manual=3 * X, order=2)
    assert not report.ok
    assert "second order" not in report.witnesses
    assert "second derivative: not checked" in report.notes[-1]


def test_a_wrong_gradient_of_what_jax_cannot_differentiate_is_found():
    def loss(x):
        return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, 1.0))[1]

    x = np.array(0.7)
    assert check(loss, x, manual=3 * x**2).ok
    assert not check(loss, x, manual=2 * x).ok


def test_a_gradient_that_is_meant_to_be_another_has_no_second_derivative():
    through = jax.custom_vjp(lambda x: jnp.round(x))
    through.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))
    report = check_vjp(through, X, **ALL)
    assert report.ok
    assert set(report.witnesses) == {"finite differences", "vmap"}


def test_an_order_that_is_none():
    with pytest.raises(ValueError, match="order 1 or 2 of the derivative, found 3"):
        check(total(right), X, order=3)


def test_forward_mode_is_compared_with_the_walk():
    """The transpose of this linear function is right, and the function itself is 11/10 of that."""

    def loss(x, factor):
        return jnp.sum(linear_call(lambda _, x: factor * x, lambda _, g: g, (), x) * X)

    assert check(lambda x: loss(x, 1.0), X, forward=True).ok
    assert check(lambda x: loss(x, 1.1), X).ok
    report = check(lambda x: loss(x, 1.1), X, forward=True)
    assert not report.ok
    assert report.witnesses["forward mode"] == pytest.approx(1 / 11)
    assert "forward mode: jax.jvp of the loss is not the slope" in str(report)


def test_a_custom_jvp_is_wrong_beside_a_right_gradient():
    """Its slope 3x is off by a third of itself."""
    assert check(total(square), X, manual=2 * X).ok
    report = check(total(square), X, manual=2 * X, forward=True)
    assert row(report, "params").ok
    assert row(report, "params (forward mode)").relative_error == pytest.approx(1 / 3)
    assert report.causes[0].op == "square"


def test_a_custom_vjp_has_no_forward_mode():
    report = check(total(right), X, forward=True)
    assert report.ok
    assert "forward mode" not in report.witnesses
    assert "cube has a custom_vjp only" in report.notes[-1]


def test_a_rule_that_mixes_a_batch_is_found():
    assert check(total(mixing), X).ok
    assert check(total(by_numpy), X, batched=True).ok
    report = check(total(mixing), X, batched=True)
    assert not report.ok
    assert [leaf.path for leaf in report.leaves if not leaf.ok] == ["params (vmap)"]
    assert report.witnesses["vmap"] > 0.1
    assert (report.causes[0].op, report.causes[0].witness) == ("cube", "vmap")


def test_a_rule_that_cannot_be_batched_is_a_finding():
    report = check(total(not_batched), X, batched=True)
    assert not report.ok
    assert report.witnesses["vmap"] == np.inf
    assert "vmap: jax.vmap of the gradient raises NotImplementedError" in str(report)


def test_each_finding_has_a_sentence_of_its_own():
    report = check(total(mixing), X, **ALL)
    assert [cause.witness for cause in report.causes] == ["second derivative", "vmap"]
    assert "The same numbers would also come from" not in str(report)
    assert all(cause.message in str(report) for cause in report.causes)


def test_a_mismatch_is_raised():
    assert_gradients(total(right), X, **ALL)
    with pytest.raises(GradientMismatch, match="second derivative"):
        assert_gradients(total(frozen), X, order=2)


def test_a_rule_has_the_same_witnesses():
    report = check_vjp(right, X, **ALL)
    assert report.ok
    assert {"x", "x (second derivative)", "cotangent (second derivative)"} < {leaf.path for leaf in report.leaves}
    assert check_vjp(frozen, X).ok
    report = check_vjp(frozen, X, order=2)
    assert [leaf.path for leaf in report.leaves if not leaf.ok] == ["x (second derivative)"]
    assert report.causes[0].file == __file__


def test_a_rule_is_batched_over_cotangents():
    clipped = with_rule(callback(lambda x, g: 3 * x**2 * g / (g.max() if g.ndim > 2 else 1), "broadcast_all"))
    assert check_vjp(clipped, X).ok
    assert not check_vjp(clipped, X, batched=True).ok
