"""A start-up test of one known fault: a compiler that returns wrong numbers without a word."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

ROWS = 32_769  # The fault shows in the last row only, and from this many rows on.


class WrongArithmeticError(RuntimeError):
    """The installed jaxlib computes wrong numbers; nothing that it trains can be trusted."""


@functools.cache
def check_arithmetic() -> None:
    """Compiles and runs the product that jaxlib 0.10.2 gets wrong on CPU, once per process (0.1 s).

    Source: jax issue 39103. Row i of the input is (i, 0, 0), so the sum of its squares is i².

    Raises:
        WrongArithmeticError: When the fault is there, with what to install.
    """
    index = np.arange(ROWS, dtype=np.float32)
    x = np.stack((index, np.zeros_like(index), np.zeros_like(index)), axis=1)
    squared_norms = jax.jit(jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2)))
    found, expected = float(squared_norms(x)[-1]), float(index[-1] ** 2)
    if found != expected:
        raise WrongArithmeticError(
            f"Expected {expected:.0f} from a compiled product, found {found:.0f}: this jaxlib, "
            f'{jax.lib.__version__}, computes wrong numbers; pip install "jax!=0.10.2" "jaxlib!=0.10.2".'
        )
