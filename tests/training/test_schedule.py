"""How a run is divided into compiled programs, for all small runs."""

import itertools

import pytest

from functional_nets.training.epoch import steps_per_epoch
from functional_nets.training.fit import _schedule


@pytest.mark.parametrize("per_epoch", [1, 3])
@pytest.mark.parametrize("per_report", [1, 2, 5])
def test_the_parts_of_a_run_are_exactly_its_steps_from_where_it_stood(per_epoch, per_report):
    for done, total in itertools.product(range(9), range(14)):
        taken = []
        for epoch, count, part in _schedule(done, total, per_epoch, per_report):
            assert 1 <= count <= per_report
            steps = range(count * per_epoch) if part is None else part
            taken += [epoch * per_epoch + step for step in steps]
        assert taken == list(range(done, total))


@pytest.mark.parametrize(
    ("examples", "batch_size", "steps"),
    [(60_000, 64, 938), (60_000, 100, 600), (1, 1, 1), (64, 64, 1), (65, 64, 2)],
)
def test_a_last_batch_that_is_not_full_counts(examples, batch_size, steps):
    assert steps_per_epoch(examples, batch_size) == steps
