"""The backward pass as a whole: what it returns, how often, how deep, and a second time."""

import gc
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.backprop.tape import Variable, backward, grad, log_softmax, records, sigmoid


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_a_second_call_gives_the_same_answer():
    x = Variable([1.0, 2.0])
    y = np.sum(x**3)
    first = backward(y)[x]
    first *= 100  # What the caller does to a gradient is the caller's.
    np.testing.assert_array_equal(backward(y)[x], [3, 12])


def test_a_value_used_twice_gets_both_contributions():
    x = Variable(3.0)
    a = x * x
    y = a * x + a  # x³ + x²: `x` is used three times, `a` twice.
    grads = backward(y)
    assert grads[x] == 3 * 9 + 2 * 3
    assert grads[a] == 3 + 1


def test_adding_an_array_to_itself_counts_it_twice():
    x = Variable([1.0, 2.0])
    np.testing.assert_array_equal(backward(np.sum(x + x))[x], [2, 2])


def test_the_gradient_of_a_broadcast_array_is_the_sum_over_its_copies():
    x, b, c = Variable(np.ones((4, 3))), Variable(np.ones(3)), Variable(np.ones((4, 1)))
    grads = backward(np.sum(x * b * c))
    assert [grads[v].shape for v in (x, b, c)] == [(4, 3), (3,), (4, 1)]
    np.testing.assert_array_equal(grads[b], [4, 4, 4])
    np.testing.assert_array_equal(grads[c], np.full((4, 1), 3))


@pytest.mark.parametrize(("length", "create_graph"), [(20_000, False), (2_000, True)])
def test_a_long_chain_needs_no_recursion(length, create_graph):
    x = Variable(1.0)
    y = x
    for _ in range(length):
        y = y * 0.9999
    gradient = backward(y, create_graph=create_graph)[x]
    assert str(gradient)[:10] == str(0.9999**length)[:10]
    del y, gradient
    gc.collect()


def test_a_long_chain_of_views_needs_no_recursion():
    x = Variable(np.zeros((2, 3))).copy()
    view = x
    for _ in range(5_000):
        view = view.T
    view[0, 1] = 7.0
    x[1, 2] = 5.0
    np.testing.assert_array_equal(x.data, [[0, 7, 0], [0, 0, 5]])
    np.testing.assert_array_equal(view.data, x.data)


def test_a_graph_that_nobody_holds_is_freed_at_once():
    gc.collect()
    gc.disable()
    try:
        y = np.sum(np.exp(Variable(np.ones(3))) ** 2)
        backward(y)
        del y
        assert not gc.collect()
    finally:
        gc.enable()


def test_what_the_output_does_not_depend_on_has_the_gradient_zero():
    x, unused = Variable([1.0, 2.0]), Variable([[3.0]])
    grads = backward(np.sum(x))
    np.testing.assert_array_equal(grads[unused], [[0]])
    assert x in grads
    assert unused not in grads
    assert len(grads) == 2


def test_a_cotangent_weights_the_elements():
    x = Variable([1.0, 2.0, 3.0])
    y = x * 1024
    np.testing.assert_allclose(backward(y, [0.1, 1.0, 0.0001])[x], [102.4, 1024, 0.1024])


def test_the_gradient_has_the_type_of_its_variable():
    single, double = Variable(np.ones(3, np.float32)), Variable(np.ones(3))
    grads = backward(np.sum(single * double * 2.0))
    assert grads[single].dtype == np.float32
    assert grads[double].dtype == np.float64
    assert (single * 2.0).dtype == np.float32


def test_records_come_in_order_with_their_lines():
    x, w = Variable([[1.0, 2.0]], name="x"), Variable([[3.0], [4.0]], name="w")
    y = np.sum(
        np.tanh(np.dot(x, w)),
    )
    run = records(y)
    assert [r.primitive for r in run] == ["dot_general", "tanh", "reduce_sum"]
    assert [node.name for node in run[0].inputs] == ["x", "w"]
    assert run[1].input is run[0].output
    assert run[2].params == {"axes": (0, 1)}
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert {Path(r.file) for r in run} == {Path(__file__)}
    assert ["np.sum(" in source[r.line - 1] or "np.tanh" in source[r.line - 1] for r in run] == [True] * 3


