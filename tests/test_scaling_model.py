"""`scripts/scaling_model.py`: what its formulas promise, and the prediction on simulated devices."""

import pytest

from scripts.scaling_model import (
    SIMULATED,
    Link,
    Work,
    efficiency,
    fitted,
    half_from,
    main,
    pays_from,
    predictions,
    print_check,
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


GIVEN = ["--overhead", "5e-4", "--per-example", "2e-5", "--parameter-bytes", "102000000"]


def test_another_machines_numbers_are_planned_with_and_nothing_is_measured(capsys):
    main([*GIVEN, "--batch-size", "4096", "--bandwidth", "25", "--latency", "5"])
    told = capsys.readouterr().out
    # A share of 512 examples and a ring of 8: 5e-4 + 512 · 2e-5 + 14 (5e-6 + 102e6 / 8 / 25e9) seconds.
    assert "| 8 | 17.9 ms | 57.4% |" in told
    assert "simulated" not in told


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--latency", "nan"], "Expected a number from 1e-15 to 1e+15 for --latency, found 'nan'"),
        (["--bandwidth", "inf"], "Expected a number from 1e-15 to 1e+15 for --bandwidth, found 'inf'"),
        (["--batch-size", "2.5"], "Expected a whole number from 1 to 1e+15 for --batch-size, found '2.5'"),
        (["--batch-size", "4"], "Expected --batch-size of at least 8 to measure, found 4"),
        (["--experiment", "x"], "Expected --experiment to be one of xor, mnist, fashion_mnist, lenet, found 'x'"),
        (GIVEN[:2], "Expected --overhead, --per-example, --parameter-bytes or none of them, found no --per-example"),
        ([*GIVEN, "--experiment", "xor"], "Expected --experiment, to measure, or numbers of another machine, found "),
    ],
)
def test_what_cannot_be_planned_with_is_refused_in_one_line(capsys, options, line):
    with pytest.raises(SystemExit) as ended:
        main(options)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith(line)
    assert len(told.splitlines()) == 1


def test_a_measurement_that_fails_is_told_in_one_line(capsys, monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_X64", "neither")  # So that JAX cannot be imported.
    with pytest.raises(SystemExit) as ended:
        main(["--experiment", "xor"])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith("Expected scripts/scaling_measure.py to measure xor, found ValueError: ")
    assert len(told.splitlines()) == 1


def test_the_row_that_is_fitted_has_no_error(capsys):
    shares = [8, 16, 32, 64]
    found = {
        "examples": shares, "seconds": [WORK.seconds(count) for count in shares], "cores": 2, "bytes": 0.0,
        "core_seconds": [WORK.seconds(count) for count in shares], "latency": 0.0, "bandwidth": 1.0,
        "shared_seconds": [1.0, 2.0, 3.0, 4.0],
    }  # fmt: skip
    print_check(found, 64)
    rows = capsys.readouterr().out.splitlines()[3:7]
    assert [row.split(" | ")[-1].endswith("% |") for row in rows] == [True, False, True, True]
    assert rows[1].endswith("| fitted |")
