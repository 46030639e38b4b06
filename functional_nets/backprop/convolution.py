"""A convolution as one sum of products: the windows of the image, times the kernel."""

import math
from typing import Any, NamedTuple

import numpy as np

from functional_nets.backprop.linear import Labels, Padding, fold, pad, padded, unpad, window_positions, windows


class Convolution(NamedTuple):
    """The layout of one `conv_general_dilated`, and how image, kernel and result are brought into it.

    `labels` names the axes. There are groups of the batch, of the features, or neither; positions are those
    of a window in the image, taps those within a window. `unpatch` and `unkernel` are the transposes of
    `patches` and `kernel`.
    """

    image_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]
    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    dimension_numbers: Any
    feature_group_count: int
    batch_group_count: int

    @property
    def labels(self) -> tuple[Labels, Labels, Labels]:
        """Name the axes of patches, kernel and result."""
        n = len(self.window_strides)
        positions, taps = [f"position {i}" for i in range(n)], [f"tap {i}" for i in range(n)]
        return (
            ["batch group", "example", "group", "in", *positions, *taps],
            ["batch group", "group", "out", "in", *taps],
            ["example", "batch group", "group", "out", *positions],
        )

    @property
    def _groups(self) -> tuple[int, int]:
        return self.batch_group_count, self.feature_group_count

    @property
    def _image(self) -> tuple[int, ...]:
        return tuple(self.image_shape[axis] for axis in self.dimension_numbers.lhs_spec)

    @property
    def _kernel(self) -> tuple[int, ...]:
        return tuple(self.kernel_shape[axis] for axis in self.dimension_numbers.rhs_spec)

    @property
    def _padding(self) -> Padding:
        sides = zip(self.padding, self.lhs_dilation, strict=True)
        return [(0, 0, 0), (0, 0, 0), *((low, high, dilation - 1) for (low, high), dilation in sides)]

    @property
    def _padded(self) -> tuple[int, ...]:
        """The padded image, its batch and its features split into groups."""
        batch_groups, groups = self._groups
        batch, features = self._image[:2]
        (_, _, *space), _, _ = padded(self._image, self._padding)
        return (batch_groups, batch // batch_groups, groups, features // groups, *space)

    def patches(self, x: Any) -> Any:
        """Return the windows of the image `x`."""
        image = pad(np.transpose(x, self.dimension_numbers.lhs_spec), self._padding)
        return windows(
            np.reshape(image, self._padded),
            size=self._kernel[2:], strides=self.window_strides, dilation=self.rhs_dilation,
        )  # fmt: skip

    def unpatch(self, patches: Any) -> Any:
        """Add windows back to an image."""
        image = fold(patches, shape=self._padded, strides=self.window_strides, dilation=self.rhs_dilation)
        image = np.reshape(image, (*self._image[:2], *self._padded[4:]))
        return np.transpose(unpad(image, self._padding, self._image), np.argsort(self.dimension_numbers.lhs_spec))

    def kernel(self, w: Any) -> Any:
        """Return the kernel `w` with its output features split into groups."""
        out, into, *taps = self._kernel
        shape = (*self._groups, out // math.prod(self._groups), into, *taps)
        return np.reshape(np.transpose(w, self.dimension_numbers.rhs_spec), shape)

    def unkernel(self, kernel: Any) -> Any:
        """Join the groups of a kernel."""
        return np.transpose(np.reshape(kernel, self._kernel), np.argsort(self.dimension_numbers.rhs_spec))

    @property
    def _outputs(self) -> tuple[int, ...]:
        positions = window_positions(self._padded[4:], self._kernel[2:], self.window_strides, self.rhs_dilation)
        out = self._kernel[0] // math.prod(self._groups)
        return (self._padded[1], *self._groups, out, *positions)

    def split_outputs(self, y: Any) -> Any:
        """Return a result in its own layout with the features split into groups."""
        return np.reshape(np.transpose(y, self.dimension_numbers.out_spec), self._outputs)

    def join_outputs(self, y: Any) -> Any:
        """Return a result with the groups joined, in its own layout."""
        examples, batch_groups, groups, out, *positions = self._outputs
        joined = np.reshape(y, (examples, batch_groups * groups * out, *positions))
        return np.transpose(joined, np.argsort(self.dimension_numbers.out_spec))
