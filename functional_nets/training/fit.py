"""Training a model: epochs, each one compiled program, with metrics between them."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from functional_nets.training.devices import batch_sharding, replicate
from functional_nets.training.epoch import Data, checked_data, make_epoch, make_epochs, steps_per_epoch
from functional_nets.training.step import Loss, TrainState, init_state, make_train_step

Row = dict[str, Any]


class NonFiniteLossError(ArithmeticError):
    """Training has stopped on a loss that is NaN or infinite.

    Attributes:
        step: The step, counted from 0, whose loss was the first such.
        epoch: The epoch, counted from 1, of that step.
    """

    def __init__(self, step: int, epoch: int, loss: float):
        super().__init__(
            f"Expected a finite loss, found {loss} first at step {step} (epoch {epoch}): "
            "try a smaller learning rate, or look for a logarithm or a division of 0 in the loss."
        )
        self.step, self.epoch = step, epoch


class FitResult(NamedTuple):
    """What training returns.

    Attributes:
        params: The trained parameters.
        state: The whole last state, from which `fit(…, state=…)` would go on.
        history: One row per report: `epoch`, `step`, `train_loss` (mean over the batches since the last
            row, in the loss's unit), `seconds`, and what `evaluate` added.
        losses: The loss of every step.
        compile_seconds: Time spent compiling.
        train_seconds: Time spent in the compiled steps, without compiling and evaluating.
    """

    params: Any
    state: TrainState
    history: list[Row]
    losses: Float[np.ndarray, " steps"]
    compile_seconds: float
    train_seconds: float


def fit(
    loss_fn: Loss,
    params: Any,
    train: Data,
    *,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    key: Array,
    epochs: int | None = None,
    steps: int | None = None,
    shuffle: bool = True,
    stochastic: bool = False,
    epochs_per_report: int = 1,
    evaluate: Callable[[Any], Row] | None = None,
    on_report: Callable[[TrainState, Row], None] | None = None,
    state: TrainState | None = None,
    devices: int = 1,
) -> FitResult:
    """Returns the parameters after training, and what was seen on the way.

    The same arguments give the same result, bit for bit; stopped after any step and continued from the state
    it had there, too.

    Args:
        loss_fn: `loss_fn(params, *batch)`, a scalar.
        params: Where training starts; left as they are.
        train: Arrays whose first axes count the examples, such as `data.train`. uint8 images stay so on the
            device and reach the loss scaled to [0, 1].
        optimizer: From optax.
        batch_size: Examples of a step; a last batch that is not full is kept.
        key: What the order of the examples, and the loss if it is stochastic, are drawn from.
        epochs: Passes over the data; give this or `steps`.
        steps: Steps, the last epoch being cut short; give this or `epochs`.
        shuffle: Whether each epoch draws a new order; otherwise the data's own.
        stochastic: Whether the loss takes a keyword `key`.
        epochs_per_report: Epochs that run as one program between two rows of the history.
        evaluate: From parameters to what a row of the history shall hold beside the training loss.
        on_report: Is given the state and the row after each report. The state's arrays are reused by
            the next epoch: copy what shall last.
        state: Go on from this state instead of from `params`; left as it is.
        devices: Devices that share each batch.

    Raises:
        ValueError: For sizes that do not fit, each with what was expected.
        NonFiniteLossError: When a loss is NaN or infinite.
    """
    data, num_examples = checked_data(train, batch_size)
    total_steps = _total_steps(epochs, steps, steps_per_epoch(num_examples, batch_size))
    if epochs_per_report < 1:
        raise ValueError(f"Expected epochs_per_report of at least 1, found {epochs_per_report}.")
    sharding = batch_sharding(devices)
    data = replicate(data, sharding)
    begin = init_state(params, optimizer) if state is None else state
    state = replicate(begin, sharding, may_alias=False)
    train_step = make_train_step(loss_fn, optimizer, stochastic=stochastic)

    programs: dict[tuple[int, range | None], Any] = {}
    history: list[Row] = []
    losses: list[np.ndarray] = []
    compile_seconds = train_seconds = 0.0
    for first_epoch, count, part in _schedule(
        int(state.step), total_steps, steps_per_epoch(num_examples, batch_size), epochs_per_report
    ):
        number = jnp.asarray(first_epoch)
        if (count, part) not in programs:
            start = time.perf_counter()
            epoch = make_epoch(train_step, num_examples, batch_size, shuffle=shuffle, steps=part, sharding=sharding)
            jitted = jax.jit(make_epochs(epoch, count), donate_argnums=0)
            programs[count, part] = jitted.lower(state, data, key, number).compile()
            compile_seconds += time.perf_counter() - start
        start = time.perf_counter()
        state, new_losses = programs[count, part](state, data, key, number)
        losses.append(np.asarray(new_losses))
        seconds = time.perf_counter() - start
        train_seconds += seconds
        _raise_on_non_finite(losses[-1], int(state.step), first_epoch, num_examples, batch_size)
        row = {
            "epoch": first_epoch + count,
            "step": int(state.step),
            "train_loss": float(losses[-1].mean()),
            "seconds": seconds,
            **(evaluate(state.params) if evaluate else {}),
        }
        history.append(row)
        if on_report:
            on_report(state, row)
    every_loss = np.concatenate(losses) if losses else np.empty(0, np.float32)
    return FitResult(state.params, state, history, every_loss, compile_seconds, train_seconds)


def _schedule(done: int, total: int, per_epoch: int, per_report: int) -> Iterator[tuple[int, int, range | None]]:
    """Yields, per report, its first epoch, how many epochs it takes, and which steps if part of one."""
    epoch, begun = divmod(done, per_epoch)
    while done < total:
        left = total - epoch * per_epoch  # Steps, from the beginning of this epoch.
        if begun or left < per_epoch:
            count, part = 1, range(begun, min(left, per_epoch))
            done += len(part)
        else:
            count, part = min(per_report, left // per_epoch), None
            done += count * per_epoch
        yield epoch, count, part
        epoch, begun = epoch + count, 0


def _total_steps(epochs: int | None, steps: int | None, per_epoch: int) -> int:
    if (epochs is None) == (steps is None):
        raise ValueError(f"Expected either epochs or steps, found epochs={epochs} and steps={steps}.")
    name, value = ("epochs", epochs) if steps is None else ("steps", steps)
    if value is None or value < 1:
        raise ValueError(f"Expected {name} of at least 1, found {value}.")
    return value * per_epoch if steps is None else value


def _raise_on_non_finite(losses: np.ndarray, step: int, epoch: int, num_examples: int, batch_size: int) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        first = step - len(losses) + int(bad[0])
        raise NonFiniteLossError(first, first // steps_per_epoch(num_examples, batch_size) + 1, float(losses[bad[0]]))
