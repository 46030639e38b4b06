"""Training a model: compiled steps in chunks of about a second, with metrics and checkpoints between them."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float

from functional_nets.training.chunks import Chunks
from functional_nets.training.examples import Data, checked_data, checked_key, steps_per_epoch
from functional_nets.training.non_finite import NonFiniteLossError, SkippedTooOftenError, explain, stayed_finite
from functional_nets.training.parallel import LAYER_RULES, Rules, at_hand, first, make_mesh, place, state_shardings
from functional_nets.training.step import (
    Loss,
    TrainState,
    init_state,
    make_batch_loss,
    make_train_step,
    skip_non_finite,
)

Row = dict[str, Any]
PROBE_STEPS = 8


class Snapshot(NamedTuple):
    """All that a training is between two chunks; `fit(…, state=snapshot)` goes on from it as if nothing had been.

    Attributes:
        state: Parameters, optimizer's memory, steps taken.
        losses: Those of the steps since the last row of the history.
        seconds: The time that those steps took.
        skipped: Steps skipped so far, because something in them was not finite.
    """

    state: TrainState
    losses: Float[np.ndarray, " steps"]
    seconds: float = 0.0
    skipped: int = 0


class FitResult(NamedTuple):
    """What training returns.

    Attributes:
        params: The trained parameters.
        state: The whole last state, from which `fit(…, state=…)` would go on.
        history: One row per report: `epoch`, `step`, `train_loss` (mean over the batches since the last
            row, in the loss's unit), `seconds`, and what `evaluate` added; `skipped`, if steps were.
        losses: The loss of every step.
        compile_seconds: Time spent compiling.
        train_seconds: Time spent in the compiled steps, without compiling and evaluating.
        bit_exact: Whether the first steps gave the same bits twice; None if it was not tried.
    """

    params: Any
    state: TrainState
    history: list[Row]
    losses: Float[np.ndarray, " steps"]
    compile_seconds: float
    train_seconds: float
    bit_exact: bool | None = None


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
    on_chunk: Callable[[Snapshot], None] | None = None,
    chunk_seconds: float = 1.0,
    chunk_steps: int | None = None,
    state: TrainState | Snapshot | None = None,
    devices: int | Mesh | None = 1,
    rules: Rules = LAYER_RULES,
    max_skipped: int = 0,
    probe: bool = False,
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
        epochs_per_report: Epochs between two rows of the history; their orders lie in memory together.
        evaluate: From parameters to what a row of the history shall hold beside the training loss.
        on_report: Is given the state and the row after each report. The state's arrays are reused by
            the next chunk: copy what shall last.
        on_chunk: Is given a snapshot after each chunk, whose arrays are reused, too: to save it, or to stop by raising.
        chunk_seconds: About how long a chunk takes, in seconds.
        chunk_steps: Chunks end at multiples of this, too.
        state: Go on from this state instead of from `params`; left as it is.
        devices: Devices that share each batch, or a mesh of them from `make_mesh`.
        rules: Which layers are split, if the mesh has an axis for it.
        max_skipped: Leave out this many steps, at most, whose loss, gradient or new parameters are not finite,
            before giving up; 0 stops at the first.
        probe: Whether to run the first steps twice, to see whether this machine repeats itself bit for bit.

    Raises:
        ValueError: For sizes that do not fit, each with what was expected.
        NonFiniteLossError: When a loss, gradient or parameter is NaN or infinite, with the operation that made it.
    """
    data, num_examples = checked_data(train, batch_size)
    per_epoch = steps_per_epoch(num_examples, batch_size)
    total = total_steps(epochs, steps, per_epoch)
    for name, value in (("epochs_per_report", epochs_per_report), ("chunk_steps", chunk_steps)):
        if value is not None and value < 1:
            raise ValueError(f"Expected {name} of at least 1, found {value}.")
    mesh = devices if isinstance(devices, Mesh) else make_mesh(devices)
    train_step = make_train_step(loss_fn, optimizer, stochastic=stochastic)
    chunks = Chunks(
        skip_non_finite(train_step) if max_skipped else train_step,
        data,
        checked_key(key),
        batch_size=batch_size,
        epochs=min(epochs_per_report, -(-total // per_epoch)),
        shuffle=shuffle,
        stop_on_bad_loss=not max_skipped,
        mesh=mesh,
    )

    explained = partial(explain, chunks, train_step, make_batch_loss(loss_fn, stochastic=stochastic))

    def report(now: Snapshot) -> Snapshot:
        state = at_hand(now.state, mesh)
        history.append(_row(now, per_epoch) | (evaluate(state.params) if evaluate else {}))
        if on_report:
            on_report(state, history[-1])
        return now._replace(losses=now.losses[:0], seconds=0.0)

    now = state if isinstance(state, Snapshot) else _begin(init_state(params, optimizer) if state is None else state)
    shardings = None if mesh is None else state_shardings(now.state, mesh, rules)
    now = now._replace(state=place(now.state, shardings, may_alias=False))
    bit_exact, pace = _probed(chunks, now.state) if probe else (None, PROBE_STEPS / chunk_seconds)
    together = (lambda pace: pace) if mesh is None else first  # Without a mesh, this process trains alone.
    pace = together(pace)
    history: list[Row] = []
    every_loss: list[np.ndarray] = []
    train_seconds = 0.0
    while (done := int(now.state.step)) < total:
        length = int(min(pace * chunk_seconds, total))
        stop = _chunk_end(done, total, epochs_per_report * per_epoch, length, chunk_steps)
        now, losses, seconds = _advance(chunks, now, stop, max_skipped, explained)
        every_loss.append(losses)
        train_seconds += seconds
        pace = together(len(losses) / seconds)  # All processes end the next chunk at the same step.
        if stop % (epochs_per_report * per_epoch) == 0:
            now = report(now)
        if on_chunk:
            on_chunk(now._replace(state=at_hand(now.state, mesh)))
    if now.losses.size:
        report(now)  # Of a part: a run that goes on from the last snapshot reports the whole instead.
    losses = np.concatenate(every_loss) if every_loss else np.empty(0, np.float32)
    last = at_hand(now.state, mesh)
    return FitResult(last.params, last, history, losses, chunks.compile_seconds, train_seconds, bit_exact)


def _begin(state: TrainState) -> Snapshot:
    return Snapshot(state, np.empty(0, np.float32))


def _advance(
    chunks: Chunks, now: Snapshot, stop: int, max_skipped: int, explained: Callable[..., NonFiniteLossError]
) -> tuple[Snapshot, np.ndarray, float]:
    """Returns the snapshot before step `stop`, the losses of the chunk and its seconds."""
    before = jax.tree.map(jnp.copy, now.state)  # For what may have to be explained.
    start, compiled = time.perf_counter(), chunks.compile_seconds
    state, losses = chunks.run(now.state, stop)
    seconds = time.perf_counter() - start - (chunks.compile_seconds - compiled)
    bad = np.flatnonzero(~np.isfinite(losses))
    if not max_skipped and (bad.size or not stayed_finite(before, state)):
        raise explained(before, losses)
    skipped = now.skipped + len(bad)
    if skipped > max_skipped:
        one_too_many = bad[max_skipped - now.skipped]
        raise SkippedTooOftenError(explained(before, losses[: one_too_many + 1]), max_skipped)
    losses_of_row = np.concatenate([now.losses, losses])
    return Snapshot(state, losses_of_row, now.seconds + seconds, skipped), losses, seconds


def _chunk_end(done: int, total: int, per_report: int, length: int, multiple: int | None) -> int:
    """Returns where the next chunk ends: at a report at the latest, and rather there than a little before it."""
    end = min(total, (done // per_report + 1) * per_report)
    if end - done > 1.5 * max(1, length):
        end = done + max(1, length)
    if multiple is not None:
        end = min(end, (done // multiple + 1) * multiple)
    return end


def _row(now: Snapshot, per_epoch: int) -> Row:
    finite = now.losses[np.isfinite(now.losses)]
    return {
        "epoch": -(-int(now.state.step) // per_epoch),
        "step": int(now.state.step),
        "train_loss": float(finite.mean(dtype=np.float64)) if finite.size else float("nan"),
        "seconds": now.seconds,
        **({"skipped": now.skipped} if now.skipped else {}),
    }


def _probed(chunks: Chunks, state: TrainState) -> tuple[bool, float]:
    """Returns whether the next steps give the same bits twice, and how many are taken in a second."""
    first = int(state.step)
    stop = _chunk_end(first, first + PROBE_STEPS, chunks.per_epoch, PROBE_STEPS, None)
    runs, seconds = [], 0.0
    for _ in range(2):
        start = time.perf_counter()
        runs.append(chunks.run(jax.tree.map(jnp.copy, state), stop))
        seconds = time.perf_counter() - start
    bits = [[np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(each)] for each in runs]
    return bits[0] == bits[1], (stop - first) / seconds


def total_steps(epochs: int | None, steps: int | None, per_epoch: int) -> int:
    """Returns how many steps a training takes that is given one of `epochs` and `steps`.

    Raises:
        ValueError: When it is given both or none, or fewer than one.
    """
    if (epochs is None) == (steps is None):
        raise ValueError(f"Expected either epochs or steps, found epochs={epochs} and steps={steps}.")
    name, value = ("epochs", epochs) if steps is None else ("steps", steps)
    if value is None or value < 1:
        raise ValueError(f"Expected {name} of at least 1, found {value}.")
    return value * per_epoch if steps is None else value
