"""Each operation of a traced loss keeps the line of the user who asked for it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nets import nn
from functional_nets.equations import Location
from functional_nets.gradcheck.trace import to_float64, trace
from tests.gradcheck.agreement import line_of

X = np.linspace(-1, 1, 6).reshape(2, 3)


def lines(program, op):
    """The lines of all operations of a kind, in order."""
    return [node.where.line for node in program.nodes if node.op == op]


def line(text):
    return line_of(__file__, text)


def library(x):
    first = jax.nn.relu(x)  # the relu
    second = jax.nn.log_softmax(first)  # the softmax
    return jnp.sum(jax.nn.log_softmax(second * x))  # the other softmax


def test_inner_operations_of_a_library_have_the_caller_s_line():
    for _ in range(2):  # The second time JAX has the inner traces in its cache.
        program = trace(library, X)
        assert lines(program, "relu") == [line("# the relu")]
        assert lines(program, "exp") == [line("# the softmax"), line("# the other softmax")]
        assert lines(program, "reduce_max") == [line("# the softmax"), line("# the other softmax")]
        assert lines(program, "mul") == [line("# the other softmax")]


def test_every_operation_has_a_line_of_this_file():
    program = trace(library, X)
    assert {node.where.file for node in program.nodes} == {__file__}
    assert {node.where.function for node in program.nodes} == {"library"}


@jax.jit
def helper(x):
    return jnp.tanh(x) * 2  # inside the helper


def called_twice(x):
    y = helper(x)  # the first call
    return jnp.sum(helper(y))  # the second call


def test_a_jitted_function_of_the_user_s_own_has_its_own_line():
    assert lines(trace(called_twice, X), "tanh") == [line("# inside the helper")] * 2


optax_jitted = jax.jit(optax.softmax_cross_entropy)


def jitted_library(x):
    a = optax_jitted(x, x)  # the first of the library
    b = optax_jitted(x, x)  # the second of the library
    return jnp.sum(a * b)


def test_a_jitted_function_of_a_library_called_from_two_lines():
    program = trace(jitted_library, X)
    assert set(lines(program, "exp")) == {line("# the first of the library"), line("# the second of the library")}


def of_this_package(x):
    logits = nn.dense({"w": np.ones((3, 2)), "b": np.zeros(2)}, x)  # the layer
    return jnp.mean(nn.softmax_cross_entropy(logits, np.array([0, 1])))  # the loss


def test_this_package_is_a_library():
    program = trace(of_this_package, X)
    assert lines(program, "dot_general") == [line("# the layer")]
    assert set(lines(program, "exp")) == {line("# the loss")}


def wrapped(x):
    def step(carry, row):
        return jnp.sin(carry * row), None  # the step

    carry, _ = jax.lax.scan(step, jnp.ones(3, x.dtype), x)  # the scan
    chosen = jax.lax.cond(True, lambda v: jnp.cos(v), lambda v: v, carry)  # the branch
    again = jax.checkpoint(lambda v: jnp.exp(v))(chosen)  # the remat
    return jnp.sum(jax.vmap(lambda v: jnp.log1p(v))(again))  # the vmap


def test_loops_branches_and_transformations():
    program = trace(wrapped, X)
    assert lines(program, "sin") == [line("# the step")] * 2
    assert lines(program, "cos") == [line("# the branch")]
    assert lines(program, "exp") == [line("# the remat")]
    assert lines(program, "log1p") == [line("# the vmap")]


def test_a_cell_of_a_notebook_is_the_user_s_own():
    names = {"jnp": jnp}
    exec(compile("def loss(x):\n    return jnp.sum(jnp.tanh(x))", "<ipython-input-3-8f0a>", "exec"), names)
    (node,) = (node for node in trace(names["loss"], X).nodes if node.op == "tanh")
    assert node.where == Location("<ipython-input-3-8f0a>", 2, "loss")


class Model:
    def __call__(self, x):
        return jnp.tanh(x)  # the method

    def loss(self, x):
        return jnp.sum(self(x) ** 2)


def test_methods_are_named():
    (node,) = (node for node in trace(Model().loss, X).nodes if node.op == "tanh")
    assert node.where == Location(__file__, line("# the method"), "__call__")


def test_a_loss_that_has_changed_is_traced_again():
    factor = [2.0]

    def loss(x):
        return factor[0] * jnp.sum(x**2)

    first = trace(loss, X)
    factor[0] = 3.0
    second = trace(loss, X)
    assert second.values[second.result] == pytest.approx(1.5 * first.values[first.result])


def test_everything_is_evaluated_in_float64():
    x = X.astype(np.float32)
    program = trace(lambda x: jnp.sum(jnp.exp(x) / 3), x)
    assert program.values[program.result] == np.sum(np.exp(x.astype(np.float64)) / 3)
    assert program.epsilon == 2.0**-53


def test_a_type_that_the_function_asks_for_itself_is_remembered():
    program = trace(lambda x: jnp.sum(x.astype(jnp.bfloat16) ** 2), X)
    assert program.epsilon == float(jnp.finfo(jnp.bfloat16).eps) / 2


def test_keys_and_integers_stay_what_they_are():
    tree = to_float64({"key": jax.random.key(0), "label": np.array([1, 2]), "x": np.float32(0.1), "mask": True})
    assert jnp.issubdtype(tree["key"].dtype, jax.dtypes.prng_key)
    assert tree["label"].dtype == np.int64
    assert tree["x"].dtype == np.float64
    assert tree["mask"].dtype == bool


def test_x64_is_not_left_on():
    trace(library, X)
    assert jnp.asarray(1.5).dtype == jnp.float32
