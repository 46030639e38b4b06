"""Runs that have been written: their files, read and checked, and the networks that they trained."""

import dataclasses
import importlib
import math
import types
import typing
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments._command import OptionError
from experiments._options import TrainingConfig
from experiments._records import read_metrics, read_record
from functional_nets import training
from functional_nets.models import Model

TRAININGS = ("xor", "mnist", "fashion_mnist", "lenet")
"""The experiments that train one network, each a module with `Config` and `model`; those on images have a `DATASET`."""

NUMBERS = ("test_accuracy", "test_loss", "train_loss", "steps", "compile_seconds", "train_seconds", "total_seconds")
"""What every `result.json` holds, each a number."""


class Run(NamedTuple):
    """What a folder holds.

    Attributes:
        folder: Where it lies.
        name: The experiment's.
        config: Its options.
        metrics: The rows of `metrics.jsonl`.
        result: What `result.json` holds; None for a run that has not ended.
    """

    folder: Path
    name: str
    config: TrainingConfig
    metrics: list[dict[str, Any]]
    result: dict[str, Any] | None

    @property
    def experiment(self) -> Any:
        """The experiment's module."""
        return importlib.import_module(f"experiments.{self.name}")

    @property
    def model(self) -> Model:
        """The network that was trained."""
        return self.experiment.model(self.config)

    def finished(self) -> dict[str, Any]:
        """Returns the result.

        Raises:
            OptionError: When there is none yet.
        """
        if self.result is None:
            raise OptionError(
                f"Expected a run that has ended, found no result.json in {self.folder}: "
                f"go on with it by python -m experiments.{self.name} --out {self.folder} --resume."
            )
        return self.result


def read_run(folder: Path) -> Run:
    """Returns the run in a folder.

    Raises:
        OptionError: When the folder holds none, or one of another kind.
        DataError: When its files are not as a training writes them.
    """
    if not (folder / "config.json").is_file():
        raise OptionError(f"Expected the folder of a run, found no config.json in {folder}: name one below runs/.")
    options = read_record(folder / "config.json")
    name = options.get("experiment")
    if name not in TRAININGS or options.get("population"):
        raise OptionError(
            f"Expected a run of {', '.join(TRAININGS)}, found one of {name!r}"
            f"{' with --population' if options.get('population') else ''} in {folder}: name another folder."
        )
    config = _config(importlib.import_module(f"experiments.{name}").Config, options, folder / "config.json")
    result = _result(folder / "result.json") if (folder / "result.json").is_file() else None
    return Run(folder, name, config, read_metrics(folder / "metrics.jsonl"), result)


def _result(path: Path) -> dict[str, Any]:
    found = read_record(path)
    result = {**found, **{name: math.nan for name in NUMBERS if name in found and found[name] is None}}
    for name in NUMBERS:
        if type(result.get(name)) not in (int, float):
            raise OptionError(
                f"Expected a number as {name} in {path}, found {result.get(name)!r:.60}: restore the file."
            )
    return result


def trained_params(run: Run) -> Any:
    """Returns the parameters with which a run ended: those of its newest checkpoint.

    Raises:
        OptionError: When the run has not ended, or its newest checkpoint is not of its end.
        CheckpointError: When its checkpoints are damaged or of another network.
    """
    result = run.finished()
    optimizer = training.make_optimizer(run.config.optimizer, run.config.learning_rate)
    like = training.init_state(run.model.init(jax.random.key(0)), optimizer)
    found = training.load_checkpoint(run.folder / "checkpoints", like)
    params = found.snapshot.state.params
    if training.tree_sha256(params) != result.get("params_sha256"):
        raise OptionError(
            f"Expected the parameters that result.json names, found those of another moment in {found.path}: "
            "put its checkpoint back, or run it again."
        )
    return jax.tree.map(np.asarray, params)


def _config(config_class: type[TrainingConfig], options: dict[str, Any], path: Path) -> TrainingConfig:
    """The options that a run was given; those of another version that are not known are left out."""
    hints = typing.get_type_hints(config_class)
    values = {}
    for field in dataclasses.fields(config_class):
        if (value := options.get(field.name)) is None:
            continue
        kind = next(
            part for part in (*typing.get_args(hints[field.name]), hints[field.name]) if part is not types.NoneType
        )
        choices = field.metadata["choices"]
        try:
            if (kind is bool and not isinstance(value, bool)) or (choices and value not in choices):
                raise TypeError
            values[field.name] = kind(value)
        except (TypeError, ValueError, OverflowError):
            raise OptionError(
                f"Expected {' or '.join(choices) or kind.__name__} as {field.name} in {path}, found {value!r:.60}: "
                "restore the file."
            ) from None
    config = config_class(**values)
    config.check()
    return config
