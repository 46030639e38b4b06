"""The examples of a training: their number, the order in which each epoch takes them."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int

Data = Sequence[Array | np.ndarray]
"""Arrays whose first axes count the examples, such as images and labels."""


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Returns the number of batches; a last one that is not full counts: 60,000 in batches of 64 are 938."""
    return -(-num_examples // batch_size)


def checked_data(train: Data, batch_size: int) -> tuple[tuple[Array | np.ndarray, ...], int]:
    """Returns the arrays and how many examples they hold; of a whole data set, its training part.

    Raises:
        ValueError: When their first axes differ or are empty, or hold less than one batch; for no whole batch size.
    """
    data = tuple(each if hasattr(each, "shape") else np.asarray(each) for each in getattr(train, "train", train))
    lengths = [len(array) for array in data]
    if not data or min(lengths) != max(lengths) or not lengths[0]:
        raise ValueError(f"Expected arrays of one length of at least 1, found lengths {lengths}: give (x, labels).")
    if not isinstance(batch_size, (int, np.integer)):
        raise ValueError(f"Expected a whole number for the batch size, found {batch_size!r}.")
    if not 1 <= batch_size <= lengths[0]:
        raise ValueError(f"Expected a batch size from 1 to the data's {lengths[0]}, found {batch_size}.")
    return data, lengths[0]


def checked_key(key: Array) -> Array:
    """Returns the key.

    Raises:
        ValueError: When it is none, such as the number that it could be made from.
    """
    dtype = getattr(key, "dtype", None)
    old = dtype == np.uint32 and np.shape(key) == (2,)
    new = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) and not np.shape(key)
    if not old and not new:
        raise ValueError(f"Expected a key such as jax.random.key(0), found {key!r}.")
    return key


def epoch_orders(key: Array, first: int, count: int, num_examples: int) -> Int[Array, "epochs examples"]:
    """Returns the order of the examples in each of `count` epochs, from epoch `first` on.

    An epoch's order is `jax.random.permutation` of a key that depends on (key, epoch) alone: there is no iterator
    whose place would have to be saved. On CPU NumPy sorts what JAX draws: 12 ms instead of 45 for 60,000
    examples, a sixth of an epoch of the small network on MNIST; the order is the same.
    """
    epochs = jnp.arange(first, first + count)
    if jax.default_backend() == "cpu":
        return jnp.asarray(_sorted_by(np.asarray(_draws(key, epochs, num_examples))))
    return _permutations(key, epochs, num_examples)


def step_key(key: Array, epoch: Array, number: Array) -> Array:
    """Returns what step `number` of an epoch draws from."""
    return jax.random.fold_in(jax.random.split(jax.random.fold_in(key, epoch))[1], number)


def _order_key(key: Array, epoch: Array) -> Array:
    return jax.random.split(jax.random.fold_in(key, epoch))[0]


@partial(jax.jit, static_argnums=2)
def _permutations(key: Array, epochs: Array, num_examples: int) -> Array:
    return jax.vmap(lambda epoch: jax.random.permutation(_order_key(key, epoch), num_examples))(epochs)


@partial(jax.jit, static_argnums=2)
def _draws(key: Array, epochs: Array, num_examples: int) -> Array:
    """Returns the numbers that `jax.random.permutation` sorts by, [epochs, rounds, examples]."""
    # So many sorts that an order hardly depends on ties of 32-bit numbers.
    rounds = int(np.ceil(3 * np.log(max(1, num_examples)) / np.log(np.iinfo(np.uint32).max)))

    def draw(epoch: Array) -> Array:
        order_key, drawn = _order_key(key, epoch), []
        for _ in range(rounds):
            order_key, round_key = jax.random.split(order_key)
            drawn.append(jax.random.bits(round_key, (num_examples,), jnp.uint32))
        return jnp.stack(drawn) if drawn else jnp.zeros((0, num_examples), jnp.uint32)

    return jax.vmap(draw)(epochs)


def _sorted_by(draws: np.ndarray) -> np.ndarray:
    """Returns 0, 1, … sorted by each round of draws in turn, [epochs, examples]; equal ones keep their order."""
    orders = np.broadcast_to(np.arange(draws.shape[-1], dtype=np.int32), (len(draws), draws.shape[-1]))
    for by in np.moveaxis(draws, 1, 0):
        orders = np.take_along_axis(orders, np.argsort(by, axis=-1, kind="stable"), axis=-1)
    return orders
