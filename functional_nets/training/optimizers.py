"""The optimizers that the experiments offer by name."""

from collections.abc import Callable

import optax

OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": lambda learning_rate: optax.sgd(learning_rate, momentum=0.9),
    "adam": optax.adam,
    "rmsprop": optax.rmsprop,
}


def make_optimizer(name: str, learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """Returns the optimizer of that name, with optax's defaults; `momentum` is SGD with 0.9.

    Raises:
        ValueError: For a name that is not in `OPTIMIZERS`.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"Expected an optimizer among {', '.join(OPTIMIZERS)}, found {name!r}.")
    return OPTIMIZERS[name](learning_rate)
