"""`check_layer` at kinks, with code that the tape cannot record, and in the styles in which people write layers."""

import math

import numpy as np
import pytest

from functional_nets import gradcheck
from functional_nets.backprop import layers as own
from tests.gradcheck.book_layers import Pool, Relu
from tests.gradcheck.test_layers import first_cause


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_any_slope_between_both_sides_of_a_kink_is_right_and_one_beyond_is_not():
    class Leaning(Relu):
        slope = 0.5

        def forward(self, x):
            self.zero = x == 0
            return super().forward(x)

        def backward(self, dout):
            return np.where(self.zero, self.slope * dout, super().backward(dout))

    x = np.array([[0.0, 1.0, -1.0], [0.0, 0.0, 2.0]])
    report = gradcheck.check_layer(Leaning(), x)
    assert report.ok
    assert "kink" in report.notes[0]
    Leaning.slope = 1.5
    assert not gradcheck.check_layer(Leaning(), x).ok


def test_a_maximum_may_choose_among_ties_but_not_give_the_whole_to_each():
    class ToAll(Pool):
        def backward(self, dout):
            winners = self.pairs == self.pairs.max(axis=2, keepdims=True)
            return (winners * dout[..., None]).reshape(len(dout), -1)

    ties = np.array([[1.0, 1.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    assert gradcheck.check_layer(Pool(), ties).ok
    assert first_cause(gradcheck.check_layer(ToAll(), ties)).mistake == "wrong_pooling"


def test_a_forward_that_the_tape_cannot_record_is_measured_and_a_note_says_so(rng):
    class ByElement:
        factor = 1.0

        def forward(self, x):
            self.out = np.array([[math.tanh(v) for v in row] for row in x])
            return self.out

        def backward(self, dout):
            return self.factor * dout * (1 - self.out**2)

    x = rng.normal(size=(2, 3))
    report = gradcheck.check_layer(ByElement(), x)
    assert report.ok
    assert "central differences" in report.notes[0]
    ByElement.factor = -1.0
    assert first_cause(gradcheck.check_layer(ByElement(), x)).mistake == "sign"


def test_a_mask_that_is_drawn_again_is_a_wrong_mask_and_one_that_is_kept_is_right(rng):
    class Dropout:
        def forward(self, x):
            self.mask = np.random.rand(*x.shape) > 0.5
            return x * self.mask

        def backward(self, dout):
            return dout * self.mask

    class Again(Dropout):
        def backward(self, dout):
            return dout * (np.random.rand(*dout.shape) > 0.5)

    x = rng.normal(size=(6, 5))
    assert gradcheck.check_layer(Dropout(), x).ok
    assert first_cause(gradcheck.check_layer(Again(), x)).mistake == "wrong_mask"


@pytest.mark.parametrize("style", ["attributes", "dict", "list", "returned"])
def test_gradients_of_parameters_are_found_wherever_people_keep_them(rng, style):
    w, b = rng.normal(size=(3, 2)), rng.normal(size=2)

    class Layer:
        def __init__(self):
            if style == "attributes":
                self.W, self.b, self.dW, self.db = w, b, None, None
            elif style == "dict":
                self.params, self.grads = {"W": w, "b": b}, {}
            elif style == "list":
                self.params, self.grads = [w, b], [np.zeros_like(w), np.zeros_like(b)]
            else:
                self.W, self.b = w, b

        def parameters(self):
            if style in ("dict", "list"):
                return self.params.values() if style == "dict" else self.params
            return self.W, self.b

        def forward(self, x):
            weights, bias = self.parameters()
            self.cache = x
            return x @ weights + bias

        def backward(self, dout):
            weights, _ = self.parameters()
            dw, db = self.cache.T @ dout, 2 * dout.sum(axis=0)  # Of the bias, twice what it should be.
            if style == "attributes":
                self.dW, self.db = dw, db
            elif style == "dict":
                self.grads = {"W": dw, "b": db}
            elif style == "list":
                self.grads[0][...], self.grads[1][...] = dw, db
            else:
                return dout @ weights.T, dw, db
            return dout @ weights.T

    report = gradcheck.check_layer(Layer(), rng.normal(size=(4, 3)))
    assert [leaf.ok for leaf in report.leaves] == [True, True, False]
    assert first_cause(report).mistake == "scale"


def test_python_numbers_are_values_like_any_other():
    class Mul:
        def forward(self, x, y):
            self.x, self.y = x, y
            return x * y

        def backward(self, dout):
            return dout * self.y, dout * self.x

    report = gradcheck.check_layer(Mul(), 100, 2)
    assert report.ok
    assert [leaf.path for leaf in report.leaves] == ["x", "y"]


def test_the_layers_of_this_package_keep_their_promises(rng):
    x = rng.normal(size=(4, 3))
    for layer in (own.Affine(rng.normal(size=(3, 2)), np.zeros(2)), own.Relu(), own.Sigmoid()):
        assert gradcheck.check_layer(layer, x).ok, type(layer).__name__
    assert gradcheck.check_layer(own.SoftmaxWithLoss(), x, np.array([0, 1, 2, 2])).ok
