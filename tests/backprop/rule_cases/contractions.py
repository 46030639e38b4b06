"""Cases of matrix products and convolutions."""

from jax import lax

from tests.backprop.rule_cases.case import Case, normal


def dot(a, b, summed, batch=((), ())):
    return Case(
        "dot_general",
        normal(*a),
        normal(*b, seed=1),
        label=f"{summed} {batch}",
        function=lambda a, b: lax.dot_general(a, b, (summed, batch)),
    )


def conv(x, w, strides=(1, 1), padding="VALID", label="", **options):
    options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), **options}
    return Case(
        "conv_general_dilated",
        normal(*x),
        normal(*w, seed=1),
        label=f"{label}{strides} {padding} {options}",
        function=lambda x, w: lax.conv_general_dilated(x, w, strides, padding, **options),
    )


CASES = [
    dot((3, 4), (4, 2), ((1,), (0,))),
    dot((4, 3), (2, 4), ((0,), (1,))),
    dot((4,), (4,), ((0,), (0,))),
    dot((3, 4), (2, 5), ((), ())),
    dot((), (2, 3), ((), ())),
    dot((3, 4, 5), (5, 4, 2), ((1, 2), (1, 0))),
    dot((3, 4, 5), (5, 3, 4), ((0, 1, 2), (1, 2, 0))),
    dot((2, 3, 4), (2, 4, 5), ((2,), (1,)), ((0,), (0,))),
    dot((4, 2, 3, 6), (3, 5, 6, 2), ((3,), (2,)), ((1, 2), (3, 0))),
    dot((2, 3), (3, 2), ((), ()), ((0, 1), (1, 0))),
    dot((3, 0), (0, 2), ((1,), (0,))),
    dot((0, 3), (3, 2), ((1,), (0,))),
    dot((1, 1), (1, 1), ((1,), (0,))),
    conv((2, 6, 5, 3), (3, 2, 3, 4)),
    conv((2, 6, 5, 3), (3, 2, 3, 4), (2, 1), "SAME"),
    conv((2, 7, 6, 3), (3, 2, 3, 4), (2, 3), ((1, 2), (0, 1))),
    conv((2, 7, 6, 3), (3, 2, 3, 4), (1, 2), ((-1, 2), (1, -2))),
    conv((2, 8, 7, 2), (3, 2, 2, 3), (1, 2), ((2, 1), (0, 0)), rhs_dilation=(2, 3)),
    conv((2, 4, 3, 2), (3, 2, 2, 3), (1, 2), ((2, 2), (1, 0)), lhs_dilation=(2, 3)),
    conv((2, 4, 3, 2), (3, 2, 2, 3), (2, 1), ((1, -1), (1, 3)), lhs_dilation=(3, 2), rhs_dilation=(2, 2)),
    conv((2, 6, 5, 6), (3, 2, 2, 9), feature_group_count=3),
    conv((2, 6, 5, 4), (3, 2, 1, 8), (2, 2), "SAME", feature_group_count=4),
    conv((6, 6, 5, 2), (3, 2, 2, 9), batch_group_count=3),
    conv((2, 3, 6, 5), (4, 3, 3, 2), dimension_numbers=("NCHW", "OIHW", "NCHW")),
    conv((5, 2, 3, 6), (3, 3, 4, 2), dimension_numbers=("WNCH", "HIOW", "CWNH")),
    conv((2, 7, 3), (3, 3, 4), (2,), "SAME", dimension_numbers=("NHC", "HIO", "NHC")),
    conv((2, 3, 4, 5, 2), (2, 2, 3, 2, 3), (1, 2, 1), "SAME", dimension_numbers=("NDHWC", "DHWIO", "NDHWC")),
    conv((2, 3), (3, 4), (), (), dimension_numbers=("NC", "IO", "NC")),
    conv((2, 1, 1, 1), (1, 1, 1, 1)),
    conv((0, 4, 4, 2), (2, 2, 2, 3)),
    conv((2, 2, 2, 2), (3, 3, 2, 3), label="no room "),
    conv((2, 2, 4, 2), (3, 3, 2, 3), (2, 2), label="no room "),
    conv((2, 0, 4, 2), (3, 3, 2, 3), (2, 1), ((2, 2), (0, 1)), lhs_dilation=(3, 1)),
]
