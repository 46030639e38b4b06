"""How a run is divided into chunks, for all small runs."""

import itertools

import pytest

from functional_nets.training.examples import steps_per_epoch
from functional_nets.training.fit import _chunk_end


@pytest.mark.parametrize("per_report", [1, 3, 10])
@pytest.mark.parametrize("length", [0, 1, 2, 7, 50])
@pytest.mark.parametrize("multiple", [None, 1, 4])
def test_chunks_go_forward_to_every_report_and_every_multiple_and_to_the_end(per_report, length, multiple):
    for done, total in itertools.combinations(range(25), 2):
        ends = [done]
        while ends[-1] < total:
            ends.append(_chunk_end(ends[-1], total, per_report, length, multiple))
        assert ends[-1] == total
        assert all(a < b <= a + 1.5 * max(1, length) for a, b in itertools.pairwise(ends))
        asked_for = {
            end for end in range(done + 1, total) if end % per_report == 0 or (multiple and end % multiple == 0)
        }
        assert asked_for <= set(ends)


@pytest.mark.parametrize(
    ("examples", "batch_size", "steps"),
    [(60_000, 64, 938), (60_000, 100, 600), (1, 1, 1), (64, 64, 1), (65, 64, 2)],
)
def test_a_last_batch_that_is_not_full_counts(examples, batch_size, steps):
    assert steps_per_epoch(examples, batch_size) == steps
