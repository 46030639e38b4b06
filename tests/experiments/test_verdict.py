"""How our values are compared with printed ones."""

import numpy as np
import pytest

from experiments._published_verdict import AtLeast, Between, Close, Refused, Same, Spread, Unanswered, _chance

TWENTY = np.linspace(1.0, 3.0, 20)  # Mean 2, standard deviation 0.62.


@pytest.mark.parametrize(
    ("answer", "printed", "differs"),
    [
        (Same("0.0210"), "0.0210", False),
        (Same("0.021"), "0.0210", True),
        (Close(1.0, 0.1, "a reason"), "1.09", False),
        (Close(1.0, 0.1, "a reason"), "1.11", True),
        (Close(float("nan"), 0.1, "a reason"), "1.0", True),
        (Between(2082), "1800 and 2400", False),
        (Between(2400), "1800 and 2400", False),
        (Between(1800), "1800 and 2400", True),
        (AtLeast(0.97), "0.969", False),
        (AtLeast(0.969), "0.969", False),
        (AtLeast(0.968), "0.969", True),
        (AtLeast(float("nan")), "0.969", True),
        (Refused("TypeError: no"), "RuntimeError: no", False),
        (Refused(None), "RuntimeError: no", True),
        (Spread(TWENTY, 2), "1.0", False),
        (Spread(TWENTY, 2), "4.4", False),
        (Spread(TWENTY, 2), "4.6", True),
        (Spread(TWENTY, 2), "-0.6", True),
        (Spread(np.full(20, np.nan), 2), "2.0", True),
        (Unanswered("not run"), "anything", False),
    ],
)
def test_a_value_differs_exactly_when_it_contradicts_what_is_printed(answer, printed, differs):
    judged = answer.judge(printed)
    assert judged.differs is differs
    assert judged.verdict.startswith("DIFFERS") is differs


def test_a_spread_says_where_the_printed_value_lies():
    inside, outside = Spread(TWENTY, 2).judge("2.5"), Spread(TWENTY, 2).judge("4.4")
    assert inside.ours == "2.00 (1.00 to 3.00)"
    assert inside.verdict == "within our distribution: 15 of 20 below, z = +0.8"
    assert outside.verdict == "in the tail of our distribution: 20 of 20 below, z = +3.9, p = 0.0013"


@pytest.mark.parametrize(
    ("count", "t", "chance"),
    # From a table of Student's distribution, both tails: t at 1, 2 and 19 degrees of freedom.
    [(2, 12.706, 0.05), (3, 31.599, 0.001), (20, 2.093, 0.05), (20, 3.883, 0.001)],
)
def test_the_chance_of_one_more_draw_is_students(count, t, chance):
    z = t * (1 + 1 / count) ** 0.5
    assert _chance(z, count) == pytest.approx(chance, rel=1e-3)
    assert _chance(-z, count) == _chance(z, count)


def test_few_seeds_call_no_draw_unlikely_that_more_would_call_so():
    assert not Spread(np.array([1.0, 2.0, 3.0]), 2).judge("8.0").differs
    assert Spread(TWENTY * 1.6 - 1.2, 2).judge("8.0").differs  # As many deviations from the mean.


def test_seeds_that_agree_exactly_leave_no_room():
    assert not Spread(np.ones(3), 2).judge("1.0").differs
    assert Spread(np.ones(3), 2).judge("1.1").differs


def test_what_has_no_answer_yet_says_so():
    assert Unanswered("not run").judge("3.3") == ("", "not run", False)
