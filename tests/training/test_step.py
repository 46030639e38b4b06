"""One step, and the state that it takes."""

import jax
import numpy as np
import optax

from functional_nets.training import init_state, make_train_step
from tests.training.problems import DATA, PARAMS, loss, loss_and_gradient


def test_a_state_has_arrays_of_its_own_so_that_the_callers_outlive_a_donation():
    params = jax.tree.map(jax.numpy.asarray, PARAMS)
    optimizer = optax.sgd(0.1)
    state = init_state(params, optimizer)
    assert int(state.step) == 0
    jax.jit(make_train_step(loss, optimizer), donate_argnums=0)(state, DATA, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, params, PARAMS)


def test_a_step_goes_down_the_gradient_and_returns_the_loss_before_it():
    optimizer = optax.sgd(0.1)
    step = jax.jit(make_train_step(loss, optimizer))
    state, value = step(init_state(PARAMS, optimizer), DATA, jax.random.key(0))
    expected, grads = loss_and_gradient(PARAMS, *DATA)
    assert int(state.step) == 1
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(state.params["w"], PARAMS["w"] - 0.1 * grads["w"], rtol=1e-5)
    np.testing.assert_allclose(state.params["b"], PARAMS["b"] - 0.1 * grads["b"], rtol=1e-5)
