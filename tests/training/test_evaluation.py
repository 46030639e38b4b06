"""`evaluate` against NumPy."""

import numpy as np
import pytest

from functional_nets.training import evaluate
from tests import oracles


def linear(params, x):
    return x.reshape(len(x), -1) @ params


def some(count, *, seed=0):
    """Weights, images and labels, and what NumPy finds of them."""
    random = np.random.RandomState(seed)
    params = random.normal(size=(4, 3)).astype(np.float32)
    images, labels = random.randint(0, 256, (count, 2, 2, 1)).astype(np.uint8), random.randint(0, 3, count)
    logits = images.reshape(count, 4) / 255 @ params.astype(np.float64)
    return (
        params,
        images,
        labels,
        (logits.argmax(1) == labels).mean(),
        oracles.cross_entropy(logits, labels).mean(),
    )


@pytest.mark.parametrize("batch_size", [1, 4, 5, 10, 1000])
def test_accuracy_and_loss_are_means_over_all_examples_whatever_the_batch(batch_size):
    params, images, labels, accuracy, loss = some(10)
    found = evaluate(linear, params, (images, labels), batch_size=batch_size)
    assert found.accuracy == accuracy
    assert found.loss == pytest.approx(loss, rel=1e-5)


def test_a_network_that_has_diverged_gets_the_share_of_class_0():
    _, images, labels, *_ = some(10)
    found = evaluate(linear, np.full((4, 3), np.nan, np.float32), (images, labels))
    assert found.accuracy == (labels == 0).mean()
    assert np.isnan(found.loss)


def test_results_are_plain_numbers():
    params, images, labels, *_ = some(10)
    assert [type(value) for value in evaluate(linear, params, (images, labels))] == [float, float]


@pytest.mark.parametrize(("images", "labels"), [(0, 0), (10, 9), (9, 10)])
def test_no_examples_or_not_as_many_labels_are_refused(images, labels):
    params, x, y, *_ = some(10)
    with pytest.raises(ValueError, match=f"found {images} images, {labels} labels"):
        evaluate(linear, params, (x[:images], y[:labels]))


def test_a_whole_data_set_is_refused():
    params, images, labels, *_ = some(10)
    with pytest.raises(ValueError, match="found a data set with several parts"):
        evaluate(linear, params, ((images, labels), (images, labels)))


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_no_examples_is_refused(batch_size):
    params, images, labels, *_ = some(10)
    with pytest.raises(ValueError, match=f"Expected a batch size of at least 1, found {batch_size}"):
        evaluate(linear, params, (images, labels), batch_size=batch_size)
