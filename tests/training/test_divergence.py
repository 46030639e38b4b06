"""A loss that is NaN or infinite stops training, with the step at which it began."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nets.training import NonFiniteLossError, fit


def falling(bad):
    """A loss that falls by 1 each step, from 0, and is `bad` from step 13 on."""

    def loss(params, x):
        value = -params + 0 * x.sum()
        return jnp.where(value < -12.5, bad, value)

    return loss


def train(loss, **options):
    options = {"optimizer": optax.sgd(1.0), "batch_size": 2, "key": jax.random.key(0), **options}
    return fit(loss, np.float32(0), (np.zeros(10, np.float32),), **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)
def test_the_error_names_the_first_bad_step_and_its_epoch(bad):
    with pytest.raises(NonFiniteLossError) as stopped:
        train(falling(bad), epochs=5)
    assert (stopped.value.step, stopped.value.epoch) == (13, 3)
    assert f"found {bad} first at step 13 (epoch 3)" in str(stopped.value)


@pytest.mark.parametrize("options", [{"epochs": 4, "epochs_per_report": 4}, {"steps": 14}], ids=str)
def test_the_step_is_exact_however_the_run_is_divided(options):
    with pytest.raises(NonFiniteLossError) as stopped:
        train(falling(np.nan), **options)
    assert (stopped.value.step, stopped.value.epoch) == (13, 3)


def test_the_step_is_exact_in_a_resumed_run():
    state = train(falling(np.nan), epochs=1).state
    with pytest.raises(NonFiniteLossError) as stopped:
        train(falling(np.nan), epochs=5, state=state)
    assert (stopped.value.step, stopped.value.epoch) == (13, 3)


def test_what_was_reported_before_stays_and_the_bad_epoch_is_not_reported():
    rows = []
    with pytest.raises(NonFiniteLossError):
        train(
            falling(np.nan),
            epochs=5,
            on_report=lambda state, row: rows.append((row["epoch"], int(state.step))),
        )
    assert rows == [(1, 5), (2, 10)]


def test_a_run_that_ends_one_step_before_is_not_stopped():
    assert train(falling(np.nan), steps=13).losses.tolist() == [-step for step in range(13)]
