"""Bad input: an error that names the operation, what was expected and what was found."""

import math
import re

import numpy as np
import pytest

from functional_nets.backprop.tape import DoesNotFitError, Variable, backward, grad

PLAIN = np.zeros((2, 3))


@pytest.fixture
def x():
    return Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], name="x")


def add_to_plain(x):
    plain = np.zeros((2, 3))
    plain += x


DO_NOT_FIT = {
    "np.add: expected shapes that fit, found shapes (2, 3), (4,)": lambda x: x + np.zeros(4),
    "np.dot: expected shapes that fit, found shapes (2, 3), (2, 3)": lambda x: np.dot(x, x),
    "shared axes have lengths [3] on the left and [2] on the right": lambda x: x @ x,
    "shared axes have lengths [2, 3] on the left and [1, 3] on the right": lambda x: np.einsum("ij,ij->ij", x, x[:1]),
    "subscripts are lists": lambda x: np.einsum(x, [0, 1]),
    "np.reshape: expected shapes that fit, found shape (2, 3)": lambda x: x.reshape(4),
    "np.sum: expected an axis of the array, found shape (2, 3)": lambda x: x.sum(axis=2),
    "np.stack: expected shapes that fit, found shapes (2, 3), (3,)": lambda x: np.stack([x, x[0]]),
    "np.einsum: expected shapes that fit": lambda x: np.einsum("ij,jk", x, x),
    "1 terms in 'ij' for 2 operands": lambda x: np.einsum("ij", x, x),
    "3 subscripts in 'ijk' for an operand of 2 axes": lambda x: np.einsum("ijk", x),
    "np.transpose: expected shapes that fit": lambda x: x.transpose(0),
    "variable[index]: expected an index within the array, found shape (2, 3)": lambda x: x[5],
    "size of axis is 2 but size of corresponding boolean axis is 3": lambda x: x[np.ones(3, bool)],
    "variable[index] = value: expected shapes that fit, found shapes (2, 3), (4,)": lambda x: x.__setitem__(
        0, np.zeros(4)
    ),
    "np.add: expected shapes that fit, found shapes (2, 3), (2, 2, 3)": lambda x: x.__iadd__(np.zeros((2, 2, 3))),
    "it is read-only": lambda x: np.broadcast_to(x, (2, 2, 3)).__setitem__(0, 1.0),
    "np.matmul: expected shapes that fit, found shapes (2, 3), ()": lambda x: np.matmul(x, x[0, 0]),
    "ord=1 has no recording": lambda x: np.linalg.norm(x, 1),
    "np.linalg.norm: expected": lambda x: np.linalg.norm(x, "nuc"),
    "np.pad: expected": lambda x: np.pad(x, 1, "linear_ramp"),
    "np.split: expected": lambda x: np.split(x, 2, axis=1),
}


@pytest.mark.parametrize("message", DO_NOT_FIT)
def test_what_does_not_fit_is_said_with_the_shapes(message, x):
    with pytest.raises(DoesNotFitError, match=re.escape(message)):
        DO_NOT_FIT[message](x)


CANNOT_BE_RECORDED = {
    "conversion to a plain array": lambda x: PLAIN.copy().__setitem__(..., x),
    "found a Variable of shape (2, 3), whose gradient would end here": np.asarray,
    "Use NumPy's functions on it (np.stack for np.array": lambda x: np.array([x, x]),
    "plain[…] = variable": lambda x: np.full_like(PLAIN, x[0, 0]),
    "float(): expected a plain array, found a Variable of shape ()": lambda x: math.exp(x[0, 0]),
    "int(): expected": lambda x: int(x[0, 0]),
    "use as an index: expected": lambda x: range(3)[x[0, 0]],
    ".item(): expected": lambda x: x[0, 0].item(),
    ".tolist(): expected": lambda x: x.tolist(),
    "np.add.at: expected a function that the tape can record": lambda x: np.add.at(PLAIN.copy(), 0, x[0]),
    "np.fft.fft: expected a function that the tape can record": np.fft.fft,
    "np.linalg.inv: expected a function that the tape can record": np.linalg.inv,
    "np.add: expected a variable to write the result into, found a plain array of shape (2, 3)": add_to_plain,
    "np.multiply: expected a variable to write": lambda x: np.multiply(x, 2.0, out=PLAIN.copy()),
    "np.dot: expected a variable to write": lambda x: np.dot(x, x.T, out=np.zeros((2, 2))),
    "np.exp: expected arguments": lambda x: np.exp(x, where=PLAIN > 0),
    "np.sum: expected arguments": lambda x: np.sum(x, where=PLAIN > 0),
    "expected an array of floating-point numbers, found one of int64": lambda x: np.zeros_like(
        Variable([1, 2])
    ).__setitem__(0, x[0, 0]),
    "Variable: expected real numbers, found str": lambda x: Variable("1"),
    "Variable 'z': expected real numbers, found complex": lambda x: Variable(1j, name="z"),
}


