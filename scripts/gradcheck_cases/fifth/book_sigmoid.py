"""TwoLayerNet as in "Deep Learning from Scratch": sigmoid, softmax by hand, labels as numbers."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import sigmoid, softmax


def loss_fn(params, x, t):
    """cross_entropy_error(predict(x), t)."""
    batch_size = x.shape[0]
    a1 = jnp.dot(x, params["W1"]) + params["b1"]  # @affine1
    z1 = 1 / (1 + jnp.exp(-a1))  # @sigmoid
    a2 = jnp.dot(z1, params["W2"]) + params["b2"]  # @affine2
    exp_a = jnp.exp(a2 - jnp.max(a2, axis=1, keepdims=True))  # @exp
    y = exp_a / jnp.sum(exp_a, axis=1, keepdims=True)  # @softmax
    return -jnp.sum(jnp.log(y[jnp.arange(batch_size), t])) / batch_size  # @loss


def inputs(rng, n):
    """Seven features, five hidden units, four classes."""
    params = {
        "W1": rng.normal(size=(7, 5)),
        "b1": rng.normal(size=5),
        "W2": rng.normal(size=(5, 4)),
        "b2": rng.normal(size=4),
    }
    return params, (rng.normal(size=(n, 7)), rng.integers(0, 4, size=n))


def predict(params, x):
    """Hidden inputs, hidden outputs, probabilities."""
    a1 = np.dot(x, params["W1"]) + params["b1"]
    z1 = sigmoid(a1)
    return a1, z1, softmax(np.dot(z1, params["W2"]) + params["b2"])


def sigmoid_grad(a):
    """As in the book's functions.py: of the input, not of the output."""
    return (1.0 - sigmoid(a)) * sigmoid(a)


def backward(params, x, a1, z1, dy):
    """From dL/da2 down."""
    grads = {"W2": np.dot(z1.T, dy), "b2": np.sum(dy, axis=0)}
    da1 = np.dot(dy, params["W2"].T) * sigmoid_grad(a1)
    grads["W1"], grads["b1"] = np.dot(x.T, da1), np.sum(da1, axis=0)
    return grads


def grads(params, x, t):
    """The method `gradient` of the book."""
    a1, z1, dy = predict(params, x)
    dy[np.arange(len(x)), t] -= 1
    return backward(params, x, a1, z1, dy / len(x))


net = Network("book_sigmoid", loss_fn, inputs, grads, batch=6)


@net.fault("scale", at="loss")
def dy_not_divided(params, x, t):
    """SoftmaxWithLoss returns y - t and forgets the batch size."""
    a1, z1, dy = predict(params, x)
    dy[np.arange(x.shape[0]), t] -= 1
    return backward(params, x, a1, z1, dy)


@net.fault("wrong_derivative", at="sigmoid")
def sigmoid_grad_of_the_output(params, x, t):
    """sigmoid_grad wants a1 and gets z1."""
    _, z1, y = predict(params, x)
    dy = (y - np.eye(4)[t]) / len(x)
    grads = {"W2": np.dot(z1.T, dy), "b2": np.sum(dy, axis=0)}
    da1 = np.dot(dy, params["W2"].T)
    dz1 = sigmoid_grad(z1) * da1
    grads["W1"] = np.dot(x.T, dz1)
    grads["b1"] = np.sum(dz1, axis=0)
    return grads


@net.fault("wrong_derivative", at="sigmoid", called=True)
def sigmoid_slope_forgotten(params, x, t):
    """The hidden layer's error is passed on without the sigmoid's slope."""
    _, z1, y = predict(params, x)
    dy = (y - np.eye(4)[t]) / len(x)
    dz1 = dy @ params["W2"].T
    return {"W2": z1.T @ dy, "b2": dy.sum(0), "W1": x.T @ dz1, "b1": dz1.sum(0)}


@net.fault("transposed", at="affine1")
def weight_gradient_the_other_way_round(params, x, t):
    """delta.T @ x, as for weights stored (out, in)."""
    a1, z1, dy = predict(params, x)
    dy[np.arange(len(x)), t] -= 1
    dy /= len(x)
    delta = (dy @ params["W2"].T) * z1 * (1 - z1)
    return {"W1": delta.T @ x, "b1": delta.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("wrong_reduction", "wrong_shape", at="affine2")
def bias_summed_to_a_number(params, x, t):
    """np.sum without an axis, added to b2 by broadcasting."""
    a1, z1, dy = predict(params, x)
    dy[np.arange(len(x)), t] -= 1
    right = backward(params, x, a1, z1, dy / len(x))
    right["b2"] = np.sum(dy / len(x))
    return right


@net.fault("wrong_reduction", "scale", at="affine1")
def hidden_bias_averaged(params, x, t):
    """np.mean for the bias although dy has been divided by the batch size."""
    a1, z1, y = predict(params, x)
    dy = (y - np.eye(4)[t]) / len(x)
    da1 = dy @ params["W2"].T * sigmoid_grad(a1)
    return {"W2": z1.T @ dy, "b2": dy.sum(axis=0), "W1": x.T @ da1, "b1": da1.mean(axis=0)}


@net.fault("wrong_axis", at="softmax")
def softmax_down_the_columns(params, x, t):
    """axis=0 in the hand-written softmax of a batch."""
    a1, z1, _ = predict(params, x)
    a2 = np.dot(z1, params["W2"]) + params["b2"]
    exp_a = np.exp(a2 - np.max(a2, axis=0))
    dy = exp_a / np.sum(exp_a, axis=0)
    dy[np.arange(len(x)), t] -= 1
    return backward(params, x, a1, z1, dy / len(x))


@net.fault("permuted", at="loss")
def labels_counted_from_one(params, x, t):
    """One-hot with t - 1: class 0 becomes the last one."""
    a1, z1, y = predict(params, x)
    return backward(params, x, a1, z1, (y - np.eye(4)[t - 1]) / len(x))


@net.fault("stale", at=None)
def weights_of_the_step_before(params, x, t):
    """`network.params` were copied before the last update: the gradient at W + 0.1 g."""
    step = grads(params, x, t)
    before = {key: params[key] + 0.1 * step[key] for key in params}
    return grads(before, x, t)


@net.fault("sign", "scale", at=("loss", "affine1"))
def ascent_and_bias_doubled(params, x, t):
    """Two mistakes: b1 is counted twice and t - y instead of y - t."""
    a1, z1, y = predict(params, x)
    dy = (np.eye(4)[t] - y) / len(x)
    result = backward(params, x, a1, z1, dy)
    result["b1"] *= 2
    return result


@net.right(called=True)
def one_example_after_the_other(params, x, t):
    """Sums the gradients of single examples."""
    total = {key: np.zeros_like(value) for key, value in params.items()}
    for i in range(len(x)):
        for key, grad in grads(params, x[i : i + 1], t[i : i + 1]).items():
            total[key] += grad / len(x)
    return total


@net.right(single=True, seed=3)
def slope_from_the_output(params, x, t):
    """z1 (1 - z1), in float32."""
    _, z1, y = predict(params, x)
    y[np.arange(len(t)), t] -= 1
    dy = y / np.float32(len(t))
    da1 = dy @ params["W2"].T * z1 * (1 - z1)
    return {"W1": x.T @ da1, "W2": z1.T @ dy, "b1": da1.sum(0), "b2": dy.sum(0)}
