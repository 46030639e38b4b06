"""Short runs of XOR, to be stopped and gone on with."""

import json

from experiments import xor

REPORT = 1000  # Steps between two checkpoints of XOR.
# Batches of two rows, so that each epoch draws an order; momentum, so that a state is more than parameters.
OPTIONS = {
    "batch_size": 2, "optimizer": "momentum", "learning_rate": 0.05, "seed": 1, "checkpoint_every": str(REPORT),
}  # fmt: skip
WORDS = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]


def metrics_of(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def timeless(summary):
    return {name: value for name, value in summary.items() if not name.endswith("_seconds")}


def run(folder, steps, **options):
    return xor.run(xor.Config(**{**OPTIONS, "gradient_check": False, **options}, steps=steps, out=folder))


def go_on(folder, steps):
    return run(folder, steps, resume=True)


def newest_step(folder):
    return max(int(path.stem.split("_")[1]) for path in (folder / "checkpoints").glob("step_*.safetensors"))


def steps_kept(folder):
    return sorted(int(path.stem.split("_")[1]) for path in (folder / "checkpoints").iterdir())
