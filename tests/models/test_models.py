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


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS)
def case(request):
    """A model, two draws from its `init`, a batch, and the number of logits."""
    model, batch, classes = request.param
    init = jax.jit(model.init)
    return model, init(jax.random.key(0)), init(jax.random.key(1)), batch, classes


def test_the_same_key_draws_the_same_parameters_and_another_key_others(case):
    model, params, others, _, _ = case
    again = jax.jit(model.init)(jax.random.key(0))
    for first, same, other in zip(*map(jax.tree.leaves, (params, again, others)), strict=True):
        np.testing.assert_array_equal(first, same)
        # Flax starts biases at zero, whatever the key.
        assert not np.any(first) or not np.array_equal(first, other)


def test_parameters_are_nested_dicts_of_float32(case):
    _, params, *_ = case
    assert isinstance(params, dict)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}


def test_each_example_has_its_own_logits_whatever_stands_beside_it(case):
    model, params, _, batch, classes = case
    apply = jax.jit(model.apply)
    together = apply(params, batch)
    alone = [apply(params, batch[number : number + 1])[0] for number in range(len(batch))]
    assert together.shape == (len(batch), classes)
    assert together.dtype == jnp.float32
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_a_batch_may_be_empty(case):
    model, params, _, batch, classes = case
    assert jax.eval_shape(model.apply, params, batch[:0]).shape == (0, classes)


def test_applying_a_model_changes_neither_its_parameters_nor_its_input(case):
    model, params, _, batch, _ = case
    before, kept = jax.tree.map(np.array, params), batch.copy()
    model.apply(params, batch)
    jax.tree.map(np.testing.assert_array_equal, params, before)
    np.testing.assert_array_equal(batch, kept)


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_pixels_and_their_scaled_values_give_the_same_logits(name):
    model, images, _ = MODELS[name]
    params, apply = jax.jit(model.init)(jax.random.key(0)), jax.jit(model.apply)
    np.testing.assert_allclose(
        apply(params, images), apply(params, np.float32(images / 255)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("make", "batch"),
    [
        (models.xor_net, ROWS),
        (models.lenet, IMAGES),
        (lambda **options: models.mlp((784, 5, 10), **options), IMAGES),
    ],
    ids=["xor_net", "lenet", "mlp"],
)
def test_bfloat16_products_change_the_logits_a_little_and_not_their_type(make, batch):
    full, rounded = make(), make(product_dtype=jnp.bfloat16)
    params = jax.jit(full.init)(jax.random.key(0))
    exact, near = jax.jit(full.apply)(params, batch), jax.jit(rounded.apply)(params, batch)
    assert near.dtype == jnp.float32
    assert 0 < float(abs(near - exact).max()) < 0.05


def test_a_flax_module_answers_as_it_does_in_flax():
    module = flax.linen.Dense(4)
    model = models.from_flax(module, ROWS)
    params = model.init(jax.random.key(0))
    assert set(params) == {"kernel", "bias"}
    np.testing.assert_array_equal(model.apply(params, ROWS), module.apply({"params": params}, ROWS))
