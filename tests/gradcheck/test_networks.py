"""`check_network`: the layer that is wrong is named, and no other; the notebook's puzzle is solved."""

from collections import OrderedDict

import numpy as np
import pytest

from functional_nets import gradcheck
from tests.backprop.notebook_cells import notebook, run_definitions
from tests.gradcheck.book_layers import Affine, Network, Relu, ReluInPlace, SoftmaxWithLoss
from tests.gradcheck.test_layers import first_cause, line


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def batch(rng):
    return rng.normal(size=(6, 5)), np.eye(3)[[0, 1, 2, 2, 1, 0]]


class AffineTwice(Affine):
    def backward(self, dout):
        dx = super().backward(dout)
        self.db = 2 * self.db
        return dx


def test_a_right_network_is_right_and_left_as_it_was(rng, batch):
    network = Network(rng)
    before = {key: value.copy() for key, value in network.params.items()}
    report = gradcheck.check_network(network, *batch)
    assert report.ok
    assert [leaf.path for leaf in report.leaves] == list(before)
    assert all(np.array_equal(network.params[key], before[key]) for key in before)
    assert not hasattr(network.lastLayer, "y")


@pytest.mark.parametrize("number", range(3))
def test_the_notebooks_own_network_is_told_that_its_softmax_runs_over_the_whole_batch(number):
    names = "Relu Affine softmax cross_entropy_error SoftmaxWithLoss TwoLayerNet"
    made = run_definitions("002", names, np=np, OrderedDict=OrderedDict)
    np.random.seed(number)
    network = made["TwoLayerNet"](20, 8, 5)
    rng = np.random.default_rng(number)
    x, t = rng.random((3, 20)), np.eye(5)[rng.integers(5, size=3)]
    report = gradcheck.check_network(network, x, t)
    cause = first_cause(report)
    assert (cause.mistake, cause.op) == ("wrong_axis", "SoftmaxWithLoss")
    assert "softmax is normalised over the whole batch instead of over each row" in str(report)
    source = notebook("002").read_text(encoding="utf-8").splitlines()
    assert cause.file == str(notebook("002"))
    assert source[cause.line - 1].strip() == "sum_exp_x = np.sum(exp_x)"
    assert cause.residual < 1e-9
    assert any("Relu.backward changes dout in place" in note for note in report.notes)


def test_a_dout_that_is_changed_where_nobody_else_needs_it_is_a_note(rng, batch):
    report = gradcheck.check_network(Network(rng, activation=ReluInPlace), *batch)
    assert report.ok
    assert "does no harm" in report.notes[0]
    assert str(line(ReluInPlace.backward, "dout[self.mask]")) in report.notes[0]


def test_a_dout_that_is_changed_where_a_second_path_needs_it_is_mutated(rng, batch):
    class Residual(Network):
        def loss(self, x, t):
            first, relu, last = self.layers.values()
            h = first.forward(x)
            return self.lastLayer.forward(last.forward(h + relu.forward(h)), t)

        def gradient(self, x, t):
            self.loss(x, t)
            first, relu, last = self.layers.values()
            dout = last.backward(self.lastLayer.backward(1))
            dx = relu.backward(dout)
            first.backward(dx + dout)
            return {"w1": first.dw, "b1": first.db, "w2": last.dw, "b2": last.db}

    assert gradcheck.check_network(Residual(rng), *batch).ok
    cause = first_cause(gradcheck.check_network(Residual(rng, activation=ReluInPlace), *batch))
    assert (cause.mistake, cause.line) == ("mutated", line(ReluInPlace.backward, "dout[self.mask]"))


def test_a_wrong_layer_above_accuses_no_layer_below(rng, batch):
    class Loss(SoftmaxWithLoss):
        def backward(self, dout=1):
            return 3 * dout * (self.y - self.t) / len(self.t)

    report = gradcheck.check_network(Network(rng, last=Loss), *batch)
    assert [(cause.mistake, cause.op) for cause in report.causes] == [("scale", "Loss")]
    assert first_cause(report).line == line(Loss.backward, "return 3")
    assert not any(leaf.ok for leaf in report.leaves)


def test_two_wrong_layers_are_both_named(rng, batch):
    class Forgotten(Relu):
        def backward(self, dout):
            return dout

    report = gradcheck.check_network(Network(rng, activation=Forgotten, affine=AffineTwice), *batch)
    assert {(cause.mistake, cause.op) for cause in report.causes} >= {
        ("wrong_mask", "Forgotten"), ("scale", "AffineTwice"),
    }  # fmt: skip


