"""The engine that trains all trials that share shapes in one compiled program, in this process."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._engine import Watch, Work
from experiments._options import TrainingConfig
from experiments._trials import Problem, Task, Trial
from functional_nets import training
from functional_nets.report.sweep import Tried


class VmapEngine(contextlib.nullcontext):
    """Trains programs of many networks, one program after the other; it goes on after its last whole program.

    Products of many networks are rounded otherwise than those of one, in the last bit. So a network ends where the
    experiment alone would end with other last bits in its first weights: the losses agree to six digits until a number
    falls on the other side of a ReLU's kink, about once an epoch, and from there on as closely as the training is
    stable. On MNIST that was 2e-5 of the loss at learning rates to 0.3, and 3 % of it, or a quarter of a percent of the
    test images, at those near 1.

    Args:
        at_once: Networks in one program, at most.
    """

    def __init__(self, at_once: int):
        super().__init__(self)
        self._at_once = at_once

    def manner(self, trials: Sequence[Trial]) -> str:
        """Returns in how many programs it trains them."""
        count = len(programs(trials, self._at_once))
        return "in 1 program" if count == 1 else f"in {count} programs"

    def train(self, work: Work, watch: Watch) -> None:
        """Trains all trials of the work."""
        left = programs(work.trials, self._at_once)
        for number, together in enumerate(left, 1):
            name = f"program {number} of {len(left)}, {len(together)} networks, steps"
            watch.begin(name, together[0].config.last_step(len(work.problem.examples[0])))
            watch.ended(train_together(work.problem, together, watch.count))


def programs(trials: Sequence[Trial], at_once: int) -> list[list[Trial]]:
    """Returns the trials by the programs that train them, at most `at_once` in each.

    Those of a program differ in their learning rates alone: the same shapes, the same batches in the same order.
    """
    groups: dict[TrainingConfig, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(dataclasses.replace(trial.config, learning_rate=1.0), []).append(trial)
    return [group[first : first + at_once] for group in groups.values() for first in range(0, len(group), at_once)]


def train_together(problem: Problem, trials: Sequence[Trial], on_steps: Callable[[int], None]) -> list[Tried]:
    """Returns what the trials of one program find, each what its experiment finds with the same options.

    Args:
        problem: The experiment.
        trials: As `programs` returns them.
        on_steps: Is given the number of steps taken so far, now and then.
    """
    config = trials[0].config
    task = problem.task(config)
    rates = jnp.asarray([trial.config.learning_rate for trial in trials], jnp.float32)
    result = training.fit_population(
        task.loss_fn,
        jax.tree.map(lambda leaf: np.stack([leaf] * len(trials)), task.params),
        problem.examples,
        lambda learning_rate: training.make_optimizer(config.optimizer, learning_rate),
        batch_size=config.batch_size,
        key=jax.random.key(config.seed or 0),
        shuffle=task.shuffle,
        hyperparameters={"learning_rate": rates},
        epochs_per_program=task.epochs_per_report if "steps" in config.length else 1,
        every_step=True,
        on_program=on_steps,
        epochs=config.length.get("epochs"),
        steps=config.length.get("steps"),
    )
    per_report = task.epochs_per_report * -(-len(problem.examples[0]) // config.batch_size)
    params = jax.device_get(result.params)
    since = (result.losses.shape[1] - 1) // per_report * per_report
    return [
        _tried(trial, task, jax.tree.map(lambda leaf, at=at: leaf[at], params), result.losses[at], since)
        for at, trial in enumerate(trials)
    ]


def _tried(trial: Trial, task: Task, params: Any, losses: np.ndarray, since: int) -> Tried:
    """What a trial has found; one that the experiment alone would have stopped counts as diverged."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size or not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
        return Tried(trial.number, trial.values, diverged_at=int(bad[0]) + 1 if bad.size else len(losses))
    accuracy, loss = task.evaluate(params)
    return Tried(trial.number, trial.values, float(accuracy), float(loss), float(losses[since:].mean()))
