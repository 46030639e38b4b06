"""An epoch as one compiled program: a scan over the data's batches, which lie on the device."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import NamedSharding
from jaxtyping import Float

from functional_nets.training.devices import share_batch
from functional_nets.training.step import Batch, TrainState

TrainStep = Callable[[TrainState, Batch, Array], tuple[TrainState, Float[Array, ""]]]
Data = Sequence[Array | np.ndarray]
"""Arrays whose first axes count the examples, such as images and labels."""
Epoch = Callable[[TrainState, Sequence[Array], Array, Array], tuple[TrainState, Float[Array, " steps"]]]


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Returns the number of batches; a last one that is not full counts: 60,000 in batches of 64 are 938."""
    return -(-num_examples // batch_size)


def checked_data(train: Data, batch_size: int) -> tuple[tuple[Array | np.ndarray, ...], int]:
    """Returns the arrays and how many examples they hold; of a whole data set, its training part.

    Raises:
        ValueError: When their first axes differ or are empty, or hold less than one batch.
    """
    data = tuple(each if hasattr(each, "shape") else np.asarray(each) for each in getattr(train, "train", train))
    lengths = [len(array) for array in data]
    if not data or min(lengths) != max(lengths) or not lengths[0]:
        raise ValueError(f"Expected arrays of one length of at least 1, found lengths {lengths}: give (x, labels).")
    if not 1 <= batch_size <= lengths[0]:
        raise ValueError(f"Expected a batch size from 1 to the data's {lengths[0]}, found {batch_size}.")
    return data, lengths[0]


def make_epoch(
    train_step: TrainStep,
    num_examples: int,
    batch_size: int,
    *,
    shuffle: bool,
    steps: range | None = None,
    sharding: NamedSharding | None = None,
) -> Epoch:
    """Returns `epoch(state, data, key, number) -> (state, losses)`, pure and not yet compiled.

    The order of the examples and all that a step draws are functions of (key, epoch's number, step): there
    is no iterator whose place would have to be saved.

    Args:
        train_step: As `make_train_step` returns it.
        num_examples: Length of the data's first axis.
        batch_size: Examples of a batch; the last batch holds what is left.
        shuffle: Whether each epoch draws a new order; otherwise the data's own.
        steps: Take these steps of the epoch alone, such as `range(400)`; None takes all the data.
        sharding: How a batch is shared among devices; None for one.
    """
    taken = range(steps_per_epoch(num_examples, batch_size)) if steps is None else steps
    full = range(taken.start, min(taken.stop, num_examples // batch_size))

    def epoch(state: TrainState, data: Sequence[Array], key: Array, number: Array) -> tuple[TrainState, Array]:
        order_key, step_key = jax.random.split(jax.random.fold_in(key, number))
        order = jax.random.permutation(order_key, num_examples) if shuffle else jnp.arange(num_examples)

        def step(state: TrainState, numbered: tuple[Array, Array]) -> tuple[TrainState, Array]:
            number, rows = numbered
            batch = share_batch(tuple(array[rows] for array in data), sharding)
            return train_step(state, batch, jax.random.fold_in(step_key, number))

        rows = order[full.start * batch_size : full.stop * batch_size].reshape(len(full), batch_size)
        state, losses = lax.scan(step, state, (jnp.arange(full.start, full.stop), rows))
        if taken.stop > full.stop:
            state, last = step(state, (jnp.asarray(full.stop), order[full.stop * batch_size :]))
            losses = jnp.append(losses, last)
        return state, losses

    return epoch


def make_epochs(epoch: Epoch, count: int) -> Epoch:
    """Returns an epoch function that takes `count` epochs from the given number on, as one program."""
    if count == 1:
        return epoch

    def epochs(state: TrainState, data: Sequence[Array], key: Array, number: Array) -> tuple[TrainState, Array]:
        numbers = number + jnp.arange(count)
        state, losses = lax.scan(lambda state, number: epoch(state, data, key, number), state, numbers)
        return state, losses.reshape(-1)

    return epochs
