"""What a model is."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array


class Model(NamedTuple):
    """A network as two pure functions.

    Attributes:
        init: From a key to the initial parameters, a nested dict of arrays.
        apply: From parameters and a batch [batch, …] to logits [batch, classes]. Images may be uint8
            pixels or floats between 0 and 1.
    """

    init: Callable[[Array], Any]
    apply: Callable[[Any, Array], Array]
