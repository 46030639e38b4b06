"""`check_vjp`: a rule that someone gave JAX, against the derivative of what the function computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets import gradcheck
from tests.gradcheck.test_layers import first_cause, line

X = np.random.default_rng(0).normal(size=(4, 3))


def with_rule(f, backward):
    """`f` with the rule `backward(g, *args)`."""
    wrapped = jax.custom_vjp(f)
    wrapped.defvjp(lambda *args: (f(*args), args), lambda args, g: backward(g, *args))
    return wrapped


def test_a_right_rule_is_right():
    report = gradcheck.check_vjp(with_rule(lambda x: jnp.sin(x), lambda g, x: (g * jnp.cos(x),)), X)
    assert report.ok
    assert [leaf.path for leaf in report.leaves] == ["x"]
    assert report.witnesses["finite differences"] == 0


def test_a_wrong_rule_is_found_at_the_line_of_what_it_should_be_the_derivative_of():
    def squashed(x):
        z = 2 * x
        return jnp.tanh(z)

    rule = with_rule(squashed, lambda g, x: (g * 2 * (1 - jnp.tanh(2 * x)),))
    cause = first_cause(gradcheck.check_vjp(rule, X))
    assert cause.mistake == "wrong_derivative"
    assert (cause.file, cause.line) == (__file__, line(squashed, "jnp.tanh(z)"))


def test_a_rule_that_ignores_the_cotangent_is_found_at_its_own_line():
    def backward(x, g):
        return (2 * x,)

    f = jax.custom_vjp(lambda x: x * x)
    f.defvjp(lambda x: (x * x, x), backward)
    cause = first_cause(gradcheck.check_vjp(f, X))
    assert (cause.mistake, cause.line) == ("upstream", backward.__code__.co_firstlineno)
    assert "ignores" in cause.message


def test_a_rule_that_clips_is_not_linear():
    rule = with_rule(lambda x: x * 1.0, lambda g, x: (jnp.clip(g, -0.1, 0.1),))
    assert first_cause(gradcheck.check_vjp(rule, X)).mistake == "upstream"


def test_an_identity_with_a_wrong_rule_is_found_at_the_rule_not_in_this_package():
    def backward(x, g):
        return (-g,)

    f = jax.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), backward)
    cause = first_cause(gradcheck.check_vjp(f, X))
    assert (cause.mistake, cause.file, cause.line) == ("sign", __file__, backward.__code__.co_firstlineno)


def test_a_factor_that_takes_itself_is_the_wrong_operand():
    rule = with_rule(lambda x, y: x * y, lambda g, x, y: (g * x, g * y))
    assert first_cause(gradcheck.check_vjp(rule, X, X + 1)).mistake == "wrong_operand"


def test_each_argument_is_a_leaf_and_integers_have_none():
    def take(table, rows, scale):
        return scale * table[rows]

    def backward(g, table, rows, scale):
        return jnp.zeros_like(table).at[rows].add(scale * g), None, jnp.mean(g * table[rows])

    report = gradcheck.check_vjp(with_rule(take, backward), X, np.array([0, 2, 0]), np.array(0.7))
    assert [(leaf.path, leaf.ok) for leaf in report.leaves] == [("table", True), ("scale", False)]
    assert first_cause(report).mistake in ("wrong_reduction", "scale")


def test_trees_go_in_and_come_out():
    def f(p):
        return {"sum": p["a"] + p["b"], "count": jnp.array(3), "product": p["a"] * p["b"]}

    def right(g, p):
        return ({"a": g["sum"] + g["product"] * p["b"], "b": g["sum"] + g["product"] * p["a"]},)

    def wrong(g, p):
        return ({"a": g["product"] * p["b"], "b": g["sum"] + g["product"] * p["a"]},)

    tree = {"a": X, "b": X + 1}
    assert gradcheck.check_vjp(with_rule(f, right), tree).ok
    report = gradcheck.check_vjp(with_rule(f, wrong), tree)
    assert [(leaf.path, leaf.ok) for leaf in report.leaves] == [("p/a", False), ("p/b", True)]


def test_a_straight_through_rule_is_meant_and_a_note_says_so():
    report = gradcheck.check_vjp(with_rule(lambda x: jnp.round(x), lambda g, x: (g,)), X)
    assert report.ok
    assert "straight-through" in report.notes[-1]


def test_a_rule_for_a_function_that_is_constant_only_by_its_zeros_is_not_meant():
    rule = with_rule(lambda x: 0 * x + 1, lambda g, x: (g,))
    assert gradcheck.check_vjp(rule, X).leaves[0].expected == 0


@pytest.mark.parametrize(("slope", "ok"), [(1.0, True), (2.0, False)])
def test_a_custom_jvp_is_checked_as_well(slope, ok):
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def rule(primals, tangents):
        (x,), (dx,) = primals, tangents
        return f(x), slope * jnp.cos(x) * dx

    report = gradcheck.check_vjp(f, X)
    assert report.ok is ok
    assert ok or first_cause(report).mistake == "scale"


def test_a_rule_of_another_shape_is_refused_by_jax_and_reported():
    rule = with_rule(lambda x: jnp.sum(x, 1), lambda g, x: (g,))
    assert first_cause(gradcheck.check_vjp(rule, X)).mistake == "wrong_shape"


@pytest.mark.parametrize(
    ("f", "args", "error"),
    [(3, (X,), TypeError), (lambda i: i, (np.arange(3),), ValueError), (lambda x: jnp.argmax(x), (X,), ValueError)],
)
def test_what_cannot_be_checked_is_refused(f, args, error):
    with pytest.raises(error, match="Expected"):
        gradcheck.check_vjp(f, *args)
