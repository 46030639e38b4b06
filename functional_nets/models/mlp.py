"""Multi-layer perceptrons."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import jax
from jax import Array
from jax.typing import DTypeLike

from functional_nets.models.model import Model
from functional_nets.nn import Initializer, dense, flatten, scale_pixels, uniform_fan_in


def mlp(
    sizes: Sequence[int],
    *,
    activation: Callable[[Array], Array] = jax.nn.relu,
    init: Initializer | None = None,
    product_dtype: DTypeLike | None = None,
) -> Model:
    """Returns dense layers of the given sizes, with the activation between them and logits at the end.

    `mlp((784, 50, 10), init=normal(0.01))` is the book's two-layer network (notebook `002`);
    `mlp((784, 512, 512, 10))` is the PyTorch tutorial's (notebook `004`), of 669,706 parameters.

    Args:
        sizes: Features of the input, of each hidden layer, and of the output.
        activation: What stands between two layers.
        init: How the layers start; by default PyTorch's U(±1/√fan_in).
        product_dtype: As for `nn.dense`.

    Raises:
        ValueError: With fewer than two sizes, or one below 1.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"Expected at least two sizes of 1 or more, found {tuple(sizes)}: give input and output.")
    init_layer = init or uniform_fan_in()
    names = [f"dense{number}" for number in range(1, len(sizes))]

    def init_params(key: Array) -> dict[str, dict[str, Array]]:
        keys = jax.random.split(key, len(names))
        return {
            name: init_layer(layer_key, shape)
            for name, layer_key, shape in zip(names, keys, pairwise(sizes), strict=True)
        }

    def hidden(params: dict[str, dict[str, Array]], x: Array) -> dict[str, Array]:
        x = flatten(scale_pixels(x))
        values = {}
        for name in names[:-1]:
            values[name] = x = activation(dense(params[name], x, product_dtype=product_dtype))
        return values

    def apply(params: dict[str, dict[str, Array]], x: Array) -> Array:
        values = hidden(params, x)
        x = values[names[-2]] if values else flatten(scale_pixels(x))
        return dense(params[names[-1]], x, product_dtype=product_dtype)

    return Model(init_params, apply, hidden)
