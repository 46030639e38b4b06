"""What a model is."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array


class Model(NamedTuple):
    """A network as pure functions: two make it, a third shows its inside.

    Attributes:
        init: From a key to the initial parameters, a nested dict of arrays.
        apply: From parameters and a batch [batch, …] to logits [batch, classes]. Images may be uint8
            pixels or floats between 0 and 1.
        hidden: From parameters and a batch to what each hidden layer gives, by the layer's name, for those who
            look inside; None for a model that does not tell.
    """

    init: Callable[[Array], Any]
    apply: Callable[..., Array]
    hidden: Callable[[Any, Array], dict[str, Array]] | None = None
