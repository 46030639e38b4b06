"""What the training experiments share: their options, and one run from data to result."""

import contextlib
import dataclasses
import json
import math
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._command import OptionError, command_line, option
from experiments._display import Display, check_display
from experiments._folder import RunFolder
from experiments._saving import Cadence, Saving
from functional_nets import data, training
from functional_nets.report import Section, write_report
from functional_nets.training import OPTIMIZERS, FitResult, Snapshot, TrainState

PRECISIONS = ("float32", "bfloat16")
ON_NON_FINITE = ("stop", "skip")
GRADIENT_CHECK_EXAMPLES = 4
FREE = {
    "out", "overwrite", "resume", "allow_inexact", "data_dir", "epochs", "steps", "devices", "gradient_check",
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
    checkpoint_every: str = option("epoch", "when to save: epoch, a number of steps such as 500, or seconds as 30s")
    keep_checkpoints: int = option(2, "newest checkpoints that are kept, beside the one of the best test accuracy")
    on_nonfinite: str = option(
        "stop", "at a loss or gradient that is NaN or infinite: stop, or skip the step", ON_NON_FINITE
    )
    max_skipped: int = option(100, "steps that may be skipped before giving up, with --on-nonfinite skip")
    strict: bool = option(False, "use one thread, so that the bits do not depend on how many cores there are")
    devices: int = option(1, "devices that share each batch")
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


class Result(NamedTuple):
    """What a run has found.

    Attributes:
        folder: Where it wrote.
        summary: What `result.json` holds.
        fit: Parameters, losses and times.
    """

    folder: Path
    summary: dict[str, Any]
    fit: FitResult


def train(
    name: str,
    config: TrainingConfig,
    loss_fn: Callable[..., jax.Array],
    params: Any,
    examples: Sequence[Any],
    evaluate: Callable[[Any], dict[str, float]],
    source: dict[str, Any],
    *,
    sections: Callable[[Any], Sequence[Section]] = lambda params: (),
    **options: Any,
) -> Result:
    """Checks the gradients, trains, and writes the files of a run.

    Args:
        name: The experiment's.
        config: Its configuration, checked.
        loss_fn: `loss_fn(params, *batch)`.
        params: Where training starts.
        examples: Inputs and labels.
        evaluate: From parameters to `test_accuracy` and `test_loss`.
        source: What `result.json` says of the data: `source`, and `notice` if they are only a part.
        sections: From the trained parameters to what the report shows beside what all reports do.
        options: More for `fit`.
    """
    start = time.perf_counter()
    if config.batch_size > len(examples[0]):
        raise OptionError(
            f"Expected --batch-size of at most {len(examples[0])}, as many as there are examples, "
            f"found {config.batch_size}: give a smaller one."
        )
    training.check_arithmetic()
    training.batch_sharding(config.devices)
    key = jax.random.key(config.seed or 0)
    optimizer = training.make_optimizer(config.optimizer, config.learning_rate)
    with RunFolder.choose(name, config.out, resume=config.resume, overwrite=config.overwrite) as folder:
        contract = {
            "experiment": name,
            **{k: v for k, v in dataclasses.asdict(config).items() if k not in FREE},
            **training.data_contract(examples, key),
            **training.environment(config.devices),
        }
        found = _checkpoint(folder, training.init_state(params, optimizer), contract, config)
        if found and folder.has_result():
            _refuse_finished(int(found.snapshot.state.step), config, len(examples[0]), folder.path)
        about = found.about if found else {}
        inexact = [*about.get("inexact", []), *(found.inexact if found else [])]
        gradient_check = check_gradients(loss_fn, params, examples) if config.gradient_check else None
        folder.begin({"experiment": name, **dataclasses.asdict(config)}, about.get("metrics_bytes", 0))
        saving = Saving(
            folder,
            {"contract": contract, "inexact": inexact},
            cadence=Cadence.parse(config.checkpoint_every),
            keep=config.keep_checkpoints,
            last_step=_last_step(config, len(examples[0])),
            best=about.get("best"),
        )
        notices = [source.get("notice"), training.slow_precision(config.precision), *(found.notices if found else [])]
        norms = training.make_layer_norms(loss_fn, optimizer, tuple(array[: config.batch_size] for array in examples))
        last_step = _last_step(config, len(examples[0]))
        with Display(
            name, params, config, notice="\n".join(filter(None, notices)), folder=folder.path,
            first_step=int(found.snapshot.state.step) if found else 0, last_step=last_step,
            examples_per_step=len(examples[0]) / -(-len(examples[0]) // config.batch_size),
        ) as display:  # fmt: skip

            def on_report(state: TrainState, row: dict[str, Any]) -> None:
                row.update(norms(state).as_row())
                display.row(row)
                saving.row(row)

            def on_chunk(snapshot: Snapshot) -> None:
                display.chunk(snapshot)
                saving.chunk(snapshot)

            with saving.stopping_on_signals(), _failing_with_its_story(folder, config):
                fitted = training.fit(
                    loss_fn,
                    params,
                    examples,
                    optimizer=optimizer,
                    batch_size=config.batch_size,
                    key=key,
                    evaluate=evaluate,
                    on_report=on_report,
                    on_chunk=on_chunk,
                    chunk_steps=Cadence.parse(config.checkpoint_every).steps,
                    state=found.snapshot if found else None,
                    devices=config.devices,
                    max_skipped=config.max_skipped if config.on_nonfinite == "skip" else 0,
                    probe=True,
                    **{**config.length, **options},
                )
                saving.wait()
            rows = folder.metrics()
            summary = {
                "experiment": name,
                **source,
                "train_examples": len(examples[0]),
                **{key: rows[-1][key] for key in ("test_accuracy", "test_loss", "train_loss")},
                "steps": int(fitted.state.step),
                "compile_seconds": round(fitted.compile_seconds, 4),
                "train_seconds": round(sum(row["seconds"] for row in rows), 4),
                "total_seconds": round(time.perf_counter() - start, 4),
                "params_sha256": training.tree_sha256(fitted.params),
                "bit_exact": fitted.bit_exact,
                "threads": contract["threads"],
                **({"inexact": inexact} if inexact else {}),
                "gradient_check": gradient_check,
                "jax": jax.__version__,
                "jaxlib": jax.lib.__version__,
                "devices": [str(device) for device in jax.devices()[: config.devices]],
                "environment": {
                    "python": platform.python_version(),
                    "system": platform.platform(),
                    "numpy": np.__version__,
                    **training.environment(config.devices),
                },
            }
            folder.finish(summary)
            options_given = dataclasses.asdict(config)
            command = command_line(name, config)
            write_report(folder.path, summary, rows, options_given, command, sections(fitted.params))
            display.finish(summary)
    return Result(folder.path, summary, fitted)


def _checkpoint(
    folder: RunFolder, like: TrainState, contract: dict[str, Any], config: TrainingConfig
) -> training.Checkpoint | None:
    """Returns where a resumed run goes on; None for one that begins, or was killed before its first checkpoint."""
    if not config.resume or folder.ended_before_its_first_checkpoint():
        return None
    return training.load_checkpoint(folder.checkpoints, like, contract, allow_inexact=config.allow_inexact)


@contextlib.contextmanager
def _failing_with_its_story(folder: RunFolder, config: TrainingConfig) -> Iterator[None]:
    """Has a run that stops on a number which is not finite say so in `failure.json`, too."""
    try:
        yield
    except training.NonFiniteLossError as error:
        error.learning_rate = config.learning_rate
        story = {
            "step": error.step, "epoch": error.epoch, "found": error.found, "loss": str(error.loss),
            "gradient_norm": str(error.gradient_norm), "learning_rate": error.learning_rate,
            "origin": str(error.origin) if error.origin else None, "message": str(error),
        }  # fmt: skip
        with contextlib.suppress(OSError):
            folder.write("failure.json", json.dumps(story, indent=2) + "\n")
        raise


def _last_step(config: TrainingConfig, num_examples: int) -> int:
    return config.length.get("steps") or config.length["epochs"] * -(-num_examples // config.batch_size)


def _refuse_finished(step: int, config: TrainingConfig, num_examples: int, folder: Path) -> None:
    wanted = _last_step(config, num_examples)
    if step >= wanted:
        raise OptionError(
            f"Expected a run to go on with, found {folder} at step {step:,} of {wanted:,}, the last: "
            "ask for more --epochs or --steps, or leave it as it is."
        )


def check_gradients(loss_fn: Callable[..., jax.Array], params: Any, examples: Sequence[Any]) -> dict[str, Any]:
    """Returns whether the witnesses agree with `jax.grad` on a few examples, and their largest error."""
    from functional_nets import gradcheck

    batch = [np.asarray(array[:GRADIENT_CHECK_EXAMPLES]) for array in examples]
    report = gradcheck.check(loss_fn, params, *batch)
    return {
        "ok": report.ok,
        "largest_relative_error": max(leaf.relative_error for leaf in report.leaves),
        "leaves": [
            {"path": leaf.path, "shape": list(leaf.shape), "relative_error": leaf.relative_error, "ok": leaf.ok}
            for leaf in report.leaves
        ],
    }