@pytest.mark.parametrize("message", CANNOT_BE_RECORDED)
def test_what_cannot_be_recorded_is_an_error(message, x):
    with pytest.raises(TypeError, match=re.escape(message)):
        CANNOT_BE_RECORDED[message](x)


def test_one_element_of_a_plain_array_cannot_be_written_either(x):
    # NumPy puts a message of its own in front.
    with pytest.raises(ValueError, match="setting an array element") as caught:
        np.zeros(3)[0] = x[0, 0]
    assert "float(): expected a plain array, found a Variable" in str(caught.value.__cause__)


def test_an_unknown_attribute_names_what_there_is(x):
    with pytest.raises(AttributeError, match=r"Variable\.partition: expected one of all, any, argmax"):
        x.partition(1)


def test_what_decides_is_a_plain_answer(x):
    assert 2.0 in x
    assert 7.0 not in x
    assert len(x) == 2
    assert max(x[0, 0], x[1, 1]) is not x  # Comparing is no operation to record.
    assert type(x > 2) is np.ndarray
    assert np.argmax(x, axis=1).tolist() == [2, 2]


def test_constants_may_be_taken_out(x):
    constant = np.ones_like(x)
    np.testing.assert_array_equal(np.asarray(constant), np.ones((2, 3)))
    assert float(constant[0, 0]) == 1.0
    assert "abc"[Variable(2)] == "c"
    assert f"{x[0, 0]:.3f} {x[1]}" == "1.000 [4. 5. 6.]"  # To look at a number is no use of it.


# ------ the backward pass


def test_a_result_that_is_no_scalar_needs_a_cotangent(x):
    with pytest.raises(ValueError, match=r"backward: expected a scalar, found shape \(2, 3\)\. Sum it up, or"):
        backward(x * 2)


def test_a_function_that_returns_no_scalar_has_no_gradient():
    with pytest.raises(ValueError, match=r"backward: expected a scalar, found shape \(2,\)"):
        grad(lambda x: x * 2)(np.ones(2))


def test_a_cotangent_has_the_shape_of_the_result(x):
    with pytest.raises(ValueError, match=r"expected a cotangent of shape \(2, 3\), found \(3,\)"):
        backward(x * 2, np.ones(3))


def test_integers_have_no_gradient():
    count = Variable([1, 2])
    with pytest.raises(TypeError, match=r"grads\[x\]: expected floating-point numbers, found int64 of shape \(2,\)"):
        backward(np.sum(Variable(2.0) * count))[count]
    with pytest.raises(TypeError, match="backward: expected floating-point numbers to differentiate, found int64"):
        backward(np.sum(count))
    with pytest.raises(TypeError, match="grad: expected an argument of floating-point numbers, found int64"):
        grad(lambda x: x**2)(3)


def test_constants_have_no_gradient(x):
    with pytest.raises(TypeError, match="expected a variable, found a constant"):
        backward(np.sum(x))[np.zeros_like(x)]


def test_nan_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"Variable 'w': expected numbers, found NaN at \(0, 1\) of shape \(1, 2\)"):
        Variable([[1.0, np.nan]], name="w")


def test_nan_that_a_step_makes_is_named_with_its_line(x):
    with np.errstate(invalid="ignore"):
        y = np.sum(np.sqrt(x - 2.5) * 2)
    with pytest.raises(ValueError, match=r"found NaN at \(\): the first is at \(0, 0\) of 'sqrt', .*test_tape_errors"):
        backward(y)


def test_a_variable_that_was_written_to_has_two_values(x):
    before = x.node
    y = np.sum(x**2)
    x[0] = 0.0
    with pytest.raises(KeyError, match=r"written to in place, .*test_tape_errors\.py:\d+\. Keep `before"):
        backward(y)[x]
    np.testing.assert_array_equal(backward(y)[before], [[2, 4, 6], [8, 10, 12]])


def test_what_was_made_after_the_output_is_no_input_of_it(x):
    y = np.sum(x)
    later = x * 2
    with pytest.raises(KeyError, match="found one made after it"):
        backward(y)[later]


def test_a_plain_number_has_no_history():
    with pytest.raises(TypeError, match="Expected a Variable, found float: nothing was recorded of it"):
        backward(3.0)


def test_the_data_of_a_variable_cannot_be_changed_behind_its_back(x):
    with pytest.raises(ValueError, match="read-only"):
        x.data[0] = 1.0
    given = np.ones(2)
    v = Variable(given)
    given[:] = 5.0
    np.testing.assert_array_equal(v.data, [1, 1])
