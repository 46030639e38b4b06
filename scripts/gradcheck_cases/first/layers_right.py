"""Right layer objects, in the book's style and in others: activations, losses, arithmetic."""

# Methods are the book's.

import numpy as np

from ..objects import layer
from .logistic_regression import softmax


def matrix(rng):
    """A batch of four, three features."""
    return (rng.normal(size=(4, 3)),)


def with_zeros(rng):
    """Some inputs exactly at the kink."""
    x = rng.normal(size=(4, 3))
    x[0] = 0
    return (x,)


def pair(rng):
    """Two arrays of one shape."""
    return rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


def logits_and_labels(rng):
    """A batch of four and its one-hot labels."""
    return 3 * rng.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]]


@layer(inputs=matrix)
class Relu:
    """The book's, with a copy."""

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx


@layer(inputs=with_zeros)
class ReluAtZero:
    """Chapter 4's relu_grad has slope 1 at 0: one of the slopes between both sides."""

    def forward(self, x):
        self.x = x
        return np.maximum(0, x)

    def backward(self, dout):
        grad = np.zeros(self.x.shape)
        grad[self.x >= 0] = 1
        return dout * grad


@layer(inputs=with_zeros)
class ReluAtZeroIsFlat:
    """Slope 0 at 0."""

    def forward(self, x):
        self.x = x
        return x * (x > 0)

    def backward(self, dout):
        return dout * (self.x > 0)


@layer(inputs=matrix)
class Sigmoid:
    """The book's."""

    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * (1.0 - self.out) * self.out


@layer(inputs=matrix)
class Tanh:
    """By the output."""

    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out**2)


@layer(inputs=matrix)
class LeakyRelu:
    """Slope 0.01 on the left."""

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, 0.01 * x)

    def backward(self, dout):
        return dout * np.where(self.x > 0, 1, 0.01)


@layer(inputs=matrix)
class Elu:
    """eˣ − 1 on the left."""

    def forward(self, x):
        self.out = np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)
        return self.out

    def backward(self, dout):
        return dout * np.where(self.out > 0, 1, self.out + 1)


@layer(inputs=matrix)
class Softplus:
    """log(1 + eˣ)."""

    def forward(self, x):
        self.x = x
        return np.logaddexp(0, x)

    def backward(self, dout):
        return dout / (1 + np.exp(-self.x))


@layer(inputs=matrix)
class Softmax:
    """The second book's softmax layer."""

    def forward(self, x):
        self.out = softmax(x)
        return self.out

    def backward(self, dout):
        dx = self.out * dout
        sumdx = np.sum(dx, axis=1, keepdims=True)
        dx -= self.out * sumdx
        return dx


@layer(inputs=logits_and_labels)
class SoftmaxWithLoss:
    """With dout, without a guard."""

    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        return -np.sum(t * np.log(self.y)) / t.shape[0]

    def backward(self, dout=1):
        return dout * (self.y - self.t) / self.t.shape[0]


@layer(inputs=lambda rng: (3 * rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])))
class SoftmaxWithLabels:
    """Labels as integers, as in the book's other branch."""

    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        return -np.sum(np.log(self.y[np.arange(len(t)), t])) / len(t)

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dout * dx / len(self.t)


@layer(inputs=lambda rng: (rng.normal(size=(4, 3)), rng.normal(size=(4, 3))))
class MeanSquaredError:
    """Half the squared error, averaged over examples."""

    def forward(self, y, t):
        self.y, self.t = y, t
        return 0.5 * np.sum((y - t) ** 2) / len(y)

    def backward(self, dout=1):
        return dout * (self.y - self.t) / len(self.y)


@layer(inputs=pair)
class Mul:
    """The book's apples."""

    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dout):
        return dout * self.y, dout * self.x


@layer(inputs=pair)
class Add:
    """Hands dout to both."""

    def forward(self, x, y):
        return x + y

    def backward(self, dout):
        return dout * 1, dout * 1


@layer(inputs=pair)
class Div:
    """x / y, the second one away from 0 by luck of the seed."""

    def forward(self, x, y):
        self.x, self.y = x, y
        return x / y

    def backward(self, dout):
        return dout / self.y, -dout * self.x / self.y**2


@layer(inputs=matrix)
class Exp:
    """The second book's Exp."""

    def forward(self, x):
        self.out = np.exp(x)
        return self.out

    def backward(self, gy):
        return gy * self.out


@layer(inputs=matrix)
class Square:
    """The third book's Square."""

    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, gy):
        return 2 * self.x * gy


@layer(inputs=matrix)
class Sum:
    """Over the batch, kept as a row."""

    def forward(self, x):
        self.shape = x.shape
        return np.sum(x, axis=0, keepdims=True)

    def backward(self, dout):
        return np.repeat(dout, self.shape[0], axis=0)


@layer(inputs=lambda rng: (rng.normal(size=(1, 3)),))
class Repeat:
    """The second book's Repeat node."""

    def forward(self, x):
        return np.repeat(x, 5, axis=0)

    def backward(self, dout):
        return np.sum(dout, axis=0, keepdims=True)
