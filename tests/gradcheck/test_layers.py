"""`check_layer`: a backward is blamed for what it does, at its line, and for nothing else."""

import inspect
import math
import pickle

import numpy as np
import pytest

from functional_nets import gradcheck
from functional_nets.backprop import layers as own
from tests.gradcheck.book_layers import Affine, Pool, Relu, ReluInPlace, SoftmaxWithLoss


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def affine(rng):
    return Affine(rng.normal(size=(3, 2)), rng.normal(size=2))


def line(function, text):
    lines, first = inspect.getsourcelines(function)
    (number,) = (i for i, each in enumerate(lines) if text in each)
    return first + number


def first_cause(report):
    assert not report.ok
    return report.causes[0]


def test_a_right_layer_is_right_and_each_of_its_gradients_is_listed(affine, rng):
    report = gradcheck.check_layer(affine, rng.normal(size=(4, 3)))
    assert report.ok
    assert [leaf.path for leaf in report.leaves] == ["x", "w", "b"]
    assert report.causes == ()


def test_the_layer_and_its_inputs_are_as_before(affine, rng):
    x = rng.normal(size=(4, 3))
    before = pickle.dumps((affine.__dict__, x))
    state = np.random.get_state()[1].copy()
    gradcheck.check_layer(affine, x)
    assert pickle.dumps((affine.__dict__, x)) == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_a_cause_names_the_class_the_kind_and_the_line_in_backward(rng):
    class Averaging(Affine):
        def backward(self, dout):
            dx = super().backward(dout)
            self.db = np.mean(dout, axis=0)
            return dx

    report = gradcheck.check_layer(Averaging(rng.normal(size=(3, 2)), np.zeros(2)), rng.normal(size=(4, 3)))
    cause = first_cause(report)
    assert (cause.mistake, cause.op, cause.leaves) == ("wrong_reduction", "Averaging", ("b",))
    assert (cause.file, cause.line) == (__file__, line(Averaging.backward, "self.db ="))
    assert [leaf.path for leaf in report.leaves if not leaf.ok] == ["b"]


def test_an_upstream_gradient_that_is_changed_is_found_at_the_line_that_changes_it(rng):
    cause = first_cause(gradcheck.check_layer(ReluInPlace(), rng.normal(size=(4, 3))))
    assert (cause.mistake, cause.line) == ("mutated", line(ReluInPlace.backward, "dout[self.mask] = 0"))


def test_an_input_that_forward_changes_is_found_in_forward(rng):
    class Doubling:
        def forward(self, x):
            x *= 2
            return x

        def backward(self, dout):
            return 2 * dout

    cause = first_cause(gradcheck.check_layer(Doubling(), rng.normal(size=(4, 3))))
    assert (cause.mistake, cause.line) == ("mutated", line(Doubling.forward, "x *= 2"))


def test_a_cache_that_backward_uses_up_is_found_by_the_second_backward(rng):
    class Tanh:
        def forward(self, x):
            self.out = np.tanh(x)
            return self.out.copy()

        def backward(self, dout):
            self.out **= 2
            return dout * (1 - self.out)

    cause = first_cause(gradcheck.check_layer(Tanh(), rng.normal(size=(4, 3))))
    assert (cause.mistake, cause.line) == ("mutated", line(Tanh.backward, "self.out **= 2"))


def test_a_gradient_that_is_added_to_the_last_one_is_accumulated_unless_someone_clears_it(rng):
    class Adding(Affine):
        def __init__(self, w, b):
            super().__init__(w, b)
            self.dw, self.db = np.zeros_like(w), np.zeros_like(b)

        def backward(self, dout):
            self.dw += self.x.T @ dout
            self.db += dout.sum(axis=0)
            return dout @ self.w.T

    class Cleared(Adding):
        def zero_grad(self):
            self.dw[...], self.db[...] = 0, 0

    w, b, x = rng.normal(size=(3, 2)), np.zeros(2), rng.normal(size=(4, 3))
    cause = first_cause(gradcheck.check_layer(Adding(w, b), x))
    assert (cause.mistake, cause.line) == ("accumulated", line(Adding.backward, "self.dw +="))
    assert gradcheck.check_layer(Cleared(w, b), x).ok


