"""`fit`: the order of the examples, the length of a run, and that a run can be repeated, cut and resumed."""

import itertools
import re

import jax
import numpy as np
import optax
import pytest

from functional_nets.nn import scale_pixels
from functional_nets.training import fit, init_state, make_train_step
from tests.training.problems import (
    BATCH,
    DATA,
    EXAMPLES,
    NOTHING,
    NUMBERS,
    PARAMS,
    STEPS,
    count,
    loss,
    loss_and_gradient,
    members,
    which,
)

KEY = jax.random.key(3)


def train(loss_fn=loss, params=PARAMS, data=DATA, **options):
    """`fit` with what most tests share."""
    options = {"optimizer": optax.sgd(0.1, momentum=0.9), "batch_size": BATCH, "key": KEY, **options}
    return fit(loss_fn, params, data, **options)


def assert_same_bits(first, second):
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def noisy(params, x, y, *, key):
    return loss(params, x, y) + jax.random.normal(key) * params["b"]


def drawn(params, numbers, *, key):
    """A loss that is a random number."""
    return jax.random.uniform(key) + 0 * params


@pytest.fixture(scope="module")
def four_epochs():
    """An uninterrupted run that shuffles and draws random numbers, and the state after each epoch."""
    states = []
    result = train(
        noisy, epochs=4, stochastic=True,
        on_report=lambda state, row: states.append(jax.tree.map(np.array, state)),
    )  # fmt: skip
    return result, states


def test_the_same_arguments_give_the_same_bits(four_epochs):
    result, _ = four_epochs
    again = train(noisy, epochs=4, stochastic=True)
    assert_same_bits(again.state, result.state)
    assert_same_bits(again.losses, result.losses)


def test_another_key_gives_another_run(four_epochs):
    result, _ = four_epochs
    other = train(noisy, epochs=4, stochastic=True, key=jax.random.key(4))
    assert not np.array_equal(other.params["w"], result.params["w"])


@pytest.mark.parametrize("epochs_done", [1, 4])
def test_a_run_resumed_from_a_state_is_the_uninterrupted_run_bit_for_bit(four_epochs, epochs_done):
    result, states = four_epochs
    resumed = train(noisy, epochs=4, stochastic=True, state=states[epochs_done - 1])
    assert_same_bits(resumed.state, result.state)
    assert_same_bits(resumed.losses, result.losses[epochs_done * STEPS :])
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3, 4][epochs_done:]


def test_a_run_cut_within_an_epoch_and_resumed_is_the_uninterrupted_run_bit_for_bit(four_epochs):
    result, _ = four_epochs
    cut = train(noisy, steps=STEPS + 2, stochastic=True)
    resumed = train(noisy, epochs=4, stochastic=True, state=cut.state)
    assert_same_bits(resumed.state, result.state)
    assert_same_bits([*cut.losses, *resumed.losses], list(result.losses))


@pytest.mark.parametrize("epochs_per_report", [2, 9])
def test_how_often_a_run_reports_changes_nothing_but_the_rows(four_epochs, epochs_per_report):
    result, _ = four_epochs
    other = train(noisy, epochs=4, stochastic=True, epochs_per_report=epochs_per_report)
    assert_same_bits(other.state, result.state)
    assert_same_bits(other.losses, result.losses)
    expected = sorted({*range(epochs_per_report, 5, epochs_per_report), 4})
    assert [row["epoch"] for row in other.history] == expected
    assert [row["step"] for row in other.history] == [epoch * STEPS for epoch in expected]


def test_a_row_holds_the_mean_loss_since_the_last_row_and_what_evaluate_says():
    result = train(epochs=4, epochs_per_report=3, shuffle=False, evaluate=lambda params: {"size": params["w"].shape[0]})
    means = [result.losses[: 3 * STEPS].mean(), result.losses[3 * STEPS :].mean()]
    np.testing.assert_allclose([row["train_loss"] for row in result.history], means, rtol=1e-6)
    assert [row["size"] for row in result.history] == [3, 3]
    assert set(result.history[0]) == {"epoch", "step", "train_loss", "seconds", "size"}


def test_steps_cut_the_run_of_epochs_short():
    whole, cut = train(epochs=2), train(steps=STEPS + 1)
    assert_same_bits(cut.losses, whole.losses[: STEPS + 1])
    assert [row["step"] for row in cut.history] == [STEPS, STEPS + 1]
    assert int(cut.state.step) == STEPS + 1


