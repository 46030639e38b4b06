"""Accuracy."""

import jax.numpy as jnp
import numpy as np

from functional_nets.nn import accuracy


def test_accuracy_is_the_share_of_rows_whose_largest_logit_is_the_labels():
    logits = jnp.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert float(accuracy(logits, jnp.array([1, 0, 0, 0]))) == 0.75


def test_of_equal_logits_the_first_counts():
    assert float(accuracy(jnp.zeros((2, 3)), jnp.array([0, 2]))) == 0.5


def test_a_network_that_has_diverged_answers_class_0():
    logits = jnp.array([[jnp.nan] * 3, [1.0, jnp.nan, 2.0], [jnp.inf, 0.0, jnp.nan]])
    np.testing.assert_array_equal(accuracy(logits[:1], jnp.array([0])), 1.0)
    assert float(accuracy(logits, jnp.array([0, 1, 2]))) == 1.0  # The first NaN of a row is its largest.
