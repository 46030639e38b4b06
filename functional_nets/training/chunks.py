"""A training's compiled loop, run chunk by chunk: between two chunks the host can look, save and stop."""

import contextlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float

from functional_nets.training.examples import Data, epoch_orders, step_key, steps_per_epoch
from functional_nets.training.loop import TrainStep, make_loop, take_batch
from functional_nets.training.parallel import at_hand, place, replicated
from functional_nets.training.step import Batch, TrainState


class Chunks:
    """The steps of one training over data on the device, compiled once for chunks of any length.

    Args:
        train_step: As `make_train_step` returns it.
        data: Arrays; they are put, whole, on each device.
        key: What the orders, and the loss if it is stochastic, are drawn from.
        batch_size: Examples of a step.
        epochs: Whole epochs that the longest chunk can hold; a chunk lies between two multiples of them.
        shuffle: Whether each epoch draws a new order; otherwise the data's own.
        stop_on_bad_loss: Whether a chunk ends after a loss that is NaN or infinite.
        mesh: The devices that share each batch; None for one.

    Attributes:
        per_epoch: Steps of an epoch.
        mesh: As it was given.
        compile_seconds: Time spent compiling.
    """

    def __init__(
        self, train_step: TrainStep, data: Data, key: Array, *, batch_size: int, epochs: int,
        shuffle: bool, stop_on_bad_loss: bool, mesh: Mesh | None = None,
    ):  # fmt: skip
        self.mesh, self._whole = mesh, None if mesh is None else replicated(mesh)
        self._data, self._key, self._shuffle = place(data, self._whole), key, shuffle
        self._num_examples, self._batch_size = len(data[0]), batch_size
        self._train_step = train_step
        self.per_epoch = steps_per_epoch(self._num_examples, batch_size)
        self._epochs = epochs
        self._loop = make_loop(
            train_step, self._num_examples, batch_size,
            capacity=epochs * self.per_epoch, stop_on_bad_loss=stop_on_bad_loss, mesh=mesh,
        )  # fmt: skip
        self._program: Any = None
        self._drawn: tuple[int, Array | None] = (-1, None)
        self.compile_seconds = 0.0

    def run(self, state: TrainState, stop: int) -> tuple[TrainState, Float[np.ndarray, " steps"]]:
        """Returns the state before step `stop`, or right after a bad loss, and the losses; `state` is used up."""
        first = int(state.step)
        drawn = (self._orders(first), self._key)
        if self.mesh is not None:
            drawn = place(drawn, self._whole)
        arguments = (state, self._data, *drawn, np.int32(first), np.int32(stop))
        if self._program is None:
            start = time.perf_counter()
            # What the program gives lies as what it was given, or it could not be given it again.
            out = None if self.mesh is None else (jax.tree.map(lambda leaf: leaf.sharding, state), self._whole)
            with contextlib.nullcontext() if self.mesh is None else jax.set_mesh(self.mesh):  # For models to see.
                self._program = jax.jit(self._loop, donate_argnums=0, out_shardings=out).lower(*arguments).compile()
            self.compile_seconds += time.perf_counter() - start
        state, losses = self._program(*arguments)
        return state, np.asarray(losses)[: int(state.step) - first]

    def program_text(self) -> str:
        """Returns the compiled program, once it has run, as XLA writes it down."""
        return str(self._program.as_text())

    def batch(self, step: int) -> tuple[Batch, Array]:
        """Returns what a step is given: its batch and its key."""
        epoch, number = divmod(step, self.per_epoch)
        orders = self._orders(step)
        order = None if orders is None else orders[epoch % self._epochs]
        size = min(self._batch_size, self._num_examples - number * self._batch_size)
        batch = take_batch(at_hand(self._data, self.mesh), order, number, size, self._batch_size)
        return batch, step_key(self._key, jnp.asarray(epoch), jnp.asarray(number))

    def _orders(self, step: int) -> Array | None:
        """Returns the orders of all epochs of a step's span, drawn once for all its chunks."""
        if not self._shuffle:
            return None
        first = step // self.per_epoch // self._epochs * self._epochs
        if self._drawn[0] != first:
            self._drawn = first, epoch_orders(self._key, first, self._epochs, self._num_examples)
        return self._drawn[1]
