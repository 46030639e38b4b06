"""Layer objects in the book's style with a wrong forward or backward: activations and arithmetic."""

# Methods are the book's, and so is the way they end.

import numpy as np

from ..objects import layer


def matrix(rng):
    """A batch of four, three features."""
    return (rng.normal(size=(4, 3)),)


def pair(rng):
    """Two arrays of one shape."""
    return rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


@layer("mutated", inputs=matrix)
class ReluChangesDout:
    """The book's ReLU: `dx = dout` is no copy."""

    def __init__(self):
        self.mask = None

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        dx = dout
        return dx


@layer("wrong_mask", "upstream", inputs=matrix)
class ReluOfTheGradient:
    """Masks by the sign of the gradient."""

    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, dout):
        return np.where(dout > 0, dout, 0)


@layer("wrong_mask", inputs=matrix)
class ReluInverted:
    """The mask of the units that are off is used as that of those that are on."""

    def forward(self, x):
        self.mask = x <= 0
        return np.where(self.mask, 0, x)

    def backward(self, dout):
        return dout * self.mask


@layer("mutated", inputs=matrix, blame=("forward", "backward"))
class ReluChangesItsInput:
    """Forward without a copy: the caller's array is clamped."""

    def forward(self, x):
        self.mask = x <= 0
        x[self.mask] = 0
        return x

    def backward(self, dout):
        return dout * ~self.mask


@layer("wrong_derivative", inputs=matrix)
class SigmoidSlopeHalf:
    """Out instead of out · (1 − out)."""

    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * self.out


@layer("wrong_derivative", inputs=matrix)
class SigmoidSlopeOfTheInput:
    """x(1 − x): the input was kept."""

    def forward(self, x):
        self.x = x
        return 1 / (1 + np.exp(-x))

    def backward(self, dout):
        return dout * self.x * (1 - self.x)


@layer("mutated", inputs=matrix)
class SigmoidChangesItsCache:
    """The slope is computed in the cached output; a second backward finds something else there."""

    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out.copy()

    def backward(self, dout):
        self.out *= 1 - self.out
        return dout * self.out


@layer("wrong_derivative", inputs=matrix)
class TanhNotSquared:
    """1 − out."""

    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out)


@layer("wrong_operand", inputs=pair)
class MulOwnFactor:
    """Each factor's gradient has itself for a factor."""

    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dout):
        return dout * self.x, dout * self.y


@layer("upstream", inputs=pair)
class MulIgnoresDout:
    """The other factor alone; dout was 1 in the exercise with the apples."""

    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dout):
        return self.y.copy(), self.x.copy()


@layer("sign", inputs=pair)
class SubWithoutMinus:
    """Subtraction's backward copied from addition's."""

    def forward(self, x, y):
        return x - y

    def backward(self, dout):
        return dout * 1, dout * 1


@layer("upstream", inputs=matrix)
class ExpClipped:
    """Clips the gradient so that it does not explode."""

    def forward(self, x):
        self.out = np.exp(x)
        return self.out

    def backward(self, dout):
        return np.clip(dout * self.out, -0.5, 0.5)


@layer("upstream", inputs=matrix)
class SquareOfOne:
    """Forgets the chain rule."""

    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, gy):
        return 2 * self.x


@layer("wrong_shape", inputs=lambda rng: (rng.normal(size=(1, 3)),))
class RepeatLosesAnAxis:
    """The second book's Repeat: the sum of its backward lacks `keepdims`."""

    def forward(self, x):
        return np.repeat(x, 5, axis=0)

    def backward(self, dout):
        return np.sum(dout, axis=0)
