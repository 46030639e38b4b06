"""`scripts/scaling_model.py`: what its formulas promise, and the prediction on simulated devices."""

import pytest

from scripts.scaling_model import (
    SIMULATED,
    Link,
    Work,
    efficiency,
    fitted,
    half_from,
    pays_from,
    predictions,
    step_seconds,
)

WORK, LINK, SIZE = Work(1.1e-4, 2.3e-6), Link(5.3e-6, 1.1e10), 2_678_824


@pytest.mark.parametrize("devices", [2, 8, 512])
def test_from_the_batch_that_it_names_many_devices_are_faster_and_half_efficient_and_not_before(devices):
    def gains(batch):
        return step_seconds(WORK, LINK, SIZE, devices, batch) < step_seconds(WORK, LINK, SIZE, 1, batch)

    pays, half = pays_from(WORK, LINK, SIZE, devices), half_from(WORK, LINK, SIZE, devices)
    assert gains(pays)
    assert not gains(pays - 1)
    assert efficiency(WORK, LINK, SIZE, devices, half) >= 0.5 > efficiency(WORK, LINK, SIZE, devices, half - 1)


def test_a_link_without_delay_sends_every_vector_there_and_back_but_for_the_own_share():
    assert Link(0.0, 1e9).all_reduce(4, 1e9) == pytest.approx(1.5)
    assert Link(1.0, 1e30).all_reduce(8, 1.0) == pytest.approx(6.0)  # Along a tree of three levels.
    assert LINK.all_reduce(1, SIZE) == 0


def test_one_device_is_wholly_efficient():
    assert efficiency(WORK, LINK, SIZE, 1, 64) == 1


def test_steps_that_lie_on_a_line_give_it_back():
    examples = [8, 16, 64]
    assert fitted(examples, [WORK.seconds(count) for count in examples]) == pytest.approx(WORK)


def test_devices_that_share_two_cores_take_the_core_seconds_of_all():
    shares = [8, 16, 32, 64]
    found = {
        "examples": shares, "seconds": [WORK.seconds(count) for count in shares],
        "core_seconds": [WORK.seconds(count) for count in shares], "cores": 2, "bytes": 0.0,
        "latency": 0.0, "bandwidth": 1.0, "shared_seconds": [1.0, WORK.seconds(32), 3.0, 4.0],
    }  # fmt: skip
    rows = predictions(found, 64)
    assert [devices for devices, _, _ in rows] == list(SIMULATED)
    assert [predicted for _, predicted, _ in rows] == pytest.approx(
        [WORK.seconds(64), WORK.seconds(32), 2 * WORK.seconds(16), 4 * WORK.seconds(8)]
    )
    assert [seconds for _, _, seconds in rows] == found["shared_seconds"]
