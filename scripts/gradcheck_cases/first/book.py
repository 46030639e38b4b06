"""The layers and the network of the book, with and without their mistakes."""

# The softmax is the notebook's, to the letter.

from collections import OrderedDict

import numpy as np

from .logistic_regression import softmax


class Affine:
    """The book's affine layer."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        """`x w + b`."""
        self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        """The gradient of the input; the parameters' are kept."""
        self.dw = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.w.T)


class AffineTransposed(Affine):
    """An affine layer that forgets the transpose."""

    def backward(self, dout):
        """`dout w` for `dout wᵀ`."""
        super().backward(dout)
        return np.dot(dout, self.w)


class Relu:
    """The book's ReLU, which changes dout: harmless in a chain."""

    def forward(self, x):
        """Zero where x is not positive."""
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        """In place."""
        dout[self.mask] = 0
        return dout


class ReluForgotten(Relu):
    """A ReLU whose backward has not been written yet."""

    def backward(self, dout):
        """Straight through."""
        return dout


class Sigmoid:
    """The book's sigmoid."""

    def forward(self, x):
        """1 / (1 + e⁻ˣ)."""
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        """By the output."""
        return dout * (1.0 - self.out) * self.out


class SigmoidSlope(Sigmoid):
    """A sigmoid with half a slope."""

    def backward(self, dout):
        """1 − out only."""
        return dout * (1.0 - self.out)


class SoftmaxWithLoss:
    """Softmax and cross-entropy, no guard."""

    def forward(self, x, t):
        """The mean cross-entropy."""
        self.t, self.y = t, softmax(x)
        return -np.sum(t * np.log(self.y)) / t.shape[0]

    def backward(self, dout=1):
        """Probabilities minus labels."""
        return dout * (self.y - self.t) / self.t.shape[0]


class SumLoss(SoftmaxWithLoss):
    """Forgets the mean."""

    def backward(self, dout=1):
        """Not divided by the batch size."""
        return dout * (self.y - self.t)


def batch_softmax(x):
    """The notebook's softmax."""
    c = np.max(x)
    exp_x = np.exp(x - c)
    sum_exp_x = np.sum(exp_x)
    y = exp_x / sum_exp_x
    return y


def cross_entropy_error(y, t):
    """The notebook's cross-entropy, with its guard."""
    delta = 1e-7
    if y.ndim == 1:
        y = y.reshape(1, y.size)
        t = t.reshape(1, t.size)
    batch_size = y.shape[0]
    return -np.sum(t * np.log(y + delta)) / batch_size


class NotebookLoss(SoftmaxWithLoss):
    """The notebook's SoftmaxWithLoss."""

    def forward(self, x, t):
        """Softmax over the whole batch."""
        self.t = t
        self.y = batch_softmax(x)
        self.loss = cross_entropy_error(self.y, self.t)
        return self.loss


class BookLoss(SoftmaxWithLoss):
    """The book's: softmax by rows, guarded logarithm."""

    def forward(self, x, t):
        """The guarded cross-entropy."""
        self.t, self.y = t, softmax(x)
        return cross_entropy_error(self.y, t)


class Net:
    """The book's network, of any layers."""

    def __init__(self, rng, activation=Relu, last=SoftmaxWithLoss, second=Affine, std=0.8, sizes=(5, 4, 4, 3)):
        self.params = {}
        for i in range(1, len(sizes)):
            self.params[f"w{i}"] = std * rng.normal(size=(sizes[i - 1], sizes[i]))
            self.params[f"b{i}"] = 0.1 * rng.normal(size=sizes[i])
        self.layers = OrderedDict()
        for i in range(1, len(sizes)):
            kind = second if i == 2 else Affine
            self.layers[f"Affine{i}"] = kind(self.params[f"w{i}"], self.params[f"b{i}"])
            if i < len(sizes) - 1:
                self.layers[f"Activation{i}"] = activation()
        self.lastLayer = last()

    def predict(self, x):
        """Scores."""
        for each in self.layers.values():
            x = each.forward(x)
        return x

    def loss(self, x, t):
        """The mean cross-entropy."""
        return self.lastLayer.forward(self.predict(x), t)

    def gradient(self, x, t):
        """Forward, then backward through all layers."""
        self.loss(x, t)
        return self.backward()

    def backward(self):
        """Backward through all layers."""
        dout = self.lastLayer.backward(1)
        for each in reversed(list(self.layers.values())):
            dout = each.backward(dout)
        grads = {}
        for name, each in self.layers.items():
            if name.startswith("Affine"):
                grads[f"w{name[6:]}"], grads[f"b{name[6:]}"] = each.dw, each.db
        return grads
