"""The backward walk, `jax.grad` and forward mode agree on functions that nobody has thought of."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from functional_nets.gradcheck.tangents import tangents
from functional_nets.gradcheck.trace import trace
from tests.gradcheck.agreement import BOUND, by_jax, largest, walked
from tests.gradcheck.generated import example, functions, loss_of

COUNT, TOGETHER = 80, 40  # Compiled forty at a time: compiling them takes nearly all the time.


@functools.cache
def drawn():
    """The functions that hypothesis generates, each once."""
    found = {}

    @settings(
        max_examples=COUNT + 40,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(functions)
    def collect(function):
        found[repr(function)] = function

    collect()
    return list(found.values())[:COUNT]


def test_there_are_three_hundred_functions_of_all_shapes():
    assert len(drawn()) == COUNT
    shapes = {shape for leaves, _ in drawn() for shape in leaves}
    assert () in shapes
    assert any(0 in shape for shape in shapes)
    assert any(1 in shape for shape in shapes)
    assert any(len(shape) == 3 for shape in shapes)


@pytest.mark.parametrize("start", range(0, COUNT, TOGETHER))
def test_generated_functions(start):
    chosen = drawn()[start : start + TOGETHER]
    losses = [loss_of(program) for _, program in chosen]
    params = [example(shapes) for shapes, _ in chosen]

    def total(params):
        return sum(loss(leaves) for loss, leaves in zip(losses, params, strict=True))

    program = trace(total, params)
    assert not program.notes
    owners = [function for function, leaves in zip(chosen, params, strict=True) for _ in leaves]
    grads = walked(program)
    for ours, theirs, function in zip(grads, by_jax(total, params), owners, strict=True):
        assert np.shape(ours) == theirs.shape, function
        assert largest(ours - theirs) <= BOUND * largest(theirs), function
    assert_forward_mode_agrees(program, grads)


def assert_forward_mode_agrees(program, grads):
    """⟨gradient, direction⟩ is the tangent of the loss; some tangents are differences, of fewer digits."""
    random = np.random.default_rng(1)
    directions = [random.standard_normal(np.shape(leaf)) for leaf in grads]
    slopes = [np.vdot(grad, direction) for grad, direction in zip(grads, directions, strict=True)]
    found = tangents(program, dict(zip(program.leaves, directions, strict=True)))
    size = sum(np.linalg.norm(grad) * np.linalg.norm(d) for grad, d in zip(grads, directions, strict=True))
    assert abs(found[program.result] - sum(slopes)) <= 1e-5 * size


def test_generated_losses_are_scalars_that_depend_on_every_leaf():
    loss = loss_of([(("unary", "tanh"), 0, 0, 0), (("binary", "mul"), 0, 1, 0)])
    grads = jax.grad(loss)(example([(2, 1), (3,)]))
    assert all(np.all(np.asarray(leaf) != 0) for leaf in grads)
