"""The book's TwoLayerNet as one function: affine, ReLU, affine, softmax, cross-entropy of one-hot labels."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import softmax


def loss_fn(params, x, t):
    """Mean cross-entropy of a network with one hidden layer."""
    a1 = x @ params["W1"] + params["b1"]  # @hidden
    z1 = jax.nn.relu(a1)  # @relu
    a2 = z1 @ params["W2"] + params["b2"]  # @output
    log_y = jax.nn.log_softmax(a2)  # @softmax
    return -jnp.sum(t * log_y) / x.shape[0]  # @loss


def inputs(rng, n):
    """Five features, six hidden units, three classes, one-hot labels."""
    params = {
        "W1": rng.normal(size=(5, 6)),
        "b1": rng.normal(size=6),
        "W2": rng.normal(size=(6, 3)),
        "b2": rng.normal(size=3),
    }
    return params, (rng.normal(size=(n, 5)), np.eye(3)[np.arange(n) % 3])


def forward(params, x):
    """What the backward pass needs: a1, z1 and the probabilities."""
    a1 = x @ params["W1"] + params["b1"]
    z1 = np.maximum(a1, 0)
    return a1, z1, softmax(z1 @ params["W2"] + params["b2"])


def grads(params, x, t):
    """Backward as in chapter 4 of the book."""
    a1, z1, y = forward(params, x)
    dy = (y - t) / len(x)
    da1 = dy @ params["W2"].T * (a1 > 0)
    return {"W1": x.T @ da1, "b1": da1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


net = Network("two_layer", loss_fn, inputs, grads)


@net.fault("scale", at="loss", called=True)
def batch_size_forgotten(params, x, t):
    """The error is not divided by the batch size."""
    a1, z1, y = forward(params, x)
    dy = y - t
    da1 = dy @ params["W2"].T * (a1 > 0)
    return {"W1": x.T @ da1, "b1": da1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("wrong_mask", at="relu")
def relu_forgotten(params, x, t):
    """Straight through the ReLU."""
    _, z1, y = forward(params, x)
    dy = (y - t) / len(x)
    dz1 = dy @ params["W2"].T
    return {"W1": x.T @ dz1, "b1": dz1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("wrong_mask", at="relu")
def relu_of_the_gradient(params, x, t):
    """Masks where the gradient is negative rather than where the input was."""
    _, z1, y = forward(params, x)
    dy = (y - t) / len(x)
    dz1 = dy @ params["W2"].T
    dz1[dz1 <= 0] = 0
    return {"W1": x.T @ dz1, "b1": dz1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("wrong_mask", at="relu", single=True)
def relu_inverted(params, x, t):
    """Zeroes the units that were on."""
    a1, z1, y = forward(params, x)
    dy = (y - t) / len(x)
    da1 = dy @ params["W2"].T
    da1[a1 > 0] = 0
    return {"W1": x.T @ da1, "b1": da1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("wrong_mask", at="relu")
def relu_before_the_bias(params, x, t):
    """The mask was made from x W1, before the bias was added."""
    _, z1, y = forward(params, x)
    dy = (y - t) / len(x)
    da1 = dy @ params["W2"].T * (x @ params["W1"] > 0)
    return {"W1": x.T @ da1, "b1": da1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("mutated", "wrong_mask", at="relu")
def preactivation_clamped_in_place(params, x, t):
    """`z1 = a1` is no copy: when the mask is taken nothing negative is left in a1."""
    a1 = x @ params["W1"] + params["b1"]
    z1 = a1
    z1[z1 < 0] = 0
    dy = (softmax(z1 @ params["W2"] + params["b2"]) - t) / len(x)
    da1 = dy @ params["W2"].T
    da1[a1 < 0] = 0
    return {"W1": x.T @ da1, "b1": da1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("wrong_operand", at="output")
def preactivation_for_activation(params, x, t):
    """The second layer's input is z1, not a1."""
    a1, _, y = forward(params, x)
    dy = (y - t) / len(x)
    da1 = dy @ params["W2"].T * (a1 > 0)
    return {"W1": x.T @ da1, "b1": da1.sum(axis=0), "W2": a1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("stale", "mutated", at="output")
def weights_updated_on_the_way(params, x, t):
    """W2 takes its step before the gradient is passed through it."""
    a1, z1, y = forward(params, x)
    dy = (y - t) / len(x)
    grads = {"W2": z1.T @ dy, "b2": dy.sum(axis=0)}
    params["W2"] -= 0.1 * grads["W2"]
    da1 = dy @ params["W2"].T * (a1 > 0)
    return {"W1": x.T @ da1, "b1": da1.sum(axis=0), **grads}


@net.fault("stale", at=None)
def after_the_update(params, x, t):
    """The gradient is asked for once more after a step of SGD, learning rate 0.1."""
    step = grads(params, x, t)
    for key in params:
        params[key] -= 0.1 * step[key]
    return grads(params, x, t)


@net.fault("accumulated", at=None)
def never_cleared(params, x, t):
    """Like DeZero's gradient_check: the second backward adds to the first one's grad."""
    total = {key: np.zeros_like(value) for key, value in params.items()}
    for _ in range(2):
        for key, grad in grads(params, x, t).items():
            total[key] += grad
    return total


@net.fault("scale", at="hidden")
def first_bias_doubled(params, x, t):
    """A factor 2 that `check_grads` in its one direction may miss."""
    a1, z1, y = forward(params, x)
    dy = (y - t) / len(x)
    da1 = dy @ params["W2"].T * (a1 > 0)
    return {"W1": x.T @ da1, "b1": 2 * da1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("wrong_axis", at="softmax")
def notebook_softmax(params, x, t):
    """Softmax over all entries of the batch: the notebook's network that does not learn."""
    a1, z1, _ = forward(params, x)
    a2 = z1 @ params["W2"] + params["b2"]
    exp = np.exp(a2 - np.max(a2))
    dy = (exp / np.sum(exp) - t) / len(x)
    da1 = dy @ params["W2"].T * (a1 > 0)
    return {"W1": x.T @ da1, "b1": da1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("wrong_shape", at="hidden")
def bias_as_a_row(params, x, t):
    """A `keepdims` leaves an axis too many."""
    right = grads(params, x, t)
    return {**right, "b1": right["b1"].reshape(1, -1)}


@net.fault("missing_term", "upstream", at=("output", "relu", "hidden"))
def no_gradient_for_the_first_layer(params, x, t):
    """The first layer is left at its initial zeros: backward stops at the output layer."""
    _, z1, y = forward(params, x)
    dy = (y - t) / len(x)
    grads = {key: np.zeros_like(value) for key, value in params.items()}
    grads["W2"], grads["b2"] = z1.T @ dy, dy.sum(axis=0)
    return grads


def _mean_over_everything(params, x, t):
    return -np.mean(t * np.log(forward(params, x)[2]))


@net.fault("wrong_loss", "scale", at="loss", loss=_mean_over_everything)
def mean_over_batch_and_classes(params, x, t):
    """JAX issue 1023: np.mean of a (batch, classes) array is smaller by the number of classes."""
    a1, z1, y = forward(params, x)
    dy = (y - t) / t.size
    da1 = dy @ params["W2"].T * (a1 > 0)
    return {"W1": x.T @ da1, "b1": da1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}


@net.fault("permuted", "stale", at=None)
def another_batch(params, x, t):
    """The labels of this batch, the images of the one shifted by an example."""
    return grads(params, np.roll(x, 1, axis=0), t)


@net.fault("scale", "upstream", at=None)
def clipped_to_unit_norm(params, x, t):
    """The gradients come out of the optimiser's global-norm clipping."""
    result = grads(params, x, t)
    norm = np.sqrt(sum(np.sum(grad**2) for grad in result.values()))
    return {key: grad * min(1, 0.5 / norm) for key, grad in result.items()}


@net.right(called=True)
def relu_in_place(params, x, t):
    """Masks in place where nobody else needs the array."""
    a1, z1, y = forward(params, x)
    y -= t
    y /= len(x)
    da1 = y @ params["W2"].T
    da1[a1 <= 0] = 0
    return {"b2": y.sum(axis=0), "W2": z1.T @ y, "b1": da1.sum(axis=0), "W1": x.T @ da1}
