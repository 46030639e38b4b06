"""Nielsen's deep sigmoid network with L2 regularisation: a tuple of dictionaries, the book's loops."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import sigmoid

LAMBDA = 0.3


def loss_fn(params, x, t):
    """Quadratic cost plus λ/2m of the squared weights."""
    a = x
    for layer in params:
        z = a @ layer["w"] + layer["b"]  # @affine
        a = jax.nn.sigmoid(z)  # @sigmoid
    data = jnp.sum((a - t) ** 2) / (2 * len(x))  # @data
    squares = sum(jnp.sum(layer["w"] ** 2) for layer in params)  # @squares
    return data + LAMBDA / (2 * len(x)) * squares  # @l2


def inputs(rng, n):
    """Widths 3, 5, 4, 2."""
    sizes = (3, 5, 4, 2)
    params = tuple({"w": rng.normal(size=(i, o)), "b": rng.normal(size=o)} for i, o in pairwise(sizes))
    return params, (rng.normal(size=(n, 3)), rng.uniform(size=(n, 2)))


def backprop(params, x, t, slope=lambda a: a * (1 - a), decay=lambda w, m: LAMBDA / m * w):
    """The data's gradient by the chain rule, the regulariser's by `decay`."""
    m = len(x)
    activations = [x]
    for layer in params:
        activations.append(sigmoid(activations[-1] @ layer["w"] + layer["b"]))
    result = []
    delta = (activations[-1] - t) / m * slope(activations[-1])
    for i in reversed(range(len(params))):
        w = params[i]["w"]
        result.insert(0, {"w": activations[i].T @ delta + decay(w, m), "b": delta.sum(axis=0)})
        if i > 0:
            delta = delta @ w.T * slope(activations[i])
    return tuple(result)


def grads(params, x, t):
    """The right one."""
    return backprop(params, x, t)


net = Network("deep_sigmoid", loss_fn, inputs, grads)


@net.fault("missing_term", at=("l2", "squares"), called=True)
def regulariser_forgotten(params, x, t):
    """Backpropagation of the data's cost only."""
    return backprop(params, x, t, decay=lambda w, m: 0)


@net.fault("scale", at=("l2", "squares"))
def regulariser_twice_as_strong(params, x, t):
    """The derivative 2w, but the ½ of λ/2m forgotten."""
    return backprop(params, x, t, decay=lambda w, m: 2 * LAMBDA / m * w)


@net.fault("scale", at="l2")
def regulariser_not_divided(params, x, t):
    """λ w: the cost has λ/m."""
    return backprop(params, x, t, decay=lambda w, m: LAMBDA * w)


@net.fault("sign", at=("l2", "squares"), single=True)
def decay_as_in_the_update(params, x, t):
    """Weight decay subtracts; the gradient of the regulariser adds."""
    return backprop(params, x, t, decay=lambda w, m: -LAMBDA / m * w)


@net.fault("wrong_derivative", at=("squares", "l2"))
def lasso(params, x, t):
    """The derivative of |w| for that of w²/2."""
    return backprop(params, x, t, decay=lambda w, m: LAMBDA / m * np.sign(w))


@net.fault("extra_term", at=None)
def biases_decay_too(params, x, t):
    """The regulariser is over weights; here biases shrink as well."""
    right = backprop(params, x, t)
    return tuple(
        {"w": grad["w"], "b": grad["b"] + LAMBDA / len(x) * layer["b"]}
        for grad, layer in zip(right, params, strict=True)
    )


@net.fault("missing_term", at=("squares", "l2"))
def only_the_last_layer_decays(params, x, t):
    """The term stands behind the loop instead of in it."""
    result = backprop(params, x, t, decay=lambda w, m: 0)
    result[-1]["w"] += LAMBDA / len(x) * params[-1]["w"]
    return result


@net.fault("wrong_derivative", at="sigmoid")
def one_minus_a_only(params, x, t):
    """Slope 1 − a."""
    return backprop(params, x, t, slope=lambda a: 1 - a)


@net.fault("wrong_derivative", at="sigmoid")
def slope_of_the_slope(params, x, t):
    """`sigmoid_prime(a)` where the function takes z: s(a)(1 − s(a))."""
    return backprop(params, x, t, slope=lambda a: sigmoid(a) * (1 - sigmoid(a)))


@net.fault("wrong_derivative", at="sigmoid", single=True)
def a_plus_a_squared(params, x, t):
    """An algebra slip: a(1 + a)."""
    return backprop(params, x, t, slope=lambda a: a * (1 + a))


@net.fault("wrong_derivative", "wrong_loss", at=("sigmoid", "data"))
def error_of_the_cross_entropy(params, x, t):
    """The output error a − t belongs to the cross-entropy cost."""
    m = len(x)
    a = [x]
    for layer in params:
        a.append(sigmoid(a[-1] @ layer["w"] + layer["b"]))
    d3 = (a[3] - t) / m
    d2 = d3 @ params[2]["w"].T * a[2] * (1 - a[2])
    d1 = d2 @ params[1]["w"].T * a[1] * (1 - a[1])
    return tuple(
        {"w": h.T @ d + LAMBDA / m * layer["w"], "b": d.sum(axis=0)}
        for h, d, layer in zip(a, (d1, d2, d3), params, strict=False)
    )


def _cost_without_regulariser(params, x, t):
    a = x
    for layer in params:
        a = sigmoid(a @ layer["w"] + layer["b"])
    return np.sum((a - t) ** 2) / (2 * len(x))


@net.fault("missing_term", "wrong_loss", at=("l2", "squares"), loss=_cost_without_regulariser)
def neither_loss_nor_gradient_regularised(params, x, t):
    """The regulariser is in the specification only."""
    return backprop(params, x, t, decay=lambda w, m: 0)


@net.right()
def decay_added_afterwards(params, x, t):
    """Data first, then the regulariser, in place."""
    result = backprop(params, x, t, decay=lambda w, m: 0)
    for grad, layer in zip(result, params, strict=True):
        grad["w"] += LAMBDA * layer["w"] / len(x)
    return result
