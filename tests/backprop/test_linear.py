"""Linear maps against their transposes: ⟨A x, g⟩ = ⟨x, Aᵀ g⟩."""

import numpy as np
import pytest

from functional_nets.backprop import linear
from functional_nets.backprop.convolution import Convolution

RNG = np.random.default_rng(0)


def transposed(apply, transpose, x_shape, y_shape):
    x, g = RNG.normal(size=x_shape), RNG.normal(size=y_shape)
    y = apply(x)
    back = transpose(g)
    assert y.shape == y_shape
    assert back.shape == x_shape
    assert np.vdot(y, g) == pytest.approx(np.vdot(x, back), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("index", "shape"),
    [
        ((slice(1, None), slice(None, None, 2)), (4, 2)),
        ((2,), (4,)),
        ((..., np.array([3, 0, 3])), (5, 3)),
        ((np.array([[0, 4], [4, 4]]), slice(None)), (2, 2, 4)),
        ((np.arange(20).reshape(5, 4) % 3 == 0,), (7,)),
        ((np.array([-1, 0]), np.array([-2, 1])), (2,)),
        ((slice(0, 0),), (0, 4)),
        ((np.zeros(0, int),), (0, 4)),
    ],
)
def test_take_and_scatter_add(index, shape):
    transposed(
        lambda x: linear.take(x, index=index),
        lambda g: linear.scatter_add(g, index=index, shape=(5, 4)),
        (5, 4),
        shape,
    )


@pytest.mark.parametrize(
    ("shape", "size", "strides", "dilation", "positions"),
    [
        ((3, 7), (2,), (1,), (1,), (3, 6, 2)),
        ((3, 7), (3,), (2,), (3,), (3, 1, 3)),
        ((6, 7), (2, 3), (3, 2), (2, 1), (2, 3, 2, 3)),
        ((6, 7), (7, 3), (1, 1), (1, 1), (0, 5, 7, 3)),
        ((0, 7), (3,), (2,), (1,), (0, 3, 3)),
        ((1,), (1,), (1,), (1,), (1, 1)),
    ],
)
def test_windows_and_fold(shape, size, strides, dilation, positions):
    transposed(
        lambda x: linear.windows(x, size=size, strides=strides, dilation=dilation),
        lambda g: linear.fold(g, shape=shape, strides=strides, dilation=dilation),
        shape,
        positions,
    )


def test_windows_are_those_that_a_loop_finds():
    x = np.arange(10.0)
    found = linear.windows(x, size=(3,), strides=(2,), dilation=(2,))
    assert found.tolist() == [[s, s + 2, s + 4] for s in (0, 2, 4)]


@pytest.mark.parametrize(
    ("padding", "shape"),
    [
        (((1, 2, 0), (0, 0, 0)), (8, 4)),
        (((1, 0, 2), (0, 3, 1)), (14, 10)),
        (((-2, 1, 0), (1, -3, 0)), (4, 2)),
        (((-3, -2, 1), (0, 0, 0)), (4, 4)),
        (((-9, 12, 1), (-4, 0, 0)), (12, 0)),
        (((7, -9, 0), (2, -5, 0)), (3, 1)),
    ],
)
def test_pad_and_unpad(padding, shape):
    transposed(lambda x: linear.pad(x, padding), lambda g: linear.unpad(g, padding, (5, 4)), (5, 4), shape)


@pytest.mark.parametrize(
    "formula",
    ["ij,jk->ik", "ij,kj->ki", "bij,bjk->bik", "ijb,bkj->kbi", "i,j->ij", "ij,ij->", "ab,ab->ba", "i,i->i"],
)
def test_contract_is_einsum(formula):
    operands, out = formula.split("->")
    of_a, of_b = operands.split(",")
    sizes = dict(zip("abijk", (2, 3, 4, 5, 6), strict=True))
    a, b = (RNG.normal(size=[sizes[l] for l in labels]) for labels in (of_a, of_b))
    found = linear.contract(a, b, labels=(of_a, of_b, out))
    np.testing.assert_allclose(found, np.einsum(formula, a, b), rtol=1e-13, atol=1e-13)


def test_a_complex_cotangent_is_added_whole():
    g = np.array([1 + 2j, 3 - 1j, 1j])
    out = linear.scatter_add(g, index=(np.array([1, 0, 1]),), shape=(3,))
    assert out.tolist() == [3 - 1j, 1 + 3j, 0]


class Numbers:
    """Dimension numbers as JAX has them."""

    def __init__(self, lhs_spec, rhs_spec, out_spec):
        self.lhs_spec, self.rhs_spec, self.out_spec = lhs_spec, rhs_spec, out_spec


def test_patches_and_unpatch_are_transposes():
    numbers = Numbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    conv = Convolution((2, 6, 5, 4), (3, 2, 2, 6), (2, 1), ((1, 0), (-1, 2)), (1, 2), (2, 1), numbers, 2, 1)
    patches = conv.patches(np.zeros(conv.image_shape))
    transposed(conv.patches, conv.unpatch, conv.image_shape, patches.shape)
    transposed(conv.kernel, conv.unkernel, conv.kernel_shape, conv.kernel(np.zeros(conv.kernel_shape)).shape)
