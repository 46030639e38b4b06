"""Three layers with the examples in columns, as in the course: tanh, ReLU, sigmoid, logistic cost."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, X, Y):
    """Cost of L_model_forward; X is (features, m), Y is (1, m)."""
    m = X.shape[1]
    Z1 = params["W1"] @ X + params["b1"]  # @linear1
    A1 = jnp.tanh(Z1)  # @tanh
    Z2 = params["W2"] @ A1 + params["b2"]  # @linear2
    A2 = jax.nn.relu(Z2)  # @relu
    Z3 = params["W3"] @ A2 + params["b3"]  # @linear3
    A3 = jax.nn.sigmoid(Z3)  # @sigmoid
    logprobs = Y * jnp.log(A3) + (1 - Y) * jnp.log(1 - A3)  # @logprobs
    return -jnp.sum(logprobs) / m  # @cost


def inputs(rng, n):
    """Four features, two hidden layers of five, m = n examples."""
    params = {
        "W1": rng.normal(size=(5, 4)) * 0.6,
        "b1": rng.normal(size=(5, 1)) * 0.5,
        "W2": rng.normal(size=(5, 5)) * 0.6,
        "b2": rng.normal(size=(5, 1)) * 0.5,
        "W3": rng.normal(size=(1, 5)),
        "b3": rng.normal(size=(1, 1)),
    }
    return params, (rng.normal(size=(4, n)), (np.arange(n) % 2)[None].astype(float))


def forward(params, X):
    """Z and A of each layer."""
    Z1 = params["W1"] @ X + params["b1"]
    A1 = np.tanh(Z1)
    Z2 = params["W2"] @ A1 + params["b2"]
    A2 = np.maximum(Z2, 0)
    Z3 = params["W3"] @ A2 + params["b3"]
    return Z1, A1, Z2, A2, 1 / (1 + np.exp(-Z3))


def grads(params, X, Y):
    """The six equations of backpropagation."""
    m = X.shape[1]
    Z1, A1, Z2, A2, A3 = forward(params, X)
    dZ3 = A3 - Y
    dW3 = 1 / m * dZ3 @ A2.T
    db3 = 1 / m * np.sum(dZ3, axis=1, keepdims=True)
    dZ2 = (params["W3"].T @ dZ3) * (Z2 > 0)
    dW2 = 1 / m * dZ2 @ A1.T
    db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = (params["W2"].T @ dZ2) * (1 - np.power(A1, 2))
    dW1 = 1 / m * dZ1 @ X.T
    db1 = 1 / m * np.sum(dZ1, axis=1, keepdims=True)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}


net = Network("ng_mlp", loss_fn, inputs, grads, batch=7)


@net.fault("extra_term", at=None)
def decay_of_the_regularised_assignment(params, X, Y):
    """DW += λ/m W is copied from the part on regularisation; this cost has no such term."""
    m = X.shape[1]
    _, A1, Z2, A2, A3 = forward(params, X)
    dZ3 = A3 - Y
    dZ2 = (params["W3"].T @ dZ3) * (Z2 > 0)
    dZ1 = (params["W2"].T @ dZ2) * (1 - A1**2)
    return {
        "W1": dZ1 @ X.T / m + 0.7 / m * params["W1"],
        "b1": np.sum(dZ1, axis=1, keepdims=True) / m,
        "W2": dZ2 @ A1.T / m + 0.7 / m * params["W2"],
        "b2": np.sum(dZ2, axis=1, keepdims=True) / m,
        "W3": dZ3 @ A2.T / m + 0.7 / m * params["W3"],
        "b3": np.sum(dZ3, axis=1, keepdims=True) / m,
    }


@net.fault("scale", at="cost", called=True)
def divided_by_m_twice(params, X, Y):
    """dZ3 has the 1/m already, and each dW and db has it again."""
    m = X.shape[1]
    Z1, A1, Z2, A2, A3 = forward(params, X)
    dZ3 = (A3 - Y) / m
    dZ2 = (params["W3"].T @ dZ3) * (Z2 > 0)
    dZ1 = (params["W2"].T @ dZ2) * (1 - np.power(A1, 2))
    return {
        "W1": 1 / m * dZ1 @ X.T,
        "b1": 1 / m * np.sum(dZ1, axis=1, keepdims=True),
        "W2": 1 / m * dZ2 @ A1.T,
        "b2": 1 / m * np.sum(dZ2, axis=1, keepdims=True),
        "W3": 1 / m * dZ3 @ A2.T,
        "b3": 1 / m * np.sum(dZ3, axis=1, keepdims=True),
    }


@net.fault("wrong_derivative", at="tanh")
def tanh_slope_with_z_for_a(params, X, Y):
    """1 − Z1² where it should be 1 − A1²."""
    m = X.shape[1]
    Z1, A1, Z2, A2, A3 = forward(params, X)
    dZ2 = (params["W3"].T @ (A3 - Y)) * (Z2 > 0)
    dZ1 = (params["W2"].T @ dZ2) * (1 - np.power(Z1, 2))
    result = grads(params, X, Y)
    result["W1"] = dZ1 @ X.T / m
    result["b1"] = np.sum(dZ1, axis=1, keepdims=True) / m
    return result


@net.fault("wrong_shape", at=("linear1", "linear2", "linear3"))
def keepdims_forgotten(params, X, Y):
    """The biases' gradients are rank 1 arrays."""
    m = X.shape[1]
    result = grads(params, X, Y)
    Z1, A1, Z2, A2, A3 = forward(params, X)
    dZ3 = A3 - Y
    dZ2 = (params["W3"].T @ dZ3) * (Z2 > 0)
    dZ1 = (params["W2"].T @ dZ2) * (1 - A1**2)
    result["b1"] = np.sum(dZ1, axis=1) / m
    result["b2"] = np.sum(dZ2, axis=1) / m
    result["b3"] = np.sum(dZ3, axis=1) / m
    return result


