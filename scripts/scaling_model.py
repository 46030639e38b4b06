"""How far a training scales: the time of a step on many devices, from what one device and the link between them do.

    python scripts/scaling_model.py --experiment fashion_mnist --batch-size 64 --bandwidth 25 --latency 5
    python scripts/scaling_model.py --overhead 5e-4 --per-example 2e-5 --parameter-bytes 102000000 --batch-size 4096

A step on D devices takes as long as its share of the batch on one of them, and then as long as all of them take to
add up their gradients:

    T(D, B) = overhead + per_example · B / D + all_reduce(D)
    all_reduce(D) = min(2 (D - 1) (latency + bytes / (D · bandwidth)),      a ring
                        2 log2(D) latency + 2 bytes / bandwidth)            a tree, better where bytes are few

(Patarasuk and Yuan 2009 for the ring; Sanders, Speck and Träff 2009 for the tree). The first two numbers are those of
one device: measured on this machine's processor, at the batch's shares, or given, for another machine. The link is as
it is given: GB/s that a device sends, and microseconds. Efficiency is what a device does of what it does alone:
T(1, B) / (D · T(D, B)), at the same batch. What it leaves out: communication that overlaps the backward pass, links of
several speeds, stragglers.

The check at the end, of measured numbers, is against measured steps on 1 to 8 simulated devices. They share this
machine's cores and its memory, so that the model counts core-seconds, too: D devices take at least D times those of a
share, by the number of cores. How fast their memory adds up vectors is measured on two. What it costs to share at all
is what two devices take more than all that: gradients that one device never writes down are written, and threads wait
for each other. The row of two is therefore fitted; those of one, four and eight are predictions. Other programs on the
machine make all of it worse than it is.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from experiments._command import EXIT_BAD_INPUT, OneLineParser

EXPERIMENTS = ("xor", "mnist", "fashion_mnist", "lenet")
DEVICES = (8, 64, 512)
SIMULATED = (1, 2, 4, 8)
FITTED = 2
GIVEN = ("--overhead", "--per-example", "--parameter-bytes")


class Work(NamedTuple):
    """What a step takes on one device.

    Attributes:
        overhead: Seconds of a step, whatever its batch: the optimizer's, and starting each operation.
        per_example: Seconds more for each example.
    """

    overhead: float
    per_example: float

    def seconds(self, examples: float) -> float:
        """Returns the time of a step of so many examples."""
        return self.overhead + self.per_example * examples


class Link(NamedTuple):
    """What connects the devices.

    Attributes:
        latency: Seconds until a message arrives.
        bandwidth: Bytes a second that a device sends.
    """

    latency: float
    bandwidth: float

    def all_reduce(self, devices: int, size: float) -> float:
        """Returns the seconds in which devices add up a vector of `size` bytes each, by a ring or a tree."""
        if devices == 1:
            return 0.0
        return min(self.ring(devices, size), 2 * math.log2(devices) * self.latency + 2 * size / self.bandwidth)

    def ring(self, devices: int, size: float) -> float:
        """Returns those of a ring: each device sends each share of the vector on, once to add it and once added."""
        return 2 * (devices - 1) * (self.latency + size / devices / self.bandwidth)


def step_seconds(work: Work, link: Link, size: float, devices: int, batch_size: float) -> float:
    """Returns the time of a step whose batch so many devices share, with `size` bytes of gradients."""
    return work.seconds(batch_size / devices) + link.all_reduce(devices, size)


def efficiency(work: Work, link: Link, size: float, devices: int, batch_size: float) -> float:
    """Returns what a device does, of what it does alone on the whole batch: from 0 to 1."""
    return work.seconds(batch_size) / (devices * step_seconds(work, link, size, devices, batch_size))


def pays_from(work: Work, link: Link, size: float, devices: int) -> int:
    """Returns the smallest batch that so many devices step through faster than one."""
    # overhead + x B / D + reduce < overhead + x B
    return math.floor(link.all_reduce(devices, size) / work.per_example * devices / (devices - 1)) + 1


def half_from(work: Work, link: Link, size: float, devices: int) -> int:
    """Returns the smallest batch at which the efficiency is at least a half."""
    # D (overhead + x B / D + reduce) <= 2 (overhead + x B)
    reduce = link.all_reduce(devices, size)
    return max(1, math.ceil((devices * (work.overhead + reduce) - 2 * work.overhead) / work.per_example))


def fitted(examples: Sequence[float], seconds: Sequence[float]) -> Work:
    """Returns the line through measured steps that has the smallest squared relative errors; nothing is negative."""
    import numpy as np

    weight = 1 / np.asarray(seconds)
    columns = np.stack([weight, weight * np.asarray(examples)], axis=1)
    overhead, per_example = np.linalg.lstsq(columns, np.ones(len(weight)), rcond=None)[0]
    if per_example <= 0 or overhead < 0:
        scale = np.mean(np.asarray(seconds) / np.asarray(examples)) if overhead < 0 else 1e-12
        return Work(0.0, float(scale)) if overhead < 0 else Work(float(np.mean(seconds)), float(scale))
    return Work(float(overhead), float(per_example))


def measured(experiment: str, batch_size: int) -> dict:
    """Returns what a process of its own with eight devices measures; see scripts/scaling_measure.py.

    Raises:
        SystemExit: With status 2 after one line on standard error, when that process fails.
    """
    command = [
        sys.executable,
        os.path.join(os.path.dirname(__file__), "scaling_measure.py"),
        experiment,
        str(batch_size),
    ]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(max(SIMULATED))}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode:
        told = run.stderr.strip().splitlines()[-1:] or [f"status {run.returncode}"]
        print(
            f"Expected scripts/scaling_measure.py to measure {experiment}, found {told[0]}: "
            "mend that, or give --overhead, --per-example and --parameter-bytes.",
            file=sys.stderr,
        )
        raise SystemExit(EXIT_BAD_INPUT)
    return json.loads(run.stdout)


def predictions(found: dict, batch_size: int) -> list[tuple[int, float, float]]:
    """Returns devices, predicted and measured seconds of a step on simulated devices."""
    alone = fitted(found["examples"], found["seconds"])
    cores = fitted(found["examples"], found["core_seconds"])

    def computing(devices: int) -> float:
        share = batch_size / devices
        return max(alone.seconds(share), devices * cores.seconds(share) / found["cores"])

    def adding(devices: int) -> float:
        # All pass through one memory, so that a device has its share of the bandwidth of two.
        link = Link(found["latency"], found["bandwidth"] * 2 / devices)
        return link.ring(devices, found["bytes"])

    taken = dict(zip(SIMULATED, found["shared_seconds"], strict=True))
    sharing = taken[FITTED] - computing(FITTED) - adding(FITTED)
    predicted = {count: computing(count) + (adding(count) + sharing if count > 1 else 0.0) for count in SIMULATED}
    return [(count, predicted[count], taken[count]) for count in SIMULATED]


def number(flag: str, least: float, most: float, kind: type = float) -> Callable[[str], Any]:
    """Returns what reads the number of an option; NaN is in no range."""
    wanted = f"a {'whole ' if kind is int else ''}number from {least:g} to {most:g} for {flag}"

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected {wanted}, found {text!r}")
        return value

    return read


def experiment_name(text: str) -> str:
    """Returns the name of an experiment that can be measured."""
    if text not in EXPERIMENTS:
        raise argparse.ArgumentTypeError(f"expected --experiment to be one of {', '.join(EXPERIMENTS)}, found {text!r}")
    return text


def parser_of_options() -> OneLineParser:
    """Returns what reads the command line."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = OneLineParser(description=__doc__, formatter_class=layout, allow_abbrev=False)

    def add(flag: str, least: float, most: float, text: str, kind: type = float, default: float | None = None) -> None:
        shown = "" if default is None else f" (default: {default:g})"
        metavar = "NUMBER" if default is not None else "N" if kind is int else "SECONDS"
        read = number(flag, least, most, kind)
        parser.add_argument(flag, type=read, default=default, metavar=metavar, help=text + shown)

    parser.add_argument(
        "--experiment", type=experiment_name, metavar="{" + ",".join(EXPERIMENTS) + "}",
        help="whose steps are measured, on this machine's processor alone, GPU or not (default: fashion_mnist)",
    )  # fmt: skip
    add("--overhead", 0, 1e9, "of a step, whatever its batch, on one device of another machine: nothing is measured")
    add("--per-example", 1e-15, 1e9, "of such a step more for each example")
    add("--parameter-bytes", 1, 1e18, "bytes of the parameters there, and so of the gradients", int)
    add("--batch-size", 1, 1e15, "examples of a step, on all devices together", int, 64)
    add("--bandwidth", 1e-15, 1e15, "GB/s that a device sends", default=25)
    add("--latency", 1e-15, 1e15, "of a message, in microseconds", default=5)
    return parser


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns what the command line says; `experiment` is None where it tells what a step takes."""
    parser = parser_of_options()
    options = parser.parse_args(arguments)
    missing = [flag for flag in GIVEN if getattr(options, flag[2:].replace("-", "_")) is None]
    if 0 < len(missing) < len(GIVEN):
        parser.error(f"expected {', '.join(GIVEN)} or none of them, found no {missing[0]}")
    if options.experiment and not missing:
        parser.error("expected --experiment, to measure, or numbers of another machine, found both")
    if missing and options.batch_size < max(SIMULATED):
        parser.error(f"expected --batch-size of at least {max(SIMULATED)} to measure, found {options.batch_size}")
    options.experiment = (options.experiment or "fashion_mnist") if missing else None
    return options


def print_plan(work: Work, link: Link, size: float, batch_size: int) -> None:
    """Prints what many devices would do."""
    print("| devices | a step | efficiency | faster than one from batch | efficiency of a half from batch |")
    print("|---|---|---|---|---|")
    for devices in DEVICES:
        seconds = step_seconds(work, link, size, devices, batch_size)
        share = efficiency(work, link, size, devices, batch_size)
        print(f"| {devices} | {seconds * 1e3:.3g} ms | {share:.1%} | {pays_from(work, link, size, devices):,} "
              f"| {half_from(work, link, size, devices):,} |")  # fmt: skip


def print_check(found: dict, batch_size: int) -> None:
    """Prints how far such predictions are off where they can be checked."""
    print(f"\n| simulated devices, {found['cores']} cores | predicted | measured | error |")
    print("|---|---|---|---|")
    for devices, predicted, seconds in predictions(found, batch_size):
        error = "fitted" if devices == FITTED else f"{predicted / seconds - 1:+.0%}"
        print(f"| {devices} | {predicted * 1e3:.3g} ms | {seconds * 1e3:.3g} ms | {error} |")
    print(f"\nChecked: a ring through this machine's memory, and what sharing its cores costs, fitted on {FITTED}."
          "\nThe table above: the link as it is given, a ring or a tree, and no such cost.")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the predictions, and for measured steps how far they are off where they can be checked."""
    options = options_of(arguments)
    found = measured(options.experiment, options.batch_size) if options.experiment else None
    if found:
        work, size = fitted(found["examples"], found["seconds"]), found["bytes"]
    else:
        work, size = Work(options.overhead, options.per_example), options.parameter_bytes
    print(f"{options.experiment or 'as given'}: a step takes {work.overhead * 1e3:.3g} ms, and "
          f"{work.per_example * 1e6:.3g} us an example more; {size:,} bytes of gradients")  # fmt: skip
    print(f"a link of {options.bandwidth:g} GB/s and {options.latency:g} us; batch {options.batch_size}\n")
    print_plan(work, Link(options.latency * 1e-6, options.bandwidth * 1e9), size, options.batch_size)
    if found:
        print_check(found, options.batch_size)


if __name__ == "__main__":
    main()
