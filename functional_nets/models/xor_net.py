"""The smallest network that learns XOR."""

import jax
from jax import Array
from jax.typing import DTypeLike

from functional_nets.models.model import Model
from functional_nets.nn import Initializer, dense, uniform_fan_in


def xor_net(
    *, init: Initializer | None = None, product_dtype: DTypeLike | None = None, population: bool = False
) -> Model:
    """Returns the 2-2-1 network of notebook `000`, of 9 parameters, sigmoid in the middle.

    `apply` ends at the logit; the notebook's network ends at its sigmoid, the probability of True.
    `nn.binary_cross_entropy_loss(apply)` is the notebook's loss in its numerically stable form.

    Args:
        init: How both layers start; by default PyTorch's U(±1/√fan_in).
        product_dtype: As for `nn.dense`.
        population: Write each product as the sum of its two terms. Thousands of networks at once then take a
            quarter less time on CPU; one alone takes three times as long.
    """
    init_layer = init or uniform_fan_in()

    def init_params(key: Array) -> dict[str, dict[str, Array]]:
        hidden_key, output_key = jax.random.split(key)
        return {"hidden": init_layer(hidden_key, (2, 2)), "output": init_layer(output_key, (2, 1))}

    def hidden(params: dict[str, dict[str, Array]], x: Array) -> dict[str, Array]:
        return {"hidden": jax.nn.sigmoid(dense(params["hidden"], x, product_dtype=product_dtype))}

    def apply(params: dict[str, dict[str, Array]], x: Array) -> Array:
        return dense(params["output"], hidden(params, x)["hidden"], product_dtype=product_dtype)

    def apply_in_sums(params: dict[str, dict[str, Array]], x: Array) -> Array:
        return _two_terms(params["output"], jax.nn.sigmoid(_two_terms(params["hidden"], x)))

    return Model(init_params, apply_in_sums if population else apply, hidden)


def _two_terms(params: dict[str, Array], x: Array) -> Array:
    """`dense` of two inputs."""
    w, b = params["w"], params["b"]
    return x[..., 0, None] * w[0] + x[..., 1, None] * w[1] + b
