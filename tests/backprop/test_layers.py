"""The book's layers: values and gradients of their JAX twins, and none of the book's latent faults."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from functional_nets.backprop.layers import (
    Add,
    Affine,
    BatchNorm,
    Convolution,
    Dropout,
    Mul,
    Pooling,
    Relu,
    Sigmoid,
    SoftmaxWithLoss,
    Tanh,
)
from functional_nets.backprop.tape import Variable, backward

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


def convolve(stride, pad):
    def conv(x, w, b):
        sides = [(pad, pad)] * 2
        return lax.conv_general_dilated(x, w, (stride, stride), sides, dimension_numbers=("NHWC", "HWIO", "NHWC")) + b

    return conv


def pool(start, combine, window, stride, pad, divisor=1):
    def pooled(x):
        sides = [(0, 0), (pad, pad), (pad, pad), (0, 0)]
        return lax.reduce_window(x, start, combine, (1, *window, 1), (1, *stride, 1), sides) / divisor

    return pooled


def batch_norm(x, gamma, beta):
    axes = tuple(range(x.ndim - 1))
    return gamma * (x - x.mean(axes)) / jnp.sqrt(x.var(axes) + 1e-5) + beta


def trained(layer):
    layer.train = False
    return layer


KERNEL, FILTERS, IMAGES = normal(3, 2, 3, 4), normal(4), normal(2, 6, 5, 3)
W, B, ROWS = normal(3, 5), normal(5), normal(4, 3)
STATISTICS = {"running_mean": normal(3), "running_var": RNG.uniform(0.5, 2, 3)}

# The layer, its twin in JAX as a function of inputs and parameters, the inputs.
LAYERS = {
    "mul": (Mul(), jnp.multiply, (normal(4, 3), normal(3))),
    "add": (Add(), jnp.add, (normal(4, 1), normal(4, 3))),
    "relu": (Relu(), jax.nn.relu, (np.append(normal(3, 3), np.zeros((1, 3)), axis=0),)),
    "sigmoid": (Sigmoid(), jax.nn.sigmoid, (normal(4, 3),)),
    "tanh": (Tanh(), jnp.tanh, (normal(4, 3),)),
    "affine": (Affine(W, B), lambda x, w, b: x @ w + b, (ROWS,)),
    "affine of a vector": (Affine(W, B), lambda x, w, b: x @ w + b, (ROWS[0],)),
    "affine of one row": (Affine(W, B), lambda x, w, b: x @ w + b, (ROWS[:1],)),
    "affine of images": (
        Affine(normal(90, 5), B),
        lambda x, w, b: x.reshape(len(x), -1) @ w + b,
        (IMAGES,),
    ),
    "affine of integers": (Affine(W, B), lambda x, w, b: x @ w + b, (np.arange(12).reshape(4, 3),)),
    "convolution": (Convolution(KERNEL, FILTERS), convolve(1, 0), (IMAGES,)),
    "convolution, stride, pad": (Convolution(KERNEL, FILTERS, stride=2, pad=1), convolve(2, 1), (IMAGES,)),
    "max pooling": (Pooling(2, 2), pool(-jnp.inf, lax.max, (2, 2), (2, 2), 0), (IMAGES,)),
    "max pooling, overlap": (
        Pooling(3, 2, stride=1, pad=1),
        pool(-jnp.inf, lax.max, (3, 2), (1, 1), 1),
        (IMAGES,),
    ),
    "mean pooling": (Pooling(2, 1, kind="mean"), pool(0.0, lax.add, (2, 1), (2, 1), 0, 2), (IMAGES,)),
    "batch norm": (BatchNorm(normal(3), normal(3)), batch_norm, (ROWS,)),
    "batch norm of images": (BatchNorm(normal(3), normal(3)), batch_norm, (IMAGES,)),
    "batch norm, trained": (
        trained(BatchNorm(normal(3), normal(3), **STATISTICS)),
        lambda x, gamma, beta: (
            gamma * (x - STATISTICS["running_mean"]) / jnp.sqrt(STATISTICS["running_var"] + 1e-5) + beta
        ),
        (ROWS,),
    ),
    "dropout, trained": (trained(Dropout(0.5, RNG)), lambda x: x, (ROWS,)),
}


def arguments(name):
    layer, _, inputs = LAYERS[name]
    return (*(x.astype(float) for x in inputs), *(getattr(layer, p) for p in layer.parameters))


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


@pytest.fixture(scope="module")
def in_jax():
    """Value, upstream gradient and gradients of each twin, in one compiled program."""

    def evaluate(everything):
        results = {}
        for name, args in everything.items():
            out, pull_back = jax.vjp(LAYERS[name][1], *args)
            dout = jnp.cos(jnp.arange(out.size)).reshape(out.shape)
            results[name] = out, dout, pull_back(dout)
        return results

    with jax.enable_x64(True):
        return jax.jit(evaluate)({name: arguments(name) for name in LAYERS})


@pytest.mark.parametrize("name", LAYERS)
def test_value_and_gradients_are_those_of_jax(name, in_jax):
    layer, _, inputs = LAYERS[name]
    out, dout, gradients = in_jax[name]
    np.testing.assert_allclose(layer.forward(*inputs), out, rtol=1e-12, atol=1e-12)
    ours = [*as_tuple(layer.backward(np.asarray(dout)))]
    ours += [getattr(layer, f"d{p}") for p in layer.parameters]
    for mine, theirs in zip(ours, gradients, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_backward_changes_nothing_and_is_linear_in_what_comes_from_above(name):
    layer, _, inputs = LAYERS[name]
    before = [x.copy() for x in inputs]
    out = layer.forward(*inputs)
    dout = np.cos(np.arange(out.size)).reshape(out.shape)
    dout.flags.writeable = False
    first = as_tuple(layer.backward(dout))
    for gradient in first:
        gradient *= 1  # In an array of its own, which the caller may change.
        assert not np.shares_memory(gradient, dout)
    for once, double in zip(first, as_tuple(layer.backward(2 * dout)), strict=True):
        np.testing.assert_allclose(double, 2 * once, rtol=1e-14)
    for x, kept in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("name", LAYERS)
def test_forward_on_the_tape_has_the_gradients_of_backward(name):
    layer, _, inputs = LAYERS[name]
    dout = np.cos(np.arange(np.size(layer.forward(*inputs)))).reshape(np.shape(layer.out))
    by_hand = [*as_tuple(layer.backward(dout)), *(getattr(layer, f"d{p}") for p in layer.parameters)]
    on_the_tape = copy.copy(layer)
    variables = [Variable(x) for x in arguments(name)]
    for parameter, variable in zip(layer.parameters, variables[len(inputs) :], strict=True):
        setattr(on_the_tape, parameter, variable)
    grads = backward(on_the_tape.forward(*variables[: len(inputs)]), dout)
    for variable, expected in zip(variables, by_hand, strict=True):
        np.testing.assert_allclose(grads[variable], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", LAYERS)
def test_an_upstream_gradient_of_another_shape_is_an_error(name):
    layer, _, inputs = LAYERS[name]
    out = layer.forward(*inputs)
    with pytest.raises(ValueError, match=rf"{type(layer).__name__}\.backward: expected dout of shape"):
        layer.backward(np.ones((*out.shape, 1)))


def test_backward_needs_a_forward_pass():
    for layer in (Relu(), Affine(W, B), BatchNorm(FILTERS, FILTERS), SoftmaxWithLoss(), Mul()):
        with pytest.raises(RuntimeError, match="expected a forward pass before it, found none"):
            layer.backward(1.0)


def test_apples_cost_what_notebook_002_prints():
    apples, tax = Mul(), Mul()
    assert str(tax.forward(apples.forward(100, 2), 1.1)) == "220.00000000000003"
    dprice, dtax = tax.backward(1)
    assert " ".join(map(str, (dtax, *apples.backward(dprice)))) == "200 2.2 110.00000000000001"


def test_apples_and_oranges_cost_what_notebook_002_prints():
    apples, oranges, total, tax = Mul(), Mul(), Add(), Mul()
    price = total.forward(apples.forward(100, 2), oranges.forward(150, 3))
    assert str(tax.forward(price, 1.1)) == "715.0000000000001"
    dprice, dtax = tax.backward(1)
    of_apples, of_oranges = total.backward(dprice)
    printed = " ".join(map(str, (*apples.backward(of_apples), *oranges.backward(of_oranges), dtax)))
    assert printed == "2.2 110.00000000000001 3.3000000000000003 165.0 650"


def test_relu_has_no_slope_at_zero_and_keeps_nan():
    layer = Relu()
    np.testing.assert_array_equal(layer.forward(np.array([0.0, -0.0, np.nan, 2.0])), [0, 0, np.nan, 2])
    np.testing.assert_array_equal(layer.backward(np.ones(4))[[0, 1, 3]], [0, 0, 1])


def test_sigmoid_does_not_overflow():
    layer = Sigmoid()
    np.testing.assert_array_equal(layer.forward(np.array([-1e4, 1e4])), [0, 1])
    np.testing.assert_array_equal(layer.backward(np.ones(2)), [0, 0])


def test_pooling_gives_the_gradient_of_a_tie_to_the_first():
    layer = Pooling(2, 2)
    layer.forward(np.array([[1.0, 3.0], [3.0, 3.0]]).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(layer.backward(np.ones((1, 1, 1, 1))).ravel(), [0, 1, 0, 0])


def test_inputs_of_another_shape_are_an_error():
    with pytest.raises(ValueError, match=r"Affine\.forward: expected rows of 3 numbers .* found 4 in x of shape"):
        Affine(W, B).forward(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"Convolution\.forward: expected 3 channels last .* shape \(2, 6, 5, 1\)"):
        Convolution(KERNEL, FILTERS).forward(IMAGES[..., :1])
    for layer in (Convolution(KERNEL, FILTERS), Pooling(2, 2)):
        with pytest.raises(ValueError, match=r"expected \[batch, height, width, channels\], found shape \(6, 5, 3\)"):
            layer.forward(IMAGES[0])
    with pytest.raises(ValueError, match="expected kind 'max' or 'mean', found 'sum'"):
        Pooling(2, 2, kind="sum")
    with pytest.raises(ValueError, match="expected 0 <= ratio < 1, found 1"):
        Dropout(1, RNG)


# ------ layers that behave in training otherwise than afterwards


def test_dropout_keeps_the_mean_and_uses_the_same_mask_on_the_way_back():
    layer = Dropout(0.25, np.random.default_rng(0))
    out = layer.forward(np.ones((100, 100)))
    assert set(np.unique(out)) == {0.0, 1 / 0.75}
    assert out.mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(layer.backward(np.ones((100, 100))), out)


def test_dropout_takes_its_mask_from_the_generator_that_it_is_given():
    one, other = (Dropout(0.5, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.forward(ROWS), other.forward(ROWS))
    assert np.any(one.forward(ROWS) != other.out)
    np.testing.assert_array_equal(Dropout(0.0, RNG).forward(ROWS), ROWS)


def test_batch_norm_normalises_and_remembers_the_statistics():
    layer = BatchNorm(np.ones(3), np.zeros(3), momentum=0.9)
    x = 5 + 2 * np.random.default_rng(0).normal(size=(50, 3))
    out = layer.forward(x)
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(out.var(0), 1, rtol=1e-5)
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean(0))
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * x.var(0))
    trained(layer).forward(x + 100)
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean(0))