@net.fault("sign", at=("logprobs", "cost"))
def parenthesis_in_dAL(params, X, Y):
    """−(Y/AL + (1−Y)/(1−AL)): the minus goes over both terms."""
    m = X.shape[1]
    Z1, A1, Z2, A2, A3 = forward(params, X)
    dAL = -(np.divide(Y, A3) + np.divide(1 - Y, 1 - A3))
    dZ3 = dAL * A3 * (1 - A3)
    dZ2 = (params["W3"].T @ dZ3) * (Z2 > 0)
    dZ1 = (params["W2"].T @ dZ2) * (1 - A1**2)
    return {
        "W1": dZ1 @ X.T / m,
        "b1": np.sum(dZ1, axis=1, keepdims=True) / m,
        "W2": dZ2 @ A1.T / m,
        "b2": np.sum(dZ2, axis=1, keepdims=True) / m,
        "W3": dZ3 @ A2.T / m,
        "b3": np.sum(dZ3, axis=1, keepdims=True) / m,
    }


@net.fault("wrong_operand", at="linear2")
def cache_of_the_wrong_layer(params, X, Y):
    """dW2 is made with A2, the layer's output, for A1, its input."""
    m = X.shape[1]
    _, _, Z2, A2, A3 = forward(params, X)
    dZ2 = (params["W3"].T @ (A3 - Y)) * (Z2 > 0)
    return grads(params, X, Y) | {"W2": 1 / m * dZ2 @ A2.T}


@net.fault("wrong_mask", at="relu", single=True, seed=2)
def relu_mask_of_the_layer_below(params, X, Y):
    """The mask is taken from Z1."""
    m = X.shape[1]
    Z1, A1, Z2, A2, A3 = forward(params, X)
    dZ3 = A3 - Y
    dZ2 = params["W3"].T @ dZ3
    dZ2[Z1 <= 0] = 0
    dZ1 = (params["W2"].T @ dZ2) * (1 - A1**2)
    return {
        "W1": dZ1 @ X.T / m,
        "b1": np.sum(dZ1, axis=1, keepdims=True) / m,
        "W2": dZ2 @ A1.T / m,
        "b2": np.sum(dZ2, axis=1, keepdims=True) / m,
        "W3": dZ3 @ A2.T / m,
        "b3": np.sum(dZ3, axis=1, keepdims=True) / m,
    }


@net.right()
def through_dAL(params, X, Y):
    """DAL first, then the slope of the sigmoid."""
    m = X.shape[1]
    Z1, A1, Z2, A2, A3 = forward(params, X)
    dAL = -(np.divide(Y, A3) - np.divide(1 - Y, 1 - A3))
    dZ3 = dAL * A3 * (1 - A3) / m
    dZ2 = (params["W3"].T @ dZ3) * (A2 > 0)
    dZ1 = (params["W2"].T @ dZ2) / np.cosh(Z1) ** 2
    return {
        "W1": dZ1 @ X.T,
        "b1": dZ1.sum(1)[:, None],
        "W2": dZ2 @ A1.T,
        "b2": dZ2.sum(1)[:, None],
        "W3": dZ3 @ A2.T,
        "b3": dZ3.sum(1)[:, None],
    }


@net.right(single=True, seed=5, n=1)
def one_example_in_float32(params, X, Y):
    """M = 1."""
    return grads(params, X, Y)