# ------ second derivatives


def network(np, p):
    x = np.linspace(-1.0, 1.0, 6).reshape(3, 2)
    h = np.tanh(x @ p[:6].reshape(2, 3) + p[6:9])
    scores = h @ p[9:15].reshape(3, 2)
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_y = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.mean(log_y[np.arange(3), np.array([0, 1, 1])]) + np.sum(p**3) / 10


def hessian(f, data):
    x = Variable(data)
    gradient = backward(f(np, x), create_graph=True)[x]
    return np.stack([backward(gradient[i])[x] for i in range(len(data))])


def test_the_hessian_is_that_of_jax():
    data = np.random.default_rng(0).normal(size=15)
    expected = jax.jit(jax.hessian(lambda p: network(jnp, p)))(data)
    np.testing.assert_allclose(hessian(network, data), expected, rtol=1e-10, atol=1e-12)


def test_the_hessian_is_symmetric_and_that_of_grad_of_grad():
    data, u = np.random.default_rng(1).normal(size=(2, 15))
    by_rows = hessian(network, data)
    np.testing.assert_allclose(by_rows, by_rows.T, rtol=1e-10, atol=1e-12)
    twice = grad(lambda p: np.sum(grad(lambda q: network(np, q))(p) * u))(data)
    np.testing.assert_allclose(twice, by_rows @ u, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("order", "expected"), [(1, 32.0), (2, 48.0), (3, 48.0), (4, 24.0), (5, 0.0)])
def test_grad_can_be_taken_again_and_again(order, expected):
    f = lambda x: x**4  # noqa: E731
    for _ in range(order):
        f = grad(f)
    assert f(2.0) == expected


def test_an_inner_derivative_does_not_confuse_the_outer_variable():
    # d/dx x · (d/dy x·y at y = x) = d/dx x² = 2x, where y and x have the same value.
    assert grad(lambda x: x * grad(lambda y: x * y)(x))(3.0) == 6.0
    assert grad(lambda x: x * grad(lambda y: x * y)(1.0))(3.0) == 6.0


# ------ grad


def test_grad_has_the_structure_of_its_argument():
    params = {"layer": {"w": np.array([[1.0, 2.0]]), "b": np.array(3.0)}, "unused": np.ones(2)}

    def loss(x, p):
        return np.sum(x * p["layer"]["w"]) * p["layer"]["b"]

    gradient = grad(loss, argnum=1)(2.0, params)
    np.testing.assert_array_equal(gradient["layer"]["w"], [[6, 6]])
    assert gradient["layer"]["b"] == 6
    np.testing.assert_array_equal(gradient["unused"], [0, 0])


def test_grad_of_a_constant_is_zero():
    np.testing.assert_array_equal(grad(lambda x: 3.0)(np.ones(2)), [0, 0])
    np.testing.assert_array_equal(grad(lambda x: np.sum(x > 0))(np.ones(2)), [0, 0])


def test_the_functions_by_name_are_stable_at_the_ends():
    x = Variable([-1000.0, 0.0, 1000.0])
    np.testing.assert_array_equal(sigmoid(x).data, [0, 0.5, 1])
    np.testing.assert_array_equal(backward(np.sum(sigmoid(x)))[x], [0, 0.25, 0])
    near = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(sigmoid(Variable(near)).data, 1 / (1 + np.exp(-near)), rtol=1e-15)
    rows = Variable([[1000.0, 0.0], [0.0, -1000.0]])
    np.testing.assert_array_equal(log_softmax(rows).data, [[0, -1000], [0, -1000]])
    np.testing.assert_array_equal(backward(log_softmax(rows)[0, 1] * 1.0)[rows], [[-1, 1], [0, 0]])
