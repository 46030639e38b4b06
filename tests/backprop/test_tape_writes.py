"""Writing in place: through views, scalars, repeated indices the tape gives NumPy's numbers and the gradient.

A program is a list of steps on a growing list of arrays. It runs on plain arrays and on variables alike, and
with x + ihu in place of x for the derivative.
"""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nets.backprop.tape import DoesNotFitError, Variable, backward, recording


def basic_index(a, rng):
    def along(n):
        parts = [
            slice(None),
            slice(None, None, -1),
            slice(None, None, 2),
            slice(int(rng.integers(n + 1)), None),
        ]
        return [*parts, int(rng.integers(n))][rng.integers(5)] if n else slice(None)

    return tuple(along(n) for n in a.shape)


def repeated_index(a, rng):
    return (rng.integers(len(a), size=3),) if a.ndim and len(a) else (...,)


def fitting(a, index, b):
    """`b` where it broadcasts to `a[index]`, else something that does."""
    try:
        return b if np.broadcast_shapes(a[index].shape, b.shape) == a[index].shape else 2 * a[index]
    except ValueError:
        return 2 * a[index]


def write_scalar(a, b, rng):
    a[basic_index(a, rng)] = 0.25


def write_array(a, b, rng):
    index = basic_index(a, rng)
    a[index] = fitting(a, index, b)


def write_repeated(a, b, rng):
    index = repeated_index(a, rng)
    a[index] = np.sin(a[index])[::-1]


def write_mask(a, b, rng):
    a[rng.random(a.shape) > 0.5] = 0.25


def add_in_place(a, b, rng):
    a += np.cos(a)


def scale_part(a, b, rng):
    a[basic_index(a, rng)] *= 1.5


def scalar_is_no_view(a, b, rng):
    """A number read from an array stays what it is, and `+=` makes another."""
    before = a.reshape(-1)[-1]
    after = before
    after += 1
    return before * after


STEPS = {
    "view": lambda a, b, rng: a[basic_index(a, rng)],
    "transpose": lambda a, b, rng: a.T,
    "moveaxis": lambda a, b, rng: np.moveaxis(a, 0, -1),
    "reshape": lambda a, b, rng: a.reshape(-1),
    "expand": lambda a, b, rng: a[None],
    "copy": lambda a, b, rng: a.copy(),
    "take": lambda a, b, rng: a[repeated_index(a, rng)],
    "compute": lambda a, b, rng: np.sin(a) * 0.5,
    "multiply": lambda a, b, rng: a * fitting(a, (...,), b),
    "scalar": scalar_is_no_view,
    "write scalar": write_scalar,
    "write array": write_array,
    "write repeated": write_repeated,
    "write mask": write_mask,
    "add in place": add_in_place,
    "scale part": scale_part,
}


def run(x, program):
    arrays = [x]
    for name, seed in program:
        rng = np.random.default_rng(seed)
        a, b = (arrays[rng.integers(len(arrays))] for _ in range(2))
        if a.ndim and a.size:
            result = STEPS[name](a, b, rng)
            arrays += [] if result is None else [result]
    rng = np.random.default_rng(0)
    return sum(np.sum(np.sin(a) * rng.normal(size=a.shape)) for a in arrays), arrays


@settings(max_examples=200, deadline=None)
@given(
    shape=st.sampled_from([(3, 4), (4,), (2, 3, 2), (1, 3)]),
    program=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 2**30)), max_size=12),
)
def test_programs_that_write_give_the_numbers_of_numpy_and_the_gradient(shape, program):
    rng = np.random.default_rng(1)
    data, u = rng.normal(size=shape), rng.normal(size=shape)
    x = Variable(data)
    at_first = x.node
    value, ours = run(x, program)
    _, plain = run(data.copy(), program)
    for mine, theirs in zip(ours, plain, strict=True):
        np.testing.assert_allclose(mine.data, theirs, rtol=1e-12, atol=1e-12)
    along_u = run(data + 1e-30j * u, program)[0].imag / 1e-30
    assert np.sum(backward(value)[at_first] * u) == pytest.approx(along_u, rel=1e-10, abs=1e-10)


def test_who_read_an_array_before_it_was_written_to_keeps_what_they_read():
    x = Variable([1.0, 2.0, 3.0])
    out = x.copy()
    square = out * out
    out[1] = 0.0
    grads = backward(np.sum(square) + np.sum(out))
    np.testing.assert_array_equal(square.data, [1, 4, 9])
    np.testing.assert_array_equal(grads[x], [3, 4, 7])


def test_where_a_place_is_named_twice_the_last_one_written_gets_the_gradient():
    x = Variable([1.0, 2.0, 3.0])
    out = np.zeros_like(x)
    out[[0, 0, 2]] = x
    np.testing.assert_array_equal(out.data, [2, 0, 3])
    np.testing.assert_array_equal(backward(np.sum(out))[x], [0, 1, 1])


