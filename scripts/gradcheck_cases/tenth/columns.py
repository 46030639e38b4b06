"""A sigmoid network with squared error; examples are columns, as in the first course on neural networks."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, X, Y):
    """Half the squared error, summed over outputs and averaged over the m examples."""
    m = X.shape[1]
    Z1 = params["W1"] @ X + params["b1"]  # @z1
    A1 = jax.nn.sigmoid(Z1)  # @sigmoid1
    Z2 = params["W2"] @ A1 + params["b2"]  # @z2
    A2 = jax.nn.sigmoid(Z2)  # @sigmoid2
    E = A2 - Y  # @error
    return jnp.sum(E**2) / (2 * m)  # @cost


def inputs(rng, n):
    """Three features, five hidden units, two outputs; biases are columns."""
    params = {
        "W1": rng.normal(size=(5, 3)),
        "b1": rng.normal(size=(5, 1)),
        "W2": rng.normal(size=(2, 5)),
        "b2": rng.normal(size=(2, 1)),
    }
    return params, (rng.normal(size=(3, n)), rng.uniform(0, 1, size=(2, n)))


def sigmoid(z):
    """Logistic function."""
    return 1 / (1 + np.exp(-z))


def sigmoid_prime(z):
    """Its derivative at z."""
    return sigmoid(z) * (1 - sigmoid(z))


def forward(params, X):
    """Preactivations and activations of both layers."""
    Z1 = params["W1"] @ X + params["b1"]
    A1 = sigmoid(Z1)
    Z2 = params["W2"] @ A1 + params["b2"]
    return Z1, A1, Z2, sigmoid(Z2)


def pack(X, A1, dZ1, dZ2, m):
    """Gradients from the deltas, averaged over m."""
    return {
        "W1": dZ1 @ X.T / m,
        "b1": dZ1.sum(axis=1, keepdims=True) / m,
        "W2": dZ2 @ A1.T / m,
        "b2": dZ2.sum(axis=1, keepdims=True) / m,
    }


def grads(params, X, Y):
    """The four equations of backpropagation."""
    Z1, A1, Z2, A2 = forward(params, X)
    dZ2 = (A2 - Y) * sigmoid_prime(Z2)
    dZ1 = params["W2"].T @ dZ2 * sigmoid_prime(Z1)
    return pack(X, A1, dZ1, dZ2, X.shape[1])


net = Network("columns", loss_fn, inputs, grads, batch=7)


def _mean_over_everything(params, X, Y):
    return np.mean((forward(params, X)[3] - Y) ** 2) / 2


@net.fault("wrong_loss", "scale", "wrong_reduction", at="cost", loss=_mean_over_everything)
def mean_over_outputs_printed(params, X, Y):
    """The gradient is right; the printed cost is `np.mean`, over the outputs too."""
    return grads(params, X, Y)


@net.fault("wrong_derivative", at="sigmoid1")
def derivative_of_the_activation(params, X, Y):
    """`sigmoid_prime(A1)`: the derivative is taken at the activation, it wants Z1."""
    _, A1, Z2, A2 = forward(params, X)
    dZ2 = (A2 - Y) * sigmoid_prime(Z2)
    dZ1 = params["W2"].T @ dZ2 * sigmoid_prime(A1)
    return pack(X, A1, dZ1, dZ2, X.shape[1])


@net.fault("wrong_derivative", "wrong_loss", "upstream", at="sigmoid2")
def delta_of_cross_entropy(params, X, Y):
    """dZ2 = A2 − Y is for cross-entropy; with squared error the sigmoid's slope belongs there."""
    Z1, A1, _, A2 = forward(params, X)
    dZ2 = A2 - Y
    dZ1 = params["W2"].T @ dZ2 * sigmoid_prime(Z1)
    return pack(X, A1, dZ1, dZ2, X.shape[1])