def test_gradients_under_each_others_names_are_blamed_on_gradient(rng, batch):
    class Swapping(Network):
        def __init__(self, rng):
            super().__init__(rng)
            self.params["b1"] = self.layers["affine1"].b = rng.normal(size=4)
            self.params["w2"] = self.layers["affine2"].w = rng.normal(size=(4, 4))
            self.params["b2"] = self.layers["affine2"].b = rng.normal(size=4)

        def gradient(self, x, t):
            grads = super().gradient(x, t)
            grads["b1"], grads["b2"] = grads["b2"], grads["b1"]
            return grads

    x, _ = batch
    cause = first_cause(gradcheck.check_network(Swapping(rng), x, np.eye(4)[[0, 1, 2, 3, 1, 0]]))
    assert (cause.mistake, cause.op, cause.file) == ("permuted", "Swapping", __file__)
    assert cause.line == Swapping.gradient.__code__.co_firstlineno


def test_a_regulariser_in_the_loss_alone_is_missing_at_its_line_in_loss(rng, batch):
    class Decayed(Network):
        def loss(self, x, t):
            decay = 0.05 * np.sum(self.params["w1"] ** 2)
            return super().loss(x, t) + decay

    cause = first_cause(gradcheck.check_network(Decayed(rng), *batch))
    assert cause.mistake == "missing_term"
    assert Decayed.loss.__code__.co_firstlineno < cause.line <= Decayed.loss.__code__.co_firstlineno + 2


def test_a_gradient_without_a_forward_pass_is_stale_after_another_batch(rng, batch):
    class NoForward(Network):
        def gradient(self, x, t):
            grads, self.loss = None, lambda x, t: None
            grads = super().gradient(x, t)
            del self.loss
            return grads

    network = NoForward(rng)
    fresh = gradcheck.check_network(network, *batch)
    assert fresh.ok
    assert "only after loss has run" in fresh.notes[0]
    network.loss(*(each[::-1] for each in batch))
    assert first_cause(gradcheck.check_network(network, batch[0] + 1, batch[1])).mistake == "stale"


def test_an_update_that_replaces_the_array_leaves_the_layers_with_the_old_one(rng, batch):
    network = Network(rng)
    for key in network.params:
        network.params[key] = network.params[key] - 0.1
    cause = first_cause(gradcheck.check_network(network, *batch))
    assert cause.mistake == "stale"
    assert "in place" in cause.message


def test_gradients_that_add_up_from_call_to_call_are_accumulated_though_the_first_is_right(rng, batch):
    class Adding(Network):
        def gradient(self, x, t):
            old = getattr(self, "grads", {})
            self.grads = {key: g + old.get(key, 0) for key, g in super().gradient(x, t).items()}
            return self.grads

    network = Adding(rng)
    report = gradcheck.check_network(network, *batch)
    assert first_cause(report).mistake == "accumulated"
    assert all(leaf.ok for leaf in report.leaves)
    network.gradient(*batch)
    assert first_cause(gradcheck.check_network(network, *batch)).mistake == "accumulated"


def test_a_gradient_that_updates_the_parameters_is_mutated(rng, batch):
    class Updating(Network):
        def gradient(self, x, t):
            grads = super().gradient(x, t)
            self.params["w1"] -= 0.1 * grads["w1"]
            return grads

    assert first_cause(gradcheck.check_network(Updating(rng), *batch)).mistake == "mutated"


def test_a_network_of_functions_needs_no_layers(rng, batch):
    class Functions:
        factor = 1.0

        def __init__(self):
            self.params = {"w": rng.normal(size=(5, 3)), "b": np.zeros(3)}

        def loss(self, x, t):
            y = x @ self.params["w"] + self.params["b"]
            return np.mean((y - t) ** 2)

        def gradient(self, x, t):
            dy = self.factor * (x @ self.params["w"] + self.params["b"] - t) / t.size
            return {"w": x.T @ dy, "b": dy.sum(axis=0)}

    network = Functions()
    assert first_cause(gradcheck.check_network(network, *batch)).mistake == "scale"
    network.factor = 2.0
    assert gradcheck.check_network(network, *batch).ok


def test_single_precision_is_judged_by_its_own_rounding(rng, batch):
    network = Network(rng)
    for key, value in network.params.items():
        network.params[key] = value.astype(np.float32)
    first, _, last = network.layers.values()
    first.w, first.b = network.params["w1"], network.params["b1"]
    last.w, last.b = network.params["w2"], network.params["b2"]
    x, t = batch
    assert gradcheck.check_network(network, x.astype(np.float32), t.astype(np.float32)).ok


@pytest.mark.parametrize(
    ("change", "words"),
    [(lambda g: g.pop("b1"), "none of 'b1'"), (lambda g: g.update(w9=0), "one of 'w9'")],
)
def test_a_gradient_with_other_keys_is_refused(rng, batch, change, words):
    class Other(Network):
        def gradient(self, x, t):
            grads = super().gradient(x, t)
            change(grads)
            return grads

    with pytest.raises(ValueError, match=words):
        gradcheck.check_network(Other(rng), *batch)


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match="without params"):
        gradcheck.check_network(Relu(), 1, 2)
