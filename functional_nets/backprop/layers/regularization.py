"""Layers that behave in training otherwise than afterwards: `train` says which."""

from typing import Any

import numpy as np

from functional_nets.backprop.layers.layer import Layer, Recorded, pull_back
from functional_nets.backprop.tape.dispatch import plain


class Dropout(Layer):
    """Sets elements to 0 at random in training, and scales the others up, so that the mean stays.

    Args:
        ratio: The share that is dropped, at least 0 and less than 1.
        rng: Where the mask comes from.
    """

    def __init__(self, ratio: float, rng: np.random.Generator) -> None:
        if not 0 <= ratio < 1:
            raise ValueError(f"Dropout: expected 0 <= ratio < 1, found {ratio}.")
        self.ratio, self.rng = ratio, rng

    def forward(self, x: Any) -> Any:
        """Return `x` with a new mask, or `x` itself after training."""
        kept = self.rng.random(x.shape) >= self.ratio if self.train else np.ones(x.shape, bool)
        self.x, self.scale = x, kept / ((1 - self.ratio) if self.train else 1.0)
        self.out = x * self.scale
        return self.out

    def backward(self, dout: Any) -> Any:
        """Return the gradient of `x` under the same mask."""
        return pull_back("mul", self.upstream(dout), self.out, (self.x, self.scale))[0]


class BatchNorm(Recorded):
    """Shifts and scales each feature to mean 0 and variance 1 over the batch, then by `gamma` and `beta`.

    The features are in the last axis; of images, every pixel counts as an example.

    Args:
        gamma: Scales [features].
        beta: Shifts [features].
        momentum: What the running statistics keep of themselves in each step.
        running_mean: To start from, 0 if left out.
        running_var: To start from, 1 if left out.
        epsilon: Added to the variance.
    """

    parameters = ("gamma", "beta")

    def __init__(
        self, gamma: Any, beta: Any, momentum: float = 0.9, running_mean: Any = None, running_var: Any = None,
        epsilon: float = 1e-5,
    ) -> None:  # fmt: skip
        self.gamma, self.beta, self.momentum, self.epsilon = gamma, beta, momentum, epsilon
        self.dgamma: Any = None
        self.dbeta: Any = None
        self.running_mean = np.zeros(np.shape(gamma)) if running_mean is None else running_mean
        self.running_var = np.ones(np.shape(gamma)) if running_var is None else running_var

    def forward(self, x: Any) -> Any:  # type: ignore[override]
        """Return the normalised batch: by its own statistics in training, by the running ones afterwards."""
        if not self.train:
            self.mean, self.var = self.running_mean, self.running_var
        out = super().forward(x)
        if self.train:
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * plain(self.mean)
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * plain(self.var)
        return out

    def formula(self, x: Any, gamma: Any, beta: Any) -> Any:  # type: ignore[override]
        """Gamma times (x - mean) / √(variance + ε), plus beta."""
        if self.train:
            axes = tuple(range(x.ndim - 1))
            self.mean, self.var = np.mean(x, axes), np.var(x, axes)
        return gamma * ((x - self.mean) / np.sqrt(self.var + self.epsilon)) + beta
