"""LeNet: the sizes along its way, its logits and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.models import lenet
from functional_nets.models.lenet import SHAPES
from functional_nets.nn import classification_loss, conv2d, max_pool2d
from tests import oracles

APPLY = jax.jit(lenet().apply)
GOLDEN = oracles.PYTORCH["lenet"]


@pytest.fixture(scope="module")
def pytorchs():
    """The parameters and images that `tests/golden/pytorch.py` draws, in this package's layout."""
    random = np.random.RandomState(5)

    def draw(*shape):
        bound = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
        return random.uniform(-bound, bound, shape)

    params = {}
    for name, shape in SHAPES.items():
        if name == "dense1":
            # PyTorch flattens channels first, [16, 6, 6]; here they come last.
            w = draw(120, 576).reshape(120, 16, 6, 6).transpose(2, 3, 1, 0).reshape(576, 120)
        elif len(shape) == 4:
            w = draw(shape[3], shape[2], *shape[:2]).transpose(2, 3, 1, 0)
        else:
            w = draw(*reversed(shape)).T
        params[name] = {"w": w, "b": draw(shape[-1])}
    images = random.randint(0, 256, (2, 1, 28, 28)).transpose(0, 2, 3, 1).astype(np.uint8)
    return params, images


def test_sides_go_32_30_15_13_6_so_that_16_channels_of_6_by_6_are_left():
    params = jax.eval_shape(lenet().init, jax.random.key(0))
    sides = [32]
    x = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)
    for name in ("conv1", "conv2"):
        x = jax.eval_shape(conv2d, params[name], x)
        sides.append(x.shape[1])
        x = jax.eval_shape(max_pool2d, x)
        sides.append(x.shape[1])
    assert sides == [32, 30, 15, 13, 6]
    assert x.shape == (1, 6, 6, 16)
    assert params["dense1"]["w"].shape[0] == 16 * 6 * 6


def test_logits_are_those_of_loops_in_numpy_and_of_pytorch(pytorchs):
    params, images = pytorchs
    padded = np.pad(images / 255, ((0, 0), (2, 2), (2, 2), (0, 0)))
    found = APPLY(jax.tree.map(jnp.float32, params), images)
    np.testing.assert_allclose(found, oracles.lenet(params, padded), atol=2e-6)
    np.testing.assert_allclose(found, GOLDEN["logits"], atol=2e-6)


def test_gradients_are_pytorchs(pytorchs):
    params, images = pytorchs
    loss = classification_loss(lenet().apply)
    grads = jax.jit(jax.grad(loss))(jax.tree.map(jnp.float32, params), images, np.array([3, 7]))
    sums = [np.abs(grads[name][leaf]).sum() for name in SHAPES for leaf in ("w", "b")]
    np.testing.assert_allclose(sums, GOLDEN["gradient_sums"], rtol=1e-4)


def test_images_of_28_are_padded_with_background_and_those_of_32_are_not(pytorchs):
    params, images = jax.tree.map(jnp.float32, pytorchs[0]), pytorchs[1]
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_array_equal(APPLY(params, images), APPLY(params, padded))
