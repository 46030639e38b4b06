"""The corpus of wrong gradients is what it says: right where it says right, wrong where it says wrong."""

import functools
import pathlib
import sys

import jax
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts"))

from gradcheck_cases.collection import CONTROLS, FAULTS, NETWORKS
from gradcheck_cases.corpus import MISTAKES, Options, leaves


@functools.cache
def derivative(network, options):
    params, args = network.example(options.seed, options.n)
    with jax.enable_x64(True):
        value, grads = jax.jit(jax.value_and_grad(network.loss_fn))(params, *args)
    return float(value), leaves(grads)


def largest(array):
    return np.max(np.abs(array), initial=0)


def differ(given, expected, tolerance):
    return any(
        g.shape != e.shape or largest(g - e) > tolerance * max(largest(e), 1e-300)
        for g, e in zip(given, expected, strict=True)
    )


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_the_gradient_by_hand_is_right(network):
    params, args = network.example()
    given = leaves(network.grads(params, *args))
    assert not differ(given, derivative(network, Options())[1], 1e-9)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_is_a_fault(fault):
    assert fault.mistakes
    assert fault.mistakes <= set(MISTAKES)
    assert fault.gradient.__doc__
    assert fault.markers is None or fault.lines()
    loss, expected = derivative(fault.network, fault.options._replace(single=False, called=False))
    wrong_gradient = differ(leaves(fault.values()), expected, 1e-3 if fault.options.single else 1e-6)
    wrong_loss = fault.loss is not None and abs(fault.loss_value() - loss) > 1e-6 * abs(loss)
    assert wrong_gradient or wrong_loss


def test_no_two_cases_share_an_id():
    ids = [case.id for case in (*FAULTS, *CONTROLS)]
    assert len(ids) == len(set(ids))
