"""The optimizers offered by name: closed forms of their first step, and PyTorch's paths."""

import jax
import numpy as np
import optax
import pytest

from functional_nets.training import OPTIMIZERS, make_optimizer
from tests import oracles

W = np.array([1.0, -2.0, 3.0], np.float32)
GRADIENT = np.array([0.5, -4.0, 0.1], np.float32)
RATE = 0.1

FIRST_STEPS = {
    "sgd": -RATE * GRADIENT,
    "momentum": -RATE * GRADIENT,  # The velocity starts at 0, so the first step is plain descent's.
    "adam": -RATE * np.sign(GRADIENT),  # Corrected for their bias, g / √g².
    "rmsprop": -RATE * np.sign(GRADIENT) / np.sqrt(0.1),  # g / √(0.1 g²): the mean starts at 0, not corrected.
}


def test_every_optimizer_has_a_closed_form_here():
    assert set(FIRST_STEPS) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_first_step_is_its_closed_form(name):
    optimizer = make_optimizer(name, RATE)
    updates, _ = jax.jit(optimizer.update)(GRADIENT, optimizer.init(W), W)
    np.testing.assert_allclose(updates, FIRST_STEPS[name], rtol=1e-4)


@pytest.mark.parametrize("name", sorted(oracles.PYTORCH["optimizers"]))
def test_three_steps_down_a_parabola_are_pytorchs(name):
    optimizer = make_optimizer(name, RATE)
    w, state, path = W, optimizer.init(W), []
    update = jax.jit(optimizer.update)
    for _ in range(3):
        updates, state = update(np.array([1, 2, 0.5], np.float32) * w, state, w)
        w = optax.apply_updates(w, updates)
        path.append(w)
    np.testing.assert_allclose(path, oracles.PYTORCH["optimizers"][name], rtol=1e-5)


def test_an_unknown_optimizer_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="among sgd, momentum, adam, rmsprop, found 'sdg'"):
        make_optimizer("sdg", 0.1)
