"""Nielsen's network: sigmoids, quadratic cost, one example after another as column vectors."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, xs, ys):
    """The mean over examples of ½|a − y|²; params has lists of weights and biases."""
    (w1, w2, w3), (b1, b2, b3) = params["weights"], params["biases"]
    total = 0.0
    for x, y in zip(xs, ys, strict=True):
        z1 = w1 @ x + b1  # @layer1
        a1 = jax.nn.sigmoid(z1)  # @sigmoid1
        z2 = w2 @ a1 + b2  # @layer2
        a2 = jax.nn.sigmoid(z2)  # @sigmoid2
        z3 = w3 @ a2 + b3  # @layer3
        a3 = jax.nn.sigmoid(z3)  # @sigmoid3
        cost = 0.5 * jnp.sum((a3 - y) ** 2)  # @cost
        total += cost  # @total
    return total / len(xs)  # @mean


def inputs(rng, n):
    """Sizes 3, 4, 4, 2."""
    sizes = [3, 4, 4, 2]
    params = {
        "weights": [rng.normal(size=(j, i)) for i, j in zip(sizes[:-1], sizes[1:], strict=True)],
        "biases": [rng.normal(size=(j, 1)) for j in sizes[1:]],
    }
    return params, (rng.normal(size=(n, 3, 1)), np.eye(2)[rng.integers(0, 2, size=n)][:, :, None])


def sigmoid(z):
    """The sigmoid function."""
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    """Derivative of the sigmoid function."""
    return sigmoid(z) * (1 - sigmoid(z))


def backprop(params, x, y, slip=""):
    """nabla_w and nabla_b of one example; `slip` names a typing error."""
    weights, biases = params["weights"], params["biases"]
    activation, activations, zs = x, [x], []
    for w, b in zip(weights, biases, strict=True):
        zs.append(w @ activation + b)
        activation = sigmoid(zs[-1])
        activations.append(activation)
    nabla_w, nabla_b = [None] * 3, [None] * 3
    delta = activations[-1] - y
    if slip != "cross-entropy":
        delta = delta * sigmoid_prime(zs[-1])
    nabla_b[-1], nabla_w[-1] = delta, delta @ activations[-2].T
    for layer in (2, 3):
        w = weights[-layer + 1]
        if slip == "transpose" and layer == 3:
            w = w.T
        if slip == "slope of a":
            delta = (w.T @ delta) * sigmoid_prime(activations[-layer])
        else:
            delta = (w.T @ delta) * sigmoid_prime(zs[-layer])
        nabla_b[-layer] = delta
        nabla_w[-layer] = delta @ activations[-layer - 1].T
    return nabla_w, nabla_b


def add(total, nabla_w, nabla_b):
    """Nabla + delta_nabla."""
    for mine, theirs in zip(total["weights"] + total["biases"], nabla_w + nabla_b, strict=True):
        mine += theirs


def zeros(params):
    """Like params."""
    return {key: [np.zeros_like(leaf) for leaf in branch] for key, branch in params.items()}


def grads(params, xs, ys, slip=""):
    """update_mini_batch up to the update."""
    total = zeros(params)
    for x, y in zip(xs, ys, strict=True):
        add(total, *backprop(params, x, y, slip))
    return {key: [leaf / len(xs) for leaf in branch] for key, branch in total.items()}


net = Network("one_example", loss_fn, inputs, grads, batch=4)


@net.fault("wrong_derivative", "wrong_loss", at=("sigmoid3", "cost"))
def delta_of_the_cross_entropy(params, xs, ys):
    """Delta = a − y: no sigmoid_prime at the output."""
    return grads(params, xs, ys, "cross-entropy")


@net.fault("wrong_derivative", at=("sigmoid1", "sigmoid2"), called=True)
def sigmoid_prime_of_the_activation(params, xs, ys):
    """sigmoid_prime(activations[-l]) for the hidden layers."""
    return grads(params, xs, ys, "slope of a")


@net.fault("transposed", at="layer2", single=True)
def square_matrix_not_transposed(params, xs, ys):
    """w2 · delta, the second hidden layer has as many units as the first."""
    return grads(params, xs, ys, "transpose")


@net.fault("overwritten", "wrong_reduction", at=("total", "mean"))
def last_example_only(params, xs, ys):
    """`nabla_w = delta_nabla_w` in the loop: what is left is the last example's."""
    for x, y in zip(xs, ys, strict=True):
        nabla_w, nabla_b = backprop(params, x, y)
    return {"weights": [w / len(xs) for w in nabla_w], "biases": [b / len(xs) for b in nabla_b]}


@net.fault("scale", "wrong_loss", at="mean")
def mini_batch_not_averaged(params, xs, ys):
    """eta/m belongs to the update and was forgotten."""
    total = zeros(params)
    for x, y in zip(xs, ys, strict=True):
        add(total, *backprop(params, x, y))
    return total


@net.fault("stale", at=None)
def updated_inside_the_mini_batch(params, xs, ys):
    """Weights are updated after every example: the later gradients are of other weights."""
    total, current = zeros(params), {key: [leaf.copy() for leaf in branch] for key, branch in params.items()}
    for x, y in zip(xs, ys, strict=True):
        nabla_w, nabla_b = backprop(current, x, y)
        add(total, nabla_w, nabla_b)
        for leaf, nabla in zip(current["weights"] + current["biases"], nabla_w + nabla_b, strict=True):
            leaf -= 3.0 * nabla
    return {key: [leaf / len(xs) for leaf in branch] for key, branch in total.items()}


@net.fault("accumulated", at=None)
def delta_nabla_not_zeroed(params, xs, ys):
    """delta_nabla is made once and added to in each backprop: the first example counts n times."""
    total, delta_nabla = zeros(params), zeros(params)
    for x, y in zip(xs, ys, strict=True):
        add(delta_nabla, *backprop(params, x, y))
        add(total, delta_nabla["weights"], delta_nabla["biases"])
    return {key: [leaf / len(xs) for leaf in branch] for key, branch in total.items()}


@net.right()
def vectorised(params, xs, ys):
    """All examples as one matrix."""
    a = [xs[:, :, 0].T]
    for w, b in zip(params["weights"], params["biases"], strict=True):
        a.append(sigmoid(w @ a[-1] + b))
    d3 = (a[3] - ys[:, :, 0].T) * a[3] * (1 - a[3]) / len(xs)
    d2 = params["weights"][2].T @ d3 * a[2] * (1 - a[2])
    d1 = params["weights"][1].T @ d2 * a[1] * (1 - a[1])
    pairs = zip((d1, d2, d3), a, strict=False)
    return {"weights": [d @ below.T for d, below in pairs], "biases": [d.sum(1, keepdims=True) for d in (d1, d2, d3)]}


@net.right(n=1, seed=3, called=True)
def a_single_example(params, xs, ys):
    """Stochastic gradient descent with m = 1."""
    return grads(params, xs, ys)
