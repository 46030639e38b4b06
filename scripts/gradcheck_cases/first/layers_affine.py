"""Affine layers in the book's style with a wrong backward."""

# Methods are the book's.

import numpy as np

from ..objects import layer


def matrix(rng):
    """A batch of four, three features."""
    return (rng.normal(size=(4, 3)),)


def square(rng):
    """Weights 3 × 3 and a bias."""
    return rng.normal(size=(3, 3)), rng.normal(size=3)


@layer("wrong_reduction", "wrong_shape", inputs=matrix, init=square)
class AffineWithoutBiasSum:
    """The bias gradient keeps the batch."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        self.dw = np.dot(self.x.T, dout)
        self.db = dout
        return np.dot(dout, self.w.T)


@layer("transposed", inputs=matrix, init=square)
class AffineNotTransposed:
    """`dx = dout w` fits, since w is square."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        self.dw = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.w)


@layer("transposed", inputs=matrix, init=square)
class AffineWeightGradientTransposed:
    """`dw = doutᵀ x`."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        self.dw = np.dot(dout.T, self.x)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.w.T)


@layer("accumulated", inputs=matrix, init=square)
class AffineNeverCleared:
    """`dw +=` and nobody sets it back to zero."""

    def __init__(self, w, b):
        self.w, self.b = w, b
        self.dw, self.db = np.zeros_like(w), np.zeros_like(b)

    def forward(self, x):
        self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        self.dw += np.dot(self.x.T, dout)
        self.db += np.sum(dout, axis=0)
        return np.dot(dout, self.w.T)


@layer(
    "stale",
    inputs=matrix,
    init=square,
    blame=("forward", "backward"),
    before=lambda subject, rng: subject.forward(rng.normal(size=(4, 3))),
)
class AffineKeepsTheFirstBatch:
    """The cache is filled once; this layer has seen a batch before."""

    def __init__(self, w, b):
        self.w, self.b, self.x = w, b, None

    def forward(self, x):
        if self.x is None:
            self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        self.dw = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.w.T)


@layer("scale", "wrong_reduction", inputs=matrix, init=square)
class AffineAverages:
    """Divides by the batch size, which the loss does already."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        batch_size = self.x.shape[0]
        self.dw = np.dot(self.x.T, dout) / batch_size
        self.db = np.sum(dout, axis=0) / batch_size
        return np.dot(dout, self.w.T)


@layer(
    "wrong_shape",
    inputs=lambda rng: (rng.normal(size=(4, 1, 3, 2)),),
    init=lambda rng: (rng.normal(size=(6, 2)), rng.normal(size=2)),
)
class AffineLeavesImagesFlat:
    """Flattens images in forward, and does not reshape the gradient back."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.x = x.reshape(x.shape[0], -1)
        return np.dot(self.x, self.w) + self.b

    def backward(self, dout):
        self.dw = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.w.T)
