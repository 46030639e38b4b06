"""A population is its members, each trained by `fit`."""

import jax
import numpy as np
import optax
import pytest

from functional_nets.training import fit, fit_population, population
from tests.training.problems import BATCH, DATA, EXAMPLES, STEPS, loss

KEY = jax.random.key(0)
MEMBERS = 3
STACKED = {
    "w": np.random.RandomState(1).normal(size=(MEMBERS, 3)).astype(np.float32),
    "b": np.zeros(MEMBERS, np.float32),
}
COMMON = {"batch_size": BATCH, "epochs": 2, "key": KEY}


def member(number, stacked=STACKED):
    return jax.tree.map(lambda leaf: leaf[number], stacked)


def assert_close(first, second):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), first, second)


def epoch_means(losses):
    return losses.reshape(-1, STEPS).mean(1)


def test_each_network_is_the_one_that_fit_trains():
    optimizer = optax.adam(0.05)
    together = fit_population(loss, STACKED, DATA, optimizer, **COMMON)
    assert together.losses.shape == (MEMBERS, 2)
    for number in range(MEMBERS):
        alone = fit(loss, member(number), DATA, optimizer=optimizer, **COMMON)
        assert_close(member(number, together.params), alone.params)
        np.testing.assert_allclose(together.losses[number], epoch_means(alone.losses), rtol=1e-5)


def test_steps_may_end_within_an_epoch():
    options = {"batch_size": BATCH, "key": KEY, "steps": STEPS + 2}
    told = []
    together = fit_population(loss, STACKED, DATA, optax.sgd(0.05), every_step=True, on_program=told.append, **options)
    alone = fit(loss, member(1), DATA, optimizer=optax.sgd(0.05), **options)
    assert_close(member(1, together.params), alone.params)
    np.testing.assert_allclose(together.losses[1], alone.losses, rtol=1e-5)
    assert told == [STEPS, STEPS + 2]
    by_epoch = fit_population(loss, STACKED, DATA, optax.sgd(0.05), **options).losses
    np.testing.assert_allclose(by_epoch[1], [alone.losses[:STEPS].mean(), alone.losses[STEPS:].mean()], rtol=1e-5)


def test_where_the_networks_are_counted_changes_nothing(monkeypatch):
    last = fit_population(loss, STACKED, DATA, optax.adam(0.05), **COMMON)
    monkeypatch.setattr(population, "TINY", 0)
    first = fit_population(loss, STACKED, DATA, optax.adam(0.05), **COMMON)
    assert_close(first.params, last.params)
    np.testing.assert_allclose(first.losses, last.losses, rtol=1e-5)
    monkeypatch.setattr(population, "group_size", lambda networks, parameters: 2)
    two_and_one = fit_population(loss, STACKED, DATA, optax.adam(0.05), **COMMON)
    assert_close(two_and_one.params, last.params)


def test_a_group_is_as_large_as_is_near_and_even_where_that_costs_little():
    near = population.NEAR
    assert population.group_size(64, 39_760) == 8  # 13 would be near, and leave 12.
    assert [population.group_size(networks, near // 4) for networks in (3, 4, 6, 7, 8)] == [3, 4, 3, 4, 4]
    assert population.group_size(5, 2 * near) == 1


def test_each_network_may_have_its_own_learning_rate():
    rates = np.array([0.01, 0.02, 0.04], np.float32)
    together = fit_population(
        loss, STACKED, DATA, optax.sgd, hyperparameters={"learning_rate": rates}, shuffle=False, **COMMON
    )
    for number, rate in enumerate(rates):
        alone = fit(loss, member(number), DATA, optimizer=optax.sgd(rate), shuffle=False, **COMMON)
        assert_close(member(number, together.params), alone.params)


def test_a_network_that_diverges_disturbs_no_other():
    def run(rates):
        values = {"learning_rate": np.array(rates, np.float32)}
        options = {**COMMON, "epochs": 40}
        return fit_population(loss, STACKED, DATA, optax.sgd, hyperparameters=values, shuffle=False, **options)

    calm, wild = run([0.01, 0.01, 0.01]), run([0.01, 1e3, 0.01])
    assert not np.isfinite(wild.losses[1, -1])
    for number in (0, 2):
        np.testing.assert_array_equal(wild.losses[number], calm.losses[number])
        np.testing.assert_array_equal(wild.params["w"][number], calm.params["w"][number])


def test_how_many_epochs_run_as_one_program_changes_nothing_but_how_often_evaluate_is_asked():
    optimizer = optax.sgd(0.05)
    options = {"evaluate": lambda params: params["w"].sum(), **COMMON, "epochs": 4}
    one, two = (
        fit_population(loss, STACKED, DATA, optimizer, epochs_per_program=number, **options) for number in (1, 2)
    )
    assert_close(one.params, two.params)
    np.testing.assert_allclose(one.losses, two.losses, rtol=1e-6)
    assert one.evaluations.shape == (4, MEMBERS)
    np.testing.assert_allclose(two.evaluations, one.evaluations[1::2], rtol=1e-5)
    np.testing.assert_allclose(one.evaluations[-1], np.asarray(one.params["w"]).sum(1), rtol=1e-5)


def test_every_step_of_each_network_can_be_asked_for():
    steps = fit_population(loss, STACKED, DATA, optax.sgd(0.05), every_step=True, shuffle=False, **COMMON)
    alone = fit(loss, member(1), DATA, optimizer=optax.sgd(0.05), shuffle=False, **COMMON)
    assert steps.losses.shape == (MEMBERS, 2 * STEPS)
    np.testing.assert_allclose(steps.losses[1], alone.losses, rtol=1e-5)


def test_the_callers_parameters_stay_usable():
    stacked = jax.tree.map(jax.numpy.asarray, STACKED)
    fit_population(loss, stacked, DATA, optax.sgd(0.05), **{**COMMON, "epochs": 1}, shuffle=False)
    jax.tree.map(np.testing.assert_array_equal, stacked, STACKED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 3, "epochs_per_program": 2}, "multiples of epochs_per_program=2, at least 1, found 3"),
        ({"epochs": 0}, "at least 1, found 0"),
        ({"epochs_per_program": 0}, "Expected epochs_per_program of at least 1, found 0"),
        ({"batch_size": 0}, "batch size from 1 to the data's 11, found 0"),
        ({"batch_size": EXAMPLES + 1}, "batch size from 1 to the data's 11, found 12"),
    ],
)
def test_sizes_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit_population(loss, STACKED, DATA, optax.sgd(0.05), **{**COMMON, **options})
