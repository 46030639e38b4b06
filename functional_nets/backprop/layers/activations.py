"""Activation functions: each element alone."""

from typing import Any

import numpy as np

from functional_nets.backprop.layers.layer import Layer, pull_back
from functional_nets.backprop.tape import relu, sigmoid


class Relu(Layer):
    """x where it is positive, else 0. At 0 itself the slope is 0."""

    def forward(self, x: Any) -> Any:
        """Return the positive part, `x` unchanged."""
        self.x, self.out = x, relu(x)
        return self.out

    def backward(self, dout: Any) -> Any:
        """Return `dout` where `x` was positive, else 0, in an array of its own."""
        return pull_back("relu", self.upstream(dout), self.out, (self.x,))[0]


class Sigmoid(Layer):
    """1 / (1 + exp(-x)), without overflow."""

    def forward(self, x: Any) -> Any:
        """Return numbers between 0 and 1."""
        self.x, self.out = x, sigmoid(x)
        return self.out

    def backward(self, dout: Any) -> Any:
        """Return the gradient of `x`."""
        return pull_back("logistic", self.upstream(dout), self.out, (self.x,))[0]


class Tanh(Layer):
    """The hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        """Return numbers between -1 and 1."""
        self.x, self.out = x, np.tanh(x)
        return self.out

    def backward(self, dout: Any) -> Any:
        """Return the gradient of `x`."""
        return pull_back("tanh", self.upstream(dout), self.out, (self.x,))[0]
