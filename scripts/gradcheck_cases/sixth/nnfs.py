"""Neural Networks from Scratch: layers as objects, binary cross-entropy, L1 and L2 on the first layer."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import sigmoid

L1, L2 = 0.02, 0.05


def loss_fn(params, X, y):
    """Mean over the outputs, then over the samples; biases are (1, neurons)."""
    dense1, dense2 = params["dense1"], params["dense2"]
    z1 = X @ dense1["weights"] + dense1["biases"]  # @dense1
    a1 = jax.nn.relu(z1)  # @relu
    z2 = a1 @ dense2["weights"] + dense2["biases"]  # @dense2
    p = jax.nn.sigmoid(z2)  # @sigmoid
    sample = -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p), axis=-1)  # @bce
    data = jnp.mean(sample)  # @mean
    lasso = L1 * jnp.sum(jnp.abs(dense1["weights"]))  # @l1
    ridge = L2 * jnp.sum(dense1["weights"] ** 2)  # @l2
    return data + lasso + ridge  # @total


def inputs(rng, n):
    """Spirals: the first point is the origin, and the biases start at zero (a kink of the ReLU)."""
    params = {
        "dense1": {"weights": rng.normal(size=(2, 6)), "biases": np.zeros((1, 6))},
        "dense2": {"weights": rng.normal(size=(6, 3)), "biases": np.zeros((1, 3))},
    }
    radius, angle = np.linspace(0, 1, n)[:, None], rng.uniform(0, 6, size=(n, 1))
    X = 2 * radius * np.hstack([np.sin(angle), np.cos(angle)])
    return params, (X, rng.integers(0, 2, size=(n, 3)).astype(float))


class Dense:
    """Layer_Dense."""

    def __init__(self, weights, biases):
        self.weights, self.biases = weights, biases

    def forward(self, inputs):
        self.inputs = inputs
        return inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights = self.inputs.T @ dvalues
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        return dvalues @ self.weights.T


def bce_backward(p, y):
    """Loss_BinaryCrossentropy.backward."""
    return -(y / p - (1 - y) / (1 - p)) / y.shape[1] / y.shape[0]


def sigmoid_backward(dvalues, output, inputs):
    """Activation_Sigmoid.backward."""
    return dvalues * (1 - output) * output


def lasso_backward(weights):
    """The sign, by ones."""
    d = np.ones_like(weights)
    d[weights < 0] = -1
    return L1 * d


def grads(params, X, y, bce=bce_backward, act=sigmoid_backward, lasso=lasso_backward, ridge=2 * L2):
    """The book's chain of backward calls."""
    dense1, dense2 = Dense(**params["dense1"]), Dense(**params["dense2"])
    z1 = dense1.forward(X)
    z2 = dense2.forward(np.maximum(0, z1))
    p = sigmoid(z2)
    d = dense2.backward(act(bce(p, y), p, z2)).copy()
    d[z1 <= 0] = 0
    dense1.backward(d)
    dense1.dweights += lasso(dense1.weights) + ridge * dense1.weights
    return {
        "dense1": {"weights": dense1.dweights, "biases": dense1.dbiases},
        "dense2": {"weights": dense2.dweights, "biases": dense2.dbiases},
    }


net = Network("nnfs", loss_fn, inputs, grads, batch=8)


@net.fault("wrong_shape", at="dense1")
def biases_without_keepdims(params, X, y):
    """dbiases of the first layer is (neurons,)."""
    right = grads(params, X, y)
    right["dense1"]["biases"] = right["dense1"]["biases"].sum(axis=0)
    return right


@net.fault("scale", at="bce")
def outputs_not_averaged(params, X, y):
    """Divides by the number of samples only, not by that of outputs."""
    return grads(params, X, y, bce=lambda p, y: -(y / p - (1 - y) / (1 - p)) / len(y))


@net.fault("wrong_derivative", "sign", at="l1")
def lasso_without_the_sign(params, X, y):
    """The ones of dL1 are never set to −1."""
    return grads(params, X, y, lasso=lambda w: L1 * np.ones_like(w))


@net.fault("upstream", at="sigmoid", called=True)
def sigmoid_ignores_dvalues(params, X, y):
    """`self.dinputs = (1 - self.output) * self.output`."""
    return grads(params, X, y, act=lambda dvalues, output, z: (1 - output) * output)


@net.fault("wrong_derivative", at="sigmoid")
def sigmoid_slope_of_the_inputs(params, X, y):
    """z(1 − z)."""
    return grads(params, X, y, act=lambda dvalues, output, z: dvalues * (1 - z) * z)


@net.fault("sign", at="bce", n=1)
def one_minus_y_with_the_wrong_sign(params, X, y):
    """−(y/p + (1 − y)/(1 − p))."""
    return grads(params, X, y, bce=lambda p, y: -(y / p + (1 - y) / (1 - p)) / y.size)


@net.fault("extra_term", at=("l2", "total"))
def second_layer_regularised_too(params, X, y):
    """The backward of both layers has the L2 term."""
    right = grads(params, X, y)
    right["dense2"]["weights"] += 2 * L2 * params["dense2"]["weights"]
    return right


@net.fault("accumulated", at=None)
def layers_kept_between_epochs(params, X, y):
    """`self.dweights +=` and `self.dbiases +=` in the layers; the second epoch's result is read."""
    once = grads(params, X, y)
    return {layer: {key: grad + grad for key, grad in once[layer].items()} for layer in once}


@net.fault("scale", "wrong_derivative", at=("l2", "sigmoid"))
def two_half_ridge_and_no_sigmoid(params, X, y):
    """Two slips: λ w for 2 λ w, and the sigmoid's backward passes its argument on."""
    return grads(params, X, y, act=lambda dvalues, output, z: dvalues, ridge=L2)


@net.right(seed=4)
def combined_sigmoid_and_loss(params, X, y):
    """(p − y)/size in one step."""
    together = {"bce": lambda p, y: (p - y) / y.size, "act": lambda dvalues, output, z: dvalues}
    return grads(params, X, y, lasso=lambda w: L1 * np.sign(w), **together)


net.right(single=True)(grads)
