"""Apples and oranges come out as in the book, and the drawing says what was traced."""

import pytest

from experiments.computational_graph import Config, run

BOTH = """\
         100
  apple────────┐
         2.2   │ 200
               ×────────┐
         2     │ 1.1    │
 apples────────┘        │
         110            │ 650
                        +────────┐
         150            │ 1.1    │
 orange────────┐        │        │
         3.3   │ 450    │        │
               ×────────┘        │ 715
         3     │ 1.1             ×────────
oranges────────┘                 │ 1
         165                     │
                                 │
         1.1                     │
    tax──────────────────────────┘
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
    assert result.graphs[1].drawing() == BOTH


def test_every_edge_has_three_more_witnesses_that_agree(result):
    assert all(graph.ok for graph in result.graphs)


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


@pytest.mark.parametrize("ending", ["html", "svg", "txt"])
def test_the_graph_is_written_where_it_is_wanted(command, tmp_path, ending):
    path = tmp_path / f"graph.{ending}"
    outcome = command("computational_graph", "--out", path)
    assert outcome.status == 0
    assert f"written: {path}\n" in outcome.out
    assert "oranges" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("out", "wanted"), [("graph.png", "to end in .html, .svg, .txt"), ("no/g.svg", "make no first")]
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_computed(command, out, wanted):
    outcome = command("computational_graph", "--out", out)
    assert outcome.status == 2
    assert wanted in outcome.err
    assert outcome.out == ""
