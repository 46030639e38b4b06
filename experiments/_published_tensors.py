"""Notebook `003`: gradients that add up, a vector-Jacobian product, and the shapes of LeNet."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments._published_verdict import Answer, Same
from functional_nets.models import lenet
from functional_nets.nn import conv2d, max_pool2d

PRINTED_Y = np.array([113.7798, 1737.1522, 885.8029], np.float32)
"""The notebook's y, which tells its random x to more digits than are printed of x itself."""


def answers() -> dict[str, Answer]:
    """Returns our value for each number that the notebook prints."""
    return {what: Same(value) for what, value in {**_graph(), **_product(), **_network()}.items()}


def _graph() -> dict[str, str]:
    def z_function(x: Array) -> Array:
        y = x + 2
        return y * y * 3

    x = jnp.ones((2, 2))
    # `out.backward()` adds to `x.grad`, and its cell ran twice. Here a gradient is a value: we add ourselves.
    accumulated = jnp.zeros_like(x)
    for _ in range(2):
        accumulated += jax.grad(lambda x: z_function(x).mean())(x)
    return {
        "x": str(x.tolist()),
        "y = x + 2": str((x + 2).tolist()),
        "z = 3 y²": str(z_function(x).tolist()),
        "out, the mean of z": str(float(z_function(x).mean())),
        "x.grad: 4.5, added up by two backward passes": str(accumulated.tolist()),
    }


def _product() -> dict[str, str]:
    def doubled(x: Array) -> Array:
        y = x * 2
        while jnp.linalg.norm(y) < 1000:  # Depends on the values: the graph is defined by running.
            y = y * 2
        return y

    x = jnp.asarray(PRINTED_Y / 1024)
    y = doubled(x)
    doublings = round(float(jnp.log2(y[0] / x[0])))
    _, backward = jax.vjp(lambda x: x * 2.0**doublings, x)
    (product,) = backward(jnp.array([0.1, 1.0, 0.0001]))
    return {
        "x, drawn once": _listed(x, ".4f"),
        "y = 2 x, doubled until its norm is 1000": _listed(y, ".4f"),
        "vector-Jacobian product with [0.1, 1, 0.0001]": _listed(product, ".4e"),
        "x equals x.detach()": str(bool((x == jax.lax.stop_gradient(x)).all())),
    }


def _network() -> dict[str, str]:
    params = jax.eval_shape(lenet().init, jax.random.key(0))
    image = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)
    for name in ("conv1", "conv2"):
        image = jax.eval_shape(lambda layer, x: max_pool2d(conv2d(layer, x)), params[name], image)
    _, height, width, channels = image.shape

    def convolution(name: str) -> str:
        kernel_height, kernel_width, inputs, outputs = params[name]["w"].shape
        return f"{inputs}, {outputs}, {(kernel_height, kernel_width)}"

    dense = [params[f"dense{number}"]["w"].shape for number in (1, 2, 3)]
    return {
        "conv1: channels in and out, kernel": convolution("conv1"),
        "conv2: channels in and out, kernel": convolution("conv2"),
        "fc1, fc2, fc3: features in and out": ", ".join(f"{inputs} {outputs}" for inputs, outputs in dense),
        "what is left of 32 × 32 before fc1": f"{channels} * {height} * {width}",
        "parameter tensors": str(len(jax.tree.leaves(params))),
        # PyTorch keeps [outputs, inputs, height, width]; here it is [height, width, inputs, outputs].
        "shape of conv1's weight": str([params["conv1"]["w"].shape[axis] for axis in (3, 2, 0, 1)]),
        "conv1.bias.grad before backward": str(jnp.zeros(params["conv1"]["b"].shape).tolist()),
    }


def _listed(values: Array, digits: str) -> str:
    return "[" + ", ".join(f"{value:{digits}}" for value in values) + "]"
