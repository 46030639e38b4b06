"""Parameters in PyTorch's layout give PyTorch's logits, and come back as they went."""

import jax
import numpy as np
import pytest

from functional_nets.models import from_state_dict, lenet, mlp, to_state_dict
from tests import oracles

TUTORIAL, LENET = oracles.PYTORCH["tutorial"], oracles.PYTORCH["lenet"]
STACK = ("linear_relu_stack.0", "linear_relu_stack.2", "linear_relu_stack.4")


def shapes_of(model):
    return jax.eval_shape(model.init, jax.random.key(0))


@pytest.fixture(scope="module")
def tutorials():
    """The `state_dict` of notebook `004`'s network and the images that `tests/golden/pytorch.py` draws."""
    random = np.random.RandomState(5)
    drawn = {name: random.uniform(-0.05, 0.05, shape).astype(np.float32) for name, shape in TUTORIAL["shapes"].items()}
    return drawn, random.randint(0, 256, (3, 1, 28, 28)).transpose(0, 2, 3, 1).astype(np.uint8)


@pytest.fixture(scope="module")
def lenets():
    """The same of notebook `003`'s."""
    random, drawn = np.random.RandomState(5), {}
    for name, shape in {
        "1": (6, 1, 3, 3),
        "4": (16, 6, 3, 3),
        "8": (120, 576),
        "10": (84, 120),
        "12": (10, 84),
    }.items():
        for kind, each, bound in (("weight", shape, 1 / np.sqrt(np.prod(shape[1:]))), ("bias", shape[:1], 0.1)):
            drawn[f"{name}.{kind}"] = random.uniform(-bound, bound, each).astype(np.float32)
    return drawn, random.randint(0, 256, (2, 1, 28, 28)).transpose(0, 2, 3, 1).astype(np.uint8)


@pytest.mark.parametrize("order", [list, sorted, lambda names: sorted(names, reverse=True)])
def test_the_state_dict_of_the_fashion_mnist_network_gives_pytorchs_logits(tutorials, order):
    state_dict, images = tutorials
    model = mlp((784, 512, 512, 10))
    params = from_state_dict({name: state_dict[name] for name in order(state_dict)}, shapes_of(model))
    np.testing.assert_allclose(model.apply(params, images), TUTORIAL["logits"], atol=1e-5)


def test_convolutions_and_what_flattens_after_them_give_pytorchs_logits(lenets):
    state_dict, images = lenets
    params = from_state_dict(state_dict, shapes_of(lenet()))
    np.testing.assert_allclose(jax.jit(lenet().apply)(params, images), LENET["logits"], atol=1e-5)


def test_parameters_come_back_as_they_went(tutorials, lenets):
    for (state_dict, _), model, names in (
        (tutorials, mlp((784, 512, 512, 10)), STACK),
        (lenets, lenet(), ("1", "4", "8", "10", "12")),
    ):
        back = to_state_dict(from_state_dict(state_dict, shapes_of(model)), names)
        assert set(back) == set(state_dict)
        for name, value in back.items():
            np.testing.assert_array_equal(value, state_dict[name])
            assert value.flags.c_contiguous  # Else safetensors would write it in another order.


def test_layers_keep_their_names_or_are_given_others_by_name():
    params = {"block": {"dense1": {"kernel": np.ones((2, 3)), "bias": np.ones(3)}, "norm": {"scale": np.ones(3)}}}
    assert {name: value.shape for name, value in to_state_dict(params).items()} == {
        "block.dense1.weight": (3, 2), "block.dense1.bias": (3,), "block.norm.weight": (3,),
    }  # fmt: skip
    named = to_state_dict(params, {"block/dense1": "0", "block/norm": "1"})
    assert list(named) == ["0.weight", "0.bias", "1.weight"]
    jax.tree.map(np.testing.assert_array_equal, from_state_dict(to_state_dict(params), params), params)


def test_the_tenth_layer_follows_the_ninth():
    model = mlp([2] * 12)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes_of(model))
    for number, (_, layer) in enumerate(sorted(params.items(), key=lambda item: int(item[0][5:]))):
        layer["b"] += number
    names = [str(2 * number) for number in range(11)]
    state_dict = to_state_dict(params, names)
    assert [state_dict[f"{name}.bias"][0] for name in names] == list(range(11))
    jax.tree.map(np.testing.assert_array_equal, from_state_dict(dict(sorted(state_dict.items())), params), params)


def test_the_order_of_a_state_dict_counts_where_names_tell_none():
    like = {"dense1": {"w": np.ones((2, 3))}, "dense2": {"w": np.ones((3, 4))}}
    found = from_state_dict({"features.0.weight": np.ones((3, 2)), "classifier.1.weight": np.ones((4, 3))}, like)
    assert found["dense2"]["w"].shape == (3, 4)


ONES = np.ones((2, 2))
SQUARE = {"dense1": {"w": np.ones((2, 2))}, "dense2": {"w": np.ones((2, 2))}}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_state_dict({"b.weight": ONES, "a.weight": ONES}, SQUARE), "two of b, a: give"),
        (lambda: from_state_dict({"0.weight": np.ones((2, 2))}, SQUARE), r"2 \(dense1, dense2\), found 1: \['0'\]"),
        (
            lambda: from_state_dict({"0.weight": np.ones((3, 2)), "1.weight": np.ones((2, 2))}, SQUARE),
            r"Expected 0.weight to fit dense1/w, \[2, 2\], found \[2, 3\]",
        ),
        (
            lambda: from_state_dict({f"{n}.{k}": ONES for n in "01" for k in ("weight", "running_mean")}, SQUARE),
            "found none for 0.running_mean, 1.running_mean",
        ),
        (lambda: to_state_dict(SQUARE, ("0",)), "as many names as layers, 2"),
        (lambda: to_state_dict(SQUARE, {"dense1": "0"}), "found none for dense2"),
        (lambda: to_state_dict({"dense1": {"v": np.ones(2)}}), "found dense1/v: convert this layer by hand"),
        (
            lambda: to_state_dict({"ConvTranspose_0": {"kernel": np.ones((3, 3, 2, 2)), "bias": np.ones(2)}}),
            "found a transposed convolution, ConvTranspose_0: convert it by hand",
        ),
        (
            lambda: to_state_dict({"attention": {"query": {"kernel": np.ones((8, 2, 4))}}}),
            "found the heads of an attention, attention/query",
        ),
        (lambda: to_state_dict([np.ones(2)]), "nested dicts of arrays, found list"),
        (
            lambda: to_state_dict({"conv": {"w": np.ones((3, 3, 1, 4))}, "dense": {"w": np.ones((6, 2))}}),
            "all pixels of 4 channels, found 6 inputs",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_was_expected_and_found(call, message):
    with pytest.raises(ValueError, match=message):
        call()
