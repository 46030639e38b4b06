"""Norms of each layer's gradient and step, against NumPy and the trainer's own next step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nets.training import init_state, make_layer_norms, make_optimizer, make_train_step

X = np.array([[1.0, 2.0], [3.0, -1.0]], np.float32)
PARAMS = {"first": {"w": np.array([2.0, -1.0], np.float32), "b": np.float32(0.5)}, "second": np.float32(3.0)}


def loss(params, x):
    return jnp.sum(params["second"] * (x @ params["first"]["w"] + params["first"]["b"]))


def test_the_norms_are_those_of_the_closed_form():
    found = make_layer_norms(loss, optax.sgd(0.1), (X,))(init_state(PARAMS, optax.sgd(0.1)))
    sums, outputs = X.sum(axis=0), X @ PARAMS["first"]["w"] + PARAMS["first"]["b"]
    first = np.linalg.norm([*(3 * sums), 3 * len(X)])
    assert found.gradient == pytest.approx({"first": first, "second": abs(outputs.sum())})
    assert found.update == pytest.approx({"first": 0.1 * first, "second": 0.1 * abs(outputs.sum())})
    assert found.parameter == pytest.approx({"first": np.linalg.norm([2, -1, 0.5]), "second": 3})


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_the_update_is_the_step_that_training_takes_next_with_its_memory(name):
    optimizer = make_optimizer(name, 0.1)
    step = jax.jit(make_train_step(loss, optimizer))
    state, _ = step(init_state(PARAMS, optimizer), (X,), jax.random.key(0))
    after, _ = step(state, (X,), jax.random.key(0))
    moved = jax.tree.map(lambda new, old: np.asarray(new) - np.asarray(old), after.params, state.params)
    found = make_layer_norms(loss, optimizer, (X,))(state)
    norm = np.sqrt(np.square(moved["first"]["w"]).sum() + moved["first"]["b"] ** 2)
    assert found.update == pytest.approx({"first": norm, "second": abs(moved["second"])}, rel=1e-4)


def test_the_state_is_left_as_it_is():
    state = init_state(PARAMS, optax.sgd(0.1))
    before = jax.tree.map(np.array, state)
    make_layer_norms(loss, optax.sgd(0.1), (X,))(state)
    jax.tree.map(np.testing.assert_array_equal, before, state)


def test_pixels_reach_the_loss_scaled_as_in_training():
    found = make_layer_norms(loss, optax.sgd(0.1), (np.full((1, 2), 255, np.uint8),))(
        init_state(PARAMS, optax.sgd(0.1))
    )
    assert found.gradient["second"] == pytest.approx(abs(2 - 1 + 0.5))
