"""Every model and loss of the package, written three times: in JAX, with the book's layer objects, in plain NumPy."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_nets import models, nn
from functional_nets.backprop.layers import (
    Add,
    Affine,
    Convolution,
    Layer,
    Mul,
    Pooling,
    Relu,
    Sequential,
    Sigmoid,
    SoftmaxWithLoss,
)
from functional_nets.backprop.tape import log_softmax, primitive, relu, sigmoid
from functional_nets.models import Model

Params = Any
Random = np.random.Generator


class Case(NamedTuple):
    """A loss to be differentiated.

    Attributes:
        title: What it is.
        loss_fn: In JAX, of (params, *args).
        params: In float64.
        args: What else it takes.
        plain: The same in NumPy, of arrays or of variables that the tape records.
        layered: Its gradient by the layer objects, None where the book has no layer for it.
    """

    title: str
    loss_fn: Callable[..., Any]
    params: Params
    args: tuple[Any, ...]
    plain: Callable[..., Any]
    layered: Callable[..., Params] | None


class BinaryCrossEntropy(SoftmaxWithLoss):
    """The binary cross-entropy of a logit z: the softmax cross-entropy of the two scores 0 and z."""

    def forward(self, x: Any, t: Any) -> Any:
        """Returns the mean loss of logits [batch, 1] and targets 0 or 1."""
        return super().forward(np.concatenate([np.zeros_like(x), x], axis=1), t)

    def backward(self, dout: Any = 1.0) -> Any:
        """Returns the gradient of the logits."""
        return super().backward(dout)[:, 1:]


class MeanSquaredError:
    """The mean of (x - t)², from the nodes of the first graphs."""

    def __init__(self) -> None:
        self.plus, self.times = Add(), Mul()

    def forward(self, x: Any, t: Any) -> Any:
        """Returns the mean over all elements."""
        difference = self.plus.forward(x, -t)
        return np.mean(self.times.forward(difference, difference))

    def backward(self, dout: Any = 1.0) -> Any:
        """Returns the gradient of `x`."""
        both = self.times.backward(np.full_like(self.times.out, dout / self.times.out.size))
        return self.plus.backward(both[0] + both[1])[0]


def cases(batch_size: int, seed: int) -> dict[str, Callable[[], Case]]:
    """Returns by name what makes each case, from random numbers that the seed fixes."""

    def network(
        title: str, model: Model, shape: tuple[int, ...], loss: str, make: Any, plain: Any
    ) -> Callable[[], Case]:
        def build() -> Case:
            random = np.random.default_rng(seed)
            params = _drawn(model, random)
            x = random.random((batch_size, *shape))
            outputs = list(params.values())[-1]["b"].size
            targets, in_jax, in_numpy, last = _losses(loss, (batch_size, outputs), random)
            return Case(
                title, in_jax(model.apply), params, (x, targets),
                lambda params, x, t: in_numpy(plain(params, x), t),
                lambda params, x, t: _by_layers(make(params), last(), params, x, t),
            )  # fmt: skip

        return build

    def loss_alone(name: str) -> Callable[[], Case]:
        def build() -> Case:
            random = np.random.default_rng(seed)
            function = getattr(nn, name)
            shape = (batch_size, 10) if name == "softmax_cross_entropy" else (batch_size, 1)
            x = random.normal(size=shape)
            x = 1 / (1 + np.exp(-x)) if name == "binary_cross_entropy" else x
            targets, _, plain, last = _losses(name, shape, random)
            column = targets[:, None] if targets.ndim == 1 and name != "softmax_cross_entropy" else targets
            layered = None if last is None else lambda x, t: _of_loss(last(), x, t if t.ndim == 1 else targets)
            return Case(f"nn.{name}", lambda x, t: function(x, t).mean(), x, (column,), plain, layered)

        return build

    image, cross_entropy = (28, 28, 1), "softmax_cross_entropy"
    small, large, wide = models.mlp((8, 16, 3)), models.mlp((784, 512, 512, 10)), models.mlp((784, 50, 10))
    binary = "sigmoid_binary_cross_entropy"
    return {
        "xor": network("XOR 2-2-1, binary cross-entropy", models.xor_net(), (2,), binary, _xor, _plain_xor),
        "mnist": network("MLP 784-50-10, softmax cross-entropy", wide, image, cross_entropy, _mlp, _plain_mlp),
        "fashion_mnist": network(
            "MLP 784-512-512-10, softmax cross-entropy", large, image, cross_entropy, _mlp, _plain_mlp
        ),
        "lenet": network("LeNet, softmax cross-entropy", models.lenet(), image, cross_entropy, _lenet, _plain_lenet),
        "regression": network("MLP 8-16-3, mean squared error", small, (8,), "squared_error", _mlp, _plain_mlp),
        **{name: loss_alone(name) for name in (cross_entropy, binary, "binary_cross_entropy", "squared_error")},
    }


def _drawn(model: Model, random: Random) -> Params:
    """Parameters as the model draws them in size, U(±1/√fan_in), from NumPy: in float64, without a compilation."""
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    drawn = {}
    for name, layer in shapes.items():
        bound = 1 / np.sqrt(np.prod(layer["w"].shape[:-1]))
        drawn[name] = {key: random.uniform(-bound, bound, layer[key].shape) for key in ("w", "b")}
    return drawn


def _losses(name: str, shape: tuple[int, ...], random: Random) -> tuple[Any, Any, Any, Any]:
    """Returns targets, the loss of a model in JAX, the loss of predictions in NumPy, and as a layer."""
    binary = random.integers(0, 2, shape[0])
    return {
        "softmax_cross_entropy": (
            random.integers(0, shape[1], shape[0]), nn.classification_loss, _cross_entropy, SoftmaxWithLoss,
        ),
        "sigmoid_binary_cross_entropy": (binary, nn.binary_cross_entropy_loss, _of_logits, BinaryCrossEntropy),
        "binary_cross_entropy": (binary, None, _of_probabilities, None),
        "squared_error": (random.normal(size=shape), nn.mean_squared_error_loss, _mean_square, MeanSquaredError),
    }[name]  # fmt: skip


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return -np.sum(np.eye(logits.shape[1])[labels] * log_softmax(logits)) / len(labels)


def _of_logits(logits: Any, labels: Any) -> Any:
    z, t = logits[:, 0], np.reshape(labels, -1)
    return np.mean(np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z))))


def _of_probabilities(p: Any, labels: Any) -> Any:
    return -np.mean(labels * np.log(p) + (1 - labels) * np.log1p(-p))


def _mean_square(y: Any, targets: Any) -> Any:
    return np.mean((y - targets) ** 2)


def _by_layers(layers: Mapping[str, Layer], last: Any, params: Params, x: Any, t: Any) -> Params:
    found = Sequential(layers, last).gradient(x, t)
    return {name: {key: found[f"{key}{i}"] for key in ("w", "b")} for i, name in enumerate(params, 1)}


def _of_loss(last: Any, x: Any, t: Any) -> Any:
    last.forward(x, t)
    return last.backward(1.0)


def _mlp(params: Params) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    for name, layer in params.items():
        layers[name] = Affine(layer["w"], layer["b"])
        layers[f"relu after {name}"] = Relu()
    layers.popitem()
    return layers


def _plain_mlp(params: Params, x: Any) -> Any:
    *hidden, last = params
    x = x.reshape(len(x), -1)
    for name in hidden:
        x = relu(x @ params[name]["w"] + params[name]["b"])
    return x @ params[last]["w"] + params[last]["b"]


def _xor(params: Params) -> dict[str, Layer]:
    first, second = (Affine(layer["w"], layer["b"]) for layer in params.values())
    return {"hidden": first, "sigmoid": Sigmoid(), "output": second}


def _plain_xor(params: Params, x: Any) -> Any:
    hidden = sigmoid(x @ params["hidden"]["w"] + params["hidden"]["b"])
    return hidden @ params["output"]["w"] + params["output"]["b"]


class Border(Layer):
    """Zeros around each image: 28 × 28 pixels become 32 × 32."""

    width = ((0, 0), (2, 2), (2, 2), (0, 0))

    def forward(self, x: Any) -> Any:
        """Returns the larger images."""
        self.out = np.pad(x, self.width)
        return self.out

    def backward(self, dout: Any) -> Any:
        """Returns what lies within the border."""
        return dout[:, 2:-2, 2:-2]


def _lenet(params: Params) -> dict[str, Layer]:
    layers: dict[str, Layer] = {"border": Border()}
    for name in ("conv1", "conv2"):
        layers[name] = Convolution(params[name]["w"], params[name]["b"])
        layers[f"relu after {name}"] = Relu()
        layers[f"pooling after {name}"] = Pooling(2, 2)
    return layers | _mlp({name: params[name] for name in ("dense1", "dense2", "dense3")})


def _plain_lenet(params: Params, x: Any) -> Any:
    x = np.pad(x, Border.width)
    for name in ("conv1", "conv2"):
        layer = Convolution(None, None)
        x = relu(primitive("conv_general_dilated", x, params[name]["w"], **layer.settings) + params[name]["b"])
        height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
        rows = np.maximum(x[:, :height:2], x[:, 1:height:2])
        x = np.maximum(rows[:, :, :width:2], rows[:, :, 1:width:2])
    return _plain_mlp({name: params[name] for name in ("dense1", "dense2", "dense3")}, x)


NAMES = tuple(cases(1, 0))
