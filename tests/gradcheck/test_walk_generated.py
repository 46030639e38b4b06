"""The backward walk, `jax.grad` and forward mode agree on functions that nobody has thought of."""

import jax
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from functional_nets.gradcheck.tangents import tangents
from functional_nets.gradcheck.trace import trace
from tests.gradcheck.agreement import BOUND, by_jax, walked
from tests.gradcheck.generated import example, functions, loss_of

EXAMPLES, TOGETHER = 32, 10  # Functions are compiled ten at a time: compiling them takes nearly all the time.


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.lists(functions, min_size=TOGETHER, max_size=TOGETHER))
def test_three_hundred_generated_functions(drawn):
    losses = [loss_of(program) for _, program in drawn]
    params = [example(shapes) for shapes, _ in drawn]

    def total(params):
        return sum(loss(leaves) for loss, leaves in zip(losses, params, strict=True))

    program = trace(total, params)
    owners = [function for function, leaves in zip(drawn, params, strict=True) for _ in leaves]
    grads = walked(program)
    for ours, theirs, function in zip(grads, by_jax(total, params), owners, strict=True):
        assert np.shape(ours) == theirs.shape, function
        assert np.max(np.abs(ours - theirs), initial=0) <= BOUND * np.max(np.abs(theirs), initial=0), function
    assert_forward_mode_agrees(program, grads)


def assert_forward_mode_agrees(program, grads):
    """⟨gradient, direction⟩ is the tangent of the loss; some tangents are differences, of fewer digits."""
    random = np.random.default_rng(1)
    directions = [random.standard_normal(np.shape(leaf)) for leaf in grads]
    slopes = [np.vdot(grad, direction) for grad, direction in zip(grads, directions, strict=True)]
    found = tangents(program, dict(zip(program.leaves, directions, strict=True)))
    size = sum(np.linalg.norm(grad) * np.linalg.norm(d) for grad, d in zip(grads, directions, strict=True))
    assert abs(found[program.result] - sum(slopes)) <= 1e-5 * size


def test_what_a_function_is_drawn_from_covers_the_shapes():
    seen = set()

    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(functions)
    def draw(function):
        seen.update(function[0])

    draw()
    assert () in seen
    assert any(0 in shape for shape in seen)
    assert any(1 in shape for shape in seen)
    assert any(len(shape) == 3 for shape in seen)


def test_generated_losses_are_scalars_that_depend_on_every_leaf():
    loss = loss_of([(("unary", "tanh"), 0, 0, 0), (("binary", "mul"), 0, 1, 0)])
    grads = jax.grad(loss)(example([(2, 1), (3,)]))
    assert all(np.all(np.asarray(leaf) != 0) for leaf in grads)