def test_an_array_keeps_its_type_and_shape_whatever_is_written():
    single = Variable(np.ones(3, np.float32)).copy()
    x = Variable([[1.0, 2.0, 3.0]])
    single += x[0]
    assert single.dtype == np.float32
    single[...] = x  # NumPy drops leading axes of length 1.
    np.testing.assert_array_equal(single.data, [1, 2, 3])
    assert backward(np.sum(single))[x].dtype == np.float64


def test_a_plain_array_that_is_changed_later_does_not_change_what_was_recorded():
    x, t, mask = Variable([1.0, 2.0]), np.array([3.0, 4.0]), np.array([True, False])
    y = np.sum(x * t) + np.sum(x[mask])
    t[:], mask[:] = 0.0, True
    np.testing.assert_array_equal(backward(y)[x], [4, 4])


def test_a_written_array_remembers_its_second_derivative():
    x = Variable([1.0, 2.0])
    out = np.zeros_like(x)
    out[0] = x[1] ** 3
    out += x[::-1] * out
    first = backward(np.sum(out), create_graph=True)[x]  # y = x₁³ + x₁⁴ and 0 · x₀
    np.testing.assert_allclose(first.data, [0, 3 * 4 + 4 * 8])
    np.testing.assert_allclose(backward(np.sum(first))[x], [0, 6 * 2 + 12 * 4])


def test_functions_that_write_are_recorded():
    x = Variable([[1.0, 5.0], [4.0, 3.0]])
    a, b, c, d, e = (np.zeros_like(x) for _ in range(5))
    np.copyto(a, x, where=x > 2)
    np.put(b, [0, 3], x[0])
    np.fill_diagonal(c, x[:, 1])
    d[...] = x
    d.sort(axis=0)
    e[...] = x
    e.reshape(-1).sort()
    for array, expected, gradient in (
        (a, [[0, 5], [4, 3]], [[0, 1], [1, 1]]),
        (b, [[1, 0], [0, 5]], [[1, 1], [0, 0]]),
        (c, [[5, 0], [0, 3]], [[0, 1], [0, 1]]),
        (d, [[1, 3], [4, 5]], [[1, 1], [1, 1]]),
        (e, [[1, 3], [4, 5]], [[1, 1], [1, 1]]),
    ):
        np.testing.assert_array_equal(array.data, expected)
        np.testing.assert_array_equal(backward(np.sum(array))[x], gradient)


def columns_of_patches(images, height, width):
    """The patches of images [N, C, H, W] as the book lays them out, in an array that it makes for itself."""
    n, c, h, w = images.shape
    down, right = h - height + 1, w - width + 1
    columns = np.zeros((n, c, height, width, down, right))
    for y in range(height):
        for x in range(width):
            columns[:, :, y, x] = images[:, :, y : y + down, x : x + right]
    return columns.transpose(0, 4, 5, 1, 2, 3).reshape(n * down * right, -1)


def test_while_recording_arrays_that_the_code_makes_can_be_filled():
    data = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    x = Variable(data)
    with recording():
        columns = columns_of_patches(x, 3, 2)
        joined = np.asarray(np.array([columns[0, 0], 1.0, x[0, 0, 0, 0]]))
    np.testing.assert_array_equal(columns.data, columns_of_patches(data, 3, 2))
    uses = np.zeros((5, 4))
    for y, x_ in np.ndindex(3, 3):
        uses[y : y + 3, x_ : x_ + 2] += 1  # In how many patches an element is.
    np.testing.assert_array_equal(backward(np.sum(columns))[x], np.broadcast_to(uses, (2, 3, 5, 4)))
    assert backward(np.sum(joined))[x][0, 0, 0, 0] == 2
    assert type(np.zeros(3)) is np.ndarray


def test_code_that_is_in_no_module_is_recorded_if_it_is_named():
    namespace = {"np": np}
    exec("def double(x):\n  out = np.empty(x.shape)\n  out[:] = 2 * x\n  return out", namespace)
    x = Variable([1.0, 2.0])
    with recording(namespace["double"]):
        y = namespace["double"](x)
    np.testing.assert_array_equal(backward(np.sum(y))[x], [2, 2])
    assert namespace["np"] is np


def test_code_in_the_program_itself_is_recorded():
    program = (
        "import numpy as np; from functional_nets.backprop.tape import Variable, backward, recording\n"
        "def double(x):\n  out = np.zeros(2)\n  out[:] = 2 * x\n  return out\n"
        "x = Variable([1.0, 2.0])\n"
        "with recording(): y = double(x)\n"
        "print(backward(np.sum(y))[x])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[2. 2.]\n"


def test_while_recording_generators_of_random_numbers_work():
    with recording():
        drawn = np.random.default_rng(0).uniform(size=(2, 3))  # Compiled code that calls np.empty.
    assert type(drawn) is np.ndarray


def fail_to_fill():
    with recording():
        np.zeros(1)[0] = "no number"


def test_after_an_error_while_recording_numpy_is_as_before():
    with pytest.raises(DoesNotFitError, match="variable"):
        fail_to_fill()
    assert type(np.zeros(1)) is np.ndarray
