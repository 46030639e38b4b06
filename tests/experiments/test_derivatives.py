"""The lessons compute the numbers of the notebooks."""

import pytest

from experiments.derivatives import Config, run


@pytest.fixture(scope="module")
def lessons():
    return run(Config())


def test_the_slope_of_a_square(lessons):
    by_hand, by_differences, by_tape, by_jax = lessons["square"].numbers.values()
    assert by_hand == by_tape == by_jax == 8.0
    assert by_differences == pytest.approx(8.0, rel=1e-9)


def test_the_chain_rule_to_the_last_digit(lessons):
    by_hand, by_tape, by_jax = lessons["chain"].numbers.values()
    assert by_hand == by_tape == 3.297442541400256
    assert by_jax == pytest.approx(3.297442541400256, rel=1e-15)
    assert "3.297442541400256" in lessons["chain"].text


def test_forward_to_16_and_backward_to_8(lessons):
    assert list(lessons["sum_squared"].numbers.values()) == [16.0, 8.0, 8.0, 8.0]


def test_constants(lessons):
    assert list(lessons["constants"].numbers.values()) == [8.0, (8.0, 8.0), 2.0, 1.0, 1.0, 16.0, 0.0, True]


def test_products_with_the_jacobian(lessons):
    numbers = lessons["jacobian"].numbers
    matrix, *products = list(numbers.values())[:4]
    assert matrix == [[1024, 0, 0], [0, 1024, 0], [0, 0, 1024]]
    assert products == [[102.4, 1024, 0.1024]] * 3


def test_a_row_and_a_column_of_a_jacobian(lessons):
    assert list(lessons["jacobian"].numbers.values())[4:] == [[[3, 2], [1, 1]], [3, 2], [3, 1]]


def test_nine_is_twice_the_right_gradient(lessons):
    assert list(lessons["nine"].numbers.values()) == [4.5, 4.5, 9.0]


def test_the_command_prints_every_lesson(command):
    outcome = command("derivatives", "--x", "-3")
    assert outcome.status == 0
    assert [line for line in outcome.out.splitlines() if line[:1].isdigit()] == [
        "1. The derivative of x² at -3",
        "2. The chain rule: y = (exp(x²))² at x = 0.5",
        "3. The graph of z = (x + y)² at x = 1, y = 3",
        "4. requires_grad, detach and no_grad",
        "5. What is a Jacobian?",
        "6. Why notebook 003 prints 9 and not 4.5",
    ]
    assert "by the tape                             -6.0" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 110


@pytest.mark.parametrize("value", ["nan", "inf", "1e200", "four"])
def test_what_cannot_be_squared_is_refused(command, value):
    outcome = command("derivatives", "--x", value)
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert value in outcome.err or "1e+200" in outcome.err
