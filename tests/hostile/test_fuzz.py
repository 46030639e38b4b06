"""Two thousand hostile files: each is refused in one line, or read as another reader reads it.

`scripts/fuzz.py` tries as many as one likes, guided by coverage.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.choices import Choices
from tests.hostile.targets import TARGETS, accepted

INPUTS = 290

# Derandomised, so that a run that passes passes again; `scripts/fuzz.py` is for finding what is new.
quickly = settings(
    max_examples=INPUTS, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("name", TARGETS)
def test_a_hostile_file_is_refused_in_one_line_or_read_rightly(name, tmp_path):
    found = []

    @quickly
    @given(st.binary(min_size=100, max_size=100))
    def attack(data):
        found.append(accepted(TARGETS[name], data, tmp_path / "input"))

    attack()
    assert len(found) >= INPUTS
    # Or the files are so broken, or so whole, that nothing is tried.
    assert 0.05 < sum(found) / len(found) < 0.95


@pytest.mark.parametrize("name", TARGETS)
def test_decisions_that_are_all_the_first_make_a_file_that_is_accepted(name, tmp_path):
    assert accepted(TARGETS[name], bytes(100), tmp_path / "input")
    assert TARGETS[name].make(Choices(b"")) == TARGETS[name].make(Choices(bytes(100)))
