"""The convolutional network of notebook `003`."""

import jax
from jax import Array
from jax.typing import DTypeLike

from functional_nets.models.model import Model
from functional_nets.nn import Initializer, conv_relu_pool2d, dense, flatten, scale_pixels, uniform_fan_in

SHAPES = {
    "conv1": (3, 3, 1, 6),
    "conv2": (3, 3, 6, 16),
    "dense1": (16 * 6 * 6, 120),
    "dense2": (120, 84),
    "dense3": (84, 10),
}


def lenet(*, init: Initializer | None = None, product_dtype: DTypeLike | None = None) -> Model:
    """Returns LeNet as notebook `003` has it, 81,194 parameters, on images [batch, 28, 28, 1] padded to 32 × 32.

    The notebook asks where its 16 · 6 · 6 comes from. A 3 × 3 kernel takes 2 from each side and a pool
    halves it, rounding down: 32 → 30 → 15 → 13 → 6. Sixteen channels of 6 × 6 are left.

    Images that are 32 × 32 already are not padded.

    Args:
        init: How the layers start; by default PyTorch's U(±1/√fan_in).
        product_dtype: As for `nn.dense`.
    """
    init_layer = init or uniform_fan_in()

    def init_params(key: Array) -> dict[str, dict[str, Array]]:
        keys = jax.random.split(key, len(SHAPES))
        return {
            name: init_layer(layer_key, shape) for layer_key, (name, shape) in zip(keys, SHAPES.items(), strict=True)
        }

    def hidden(params: dict[str, dict[str, Array]], x: Array) -> dict[str, Array]:
        x = scale_pixels(x)
        conv2 = conv_relu_pool2d(
            (params["conv1"], params["conv2"]), x, padding=(32 - x.shape[1]) // 2, product_dtype=product_dtype
        )
        dense1 = jax.nn.relu(dense(params["dense1"], flatten(conv2), product_dtype=product_dtype))
        dense2 = jax.nn.relu(dense(params["dense2"], dense1, product_dtype=product_dtype))
        return {"conv2": conv2, "dense1": dense1, "dense2": dense2}

    def apply(params: dict[str, dict[str, Array]], x: Array) -> Array:
        return dense(params["dense3"], hidden(params, x)["dense2"], product_dtype=product_dtype)

    return Model(init_params, apply, hidden)
