"""The values of matrix products and convolutions."""

from typing import Any

from functional_nets.backprop.convolution import Convolution
from functional_nets.backprop.linear import contract
from functional_nets.backprop.rules.contractions import dot_labels
from functional_nets.backprop.values.table import value


def dot_general(a: Any, b: Any, *, dimension_numbers: Any) -> Any:
    """Return the sum of products over the axes that are summed."""
    return contract(a, b, labels=dot_labels(dimension_numbers, a.ndim, b.ndim))


def conv_general_dilated(
    x: Any,
    w: Any,
    *,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any,
    rhs_dilation: Any,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
) -> Any:
    """Return the windows of the image times the kernel, which is not flipped."""
    conv = Convolution(
        x.shape, w.shape, window_strides, padding, lhs_dilation, rhs_dilation,
        dimension_numbers, feature_group_count, batch_group_count,
    )  # fmt: skip
    return conv.join_outputs(contract(conv.patches(x), conv.kernel(w), labels=conv.labels))


# fmt: off
value("dot_general",          dot_general)
value("conv_general_dilated", conv_general_dilated)
# fmt: on