def test_a_scanned_epoch_is_a_python_loop_of_steps():
    optimizer = optax.adam(0.01)
    step = jax.jit(make_train_step(loss, optimizer))
    state, losses = init_state(PARAMS, optimizer), []
    for start in [*range(0, EXAMPLES, BATCH)] * 2:
        state, value = step(state, tuple(array[start : start + BATCH] for array in DATA), KEY)
        losses.append(value)
    result = train(epochs=2, shuffle=False, optimizer=optimizer)
    np.testing.assert_allclose(result.losses, losses, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(result.state), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_gradient_descent_is_what_numpy_does_with_the_closed_form_of_the_gradient():
    params, losses = {name: value.astype(np.float64) for name, value in PARAMS.items()}, []
    for start in [*range(0, EXAMPLES, BATCH)] * 3:
        value, grads = loss_and_gradient(params, *(array[start : start + BATCH] for array in DATA))
        params = {name: params[name] - 0.05 * grads[name] for name in params}
        losses.append(value)
    result = train(epochs=3, shuffle=False, optimizer=optax.sgd(0.05))
    np.testing.assert_allclose(result.losses, losses, rtol=1e-4)
    np.testing.assert_allclose(result.params["w"], params["w"], rtol=1e-4)


@pytest.fixture(scope="module")
def orders():
    """The examples of each step of three shuffled epochs."""
    return members(train(which, NOTHING, NUMBERS, epochs=3).losses)


def test_each_epoch_takes_each_example_exactly_once(orders):
    for epoch in range(3):
        batches = orders[epoch * STEPS : (epoch + 1) * STEPS]
        assert [len(batch) for batch in batches] == [4, 4, 3]
        assert sorted(itertools.chain(*batches)) == list(range(EXAMPLES))


def test_each_epoch_and_each_key_has_an_order_of_its_own(orders):
    other = members(train(which, NOTHING, NUMBERS, epochs=1, key=jax.random.key(4)).losses)
    epochs = [orders[:STEPS], orders[STEPS : 2 * STEPS], orders[2 * STEPS :], other]
    assert len({str(epoch) for epoch in epochs}) == 4


def test_without_shuffling_examples_come_in_their_own_order():
    losses = train(which, NOTHING, NUMBERS, epochs=2, shuffle=False).losses
    assert members(losses) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]] * 2


def test_60000_examples_in_batches_of_64_are_938_steps_the_last_of_32():
    data = (np.zeros(60_000, np.float32),)
    result = train(count, NOTHING, data, epochs=1, batch_size=64)
    np.testing.assert_array_equal(result.losses, [64] * 937 + [32])


def test_a_batch_may_hold_all_the_data_or_one_example():
    assert members(train(which, NOTHING, NUMBERS, epochs=1, batch_size=EXAMPLES).losses) == [list(range(EXAMPLES))]
    one_by_one = members(train(which, NOTHING, NUMBERS, epochs=1, batch_size=1).losses)
    assert sorted(one_by_one) == [[example] for example in range(EXAMPLES)]


def test_a_stochastic_loss_draws_anew_in_each_step_and_epoch_whatever_the_data():
    losses = train(drawn, NOTHING, NUMBERS, epochs=3, stochastic=True).losses
    assert len(set(losses.tolist())) == 3 * STEPS
    in_order = train(drawn, NOTHING, NUMBERS, epochs=3, stochastic=True, shuffle=False).losses
    np.testing.assert_array_equal(losses, in_order)


def test_the_callers_parameters_data_and_state_stay_usable():
    params = jax.tree.map(jax.numpy.asarray, PARAMS)
    data = tuple(map(jax.numpy.asarray, DATA))
    first = train(params=params, data=data, epochs=1, shuffle=False)
    second = train(params=params, data=data, epochs=2, shuffle=False, state=first.state)
    jax.tree.map(np.testing.assert_array_equal, params, PARAMS)
    np.testing.assert_array_equal(data[0], DATA[0])
    assert int(first.state.step) == STEPS
    assert not np.array_equal(first.params["w"], second.params["w"])


def test_uint8_images_reach_the_loss_scaled():
    images = np.array([[0], [51], [255]], np.uint8)
    mean = train(lambda params, x: x.mean() + 0 * params, NOTHING, (images,), epochs=1, batch_size=3).losses
    np.testing.assert_allclose(mean, [0.4], rtol=1e-6)
    assert scale_pixels(images).dtype == np.float32


def test_times_of_compiling_and_training_are_told_apart():
    result = train(epochs=2, shuffle=False)
    assert result.compile_seconds > 0
    assert result.train_seconds == pytest.approx(sum(row["seconds"] for row in result.history))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "Expected epochs of at least 1, found 0"),
        ({"epochs": -2}, "Expected epochs of at least 1, found -2"),
        ({"steps": 0}, "Expected steps of at least 1, found 0"),
        ({}, "Expected either epochs or steps, found epochs=None and steps=None"),
        ({"epochs": 1, "steps": 1}, "Expected either epochs or steps, found epochs=1 and steps=1"),
        ({"epochs": 1, "epochs_per_report": 0}, "Expected epochs_per_report of at least 1, found 0"),
        ({"epochs": 1, "batch_size": 0}, "Expected a batch size from 1 to the data's 11, found 0"),
        ({"epochs": 1, "batch_size": -4}, "Expected a batch size from 1 to the data's 11, found -4"),
        ({"epochs": 1, "batch_size": 12}, "Expected a batch size from 1 to the data's 11, found 12"),
        ({"epochs": 1, "batch_size": 4.0}, "Expected a whole number for the batch size, found 4.0"),
        ({"epochs": 1, "key": 0}, "Expected a key such as jax.random.key(0), found 0"),
        ({"epochs": 1, "devices": 99}, "Expected a number of devices from 1 to 1, found 99"),
        ({"epochs": 1, "devices": 0}, "Expected a number of devices from 1 to 1, found 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused_with_what_was_expected(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        train(**options)


@pytest.mark.parametrize("data", [(), (DATA[0], DATA[1][:5]), (DATA[0][:0], DATA[1][:0])], ids=len)
def test_data_of_no_or_of_different_lengths_are_refused(data):
    with pytest.raises(ValueError, match="Expected arrays of one length of at least 1, found lengths"):
        train(data=data, epochs=1)
