"""Right layer objects with parameters: affine, normalisation, dropout, convolution, pooling, embedding."""

# Methods are the book's.

import numpy as np

from ..objects import layer
from .layers_losses import col2im, filters, im2col, images, norm_parameters


def matrix(rng):
    """A batch of four, three features."""
    return (rng.normal(size=(4, 3)),)


class _Affine:
    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        self.shape = x.shape
        self.x = x.reshape(x.shape[0], -1)
        return np.dot(self.x, self.w) + self.b

    def backward(self, dout):
        self.dw = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.w.T).reshape(self.shape)


@layer(inputs=matrix, init=lambda rng: (rng.normal(size=(3, 2)), rng.normal(size=2)))
class Affine(_Affine):
    """The book's."""


@layer(inputs=matrix, init=lambda rng: (rng.normal(size=(3, 3)), rng.normal(size=3)))
class AffineSquare(_Affine):
    """A square matrix."""


@layer(
    inputs=lambda rng: (rng.normal(size=(4, 1, 3, 2)),),
    init=lambda rng: (rng.normal(size=(6, 2)), rng.normal(size=2)),
)
class AffineOfImages(_Affine):
    """The gradient has the images' shape."""


@layer(inputs=lambda rng: (rng.normal(size=(1, 3)),), init=lambda rng: (rng.normal(size=(3, 2)), np.zeros(2)))
class AffineOfOne(_Affine):
    """One example."""


@layer(inputs=lambda rng: (np.zeros((4, 3)),), init=lambda rng: (rng.normal(size=(3, 2)), rng.normal(size=2)))
class AffineOfZeros(_Affine):
    """All inputs are zero, and the weight's gradient with them."""


@layer(
    inputs=lambda rng: (rng.normal(size=(4, 3)).astype(np.float32),),
    init=lambda rng: (rng.normal(size=(3, 2)).astype(np.float32), rng.normal(size=2).astype(np.float32)),
)
class AffineInSinglePrecision(_Affine):
    """float32 throughout."""


@layer(inputs=matrix, init=lambda rng: (rng.normal(size=(3, 2)), rng.normal(size=2)))
class AffineInPlace:
    """Writes into gradients that are kept, without adding."""

    def __init__(self, w, b):
        self.w, self.b = w, b
        self.dw, self.db = np.zeros_like(w), np.zeros_like(b)

    def forward(self, x):
        self.x = x
        return np.dot(x, self.w) + self.b

    def backward(self, dout):
        self.dw[...] = np.dot(self.x.T, dout)
        self.db[...] = np.sum(dout, axis=0)
        return np.dot(dout, self.w.T)


@layer(inputs=matrix, init=lambda rng: (rng.uniform(size=(4, 3)) > 0.4,))
class Dropout:
    """Inverted, the mask given."""

    def __init__(self, mask):
        self.mask = mask / 0.6

    def forward(self, x):
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


@layer(inputs=matrix)
class DropoutOfTheBook:
    """The mask is drawn in forward and kept for backward."""

    def __init__(self):
        self.rng = np.random.default_rng(5)

    def forward(self, x):
        self.mask = self.rng.uniform(size=x.shape) > 0.5
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


@layer(inputs=lambda rng: (rng.normal(size=(5, 3)),), init=norm_parameters)
class BatchNormalization:
    """The book's backward."""

    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta

    def forward(self, x):
        self.xc = x - x.mean(axis=0)
        self.std = np.sqrt(np.mean(self.xc**2, axis=0) + 1e-6)
        self.xn = self.xc / self.std
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum((dxn * self.xc) / (self.std * self.std), axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += (2.0 / len(dout)) * self.xc * dvar
        dmu = np.sum(dxc, axis=0)
        return dxc - dmu / len(dout)


@layer(inputs=lambda rng: (rng.normal(size=(5, 4)),))
class LayerNormalization:
    """No parameters, over features."""

    def forward(self, x):
        self.std = np.sqrt(x.var(axis=1, keepdims=True) + 1e-6)
        self.xn = (x - x.mean(axis=1, keepdims=True)) / self.std
        return self.xn

    def backward(self, dout):
        share = np.mean(dout * self.xn, axis=1, keepdims=True)
        return (dout - dout.mean(axis=1, keepdims=True) - self.xn * share) / self.std


@layer(inputs=images, init=filters)
class Convolution:
    """The book's, by im2col."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        n, _, h, w = x.shape
        self.x, self.col = x, im2col(x, 2)
        out = self.col @ self.w.reshape(len(self.w), -1).T + self.b
        return out.reshape(n, h - 1, w - 1, -1).transpose(0, 3, 1, 2)

    def backward(self, dout):
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, len(self.w))
        self.db = np.sum(dout, axis=0)
        self.dw = np.dot(self.col.T, dout).transpose(1, 0).reshape(self.w.shape)
        return col2im(dout @ self.w.reshape(len(self.w), -1), self.x.shape, 2)


@layer(inputs=images)
class MaxPooling:
    """To the largest of four."""

    def forward(self, x):
        n, c, h, w = x.shape
        self.shape = x.shape
        tiles = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
        self.arg_max = tiles.argmax(axis=-1)
        return tiles.max(axis=-1)

    def backward(self, dout):
        n, c, h, w = self.shape
        tiles = np.zeros((*dout.shape, 4))
        np.put_along_axis(tiles, self.arg_max[..., None], dout[..., None], axis=-1)
        tiles = tiles.reshape(n, c, h // 2, w // 2, 2, 2)
        return tiles.transpose(0, 1, 2, 4, 3, 5).reshape(self.shape)


@layer(inputs=lambda rng: (rng.integers(0, 3, size=(2, 1, 4, 4)).astype(float),))
class MaxPoolingWithTies(MaxPooling):
    """To the first of equals."""


@layer(inputs=images)
class AveragePooling:
    """A quarter to each."""

    def forward(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))

    def backward(self, dout):
        return dout.repeat(2, axis=2).repeat(2, axis=3) / 4


@layer(inputs=lambda rng: (np.array([0, 2, 0, 3]),), init=lambda rng: (rng.normal(size=(5, 3)),))
class Embedding:
    """Rows used twice add up."""

    def __init__(self, w):
        self.w = w

    def forward(self, idx):
        self.idx = idx
        return self.w[idx]

    def backward(self, dout):
        self.dw = np.zeros_like(self.w)
        np.add.at(self.dw, self.idx, dout)
