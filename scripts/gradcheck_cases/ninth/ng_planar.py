"""Andrew Ng's planar data: tanh, sigmoid, cross-entropy, L2 penalty; examples are columns, biases are columns."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

LAMBD = 0.7


def loss_fn(params, X, Y):
    """compute_cost_with_regularization."""
    m = X.shape[1]
    Z1 = params["W1"] @ X + params["b1"]  # @Z1
    A1 = jnp.tanh(Z1)  # @A1
    Z2 = params["W2"] @ A1 + params["b2"]  # @Z2
    A2 = jax.nn.sigmoid(Z2)  # @A2
    cost = -jnp.sum(Y * jnp.log(A2) + (1 - Y) * jnp.log(1 - A2)) / m  # @cross_entropy
    l2 = LAMBD / (2 * m) * (jnp.sum(params["W1"] ** 2) + jnp.sum(params["W2"] ** 2))  # @L2
    return cost + l2  # @total


def inputs(rng, n):
    """Two features, four hidden units, one output."""
    params = {
        "W1": rng.normal(size=(4, 2)),
        "b1": rng.normal(size=(4, 1)),
        "W2": rng.normal(size=(1, 4)),
        "b2": rng.normal(size=(1, 1)),
    }
    return params, (rng.normal(size=(2, n)), (np.arange(n)[None] % 3 == 0).astype(float))


def forward(params, X):
    """Z1, A1 and A2."""
    Z1 = np.dot(params["W1"], X) + params["b1"]
    A1 = np.tanh(Z1)
    return Z1, A1, 1 / (1 + np.exp(-np.dot(params["W2"], A1) - params["b2"]))


def backward(params, X, dZ2, tanh_slope=None, decay=LAMBD):
    """From dZ2 on."""
    m = X.shape[1]
    Z1, A1, _ = forward(params, X)
    dW2 = np.dot(dZ2, A1.T) / m + decay / m * params["W2"]
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    slope = 1 - np.power(A1, 2) if tanh_slope is None else tanh_slope(Z1, A1)
    dZ1 = np.dot(params["W2"].T, dZ2) * slope
    dW1 = np.dot(dZ1, X.T) / m + decay / m * params["W1"]
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def grads(params, X, Y):
    """backward_propagation_with_regularization."""
    return backward(params, X, forward(params, X)[2] - Y)


net = Network("ng_planar", loss_fn, inputs, grads, batch=7)


@net.fault("wrong_derivative", at="A1")
def slope_of_tanh_from_z(params, X, Y):
    """1 − Z1² for 1 − A1²."""
    return backward(params, X, forward(params, X)[2] - Y, lambda Z1, A1: 1 - np.power(Z1, 2))


@net.fault("wrong_derivative", at="A1", single=True)
def slope_of_the_sigmoid(params, X, Y):
    """A1 (1 − A1), left from the version with sigmoid units."""
    return backward(params, X, forward(params, X)[2] - Y, lambda Z1, A1: A1 * (1 - A1))


@net.fault("missing_term", at="L2")
def decay_forgotten(params, X, Y):
    """The cost is regularised, the backward pass is the old one."""
    return backward(params, X, forward(params, X)[2] - Y, decay=0)


@net.fault("scale", at="L2", called=True)
def decay_keeps_its_half(params, X, Y):
    """λ/2m copied from the cost."""
    return backward(params, X, forward(params, X)[2] - Y, decay=LAMBD / 2)


@net.fault("extra_term", at="L2")
def biases_decay_too(params, X, Y):
    """λ/m b is added to the biases' gradients as well."""
    result = grads(params, X, Y)
    for name in ("b1", "b2"):
        result[name] = result[name] + LAMBD / X.shape[1] * params[name]
    return result


@net.fault("sign", at="cross_entropy")
def plus_in_the_derivative_of_the_log(params, X, Y):
    """dA2 = −(Y/A2 + (1 − Y)/(1 − A2)): the inner minus is lost."""
    A2 = forward(params, X)[2]
    dA2 = -(Y / A2 + (1 - Y) / (1 - A2))
    return backward(params, X, dA2 * A2 * (1 - A2))


@net.fault("wrong_derivative", "wrong_loss", "extra_term", at=("A2", "cross_entropy"))
def sigmoid_counted_twice(params, X, Y):
    """A2 − Y has the sigmoid in it; its slope is multiplied once more."""
    A2 = forward(params, X)[2]
    return backward(params, X, (A2 - Y) * A2 * (1 - A2))


@net.fault("wrong_shape", at="Z1")
def keepdims_forgotten(params, X, Y):
    """`np.sum(dZ1, axis=1)`: a rank-one array, of which the course warns."""
    result = grads(params, X, Y)
    return {**result, "b1": result["b1"].ravel()}


@net.fault("scale", at=("Z1", "cross_entropy"))
def m_forgotten_in_dw1(params, X, Y):
    """Three of the four have their 1/m."""
    m = X.shape[1]
    result = grads(params, X, Y)
    data = m * (result["W1"] - LAMBD / m * params["W1"])
    return {**result, "W1": data + LAMBD / m * params["W1"]}


@net.fault("stale", at=None)
def cache_of_the_last_mini_batch(params, X, Y):
    """The cache is that of a mini-batch before."""
    rng = np.random.default_rng(99)
    return grads(params, rng.normal(size=X.shape), Y)


@net.fault("stale", "accumulated", "scale", at=None)
def velocity_for_gradient(params, X, Y):
    """v = 0.9 v + g after the second call: the buffer of momentum is returned."""
    v = {key: np.zeros_like(value) for key, value in params.items()}
    for _ in range(2):
        g = grads(params, X, Y)
        v = {key: 0.9 * v[key] + g[key] for key in v}
    return v


@net.fault("scale", "wrong_derivative", at=("L2", "A1"))
def half_and_slope(params, X, Y):
    """Two slips: λ/2m, and the slope of the sigmoid for that of tanh."""
    return backward(params, X, forward(params, X)[2] - Y, lambda Z1, A1: A1 * (1 - A1), LAMBD / 2)


@net.right()
def layer_by_layer(params, X, Y):
    """dA2 first, as in linear_activation_backward."""
    A2 = forward(params, X)[2]
    dA2 = -(np.divide(Y, A2) - np.divide(1 - Y, 1 - A2))
    return backward(params, X, dA2 * A2 * (1 - A2))


@net.right(seed=5, n=1, called=True)
def one_example(params, X, Y):
    """m = 1."""
    return grads(params, X, Y)
