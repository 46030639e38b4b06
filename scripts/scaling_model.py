"""How far a training scales: the time of a step on many devices, from what one device and the link between them do.

    python scripts/scaling_model.py --experiment fashion_mnist --batch-size 64 --bandwidth 25 --latency 5

A step on D devices takes as long as its share of the batch on one of them, and then as long as all of them take to
add up their gradients:

    T(D, B) = overhead + per_example · B / D + all_reduce(D)
    all_reduce(D) = min(2 (D - 1) (latency + bytes / (D · bandwidth)),      a ring
                        2 log2(D) latency + 2 bytes / bandwidth)            a tree, better where bytes are few

(Patarasuk and Yuan 2009 for the ring; Sanders, Speck and Träff 2009 for the tree). The first two numbers are measured
here on one device, at the batch's shares, or given; the link is as it is given: GB/s that a device sends, and
microseconds. Efficiency is what a device does of what it does alone: T(1, B) / (D · T(D, B)), at the same batch. What
it leaves out: communication that overlaps the backward pass, links of several speeds, stragglers.

The check at the end is against measured steps on 1 to 8 simulated devices. They share this machine's cores and its
memory, so that the model counts core-seconds, too: D devices take at least D times those of a share, by the number of
cores. How fast their memory adds up vectors is measured on two. What it costs to share at all is what two devices
take more than all that: gradients that one device never writes down are written, and threads wait for each other. The
row of two is therefore right; those of one, four and eight are predictions. Other programs on the machine make all of
it worse than it is.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

DEVICES = (8, 64, 512)
SIMULATED = (1, 2, 4, 8)


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
    """Returns what a process of its own with eight devices measures; see scripts/scaling_measure.py."""
    command = [
        sys.executable,
        os.path.join(os.path.dirname(__file__), "scaling_measure.py"),
        experiment,
        str(batch_size),
    ]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(max(SIMULATED))}
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
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
    sharing = taken[2] - computing(2) - adding(2)
    predicted = {count: computing(count) + (adding(count) + sharing if count > 1 else 0.0) for count in SIMULATED}
    return [(count, predicted[count], taken[count]) for count in SIMULATED]


def main() -> None:
    """Prints the predictions, and how far they are off where they can be checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="fashion_mnist", choices=("xor", "mnist", "fashion_mnist", "lenet"))
    parser.add_argument("--batch-size", type=int, default=64, help="examples of a step, on all devices together")
    parser.add_argument("--bandwidth", type=float, default=25.0, help="GB/s that a device sends (default: 25)")
    parser.add_argument("--latency", type=float, default=5.0, help="of a message, in microseconds (default: 5)")
    options = parser.parse_args()
    if options.batch_size < max(SIMULATED) or not min(options.bandwidth, options.latency) > 0:
        parser.error(f"expected a batch of at least {max(SIMULATED)}, a bandwidth and a latency above 0")
    found = measured(options.experiment, options.batch_size)
    work = fitted(found["examples"], found["seconds"])
    link = Link(options.latency * 1e-6, options.bandwidth * 1e9)
    print(f"{options.experiment}: a step takes {work.overhead * 1e3:.3g} ms, and {work.per_example * 1e6:.3g} us an "
          f"example more; {found['bytes']:,} bytes of gradients")  # fmt: skip
    print(f"a link of {options.bandwidth:g} GB/s and {options.latency:g} us; batch {options.batch_size}\n")
    print("| devices | a step | efficiency | faster than one from batch | efficiency of a half from batch |")
    print("|---|---|---|---|---|")
    for devices in DEVICES:
        size = found["bytes"]
        seconds = step_seconds(work, link, size, devices, options.batch_size)
        share = efficiency(work, link, size, devices, options.batch_size)
        print(f"| {devices} | {seconds * 1e3:.3g} ms | {share:.1%} | {pays_from(work, link, size, devices):,} "
              f"| {half_from(work, link, size, devices):,} |")  # fmt: skip
    print(f"\n| simulated devices, {found['cores']} cores | predicted | measured | error |")
    print("|---|---|---|---|")
    for devices, predicted, seconds in predictions(found, options.batch_size):
        print(f"| {devices} | {predicted * 1e3:.3g} ms | {seconds * 1e3:.3g} ms | {predicted / seconds - 1:+.0%} |")


if __name__ == "__main__":
    main()
