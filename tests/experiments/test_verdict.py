"""How our values are compared with printed ones."""

import numpy as np
import pytest

from experiments._published_verdict import AtLeast, Between, Close, Refused, Same, Spread, Unanswered

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
    assert outside.verdict == "within 4 deviations of our distribution: 20 of 20 below, z = +3.9"


def test_what_has_no_answer_yet_says_so():
    assert Unanswered("not run").judge("3.3") == ("", "not run", False)
