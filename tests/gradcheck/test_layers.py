"""`check_layer`: a backward is blamed for what it does, at its line, and for nothing else."""

import inspect
import pickle

import numpy as np
import pytest

from functional_nets import gradcheck
from tests.gradcheck.book_layers import Affine, ReluInPlace, SoftmaxWithLoss


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


def test_in_single_precision_the_promises_are_tested_as_well(rng):
    class Tripling:
        def forward(self, x):
            return 3 * x

        def backward(self, dout):
            return np.clip(3 * dout, -2, 2)

    x = rng.normal(size=(8, 5)).astype(np.float32)
    assert first_cause(gradcheck.check_layer(Tripling(), x)).mistake == "upstream"
    Tripling.backward = lambda self, dout: 3 * dout
    assert gradcheck.check_layer(Tripling(), x).ok


def test_a_gradient_that_lost_digits_is_a_note(rng):
    class Rounded(Affine):
        def backward(self, dout):
            return super().backward(dout).astype(np.float32)

    report = gradcheck.check_layer(Rounded(rng.normal(size=(3, 2)), np.zeros(2)), rng.normal(size=(4, 3)))
    assert report.ok
    assert report.notes == ("x is float64, its gradient only float32",)


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


@pytest.mark.parametrize("missing", ["forward", "backward"])
def test_what_is_no_layer_is_refused(missing):
    present = {"forward": lambda self, x: x, "backward": lambda self, d: d}
    del present[missing]
    with pytest.raises(TypeError, match=missing):
        gradcheck.check_layer(type("Half", (), present)(), np.ones(2))
