"""Shuffled examples find back to the order in which they were published."""

import numpy as np
import pytest

from functional_nets.data import order
from functional_nets.data.contents import Contents


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A set with what makes sorting hard: equal examples, equal images with two labels, images of zeros."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 2, (40, 28, 28), np.uint8)
    y = rng.integers(0, 10, 40, np.uint8)
    x[5], y[5] = x[3], y[3]
    x[9], y[9], y[8] = x[8], 1, 7
    x[20:24] = 0
    contents = Contents(x, y, x[:7], y[:7])
    monkeypatch.setattr(order, "TABLE", tmp_path / "order.npz")
    np.savez(order.TABLE, **order.tables({"some": contents}))
    return contents


@pytest.mark.parametrize("seed", range(5))
def test_any_shuffle_is_undone(published, seed):
    shuffled = np.random.default_rng(seed).permutation(40)
    x, y = order.restore(published.x_train[shuffled], published.y_train[shuffled], "some_train")
    assert np.array_equal(x, published.x_train)
    assert np.array_equal(y, published.y_train)


def test_more_or_fewer_examples_are_left_as_they_are(published):
    x, y = order.restore(published.x_train[::-1][:39], published.y_train[::-1][:39], "some_train")
    assert np.array_equal(x, published.x_train[::-1][:39])
    assert np.array_equal(y, published.y_train[::-1][:39])


def test_the_table_knows_every_split_of_mnist(mnist):
    shuffled = np.random.default_rng(0).permutation(10_000)
    x, y = order.restore(mnist.x_test[shuffled], mnist.y_test[shuffled], "mnist_test")
    assert np.array_equal(x, mnist.x_test)
    assert np.array_equal(y, mnist.y_test)
