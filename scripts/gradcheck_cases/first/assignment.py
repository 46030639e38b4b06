"""The "gradient checking" assignment of a well-known course: examples are columns, two bugs are planted."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import sigmoid


def loss_fn(params, X, Y):
    """LINEAR → RELU → LINEAR → RELU → LINEAR → SIGMOID, logistic cost."""
    A1 = jax.nn.relu(params["W1"] @ X + params["b1"])  # @first
    A2 = jax.nn.relu(params["W2"] @ A1 + params["b2"])  # @second
    Z3 = params["W3"] @ A2 + params["b3"]  # @third
    A3 = jax.nn.sigmoid(Z3)  # @sigmoid
    logprobs = -Y * jnp.log(A3) - (1 - Y) * jnp.log(1 - A3)  # @logprobs
    return jnp.sum(logprobs) / X.shape[1]  # @cost


def inputs(rng, n):
    """Four features, layers of 5, 3 and 1 units."""
    sizes = (4, 5, 3, 1)
    params = {}
    for layer, (i, o) in enumerate(pairwise(sizes), 1):
        params[f"W{layer}"] = rng.normal(size=(o, i))
        params[f"b{layer}"] = rng.normal(size=(o, 1))
    return params, (rng.normal(size=(4, n)), (np.arange(n) % 2 == 1).astype(float)[None])


def backward_propagation(params, X, Y):
    """The right one, as the assignment has it after the bugs are found."""
    m = X.shape[1]
    A1 = np.maximum(params["W1"] @ X + params["b1"], 0)
    A2 = np.maximum(params["W2"] @ A1 + params["b2"], 0)
    A3 = sigmoid(params["W3"] @ A2 + params["b3"])
    dZ3 = A3 - Y
    dW3 = 1.0 / m * np.dot(dZ3, A2.T)
    db3 = 1.0 / m * np.sum(dZ3, axis=1, keepdims=True)
    dA2 = np.dot(params["W3"].T, dZ3)
    dZ2 = np.multiply(dA2, np.int64(A2 > 0))
    dW2 = 1.0 / m * np.dot(dZ2, A1.T)
    db2 = 1.0 / m * np.sum(dZ2, axis=1, keepdims=True)
    dA1 = np.dot(params["W2"].T, dZ2)
    dZ1 = np.multiply(dA1, np.int64(A1 > 0))
    dW1 = 1.0 / m * np.dot(dZ1, X.T)
    db1 = 1.0 / m * np.sum(dZ1, axis=1, keepdims=True)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}


net = Network("assignment", loss_fn, inputs, backward_propagation, batch=5)


@net.fault("scale", at="second")
def planted_times_two(params, X, Y):
    """`dW2 = 1./m * np.dot(dZ2, A1.T) * 2`."""
    grads = backward_propagation(params, X, Y)
    grads["W2"] = grads["W2"] * 2
    return grads


@net.fault("scale", at="first")
def planted_four_over_m(params, X, Y):
    """`db1 = 4./m * np.sum(dZ1, axis=1, keepdims=True)`."""
    grads = backward_propagation(params, X, Y)
    grads["b1"] = 4 * grads["b1"]
    return grads


@net.fault("scale", at=("first", "second"))
def both_planted_bugs(params, X, Y):
    """The assignment as handed out."""
    grads = backward_propagation(params, X, Y)
    return {**grads, "W2": grads["W2"] * 2, "b1": 4 * grads["b1"]}


@net.fault("wrong_shape", at="third")
def keepdims_forgotten(params, X, Y):
    """`np.sum(dZ3, axis=1)` has shape (1,), not (1, 1)."""
    grads = backward_propagation(params, X, Y)
    return {**grads, "b3": grads["b3"].reshape(1)}


@net.fault("wrong_axis", "wrong_reduction", at="second", n=3)
def summed_over_the_units(params, X, Y):
    """axis=0 where examples are columns; with 3 examples of 3 units the shape fits after a reshape."""
    m = X.shape[1]
    grads = backward_propagation(params, X, Y)
    A1 = np.maximum(params["W1"] @ X + params["b1"], 0)
    A2 = np.maximum(params["W2"] @ A1 + params["b2"], 0)
    A3 = sigmoid(params["W3"] @ A2 + params["b3"])
    dZ2 = np.dot(params["W3"].T, A3 - Y) * (A2 > 0)
    return {**grads, "b2": 1.0 / m * np.sum(dZ2, axis=0).reshape(-1, 1)}


@net.fault("scale", at="cost", single=True)
def m_is_the_number_of_features(params, X, Y):
    """`m = X.shape[0]`: examples are columns here."""
    grads = backward_propagation(params, X, Y)
    return {key: grad * X.shape[1] / X.shape[0] for key, grad in grads.items()}


def _cost_with_plus(params, X, Y):
    A1 = np.maximum(params["W1"] @ X + params["b1"], 0)
    A2 = np.maximum(params["W2"] @ A1 + params["b2"], 0)
    A3 = sigmoid(params["W3"] @ A2 + params["b3"])
    return np.sum(-Y * np.log(A3) + (1 - Y) * np.log(1 - A3)) / X.shape[1]


@net.fault("wrong_loss", "sign", at="logprobs", loss=_cost_with_plus)
def cost_with_a_wrong_sign(params, X, Y):
    """The gradient is right, the cost that was printed has a + for a −."""
    return backward_propagation(params, X, Y)
