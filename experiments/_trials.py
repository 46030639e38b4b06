"""The trials of a sweep: what each is to train, on which data, and how it is measured."""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments._command import OptionError, parse
from experiments._options import TrainingConfig
from experiments._space import Space, Values, limits
from functional_nets import data, training
from functional_nets.nn import binary_cross_entropy_loss, classification_loss


@dataclass(frozen=True)  # No tuple: those Ray Tune takes apart.
class Trial:
    """A network that is to be trained.

    Attributes:
        number: From 1.
        values: Of the options that the space names.
        config: All options.
    """

    number: int
    values: Values
    config: TrainingConfig


class Task(NamedTuple):
    """What trials with the same shapes share.

    Attributes:
        loss_fn: `loss_fn(params, *batch)`.
        params: Where training starts.
        evaluate: From parameters to the accuracy and loss on the test data.
        shuffle: Whether each epoch draws a new order.
        epochs_per_report: Epochs over which the training loss is averaged.
    """

    loss_fn: Callable[..., jax.Array]
    params: Any
    evaluate: Callable[[Any], tuple[float, float]]
    shuffle: bool = True
    epochs_per_report: int = 1


class Problem(NamedTuple):
    """An experiment with its data.

    Attributes:
        examples: Inputs and labels.
        task: From a trial's options to what it shares with others.
        source: Where the data come from.
        notice: What must not be missed about them.
    """

    examples: Sequence[Any]
    task: Callable[[Any], Task]
    source: str
    notice: str | None


def make_trials(name: str, drawn: Sequence[Values], words: Sequence[str], first: int = 1) -> list[Trial]:
    """Returns the trials with all options, read as the experiment's own command reads them.

    Args:
        name: The experiment's.
        drawn: The values of each trial.
        words: What all trials add to their command.
        first: The number of the first.

    Raises:
        OptionError: For a value that the experiment cannot use.
        SystemExit: For one that is of another type, after one line on standard error.
    """
    config_class = importlib.import_module(f"experiments.{name}").Config
    common = parse(config_class, name, "", words)

    @functools.cache  # Of many trials that share few values.
    def read(option: str, text: str) -> Any:
        return getattr(parse(config_class, name, "", _word(config_class, option, text)), option)

    trials = []
    for number, values in enumerate(drawn, first):
        own = {option: read(option, value) if isinstance(value, str) else value for option, value in values.items()}
        trials.append(Trial(number, values, dataclasses.replace(common, **own)))
        trials[-1].config.check()
    return trials


def make_limits(name: str, space: Space, words: Sequence[str]) -> list[Trial]:
    """Returns a trial for each end of an interval and each value of a list, whether it is drawn or not.

    Raises:
        OptionError: For one that the experiment cannot use, or two values of a list that are the same to it.
        SystemExit: As `make_trials`.
    """
    trials = make_trials(name, limits(space), words)
    for option, dimension in space.items():
        own = [trial for trial in trials if option in trial.values]
        if len({trial.config for trial in own}) < len(own):
            found = ",".join(str(value) for value in dimension.limits())
            raise OptionError(f"Expected values that differ, found {option}={found}: leave out those that repeat.")
    return trials


def _word(config_class: type, name: str, text: str) -> list[str]:
    """The word that gives an option a value on the command line; none for what a switch is by default."""
    flag = "--" + name.replace("_", "-")
    default = next(field.default for field in dataclasses.fields(config_class) if field.name == name)
    if not isinstance(default, bool):
        return [f"{flag}={text}"]
    if text not in ("true", "false"):
        raise OptionError(f"Expected true or false for {name} in --space, found {text!r}: write {name}=true,false.")
    if (text == "true") == default:
        return []
    return [flag.replace("--", "--no-", 1) if default else flag]


def load_problem(name: str, source: str, data_dir: Path | None) -> Problem:
    """Returns an experiment with its data."""
    module = importlib.import_module(f"experiments.{name}")
    if name == "xor":
        return Problem((module.X, module.LABELS), lambda config: _xor_task(module, config), "embedded", None)
    images = data.load(module.DATASET, source=source, data_dir=data_dir)
    return Problem(images.train, lambda config: _images_task(module, config, images.test), images.source, images.notice)


def _xor_task(xor: Any, config: Any) -> Task:
    evaluate = xor.make_evaluate(config)

    def measured(params: Any) -> tuple[float, float]:
        found = evaluate(params)
        return found["test_accuracy"], found["test_loss"]

    return Task(
        binary_cross_entropy_loss(xor.model(config).apply),
        xor.initial_params(config),
        measured,
        shuffle=config.batch_size < len(xor.X),
        epochs_per_report=xor.epochs_per_report(config),
    )


def _images_task(module: Any, config: Any, test: data.Split) -> Task:
    model = module.model(config)
    return Task(
        classification_loss(model.apply),
        model.init(jax.random.key(config.seed or 0)),
        lambda params: training.evaluate(model.apply, params, test),
        shuffle=getattr(config, "shuffle", True),
    )


def check_batch_sizes(trials: Sequence[Trial], examples: int) -> None:
    """Raises OptionError when a trial's batch is larger than the data."""
    largest = max(trial.config.batch_size for trial in trials)
    if largest > examples:
        raise OptionError(
            f"Expected batch_size of at most {examples}, as many as there are examples, found {largest}: "
            "give smaller ones."
        )
