"""Sums of products: a product is linear in each operand, and its transpose is another sum of products."""

from typing import Any

from functional_nets.backprop.convolution import Convolution
from functional_nets.backprop.linear import Labels, contract
from functional_nets.backprop.rules.table import rule


def dot_labels(dimension_numbers: Any, a_ndim: int, b_ndim: int) -> tuple[Labels, Labels, Labels]:
    """Name the axes of `dot_general`; its result has the batch first, then what is left of each operand."""
    (a_summed, b_summed), (a_batch, b_batch) = dimension_numbers
    of_a = list(range(a_ndim))
    of_b = list(range(a_ndim, a_ndim + b_ndim))
    for i, j in zip((*a_summed, *a_batch), (*b_summed, *b_batch), strict=True):
        of_b[j] = of_a[i]
    gone = {*a_summed, *a_batch}
    return of_a, of_b, [*a_batch, *(l for l in of_a if l not in gone), *(l for l in of_b if l >= a_ndim)]


def dot_general(g: Any, y: Any, a: Any, b: Any, *, dimension_numbers: Any) -> tuple[Any, Any]:
    """Return for each operand the cotangent, times the other operand."""
    of_a, of_b, of_y = dot_labels(dimension_numbers, a.ndim, b.ndim)
    return contract(g, b, labels=(of_y, of_b, of_a)), contract(a, g, labels=(of_a, of_y, of_b))


def conv_general_dilated(
    g: Any,
    y: Any,
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
) -> tuple[Any, Any]:
    """Add the gradient of the windows back to the image; for the kernel, windows times cotangent."""
    conv = Convolution(
        x.shape, w.shape, window_strides, padding, lhs_dilation, rhs_dilation,
        dimension_numbers, feature_group_count, batch_group_count,
    )  # fmt: skip
    patches, kernel, outputs = conv.labels
    g = conv.split_outputs(g)
    to_patches = contract(g, conv.kernel(w), labels=(outputs, kernel, patches))
    to_kernel = contract(conv.patches(x), g, labels=(patches, outputs, kernel))
    return conv.unpatch(to_patches), conv.unkernel(to_kernel)


# fmt: off
rule("dot_general",          dot_general)
rule("conv_general_dilated", conv_general_dilated)
# fmt: on
