"""The layer that most parameters are in."""

import math
from typing import Any

import numpy as np

from functional_nets.backprop.layers.layer import Layer, pull_back


class Affine(Layer):
    """x·w + b for each row of `x`; what is no row yet, such as an image, is laid out as one.

    Args:
        w: Weights [inputs, outputs].
        b: Biases [outputs].
    """

    parameters = ("w", "b")
    _rows_times_columns = {"dimension_numbers": (((1,), (0,)), ((), ()))}  # noqa: RUF012

    def __init__(self, w: Any, b: Any) -> None:
        self.w, self.b = w, b
        self.dw: Any = None
        self.db: Any = None

    def forward(self, x: Any) -> Any:
        """Return [batch, outputs], or [outputs] for a vector."""
        self.shape = x.shape
        self.rows = x.reshape((1, -1) if x.ndim == 1 else (len(x), math.prod(x.shape[1:])))
        if self.rows.shape[1] != len(self.w):
            raise ValueError(
                f"Affine.forward: expected rows of {len(self.w)} numbers for w of shape {np.shape(self.w)}, "
                f"found {self.rows.shape[1]} in x of shape {x.shape}."
            )
        self.product = self.rows @ self.w
        self.sum = self.product + self.b
        self.out = self.sum if x.ndim > 1 else self.sum[0]
        return self.out

    def backward(self, dout: Any) -> Any:
        """Return the gradient of `x`, in its shape; keep those of `w` and `b` in `dw` and `db`."""
        dsum = np.reshape(self.upstream(dout), self.sum.shape)
        dproduct, self.db = pull_back("add", dsum, self.sum, (self.product, self.b))
        dx, self.dw = pull_back("dot_general", dproduct, self.product, (self.rows, self.w), self._rows_times_columns)
        return np.reshape(dx, self.shape)
