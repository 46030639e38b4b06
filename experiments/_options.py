"""The options that the four training experiments share."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from experiments._command import OptionError, option
from experiments._display import check_display
from experiments._saving import Cadence
from functional_nets import data
from functional_nets.training import OPTIMIZERS

PRECISIONS = ("float32", "bfloat16")
ON_NON_FINITE = ("stop", "skip")
FREE = {
    "out", "overwrite", "resume", "allow_inexact", "source", "data_dir", "epochs", "steps", "gradient_check",
    "devices", "mesh", "coordinator", "processes", "process_id", "join_seconds",
    "checkpoint_every", "keep_checkpoints", "strict", "population",
    "quiet", "json", "tensorboard",
}  # fmt: skip
"""Options that may differ when a run is resumed: where it writes, how long it lasts, what the environment tells."""


@dataclass(frozen=True)
class TrainingConfig:
    """The options that the four training experiments share."""

    seed: int | None = option(0, "seed of the initial weights and of the order of the examples")
    learning_rate: float = option(0.1, "step size of the optimizer")
    optimizer: str = option("sgd", "what turns gradients into updates; momentum is 0.9", tuple(OPTIMIZERS))
    batch_size: int = option(100, "examples of a step")
    source: str = option("auto", "where the data come from; auto takes the first that is there", data.SOURCES)
    data_dir: Path | None = option(None, "folder of the data, instead of the source's usual ones")
    out: Path | None = option(None, "folder that the run writes (default: runs/NAME/ and the time)")
    overwrite: bool = option(False, "replace the run that --out holds")
    resume: bool = option(False, "go on from the newest checkpoint in --out, to the same bits")
    allow_inexact: bool = option(False, "resume with other versions, hardware or options, without that promise")
    checkpoint_every: str = option(
        "epoch", "when to save: epoch (two seconds apart at least), a number of steps such as 500, or seconds as 30s"
    )
    keep_checkpoints: int = option(2, "newest checkpoints that are kept, beside the one of the best test accuracy")
    on_nonfinite: str = option(
        "stop", "at a loss or gradient that is NaN or infinite: stop, or skip the step", ON_NON_FINITE
    )
    max_skipped: int = option(100, "steps that may be skipped before giving up, with --on-nonfinite skip")
    strict: bool = option(False, "use one thread, so that the bits do not depend on how many cores there are")
    devices: int | None = option(None, "devices that share each batch (default: one CPU; all GPUs or TPU cores)")
    mesh: str | None = option(
        None, "as data=4,model=2: devices that share each batch, times those that split wide layers"
    )
    coordinator: str | None = option(None, "address and port of the first of several processes, as 10.0.0.1:1234")
    processes: int | None = option(
        None,
        "how many processes train together (default: as Slurm, GKE or Open MPI tell); 1 is this one alone, even "
        "under these; scripts/launch_local.py starts several on this machine",
    )
    process_id: int | None = option(None, "which of them this is, from 0; that one writes the files")
    join_seconds: int = option(60, "how long to wait for the others to start")
    precision: str = option("float32", "type in which factors are multiplied; sums are float32", PRECISIONS)
    gradient_check: bool = option(True, "skip the check of the gradients before the first step")
    quiet: bool = option(False, "show nothing but errors and what must not be missed")
    json: bool = option(False, "print the result as one line of JSON on standard output, and nothing else there")
    tensorboard: bool = option(False, "write scalars for TensorBoard into tensorboard/ beside the other files, too")

    @property
    def length(self) -> dict[str, int]:
        """`epochs` or `steps`, as `fit` takes them."""
        raise NotImplementedError  # Each experiment says which.

    @property
    def product_dtype(self) -> Any:
        """The models' `product_dtype`."""
        return None if self.precision == "float32" else jnp.bfloat16

    @property
    def most_skipped(self) -> int:
        """`fit`'s `max_skipped`."""
        return self.max_skipped if self.on_nonfinite == "skip" else 0

    def last_step(self, num_examples: int) -> int:
        """Returns after how many steps a training on so many examples ends."""
        return self.length.get("steps") or self.length["epochs"] * -(-num_examples // self.batch_size)

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        rate = self.learning_rate
        if not (math.isfinite(rate) and rate > 0):
            raise OptionError(f"Expected --learning-rate above 0, found {rate}: 0.1 is a usual value.")
        if not 0 <= (self.seed or 0) < 2**32:
            raise OptionError(f"Expected --seed from 0 to {2**32 - 1}, found {self.seed}: choose one of those.")
        counts = {"keep_checkpoints": self.keep_checkpoints, "max_skipped": self.max_skipped}
        for name, value in {"batch_size": self.batch_size, **self.length, **counts}.items():
            if value < 1:
                option_name = "--" + name.replace("_", "-")
                raise OptionError(f"Expected {option_name} of at least 1, found {value}: give a greater one.")
        Cadence.parse(self.checkpoint_every)
        check_display(self)
        if self.resume and self.out is None:
            raise OptionError("Expected --out with --resume, found none: name the folder of the run.")
        if self.resume and self.overwrite:
            raise OptionError("Expected --resume or --overwrite, found both: choose one.")


@dataclass(frozen=True)
class EpochsConfig(TrainingConfig):
    """The options of an experiment whose length is counted in epochs."""

    epochs: int = option(10, "passes over the data")

    @property
    def length(self) -> dict[str, int]:
        """`epochs`."""
        return {"epochs": self.epochs}
