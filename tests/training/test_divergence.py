"""A loss that is NaN or infinite stops training, with the step at which it began."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from functional_nets.training import NonFiniteLossError, SkippedTooOftenError, fit


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


def test_parameters_that_overflow_are_found_at_their_step_though_the_loss_is_finite():
    def loss(params, x):
        return params - lax.stop_gradient(params) + 0 * x.sum()  # Zero, of slope 1.

    with pytest.raises(NonFiniteLossError) as stopped:
        train(loss, epochs=5, optimizer=optax.sgd(5e37))
    # float32 ends at 3.4e38, and each step adds -5e37.
    assert (stopped.value.found, stopped.value.step) == ("parameters", 6)
    assert stopped.value.loss == 0
    assert stopped.value.gradient_norm == 1


def test_a_gradient_that_is_not_finite_is_told_from_the_loss():
    with pytest.raises(NonFiniteLossError) as stopped:
        train(lambda params, x: jnp.sqrt(params) + 0 * x.sum(), epochs=5)  # At zero.
    assert (stopped.value.found, stopped.value.step, stopped.value.loss) == ("gradient", 0, 0)
    assert "Expected a finite gradient, found NaN or infinity first at step 0 (epoch 1)" in str(stopped.value)
    assert stopped.value.origin.where.file == __file__


def test_an_example_that_is_not_a_number_is_named():
    data = (np.array([0, 1, 2, np.nan, 4, 5], np.float32),)
    with pytest.raises(NonFiniteLossError, match=r"nan is in the batch\[0\] from the beginning: look where") as stopped:
        fit(lambda params, x: (params * x).sum(), np.float32(0), data, optimizer=optax.sgd(1.0), batch_size=2,
            key=jax.random.key(0), epochs=1, shuffle=False)  # fmt: skip
    assert stopped.value.step == 1


def test_a_skipped_step_leaves_everything_as_if_its_batch_were_not_there():
    x = np.arange(1, 13, dtype=np.float32)
    spoilt = np.where((x == 5) | (x == 6), np.nan, x)
    kept = np.delete(x, [4, 5])

    def run(x, **options):
        options = {"optimizer": optax.adam(0.1), "batch_size": 2, "key": jax.random.key(0), "shuffle": False, **options}
        return fit(lambda params, x: ((params - x) ** 2).mean(), np.float32(0), (x,), epochs=3, **options)

    result, oracle = run(spoilt, max_skipped=3), run(kept)
    np.testing.assert_array_equal(result.params, oracle.params)
    assert [row["skipped"] for row in result.history] == [1, 2, 3]
    np.testing.assert_allclose(
        [row["train_loss"] for row in result.history], oracle.losses.reshape(3, -1).mean(1), 1e-6
    )
    with pytest.raises(SkippedTooOftenError, match="Expected at most 2 steps to be skipped, found one more") as gave_up:
        run(spoilt, max_skipped=2)
    assert (gave_up.value.step, gave_up.value.epoch, gave_up.value.found) == (14, 3, "loss")
    assert "nan is in the batch[0]" in str(gave_up.value)


def test_the_notebooks_exploding_network_is_explained():
    """Notebook 002: a softmax over the whole batch, with the backward pass of one for each row."""
    random = np.random.RandomState(0)
    x, labels = random.uniform(size=(20, 30)).astype(np.float32), random.randint(0, 10, 20)

    def softmax(a):
        exp_a = jnp.exp(a)  # Without the maximum taken off, as chapter 3 first has it.
        return exp_a / jnp.sum(exp_a)

    @jax.custom_vjp
    def cross_entropy(logits, labels):
        return -jnp.sum(jax.nn.one_hot(labels, 10) * jnp.log(softmax(logits) + 1e-7)) / len(logits)

    def backward(saved, g):
        logits, labels = saved
        return g * (softmax(logits) - jax.nn.one_hot(labels, 10)) / len(logits), None

    cross_entropy.defvjp(lambda logits, labels: (cross_entropy(logits, labels), (logits, labels)), backward)

    def loss(params, x, labels):
        return cross_entropy(jax.nn.relu(x @ params["w1"]) @ params["w2"], labels)

    params = {"w1": 0.1 * random.normal(size=(30, 50)), "w2": 0.1 * random.normal(size=(50, 10))}
    params = jax.tree.map(np.float32, params)
    with pytest.raises(NonFiniteLossError) as stopped:
        fit(loss, params, (x, labels), optimizer=optax.sgd(1.0), batch_size=20, key=jax.random.key(0), steps=500)

    step, gradient = 0, jax.jit(jax.value_and_grad(loss))
    while True:  # The same by hand.
        value, grads = gradient(params, x, labels)
        if not np.isfinite(value) or not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads)):
            break
        params, step = jax.tree.map(lambda leaf, grad: leaf - grad, params, grads), step + 1
    assert stopped.value.step == step
    assert stopped.value.origin.op == "exp"
    assert stopped.value.origin.where.function == "softmax"
    assert stopped.value.origin.where.file == __file__
