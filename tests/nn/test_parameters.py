"""What is said of a tree of parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.models import lenet, mlp, xor_net
from functional_nets.nn import count_parameters, summary


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (xor_net(), 9),
        (mlp((784, 512, 512, 10)), 669_706),
        (mlp((784, 50, 10)), 39_760),
        (lenet(), 81_194),
    ],
    ids=["xor", "fashion_mnist", "mnist", "lenet"],
)
def test_the_published_networks_have_their_numbers_of_parameters(model, count):
    assert count_parameters(jax.eval_shape(model.init, jax.random.key(0))) == count


def test_a_tree_without_leaves_has_no_parameters():
    assert count_parameters({"a": {}}) == 0


def test_the_summary_has_a_row_for_each_leaf_and_the_total_below():
    params = {"dense": {"w": jnp.zeros((1200, 3)), "b": np.zeros(3, np.float16)}, "scale": jnp.asarray(1.0)}
    lines = summary(params).splitlines()
    assert [line.split() for line in lines] == [
        ["parameter", "shape", "type", "count"],
        ["dense/b", "3", "float16", "3"],
        ["dense/w", "1200", "×", "3", "float32", "3,600"],
        ["scale", "scalar", "float32", "1"],
        ["total", "3,604"],
    ]
    assert len({len(line) for line in lines}) == 1
