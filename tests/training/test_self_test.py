"""The start-up test of a compiler that returns wrong numbers."""

import jax
import jax.numpy as jnp
import pytest

from functional_nets.training import WrongArithmeticError, check_arithmetic, self_test


@pytest.fixture
def forgetful():
    """The test's verdict is kept for the process; here it is forgotten, before and after."""
    check_arithmetic.cache_clear()
    yield
    check_arithmetic.cache_clear()


@pytest.mark.usefixtures("forgetful")
def test_the_arithmetic_of_this_machine_is_right():
    check_arithmetic()


@pytest.mark.usefixtures("forgetful")
def test_a_compiler_that_gets_the_last_row_wrong_is_refused_with_what_to_install(monkeypatch):
    right_vmap = jax.vmap

    def faulty_vmap(function):
        right = right_vmap(function)
        return lambda x: right(x) * jnp.where(jnp.arange(len(x)) < 32_768, 1, 0)

    monkeypatch.setattr(self_test.jax, "vmap", faulty_vmap)
    with pytest.raises(WrongArithmeticError, match=r'found 0: this jaxlib.*pip install "jax!=0.10.2"'):
        check_arithmetic()


def test_the_fault_needs_more_rows_than_32768():
    assert self_test.ROWS > 32_768
