"""Whole networks in the book's style for `check_network`, the notebook's own among them."""

import numpy as np

from ..objects import network
from .book import (
    AffineTransposed,
    BookLoss,
    Net,
    NotebookLoss,
    ReluForgotten,
    Sigmoid,
    SigmoidSlope,
    SoftmaxWithLoss,
    SumLoss,
    batch_softmax,
    cross_entropy_error,
)


class WithDecay(Net):
    """The book's weight decay, in the loss."""

    def loss(self, x, t):
        """Cross-entropy plus ½ λ Σ w²."""
        decay = sum(np.sum(value**2) for key, value in self.params.items() if key.startswith("w"))
        return super().loss(x, t) + 0.5 * 0.1 * decay


class WithDecayInBoth(WithDecay):
    """The book's weight decay, in the loss and in the gradient."""

    def gradient(self, x, t):
        """Adds λ w."""
        grads = super().gradient(x, t)
        return {key: g + 0.1 * self.params[key] if key.startswith("w") else g for key, g in grads.items()}


class NoForward(Net):
    """Takes it for granted that forward has just run."""

    def gradient(self, x, t):
        """Backward only."""
        return self.backward()


class SwappedGrads(Net):
    """The dictionary at the end has two names mixed up."""

    def gradient(self, x, t):
        """Two layers of one width."""
        grads = super().gradient(x, t)
        grads["b1"], grads["b2"] = grads["b2"], grads["b1"]
        return grads


class AddsUp(Net):
    """Keeps its gradients and adds to them."""

    def gradient(self, x, t):
        """The second call gives twice the gradient."""
        for key, g in super().gradient(x, t).items():
            self.__dict__.setdefault("grads", {})[key] = self.__dict__.get("grads", {}).get(key, 0) + g
        return self.grads


def batch(rng):
    """Six examples, three classes."""
    return rng.normal(size=(6, 5)), np.eye(3)[[0, 1, 2, 2, 1, 0]]


@network("wrong_axis", blame=(NotebookLoss.forward, batch_softmax))
def notebook(rng):
    """The notebook's TwoLayerNet with its small initial weights."""
    return Net(rng, last=NotebookLoss, std=0.01, sizes=(5, 4, 3)), *batch(rng)


@network("wrong_loss", blame=(BookLoss.forward, SoftmaxWithLoss.backward, cross_entropy_error))
def book_with_guard(rng):
    """The guard of the logarithm is not derived; large weights, so that it matters."""
    return Net(rng, last=BookLoss, std=2.0), *batch(rng)


@network("wrong_mask", blame=(ReluForgotten.backward,))
def relu_forgotten(rng):
    """No mask."""
    return Net(rng, activation=ReluForgotten), *batch(rng)


@network("wrong_derivative", blame=(SigmoidSlope.backward,))
def sigmoid_slope(rng):
    """Half a slope, in both layers."""
    return Net(rng, activation=SigmoidSlope), *batch(rng)


@network("transposed", blame=(AffineTransposed.backward,))
def second_layer_transposed(rng):
    """The second layer's matrix is square."""
    return Net(rng, second=AffineTransposed), *batch(rng)


@network("scale", blame=(SumLoss.backward, SoftmaxWithLoss.forward))
def loss_not_averaged(rng):
    """No batch size in the last layer."""
    return Net(rng, last=SumLoss), *batch(rng)


@network("missing_term", blame=(WithDecay.loss, Net.gradient, Net.backward))
def decay_in_the_loss_only(rng):
    """The regulariser is not derived."""
    return WithDecay(rng), *batch(rng)


@network("stale", blame=(NoForward.gradient, Net.backward))
def gradient_of_the_batch_before(rng):
    """`gradient` does not run forward; the caches are of another batch."""
    net = NoForward(rng)
    net.loss(*batch(rng))
    return net, *batch(rng)


@network("permuted", "wrong_operand", blame=(SwappedGrads.gradient, Net.gradient, Net.backward))
def biases_swapped(rng):
    """The gradients of two biases of one shape are mixed up."""
    return SwappedGrads(rng), *batch(rng)


@network("accumulated", blame=(AddsUp.gradient, Net.gradient, Net.backward))
def never_cleared(rng):
    """One call has been made before."""
    net = AddsUp(rng)
    x, t = batch(rng)
    net.gradient(x, t)
    return net, x, t


@network()
def right_relu(rng):
    """The book's network; its ReLU changes dout, which does no harm here."""
    return Net(rng), *batch(rng)


@network()
def right_sigmoid(rng):
    """With sigmoids."""
    return Net(rng, activation=Sigmoid), *batch(rng)


@network()
def right_two_layers(rng):
    """With small initial weights."""
    return Net(rng, std=0.01, sizes=(5, 4, 3)), *batch(rng)


@network()
def right_decay(rng):
    """With weight decay in loss and gradient."""
    return WithDecayInBoth(rng), *batch(rng)


@network()
def right_single_example(rng):
    """A batch of one."""
    x, t = batch(rng)
    return Net(rng), x[:1], t[:1]


@network()
def right_linear(rng):
    """A single affine layer."""
    return Net(rng, sizes=(5, 3)), *batch(rng)