def test_a_cache_of_the_first_batch_is_stale_even_if_the_layer_is_new(rng):
    class Lazy(Affine):
        x = None

        def forward(self, x):
            self.x = x if self.x is None else self.x
            return x @ self.w + self.b

    cause = first_cause(gradcheck.check_layer(Lazy(rng.normal(size=(3, 2)), np.zeros(2)), rng.normal(size=(4, 3))))
    assert (cause.mistake, cause.leaves) == ("stale", ("w",))


@pytest.mark.parametrize(
    ("formula", "words"),
    [(lambda x, d: 2 * x, "ignores"), (lambda x, d: np.clip(2 * x * d, -0.1, 0.1), "clip")],
)
def test_a_backward_that_is_not_linear_in_what_comes_from_above(rng, formula, words):
    class Square:
        def forward(self, x):
            self.x = x
            return x * x

        def backward(self, dout):
            return formula(self.x, dout)

    cause = first_cause(gradcheck.check_layer(Square(), rng.normal(size=(4, 3))))
    assert cause.mistake == "upstream"
    assert words in cause.message


def test_a_loss_that_ignores_dout_is_upstream_though_its_numbers_are_right(rng):
    class Loss(SoftmaxWithLoss):
        def backward(self, dout=1):
            return (self.y - self.t) / len(self.t)

    report = gradcheck.check_layer(Loss(), rng.normal(size=(4, 3)), np.eye(3)[[0, 1, 2, 2]])
    assert first_cause(report).mistake == "upstream"
    assert all(leaf.ok for leaf in report.leaves)
    assert [leaf.path for leaf in report.leaves] == ["x"]


@pytest.mark.parametrize("guard", [0.0, 1e-7])
def test_a_softmax_over_the_whole_batch_is_blamed_in_forward(rng, guard):
    class Loss:
        def forward(self, x, t):
            e = np.exp(x - np.max(x))
            self.t, self.y = t, e / np.sum(e)
            return -np.sum(t * np.log(self.y + guard)) / len(t)

        def backward(self, dout=1):
            return dout * (self.y - self.t) / len(self.t)

    cause = first_cause(gradcheck.check_layer(Loss(), rng.normal(size=(4, 3)), np.eye(3)[[0, 1, 2, 2]]))
    assert (cause.mistake, cause.line) == ("wrong_axis", line(Loss.forward, "np.sum(e)"))
    assert "over the whole batch instead of over each row" in cause.message
    assert cause.residual < 1e-12


def test_a_softmax_by_rows_whose_backward_runs_over_columns_is_blamed_in_backward(rng):
    class Softmax:
        def forward(self, x):
            e = np.exp(x)
            self.out = e / e.sum(axis=1, keepdims=True)
            return self.out

        def backward(self, dout):
            dx = self.out * dout
            return dx - self.out * np.sum(dx, axis=0, keepdims=True)

    cause = first_cause(gradcheck.check_layer(Softmax(), rng.normal(size=(4, 3))))
    assert (cause.mistake, cause.line) == ("wrong_axis", line(Softmax.backward, "return dx"))


def test_a_guard_in_the_logarithm_of_forward_alone_is_another_loss(rng):
    class Guarded(SoftmaxWithLoss):
        def forward(self, x, t):
            super().forward(x, t)
            return -np.sum(t * np.log(softmax_of(x) + 1e-7)) / len(t)

    def softmax_of(x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    x = 10 * np.eye(3) + rng.normal(size=(3, 3))
    assert first_cause(gradcheck.check_layer(Guarded(), x, np.eye(3)[[1, 2, 0]])).mistake == "wrong_loss"


def test_a_gradient_that_was_never_computed_is_a_missing_term(rng):
    class Forgetful(Affine):
        def __init__(self, w, b):
            super().__init__(w, b)
            self.dw = self.db = None

        def backward(self, dout):
            self.dw = self.x.T @ dout
            return dout @ self.w.T

    report = gradcheck.check_layer(Forgetful(rng.normal(size=(3, 2)), np.ones(2)), rng.normal(size=(4, 3)))
    assert (first_cause(report).mistake, first_cause(report).leaves) == ("missing_term", ("b",))


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


@pytest.mark.parametrize("missing", ["forward", "backward"])
def test_what_is_no_layer_is_refused(missing):
    present = {"forward": lambda self, x: x, "backward": lambda self, d: d}
    del present[missing]
    with pytest.raises(TypeError, match=missing):
        gradcheck.check_layer(type("Half", (), present)(), np.ones(2))
