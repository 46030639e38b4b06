"""Convolution and pooling of images, laid out as the models here have them: [batch, height, width, channels].

The book's order is [batch, channels, height, width]: `x.transpose(0, 2, 3, 1)` brings its images here, and
`w.transpose(2, 3, 1, 0)` its filters.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.layers.layer import Layer, floats, pull_back
from functional_nets.backprop.tape import primitive


class Layout(NamedTuple):
    """Which axes of image, kernel and result are batch and channels, then height and width."""

    lhs_spec: tuple[int, ...] = (0, 3, 1, 2)
    rhs_spec: tuple[int, ...] = (3, 2, 0, 1)
    out_spec: tuple[int, ...] = (0, 3, 1, 2)


class Convolution(Layer):
    """The kernel slides over the images, without being flipped: a cross-correlation, plus a bias.

    Args:
        w: Kernel [height, width, channels, filters].
        b: Bias [filters].
        stride: How far the kernel moves.
        pad: How many zeros surround each image.
    """

    parameters = ("w", "b")

    def __init__(self, w: Any, b: Any, stride: int = 1, pad: int = 0) -> None:
        self.w, self.b = w, b
        self.dw: Any = None
        self.db: Any = None
        self.settings: dict[str, Any] = {
            "window_strides": (stride, stride),
            "padding": ((pad, pad), (pad, pad)),
            "lhs_dilation": (1, 1),
            "rhs_dilation": (1, 1),
            "dimension_numbers": Layout(),
            "feature_group_count": 1,
            "batch_group_count": 1,
        }

    def forward(self, x: Any) -> Any:
        """Return [batch, (height + 2 pad - kernel) // stride + 1, …, filters]."""
        check_images("Convolution", x)
        if x.shape[3] != np.shape(self.w)[2]:
            raise ValueError(
                f"Convolution.forward: expected {np.shape(self.w)[2]} channels last for w of shape "
                f"{np.shape(self.w)}, found x of shape {x.shape}."
            )
        self.x = floats(x)
        self.product = primitive("conv_general_dilated", self.x, self.w, **self.settings)
        self.out = self.product + self.b
        return self.out

    def backward(self, dout: Any) -> Any:
        """Return the gradient of `x`; keep those of `w` and `b` in `dw` and `db`."""
        dproduct, self.db = pull_back("add", self.upstream(dout), self.out, (self.product, self.b))
        dx, self.dw = pull_back("conv_general_dilated", dproduct, self.product, (self.x, self.w), self.settings)
        return dx


class Pooling(Layer):
    """The largest value, or the mean, of each window of the images.

    Of several elements that are the largest the first gets the gradient.

    Args:
        height: Of a window.
        width: Of a window.
        stride: How far the window moves; by itself if left out.
        pad: How many zeros, or for the largest value how much of nothing, surround each image.
        kind: "max" or "mean".
    """

    def __init__(
        self,
        height: int,
        width: int,
        stride: int | tuple[int, int] | None = None,
        pad: int = 0,
        kind: str = "max",
    ) -> None:
        if kind not in ("max", "mean"):
            raise ValueError(f"Pooling: expected kind 'max' or 'mean', found {kind!r}.")
        down, right = (height, width) if stride is None else (stride, stride) if isinstance(stride, int) else stride
        self.primitive = "reduce_window_max" if kind == "max" else "reduce_window_sum"
        self.divisor = 1 if kind == "max" else height * width
        self.settings: dict[str, Any] = {
            "window_dimensions": (1, height, width, 1),
            "window_strides": (1, down, right, 1),
            "padding": ((0, 0), (pad, pad), (pad, pad), (0, 0)),
            "base_dilation": (1, 1, 1, 1),
            "window_dilation": (1, 1, 1, 1),
        }

    def forward(self, x: Any) -> Any:
        """Return [batch, (height + 2 pad - window) // stride + 1, …, channels]."""
        check_images("Pooling", x)
        self.x = floats(x)
        self.pooled = primitive(self.primitive, self.x, **self.settings)
        self.out = self.pooled / self.divisor
        return self.out

    def backward(self, dout: Any) -> Any:
        """Return the gradient of `x`."""
        dpooled, _ = pull_back("div", self.upstream(dout), self.out, (self.pooled, float(self.divisor)))
        return pull_back(self.primitive, dpooled, self.pooled, (self.x,), self.settings)[0]


def check_images(layer: str, x: Any) -> None:
    """Raise an error unless `x` has the four axes of a batch of images."""
    if np.ndim(x) != 4 or not math.prod(np.shape(x)[1:]):
        raise ValueError(f"{layer}.forward: expected [batch, height, width, channels], found shape {np.shape(x)}.")
