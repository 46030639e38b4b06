"""Layer objects with a wrong forward or backward: losses, dropout, normalisation, convolution, pooling."""

# Methods are the book's, and so is the way they end.

import numpy as np

from ..objects import layer
from .logistic_regression import softmax


def logits_and_labels(rng):
    """A batch of four and its one-hot labels."""
    return 3 * rng.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]]


def sure_and_wrong(rng):
    """Labels that are very improbable."""
    return 12 * np.eye(3) + rng.normal(size=(3, 3)), np.eye(3)[[1, 2, 0]]


def softmax_of_all(x):
    """The notebook's: maximum and sum over the whole array."""
    c = np.max(x)
    exp_x = np.exp(x - c)
    sum_exp_x = np.sum(exp_x)
    y = exp_x / sum_exp_x
    return y


def guarded_cross_entropy(y, t):
    """The book's: a small number keeps the logarithm from −∞."""
    return -np.sum(t * np.log(y + 1e-7)) / y.shape[0]


@layer("wrong_axis", inputs=logits_and_labels, blame=("forward", softmax_of_all))
class SoftmaxOverTheBatch:
    """The notebook's SoftmaxWithLoss."""

    def forward(self, x, t):
        self.t = t
        self.y = softmax_of_all(x)
        self.loss = -np.sum(self.t * np.log(self.y)) / self.t.shape[0]
        return self.loss

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = dout * (self.y - self.t) / batch_size
        return dx


@layer("upstream", inputs=logits_and_labels)
class SoftmaxIgnoresDout:
    """The book's SoftmaxWithLoss: dout is an argument and is not used."""

    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        return -np.sum(t * np.log(self.y)) / t.shape[0]

    def backward(self, dout=1):
        return (self.y - self.t) / self.t.shape[0]


@layer("wrong_loss", inputs=sure_and_wrong, blame=("forward", "backward", guarded_cross_entropy))
class SoftmaxWithGuard:
    """The logarithm is guarded in forward only."""

    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        return guarded_cross_entropy(self.y, t)

    def backward(self, dout=1):
        return dout * (self.y - self.t) / self.t.shape[0]


@layer("scale", inputs=logits_and_labels, blame=("backward", "forward"))
class SoftmaxNotAveraged:
    """The loss is a mean, its gradient is not."""

    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        return -np.sum(t * np.log(self.y)) / t.shape[0]

    def backward(self, dout=1):
        return dout * (self.y - self.t)


@layer("wrong_derivative", "missing_term", inputs=lambda rng: (rng.normal(size=(4, 3)),))
class SoftmaxDiagonal:
    """A softmax layer with a sigmoid's slope."""

    def forward(self, x):
        self.out = softmax(x)
        return self.out

    def backward(self, dout):
        return dout * self.out * (1 - self.out)


@layer("scale", inputs=lambda rng: (rng.normal(size=(4, 3)),), init=lambda rng: (rng.uniform(size=(4, 3)) > 0.4,))
class DropoutNotRescaled:
    """Inverted dropout in forward, plain in backward."""

    def __init__(self, mask):
        self.mask = mask

    def forward(self, x):
        return x * self.mask / 0.6

    def backward(self, dout):
        return dout * self.mask


@layer("wrong_mask", inputs=lambda rng: (rng.normal(size=(4, 3)),))
class DropoutDrawsAgain:
    """A new mask in backward."""

    def __init__(self):
        self.rng = np.random.default_rng(3)

    def forward(self, x):
        self.mask = self.rng.uniform(size=x.shape) > 0.5
        return x * self.mask

    def backward(self, dout):
        return dout * (self.rng.uniform(size=dout.shape) > 0.5)


def norm_parameters(rng):
    """Scale and shift of three units."""
    return rng.uniform(0.5, 2, size=3), rng.normal(size=3)


class _BatchNormalisation:
    def __init__(self, gamma, beta):
        self.gamma, self.beta = gamma, beta

    def forward(self, x):
        self.xc = x - x.mean(axis=0)
        self.std = np.sqrt(np.mean(self.xc**2, axis=0) + 1e-6)
        self.xn = self.xc / self.std
        return self.gamma * self.xn + self.beta


@layer("missing_term", inputs=lambda rng: (rng.normal(size=(5, 3)),), init=norm_parameters)
class BatchNormConstantStatistics(_BatchNormalisation):
    """Mean and deviation treated as constants."""

    def backward(self, dout):
        self.dgamma, self.dbeta = np.sum(self.xn * dout, axis=0), dout.sum(axis=0)
        return dout * self.gamma / self.std


