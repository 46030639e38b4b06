"""Apples and oranges come out as in the book, and the drawing says what the tape recorded."""

import pytest

from experiments._graph_drawing import draw, graph
from experiments.computational_graph import Config, run
from functional_nets.backprop import Variable

BOTH = """\
         100
  apple───────────────────────┐
         2.2                  │ 200
                              ×───────────────────────┐
         2                    │ 1.1                   │
 apples───────────────────────┘                       │
         110.00000000000001                           │ 650
                                                      +───────────────────────┐
         150                                          │ 1.1                   │
 orange───────────────────────┐                       │                       │
         3.3000000000000003   │ 450                   │                       │
                              ×───────────────────────┘                       │ 715.0000000000001
         3                    │ 1.1                                           ×───────────────────────
oranges───────────────────────┘                                               │ 1
         165                                                                  │
                                                                              │
         1.1                                                                  │
    tax───────────────────────────────────────────────────────────────────────┘
         650"""


@pytest.fixture(scope="module")
def result():
    return run(Config())


def test_two_apples(result):
    assert result.apples.total == 220.00000000000003
    assert result.apples.gradients == {"apple": 2.2, "apples": 110.00000000000001, "tax": 200}


def test_apples_and_oranges(result):
    assert result.both.total == 715.0000000000001
    assert result.both.gradients == {
        "apple": 2.2, "apples": 110.00000000000001, "orange": 3.3000000000000003, "oranges": 165.0, "tax": 650,
    }  # fmt: skip


def test_tape_and_layer_objects_agree_to_the_last_digit(result):
    assert result.tape == (result.apples, result.both)


def test_the_drawing(result):
    assert result.drawings[1] == BOTH


def test_the_command_prints_it(command):
    outcome = command("computational_graph")
    assert outcome.status == 0
    assert BOTH in outcome.out
    assert "to pay: 220.00000000000003" in outcome.out
    assert "DIFFER" not in outcome.out


def test_other_prices(command):
    outcome = command("computational_graph", "--apple", "50", "--tax", "1")
    assert "to pay: 100\n" in outcome.out
    assert "to pay: 550\n" in outcome.out


def test_a_price_that_is_no_number_is_refused(command):
    outcome = command("computational_graph", "--apple", "nan")
    assert outcome.status == 2
    assert outcome.err == "Expected --apple to be a finite number, found nan.\n"


def test_each_use_of_a_value_has_its_own_gradient():
    x = Variable(3.0, "x")
    assert draw(graph(x * x + x)).splitlines() == [
        "   3",
        "x───────┐",
        "   3    │ 9",
        "        ×───────┐",
        "   3    │ 1     │",
        "x───────┘       │ 12",
        "   3            +───────",
        "                │ 1",
        "   3            │",
        "x───────────────┘",
        "   1",
    ]


def test_an_array_is_drawn_as_its_shape():
    y = Variable([1.0, 2.0], "y")
    first, *_ = draw(graph((y * y).sum())).splitlines()
    assert first.split("  ")[0].strip() == ""
    assert "array [2]" in first
