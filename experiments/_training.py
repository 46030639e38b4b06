"""What the training experiments share: their options, and one run from data to result."""

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._command import OptionError, option
from experiments._folder import RunFolder, identity
from functional_nets import data, training
from functional_nets.models import Model
from functional_nets.nn import classification_loss
from functional_nets.report import Progress, write_page
from functional_nets.training import OPTIMIZERS, FitResult, TrainState

PRECISIONS = ("float32", "bfloat16")
GRADIENT_CHECK_EXAMPLES = 4


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
    resume: bool = option(False, "go on from the newest checkpoint in --out")
    devices: int = option(1, "devices that share each batch")
    precision: str = option("float32", "type in which factors are multiplied; sums are float32", PRECISIONS)
    gradient_check: bool = option(True, "skip the check of the gradients before the first step")

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
        for name, value in {"batch_size": self.batch_size, **self.length}.items():
            if value < 1:
                option_name = "--" + name.replace("_", "-")
                raise OptionError(f"Expected {option_name} of at least 1, found {value}: give a greater one.")
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


def train_classifier(name: str, dataset: str, config: TrainingConfig, model: Model, **options: Any) -> Result:
    """Trains a model to classify the images of a data set, writes the run's files and returns its result."""
    config.check()
    images = data.load(dataset, source=config.source, data_dir=config.data_dir)

    def evaluate(params: Any) -> dict[str, float]:
        accuracy, loss = training.evaluate(model.apply, params, images.test)
        return {"test_accuracy": accuracy, "test_loss": loss}

    return train(
        name,
        config,
        classification_loss(model.apply),
        model.init(jax.random.key(config.seed or 0)),
        images.train,
        evaluate,
        source={"source": images.source, "complete": images.complete, "notice": images.notice},
        **options,
    )


def train(
    name: str,
    config: TrainingConfig,
    loss_fn: Callable[..., jax.Array],
    params: Any,
    examples: Sequence[Any],
    evaluate: Callable[[Any], dict[str, float]],
    source: dict[str, Any],
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
    folder = RunFolder.choose(name, config.out, resume=config.resume, overwrite=config.overwrite)
    optimizer = training.make_optimizer(config.optimizer, config.learning_rate)
    run = {**identity(name, config), "examples": len(examples[0])}
    state = folder.restore(training.init_state(params, optimizer), run) if config.resume else None
    if state is not None and folder.has_result():
        _refuse_finished(int(state.step), config, len(examples[0]), folder.path)
    gradient_check = check_gradients(loss_fn, params, examples) if config.gradient_check else None
    folder.begin({"experiment": name, **dataclasses.asdict(config)}, 0 if state is None else int(state.step))

    notices = (source.get("notice"), training.slow_precision(config.precision))
    with Progress(name, params, config.length, notice="\n".join(filter(None, notices))) as progress:

        def on_report(state: TrainState, row: dict[str, Any]) -> None:
            progress.row(row)
            folder.report(state, row, run)

        with folder.stopping_on_signals():
            fitted = training.fit(
                loss_fn,
                params,
                examples,
                optimizer=optimizer,
                batch_size=config.batch_size,
                key=jax.random.key(config.seed or 0),
                evaluate=evaluate,
                on_report=on_report,
                state=state,
                devices=config.devices,
                **{**config.length, **options},
            )
        last = (fitted.history or folder.metrics())[-1]
        summary = {
            "experiment": name,
            **source,
            **{key: last[key] for key in ("test_accuracy", "test_loss", "train_loss")},
            "steps": int(fitted.state.step),
            "compile_seconds": round(fitted.compile_seconds, 4),
            "train_seconds": round(sum(row["seconds"] for row in folder.metrics()), 4),
            "total_seconds": round(time.perf_counter() - start, 4),
            "params_sha256": params_sha256(fitted.params),
            "gradient_check": gradient_check,
            "jax": jax.__version__,
            "jaxlib": jax.lib.__version__,
            "devices": [str(device) for device in jax.devices()[: config.devices]],
        }
        folder.finish(summary)
        write_page(folder.path / "report.html", summary, folder.metrics(), dataclasses.asdict(config))
        progress.finish(summary, folder.path)
    return Result(folder.path, summary, fitted)


def _refuse_finished(step: int, config: TrainingConfig, num_examples: int, folder: Path) -> None:
    wanted = config.length.get("steps") or config.length["epochs"] * -(-num_examples // config.batch_size)
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
    return {"ok": report.ok, "largest_relative_error": max(leaf.relative_error for leaf in report.leaves)}


def params_sha256(params: Any) -> str:
    """Returns a hash over the paths, types, shapes and bytes of all leaves."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
