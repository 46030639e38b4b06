"""The loss audit: a cross-entropy has values that are known beforehand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.gradcheck import audit_loss

CLASSES = 4


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    return {"w": 0.1 * rng.normal(size=(5, CLASSES)), "b": np.zeros(CLASSES)}


@pytest.fixture
def batch():
    rng = np.random.default_rng(1)
    return rng.normal(size=(6, 5)), np.array([0, 1, 2, 3, 1, 0])


def log_probabilities(params, x, labels):
    scores = jax.nn.log_softmax(x @ params["w"] + params["b"])
    return scores[jnp.arange(len(labels)), labels]


def named(audit, text):
    (found,) = (finding for finding in audit.findings if text in finding.name)
    return found


def test_a_mean_cross_entropy_is_all_right(params, batch):
    audit = audit_loss(lambda *a: -jnp.mean(log_probabilities(*a)), params, *batch)
    assert audit
    assert [finding.ok for finding in audit.findings] == [True] * 4
    assert named(audit, "log 4").found == pytest.approx(np.log(4))


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1 / CLASSES, "divided by the number of classes"),  # jax issue 1023.
        (6.0, "summed over the batch"),
        (-1.0, "of the wrong sign"),
        (1 / np.log(2), "in bits"),
        (1.7, "1.7 times"),
    ],
)
def test_a_loss_that_is_another_multiple_is_named(params, batch, factor, words):
    audit = audit_loss(lambda *a: -factor * jnp.mean(log_probabilities(*a)), params, *batch)
    assert not audit.ok
    assert words in named(audit, "log 4").message
    assert words in str(audit)


def test_a_sum_over_the_batch_grows_with_it(params, batch):
    assert named(audit_loss(lambda *a: -jnp.sum(log_probabilities(*a)), params, *batch), "twice").ok is False


def test_scores_that_are_not_normalised_change_with_a_shift(params, batch):
    def loss(params, x, labels):
        return -jnp.mean((x @ params["w"] + params["b"])[jnp.arange(len(labels)), labels])

    assert named(audit_loss(loss, params, *batch), "constant").ok is False


def test_without_a_bias_the_shift_is_not_tried_and_that_is_no_alarm(params, batch):
    def loss(params, x, labels):
        return -jnp.mean(log_probabilities({"w": params["w"], "b": 0.0}, x, labels))

    audit = audit_loss(loss, {"w": params["w"]}, *batch)
    assert named(audit, "constant").ok is None
    assert audit.ok


def test_one_hot_labels_say_how_many_classes_there_are(params, batch):
    x, labels = batch
    hot = np.eye(CLASSES)[labels % 2]

    def loss(params, x, t):
        return -jnp.mean(jnp.sum(t * jax.nn.log_softmax(x @ params["w"] + params["b"]), axis=1))

    assert audit_loss(loss, params, x, hot).ok


def test_large_weights_at_the_start_are_pointed_out(params, batch):
    large = {"w": 300 * params["w"], "b": params["b"]}
    audit = audit_loss(lambda *a: -jnp.mean(log_probabilities(*a)), large, *batch)
    assert named(audit, "start").ok is None
    assert "weights" in named(audit, "start").message