@net.fault("scale", at="cost", called=True)
def the_half_forgotten(params, X, Y):
    """2 (A2 − Y) although the cost has ½."""
    Z1, A1, Z2, A2 = forward(params, X)
    dZ2 = 2 * (A2 - Y) * sigmoid_prime(Z2)
    dZ1 = params["W2"].T @ dZ2 * sigmoid_prime(Z1)
    return pack(X, A1, dZ1, dZ2, X.shape[1])


@net.fault("wrong_reduction", "wrong_shape", at="z1")
def bias_summed_without_axis(params, X, Y):
    """`np.sum(dZ1, keepdims=True)`: summed over the units too, then broadcast over the bias."""
    right = grads(params, X, Y)
    Z1, _, Z2, A2 = forward(params, X)
    dZ1 = params["W2"].T @ ((A2 - Y) * sigmoid_prime(Z2)) * sigmoid_prime(Z1)
    right["b1"] = np.zeros_like(params["b1"]) + np.sum(dZ1, keepdims=True) / X.shape[1]
    return right


@net.fault("wrong_shape", at="z2")
def bias_without_keepdims(params, X, Y):
    """`np.sum(dZ2, axis=1)` is a vector, the bias a column."""
    right = grads(params, X, Y)
    right["b2"] = right["b2"].sum(axis=1)
    return right


@net.fault("sign", at=("error", "cost"))
def target_minus_output(params, X, Y):
    """The delta is Y − A2, as where the update adds it."""
    Z1, A1, Z2, A2 = forward(params, X)
    dZ2 = (Y - A2) * sigmoid_prime(Z2)
    dZ1 = params["W2"].T @ dZ2 * sigmoid_prime(Z1)
    return pack(X, A1, dZ1, dZ2, X.shape[1])


@net.fault("scale", at="cost")
def divided_by_the_rows(params, X, Y):
    """m = X.shape[0]: the number of features, from the days when examples were rows."""
    Z1, A1, Z2, A2 = forward(params, X)
    dZ2 = (A2 - Y) * sigmoid_prime(Z2)
    dZ1 = params["W2"].T @ dZ2 * sigmoid_prime(Z1)
    return pack(X, A1, dZ1, dZ2, X.shape[0])


@net.fault("wrong_derivative", "scale", "wrong_reduction", at=("sigmoid1", "z2"))
def no_slope_and_bias_averaged_twice(params, X, Y):
    """Two slips: A1 for A1 (1 − A1), and b2 by `np.mean` and divided by m besides."""
    _, A1, Z2, A2 = forward(params, X)
    m = X.shape[1]
    dZ2 = (A2 - Y) * sigmoid_prime(Z2)
    result = pack(X, A1, params["W2"].T @ dZ2 * A1, dZ2, m)
    result["b2"] = np.mean(dZ2, axis=1, keepdims=True) / m
    return result


@net.fault("upstream", "wrong_operand", at="z2", n=1)
def hidden_delta_without_weights(params, X, Y):
    """One example: the hidden delta is the summed output delta, the factor W2 is not there."""
    Z1, A1, Z2, A2 = forward(params, X)
    dZ2 = (A2 - Y) * sigmoid_prime(Z2)
    dZ1 = dZ2.sum(axis=0) * sigmoid_prime(Z1)
    return pack(X, A1, dZ1, dZ2, X.shape[1])


@net.right(n=1)
def outer_products_of_one_example(params, X, Y):
    """With one example the weight gradients are outer products."""
    Z1, A1, Z2, A2 = forward(params, X)
    d2 = ((A2 - Y) * A2 * (1 - A2)).ravel()
    d1 = params["W2"].T @ d2 * sigmoid_prime(Z1).ravel()
    return {"W1": np.outer(d1, X), "b1": d1[:, None], "W2": np.outer(d2, A1), "b2": d2[:, None]}


@net.right(seed=5)
def loop_over_examples(params, X, Y):
    """`+=` over columns."""
    m = X.shape[1]
    total = {key: np.zeros_like(value) for key, value in params.items()}
    for i in range(m):
        one = grads(params, X[:, i : i + 1], Y[:, i : i + 1])
        for key in total:
            total[key] += one[key] / m
    return total
