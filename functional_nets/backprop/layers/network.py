"""Networks made of layers."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from functional_nets.backprop import numeric
from functional_nets.backprop.layers.activations import Relu
from functional_nets.backprop.layers.affine import Affine
from functional_nets.backprop.layers.layer import Layer
from functional_nets.backprop.layers.loss import SoftmaxWithLoss


class Sequential:
    """Layers one after another, and a loss.

    Args:
        layers: By name, in order.
        last_layer: The loss, `SoftmaxWithLoss` if left out.

    Attributes:
        params: What the layers learn: `w1` is the `w` of the first layer with parameters, and so on. The
            layers take their parameters from here in each forward pass.
        layers: By name, in order.
        lastLayer: The loss.
    """

    def __init__(self, layers: Mapping[str, Layer], last_layer: Any = None) -> None:
        self.layers: OrderedDict[str, Layer] = OrderedDict(layers)
        self.lastLayer = SoftmaxWithLoss() if last_layer is None else last_layer
        learning = [layer for layer in self.layers.values() if layer.parameters]
        self._places = {f"{name}{i}": (layer, name) for i, layer in enumerate(learning, 1) for name in layer.parameters}
        self.params = {key: getattr(layer, name) for key, (layer, name) in self._places.items()}

    def predict(self, x: Any, train: bool = False) -> Any:
        """Return the scores: what the last layer but the loss makes of `x`."""
        for key, (layer, name) in self._places.items():
            setattr(layer, name, self.params[key])
        for layer in self.layers.values():
            layer.train = train
            x = layer.forward(x)
        return x

    def loss(self, x: Any, t: Any) -> Any:
        """Return the loss of a batch, the layers in training."""
        return self.lastLayer.forward(self.predict(x, train=True), t)

    def accuracy(self, x: Any, t: Any) -> float:
        """Return the share of the rows whose largest score is that of the right class."""
        scores = self.predict(x)
        wanted = np.argmax(t, axis=-1) if np.ndim(t) == np.ndim(scores) else np.asarray(t)
        return float(np.mean(np.argmax(scores, axis=-1) == wanted))

    def gradient(self, x: Any, t: Any) -> dict[str, Any]:
        """Return the gradient of the loss for each parameter, by going back through the layers."""
        self.loss(x, t)
        dout = self.lastLayer.backward(1.0)
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        return {key: getattr(layer, f"d{name}") for key, (layer, name) in self._places.items()}

    def numerical_gradient(self, x: Any, t: Any) -> dict[str, Any]:
        """Return the same by central differences: slow, and independent of every `backward`."""
        given = self.params

        def loss(params: dict[str, Any]) -> Any:
            self.params = params
            return self.loss(x, t)

        try:
            return numeric.gradient(loss, given)
        finally:
            self.params = given


class TwoLayerNet(Sequential):
    """Affine, ReLU, affine, softmax: the network of notebook 002, as it was meant.

    Args:
        input_size: Length of a row of `x`.
        hidden_size: Units in the middle.
        output_size: Classes.
        weight_init_std: Standard deviation of the initial weights.
        rng: Where they come from; seeded with 0 if left out.
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, weight_init_std: float = 0.01,
        rng: np.random.Generator | None = None,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(0) if rng is None else rng
        first, second = (
            Affine(weight_init_std * rng.standard_normal((rows, columns)), np.zeros(columns))
            for rows, columns in ((input_size, hidden_size), (hidden_size, output_size))
        )
        super().__init__({"Affine1": first, "Relu1": Relu(), "Affine2": second})
