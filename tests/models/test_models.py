"""What holds for every model: `init` and `apply` are pure, and an example's logits are its own."""

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets import models

IMAGES = np.random.RandomState(0).randint(0, 256, (3, 28, 28, 1)).astype(np.uint8)
ROWS = np.random.RandomState(0).normal(size=(3, 2)).astype(np.float32)

MODELS = {
    "xor_net": (models.xor_net(), ROWS, 1),
    "mlp": (models.mlp((784, 5, 10)), IMAGES, 10),
    "lenet": (models.lenet(), IMAGES, 10),
    "from_flax": (models.from_flax(flax.linen.Dense(4), ROWS), ROWS, 4),
}


MAKERS = {
    "xor_net": models.xor_net,
    "mlp": lambda **options: models.mlp((784, 5, 10), **options),
    "lenet": models.lenet,
}


def small_params(model):
    """Weights of the size that the models draw, from NumPy, which need not be compiled."""
    random = np.random.RandomState(1)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: random.normal(0, 0.05, leaf.shape).astype(np.float32), shapes)


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS)
def case(request):
    """A model, parameters, a batch, and the number of logits."""
    model, batch, classes = request.param
    return model, small_params(model), batch, classes


def keys_of_layers(make, seed):
    """The key that each layer of a new model draws from."""

    def init(key, shape):
        return {"w": np.zeros(shape, np.float32), "b": jax.random.key_data(key)}

    return [tuple(np.asarray(layer["b"])) for layer in make(init=init).init(jax.random.key(seed)).values()]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_each_layer_draws_from_a_key_of_its_own_that_the_seed_decides(make):
    first, same, other = (keys_of_layers(make, seed) for seed in (0, 0, 1))
    assert first == same
    assert len({*first, *other}) == 2 * len(first)


def test_parameters_are_nested_dicts_of_float32(case):
    model, *_ = case
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert isinstance(params, dict)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}


def test_each_example_has_its_own_logits_whatever_stands_beside_it(case):
    model, params, batch, classes = case
    apply = jax.jit(model.apply)
    together = apply(params, batch)
    alone = [apply(params, batch[number : number + 1])[0] for number in range(len(batch))]
    assert together.shape == (len(batch), classes)
    assert together.dtype == jnp.float32
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_a_batch_may_be_empty(case):
    model, params, batch, classes = case
    assert jax.eval_shape(model.apply, params, batch[:0]).shape == (0, classes)


def test_applying_a_model_changes_neither_its_parameters_nor_its_input(case):
    model, params, batch, _ = case
    before, kept = jax.tree.map(np.array, params), batch.copy()
    jax.jit(model.apply)(params, batch)
    jax.tree.map(np.testing.assert_array_equal, params, before)
    np.testing.assert_array_equal(batch, kept)


def test_pixels_and_their_scaled_values_give_the_same_logits():
    model, images, _ = MODELS["mlp"]
    params, apply = small_params(model), jax.jit(model.apply)
    scaled = apply(params, np.float32(images / 255))
    np.testing.assert_allclose(apply(params, images), scaled, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("make", "batch"), [(make, MODELS[name][1]) for name, make in MAKERS.items()], ids=MAKERS)
def test_bfloat16_products_change_the_logits_a_little_and_not_their_type(make, batch):
    full, rounded = make(), make(product_dtype=jnp.bfloat16)
    params = small_params(full)
    exact, near = jax.jit(full.apply)(params, batch), jax.jit(rounded.apply)(params, batch)
    assert near.dtype == jnp.float32
    assert 0 < float(abs(near - exact).max()) < 0.05


def test_a_flax_module_answers_as_it_does_in_flax():
    module = flax.linen.Dense(4)
    model = models.from_flax(module, ROWS)
    params = small_params(model)
    assert set(params) == {"kernel", "bias"}
    np.testing.assert_array_equal(model.apply(params, ROWS), module.apply({"params": params}, ROWS))


def test_the_xor_net_for_populations_is_the_xor_net():
    one, many = models.xor_net(), models.xor_net(population=True)
    params = small_params(one)
    np.testing.assert_allclose(many.apply(params, ROWS), one.apply(params, ROWS), rtol=1e-6)