@layer("missing_term", inputs=lambda rng: (rng.normal(size=(5, 3)),), init=norm_parameters)
class BatchNormConstantMean(_BatchNormalisation):
    """The book's backward without its last step."""

    def backward(self, dout):
        self.dgamma, self.dbeta = np.sum(self.xn * dout, axis=0), dout.sum(axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum((dxn * self.xc) / (self.std * self.std), axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += (2.0 / len(dout)) * self.xc * dvar
        return dxc


@layer("mutated", "wrong_operand", inputs=lambda rng: (rng.normal(size=(5, 3)),), init=norm_parameters)
class BatchNormMultipliesInPlace(_BatchNormalisation):
    """`dout *= gamma` before dgamma is taken."""

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        dout *= self.gamma
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxc = dout / self.std
        dstd = -np.sum((dout * self.xc) / (self.std * self.std), axis=0)
        dxc += self.xc * dstd / self.std / len(dout)
        return dxc - dxc.mean(axis=0)


def im2col(x, size):
    """Windows of `size` × `size` as rows."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * size * size)


def col2im(col, shape, size, add=True):
    """Rows back into images, overlaps added, or not."""
    n, c, h, w = shape
    oh, ow = h - size + 1, w - size + 1
    col = col.reshape(n, oh, ow, c, size, size).transpose(0, 3, 4, 5, 1, 2)
    image = np.zeros(shape)
    for i in range(size):
        for j in range(size):
            view = image[:, :, i : i + oh, j : j + ow]
            view[...] = view + col[:, :, i, j] if add else col[:, :, i, j]
    return image


def filters(rng):
    """Two filters of 2 × 2 for two channels."""
    return rng.normal(size=(2, 2, 2, 2)), rng.normal(size=2)


class _Convolution:
    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, x):
        n, _, h, w = x.shape
        self.x, self.col = x, im2col(x, 2)
        out = self.col @ self.w.reshape(len(self.w), -1).T + self.b
        return out.reshape(n, h - 1, w - 1, -1).transpose(0, 3, 1, 2)


def images(rng):
    """Three images of 4 × 4 with two channels."""
    return (rng.normal(size=(3, 2, 4, 4)),)


@layer("permuted", "transposed", inputs=images, init=filters)
class ConvolutionWeightNotTransposed(_Convolution):
    """`colᵀ dout` is (taps, filters); reshaped without the transpose it is another order."""

    def backward(self, dout):
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, len(self.w))
        self.db = np.sum(dout, axis=0)
        self.dw = np.dot(self.col.T, dout).reshape(self.w.shape)
        return col2im(dout @ self.w.reshape(len(self.w), -1), self.x.shape, 2)


@layer("overwritten", inputs=images, init=filters, blame=("backward", col2im))
class ConvolutionOverlapsOverwritten(_Convolution):
    """`col2im` without its +=."""

    def backward(self, dout):
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, len(self.w))
        self.db = np.sum(dout, axis=0)
        self.dw = np.dot(self.col.T, dout).T.reshape(self.w.shape)
        return col2im(dout @ self.w.reshape(len(self.w), -1), self.x.shape, 2, add=False)


@layer("permuted", "transposed", inputs=images, init=filters)
class ConvolutionChannelsMixedUp(_Convolution):
    """`dout.reshape(-1, FN)` without moving the channels to the end first."""

    def backward(self, dout):
        dout = dout.reshape(-1, len(self.w))
        self.db = np.sum(dout, axis=0)
        self.dw = np.dot(self.col.T, dout).T.reshape(self.w.shape)
        return col2im(dout @ self.w.reshape(len(self.w), -1), self.x.shape, 2)


class _Pooling:
    def forward(self, x):
        self.x = x
        n, c, h, w = x.shape
        self.tiles = x.reshape(n, c, h // 2, 2, w // 2, 2)
        return self.tiles.max(axis=(3, 5))


@layer("wrong_pooling", inputs=lambda rng: (rng.integers(0, 3, size=(2, 1, 4, 4)).astype(float),))
class PoolingToAllTies(_Pooling):
    """Everyone who equals the maximum gets the whole gradient; these images have few grey levels."""

    def backward(self, dout):
        mask = self.tiles == self.tiles.max(axis=(3, 5), keepdims=True)
        return (mask * dout[:, :, :, None, :, None]).reshape(self.x.shape)


@layer("wrong_pooling", inputs=images)
class PoolingSpreads(_Pooling):
    """As for an average."""

    def backward(self, dout):
        return dout.repeat(2, axis=2).repeat(2, axis=3) / 4


@layer(
    "overwritten",
    inputs=lambda rng: (np.array([0, 2, 0, 3]),),
    init=lambda rng: (rng.normal(size=(5, 3)),),
)
class EmbeddingOverwrites:
    """The second book's first try: rows that are used twice keep their last gradient."""

    def __init__(self, w):
        self.w = w

    def forward(self, idx):
        self.idx = idx
        return self.w[idx]

    def backward(self, dout):
        self.dw = np.zeros_like(self.w)
        self.dw[self.idx] = dout
