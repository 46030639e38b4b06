"""One trial of a sweep, trained as its experiment trains it alone, in steps that can be gone on from."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments._options import FREE
from experiments._saving import SHORTEST
from experiments._trials import Problem, Trial
from functional_nets import training
from functional_nets.training import Snapshot, TrainState


class Score(NamedTuple):
    """What a trial has found after so many steps; without scores where it has diverged.

    Attributes:
        step: Steps taken; where it has diverged, the first, from 1, whose loss is not finite.
        epoch: Passes over the data, a part counting as a whole.
        ended: Whether no step is left to take.
        test_accuracy: From 0 to 1.
        test_loss: In nats.
        train_loss: Mean over the steps since the report before, in nats.
    """

    step: int
    epoch: int
    ended: bool
    test_accuracy: float | None = None
    test_loss: float | None = None
    train_loss: float | None = None


def train_single(
    problem: Problem, trial: Trial, folder: Path | None, on_score: Callable[[Score], None], *, on_the_way: bool = False
) -> None:
    """Trains a trial to the bits that its experiment's own command finds.

    Args:
        problem: The experiment.
        trial: What to train.
        folder: Where its checkpoints lie: it goes on from the newest, if there is one of the same trial, data and
            environment. None keeps none.
        on_score: Is given the score at the end, or where it has diverged.
        on_the_way: Whether it is given one at each report before, too.
    """
    config, task = trial.config, problem.task(trial.config)
    last_step = config.last_step(len(problem.examples[0]))
    optimizer = training.make_optimizer(config.optimizer, config.learning_rate)
    key = jax.random.key(config.seed or 0)

    def on_report(state: TrainState, row: dict[str, Any]) -> None:
        ended = row["step"] == last_step
        if ended or on_the_way:
            accuracy, loss = task.evaluate(state.params)
            on_score(Score(row["step"], row["epoch"], ended, float(accuracy), float(loss), row["train_loss"]))

    contract = {**_contract(trial), **training.data_contract(problem.examples, key)}
    keeper = _Keeper(folder, contract, last_step)
    try:
        training.fit(
            task.loss_fn,
            task.params,
            problem.examples,
            optimizer=optimizer,
            batch_size=config.batch_size,
            key=key,
            shuffle=task.shuffle,
            epochs_per_report=task.epochs_per_report,
            on_report=on_report,
            on_chunk=keeper.chunk,
            state=keeper.newest(training.init_state(task.params, optimizer)),
            epochs=config.length.get("epochs"),
            steps=config.length.get("steps"),
        )
    except training.NonFiniteLossError as error:
        # Parameters that are not finite make the next loss so, and that is what is counted in a program of many, too.
        first = error.step + (1 if error.found == "loss" else 2)
        on_score(Score(min(first, last_step), error.epoch, ended=True))


def _contract(trial: Trial) -> dict[str, Any]:
    options = {name: value for name, value in dataclasses.asdict(trial.config).items() if name not in FREE}
    return {"length": trial.config.length, **options, **training.environment()}


class _Keeper:
    """A trial's newest checkpoint, two seconds after the one before at the earliest; none of its last step."""

    def __init__(self, folder: Path | None, contract: dict[str, Any], last_step: int):
        self._folder, self._contract, self._last_step = folder, contract, last_step
        self._saved_at = time.monotonic()

    def newest(self, like: TrainState) -> Snapshot | None:
        """Returns where the trial goes on, None for its beginning."""
        if self._folder is None:
            return None
        try:
            return training.load_checkpoint(self._folder, like, self._contract).snapshot
        except training.CheckpointError:
            return None  # None is there, or it is another trial's: what is lost is time alone.

    def chunk(self, snapshot: Snapshot) -> None:
        """Saves the snapshot if it is due."""
        due = time.monotonic() - self._saved_at >= SHORTEST and int(snapshot.state.step) < self._last_step
        if self._folder is not None and due:
            training.save_checkpoint(self._folder, snapshot, {"contract": self._contract}, keep=1)
            self._saved_at = time.monotonic()
