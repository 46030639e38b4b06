"""Where the time of a training step goes, by line: `python scripts/profile_steps.py {mnist,fashion_mnist,lenet}`.

The steps are those that `fit` compiles. XLA says when each operation of the program began and ended, and the program's
text says from which line each came: of this package's or the caller's code the innermost, forward or backward. An
operation that several threads share counts from its beginning to its end. What is left to the wall's clock is spent
between operations.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.profiler import ProfileData

sys.path.insert(0, str(Path(__file__).parents[1]))  # The checkout, whether it is installed or not.

from benchmark_ours import SETTINGS, dataset, model

from functional_nets import nn
from functional_nets.training import init_state, make_train_step
from functional_nets.training.chunks import Chunks

CHECKOUT = Path(__file__).resolve().parents[1]
WARM, TRACED = 100, 100
PRODUCT = re.compile(r"= [^=]*? (?:dot|convolution)\(|dot_general")


class Operation(NamedTuple):
    """Where an operation of the compiled program comes from."""

    place: str
    pass_: str
    is_product: bool


class Frames:
    """The tables of source lines at the head of a compiled program's text."""

    def __init__(self, text: str):
        self._names = {
            int(number): name for number, name in re.findall(r'^(\d+) "(.*)"$', _part(text, "FileNames"), re.M)
        }
        self._locations = _records(_part(text, "FileLocations"))
        self._frames = _records(_part(text, "StackFrames"))

    def place(self, frame: int) -> str:
        """Returns the innermost line of the checkout, outside the training loop, that a frame was called from."""
        while frame in self._frames:
            location = self._locations[self._frames[frame]["file_location_id"]]
            path = Path(self._names[location["file_name_id"]])
            if path.is_relative_to(CHECKOUT):
                return f"{path.relative_to(CHECKOUT)}:{location['line']}"
            parent = self._frames[frame]["parent_frame_id"] - 1  # 0 would be no frame, counted from 1.
            if parent == frame:
                break
            frame = parent
        return "jax"


def operations(text: str) -> dict[str, Operation]:
    """Returns, by name, the operations of a compiled program."""
    frames, found = Frames(text), {}
    for line in text.splitlines():
        name = re.match(r"\s+(?:ROOT )?%([\w.\-]+) = ", line)
        if not name:
            continue
        frame = re.search(r"stack_frame_id=(\d+)", line)
        inside = re.search(r'op_name="([^"]*)"', line)
        backward = inside is not None and "transpose(jvp" in inside[1]
        forward = inside is not None and "jvp(" in inside[1]
        found[name[1]] = Operation(
            frames.place(int(frame[1])) if frame else "no line: made by XLA",
            "backward" if backward else "forward" if forward else "",
            bool(PRODUCT.search(line)),
        )
    return found


def measure(task: str, folder: Path | None) -> tuple[str, dict[str, float], float]:
    """Returns the program's text, the microseconds of a step by operation, and those of a whole step."""
    learning_rate, batch_size, shuffle = SETTINGS[task]
    network = model(task, None, None)
    images = dataset(task, folder)
    optimizer = optax.sgd(learning_rate)
    step = make_train_step(nn.classification_loss(network.apply), optimizer)
    chunks = Chunks(
        step, [jnp.asarray(array) for array in images.train], jax.random.key(1),
        batch_size=batch_size, epochs=1, shuffle=shuffle, stop_on_bad_loss=True,
    )  # fmt: skip
    state, _ = chunks.run(init_state(network.init(jax.random.key(0)), optimizer), WARM)
    walls, spans = [], defaultdict(list)
    for _ in range(3):
        with tempfile.TemporaryDirectory() as trace:
            jax.profiler.start_trace(trace)
            start = time.perf_counter()
            state, _ = chunks.run(state, int(state.step) + TRACED)
            walls.append((time.perf_counter() - start) / TRACED * 1e6)
            jax.profiler.stop_trace()
            for name, total in _durations(next(Path(trace).rglob("*.xplane.pb"))).items():
                spans[name].append(total / TRACED / 1e3)
    return (
        chunks.program_text(),
        {name: float(np.median(each)) for name, each in spans.items()},
        float(np.median(walls)),
    )


def _durations(path: Path) -> dict[str, float]:
    totals: dict[str, float] = defaultdict(float)
    for plane in ProfileData.from_file(str(path)).planes:
        for line in plane.lines:
            if line.name.startswith("tf_XLA") or "stream" in line.name.lower():
                for event in line.events:
                    totals[event.name] += event.duration_ns
    return totals


def _part(text: str, title: str) -> str:
    return text.partition(f"\n{title}\n")[2].partition("\n\n")[0]


def _records(text: str) -> dict[int, dict[str, int]]:
    lines = re.findall(r"^(\d+) \{(.*)\}$", text, re.M)
    return {
        int(number): {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", fields)}
        for number, fields in lines
    }


def main() -> None:
    """Prints the table, or a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=SETTINGS)
    parser.add_argument("--data", type=Path, help="folder of mnist/ and fashion_mnist/ (default: as fn.data.load)")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead of a table")
    arguments = parser.parse_args()
    text, spans, wall = measure(arguments.task, arguments.data)
    known = operations(text)
    rows: dict[Operation, float] = defaultdict(float)
    for name, microseconds in spans.items():
        if name in known and not name.startswith(("while", "conditional", "call")):
            rows[known[name]] += microseconds
    report(rows, wall, arguments.json)


def report(rows: dict[Operation, float], wall: float, as_json: bool) -> None:
    """Prints where a step's `wall` microseconds went."""
    ordered: list[tuple[Operation, float]] = sorted(rows.items(), key=lambda row: -row[1])
    products = sum(time for operation, time in ordered if operation.is_product)
    if as_json:
        entries: list[Any] = [{**operation._asdict(), "microseconds": time} for operation, time in ordered]
        print(json.dumps({"step_microseconds": wall, "products_microseconds": products, "lines": entries}))
        return
    print("| line | | product | µs a step | share |\n|---|---|---|---|---|")
    for operation, spent in ordered[:14]:
        mark = "yes" if operation.is_product else ""
        print(f"| {operation.place} | {operation.pass_} | {mark} | {spent:,.0f} | {spent / wall:.0%} |")
    others = sum(time for _, time in ordered[14:])
    print(f"| {len(ordered[14:])} more | | | {others:,.0f} | {others / wall:.0%} |")
    print(f"\nA step takes {wall:,.0f} µs, {products / wall:.0%} of it in matrix products.")


if __name__ == "__main__":
    main()
