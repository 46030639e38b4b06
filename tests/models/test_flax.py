"""Flax modules, Linen and NNX, are trained by `fit`, pass the gradient check, and drop out by the key that they get."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from functional_nets import models, nn, training
from functional_nets.gradcheck import check
from tests.gradcheck.agreement import QUICKLY

RANDOM = np.random.default_rng(0)
LABELS = np.arange(24, dtype=np.int32) % 3
IMAGES = (RANDOM.integers(0, 60, (24, 6, 6, 1)) + 60 * LABELS[:, None, None, None]).astype(np.uint8)  # The brighter …


class LinenCnn(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        x = linen.relu(linen.Conv(2, (3, 3))(x))
        x = linen.Dropout(0.5, deterministic=not train)(linen.avg_pool(x, (2, 2), strides=(2, 2)))
        return linen.Dense(3)(x.reshape(len(x), -1))


class NnxCnn(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 2, (3, 3), rngs=rngs)
        self.dropouts = nnx.List([nnx.Dropout(0.5, rngs=rngs)])
        self.dense = nnx.Linear(2 * 9, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.avg_pool(nnx.relu(self.conv(x)), (2, 2), strides=(2, 2))
        return self.dense(self.dropouts[0](x).reshape(len(x), -1))


LINEN = models.from_flax(LinenCnn(), IMAGES, training={"train": True}, evaluating={"train": False})
CNNS = pytest.mark.parametrize("model", [LINEN, models.from_flax(NnxCnn)], ids=["Linen", "NNX"])


def key_of(seed):
    """A key of the generator that is compiled in a fifth of the time."""
    return jax.random.key(seed, impl="rbg")


def filled(model):
    """Parameters of the model's shapes: its own initializers would have to be compiled."""
    random = np.random.default_rng(1)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: random.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)


@CNNS
def test_a_cnn_with_dropout_is_trained_by_fit_and_its_parameters_come_out_as_they_went_in(model):
    params, loss_fn = filled(model), nn.classification_loss(model.apply)
    result = training.fit(
        loss_fn, params, (IMAGES, LABELS), optimizer=optax.adam(0.05), batch_size=24, epochs=60,
        epochs_per_report=60, shuffle=False, key=key_of(0), stochastic=True,
    )  # fmt: skip
    assert jax.tree.map(np.shape, result.params) == jax.tree.map(np.shape, params)
    before, after = (training.evaluate(model.apply, each, (IMAGES, LABELS)) for each in (params, result.params))
    assert after.loss < before.loss / 2
    assert after.accuracy > 0.9


@CNNS
@pytest.mark.parametrize("key", [None, key_of(3)], ids=["evaluated", "trained"])
def test_its_gradients_pass_the_check(model, key):
    loss_fn, options = nn.classification_loss(model.apply), {} if key is None else {"key": key}
    report = check(
        lambda params, x, labels: loss_fn(params, x, labels, **options), filled(model), IMAGES[:3], LABELS[:3]
    )
    assert report.ok
    assert not any("jax.grad" in note for note in report.notes)
    assert max(leaf.relative_error for leaf in report.leaves) < 1e-12


@CNNS
def test_the_key_decides_what_is_dropped_and_without_one_nothing_is(model):
    params, apply = filled(model), jax.jit(model.apply, compiler_options=QUICKLY)
    first, same, other = (apply(params, IMAGES[:4], key=key_of(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert np.all(first != other)
    whole = apply(params, IMAGES[:4])
    repeated = apply(params, np.tile(IMAGES[:4], (2000, 1, 1, 1)), key=key_of(0))
    many = repeated.reshape(2000, 4, 3)
    np.testing.assert_allclose(many.mean(axis=0), whole, atol=5 * float(many.std()) / 2000**0.5)


@CNNS
def test_each_key_draws_other_initial_parameters(model):
    init = jax.jit(model.init, compiler_options=QUICKLY)
    first, same, other = (init(key_of(seed)) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, same)
    kernels = [each for each in jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), first, other)) if each]
    assert len(kernels) == 2  # The biases begin with 0.


def test_every_stream_of_a_linen_module_draws_by_the_key_and_each_its_own():
    class Noises(linen.Module):
        @linen.compact
        def __call__(self, x):
            scale = self.param("scale", linen.initializers.ones, ())
            keys = [self.make_rng(name) for name in ("dropout", "noise", "noise", "other")]
            return scale * jnp.stack([jax.random.uniform(key, x.shape) for key in keys])

    model = models.from_flax(Noises(), np.ones(3, np.float32))
    first, same, other = (
        np.asarray(model.apply({"scale": jnp.ones(())}, np.ones(3, np.float32), key=jax.random.key(seed)))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert len(np.unique(np.stack([first, other]))) == 24


def test_two_dropouts_of_one_nnx_module_drop_different_units():
    class Twice(nnx.Module):
        def __init__(self, rngs):
            self.first, self.second = nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)
            self.scale = nnx.Param(jnp.ones(()))

        def __call__(self, x):
            return jnp.stack([self.first(x), self.second(x)]) * self.scale

    model = models.from_flax(Twice)
    first, second = model.apply({"scale": jnp.ones(())}, jnp.ones((4, 16)), key=jax.random.key(0))
    assert np.any(first != second)


def test_an_nnx_module_brings_its_parameters_and_stays_as_it_is():
    module = NnxCnn(nnx.Rngs(key_of(5)))
    model = models.from_flax(module)
    params = model.init(jax.random.key(0))
    module.eval()
    np.testing.assert_allclose(model.apply(params, IMAGES[:2]), module(IMAGES[:2] / np.float32(255)), rtol=1e-6)
    model.apply(jax.tree.map(jnp.zeros_like, params), IMAGES[:2], key=key_of(0))
    jax.tree.map(np.testing.assert_array_equal, params, models.from_flax(module).init(jax.random.key(1)))


class LinenStatistics(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.BatchNorm(use_running_average=False)(x)


class NnxCounter(nnx.Module):
    def __init__(self, rngs):
        self.calls = nnx.Variable(jnp.zeros(()))


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        (LinenStatistics(), np.ones((2, 3)), "found batch_stats in BatchNorm_0: a pure function cannot keep"),
        (lambda rngs: nnx.BatchNorm(3, rngs=rngs), None, "found mean, var: a pure function cannot keep"),
        (NnxCounter, None, "found calls: a pure function cannot keep what changes from call to call"),
        (linen.Dense(3), None, "Expected an example with a Linen module, found none"),
        (LinenCnn, IMAGES, r"Expected a Linen module, found the class LinenCnn: give LinenCnn\(…\)"),
        (lambda x: x, None, r"Expected a module, or what makes one by <lambda>\(rngs=…\), found: missing a"),
        (lambda rngs: jnp.ones(3), None, "Expected what makes an NNX module, found that <lambda> gives ShapeDtype"),
        ("Dense", None, "Expected a module of Flax, found str"),
    ],
)
def test_a_module_that_cannot_be_a_pure_function_of_its_parameters_is_refused(module, example, message):
    with pytest.raises(ValueError, match=message):
        models.from_flax(module, example)
