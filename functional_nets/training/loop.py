"""Any number of steps as one compiled program: a loop over batches that lie on the device."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import Mesh
from jaxtyping import Float, Int

from functional_nets.training.examples import step_key, steps_per_epoch
from functional_nets.training.parallel import share_batch
from functional_nets.training.step import Batch, TrainState

TrainStep = Callable[[TrainState, Batch, Array], tuple[TrainState, Float[Array, ""]]]
BLOCK = 64
"""Steps of the innermost loop. XLA compiles a CPU loop that touches less than about a kilobyte as one function, which
makes steps of a tiny network several times faster: the losses of all steps would be too much.
"""

Orders = Int[Array, "epochs examples"] | None
Loop = Callable[
    [TrainState, Sequence[Array], Orders, Array, Int[Array, ""], Int[Array, ""]],
    tuple[TrainState, Float[Array, " capacity"]],
]


def take_batch(data: Sequence[Array], order: Array | None, number: Array | int, size: int, batch_size: int) -> Batch:
    """Returns batch `number` of an epoch: `size` examples in the epoch's order, or in the data's own for None."""
    start = number * batch_size
    if order is not None:
        rows = lax.dynamic_slice_in_dim(order, start, size)
        return tuple(array[rows] for array in data)
    if size == len(data[0]):
        return tuple(data)
    return tuple(lax.dynamic_slice_in_dim(array, start, size) for array in data)


def make_loop(
    train_step: TrainStep,
    num_examples: int,
    batch_size: int,
    *,
    capacity: int,
    stop_on_bad_loss: bool = True,
    mesh: Mesh | None = None,
) -> Loop:
    """Returns `loop(state, data, orders, key, first, stop) -> (state, losses)`, pure and not yet compiled.

    It takes the steps from `first` to before `stop`, which are no constants of the program: however a training is
    divided, each of its steps is run by the same machine code and gives the same bits. `losses[i]` is the loss of
    step `first + i`, NaN for what was not run.

    `orders` are those of n epochs from a multiple of n on, as `epoch_orders` gives them, among which those of the
    steps must be; None takes the examples in the data's own order.

    Args:
        train_step: As `make_train_step` returns it.
        num_examples: Length of the data's first axis.
        batch_size: Examples of a batch; the last batch of an epoch holds what is left.
        capacity: The largest number of steps that can be asked for.
        stop_on_bad_loss: Whether a loss that is NaN or infinite ends the loop after its step. A loop that is
            vmapped goes on: where one network ends, the others do not.
        mesh: The devices that share each batch; None for one.
    """
    per_epoch = steps_per_epoch(num_examples, batch_size)
    full, rest = divmod(num_examples, batch_size)

    def loop(state: TrainState, data: Any, orders: Any, key: Array, first: Array, stop: Array) -> Any:
        def step(carry: Any, epoch: Array, order: Array | None, size: int, begin: Array) -> Any:
            """One step; its loss is put where those from step `begin` on lie."""
            at, state, losses, _ = carry
            number = at - epoch * per_epoch
            # Data and order are whole on each device: to take a batch sends nothing. All gradients and the loss are
            # then sums over its shares, none of which needs another: XLA's all-reduce combiner sends them as one.
            batch = share_batch(take_batch(data, order, number, size, batch_size), mesh)
            state, loss = train_step(state, batch, step_key(key, epoch, number))
            losses = lax.dynamic_update_index_in_dim(losses, loss, at - begin, 0)
            return at + 1, state, losses, jnp.isfinite(loss) if stop_on_bad_loss else carry[3]

        def goes_on(carry: Any, end: Array) -> Array:
            return (carry[0] < end) & carry[3] if stop_on_bad_loss else carry[0] < end

        def block(carry: Any, end: Array, step: Callable[[Any, Array], Any]) -> Any:
            """The steps to before `end`, at most `BLOCK`."""
            begin, state, losses, fine = carry
            end = jnp.minimum(end, begin + BLOCK)
            at, state, recent, fine = lax.while_loop(
                lambda carry: goes_on(carry, end),
                lambda carry: step(carry, begin),
                (begin, state, jnp.full(BLOCK, jnp.nan, losses.dtype), fine),
            )
            return at, state, lax.dynamic_update_slice(losses, recent, (begin - first,)), fine

        def part_of_epoch(carry: Any) -> Any:
            epoch = carry[0] // per_epoch
            order = None if orders is None else orders[epoch % len(orders)]
            end = epoch * per_epoch + full
            carry = block(
                carry, jnp.minimum(stop, end), lambda carry, begin: step(carry, epoch, order, batch_size, begin)
            )
            if not rest:
                return carry
            last = (carry[0] == end) & goes_on(carry, stop)
            return lax.cond(last, lambda carry: step(carry, epoch, order, rest, first), lambda carry: carry, carry)

        def part_in_one_batch(carry: Any) -> Any:  # Each epoch is a step: nothing to take.
            return block(carry, stop, lambda carry, begin: step(carry, carry[0], None, batch_size, begin))

        batch = take_batch(data, None, first, batch_size, batch_size)
        loss = jax.eval_shape(lambda: train_step(state, batch, key)[1])
        carry = (first, state, jnp.full(capacity + BLOCK, jnp.nan, loss.dtype), jnp.asarray(True))
        part = part_in_one_batch if batch_size == num_examples and orders is None else part_of_epoch
        _, state, losses, _ = lax.while_loop(lambda carry: goes_on(carry, stop), part, carry)
        return state, losses[:capacity]

    return loop
