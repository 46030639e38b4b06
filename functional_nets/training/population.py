"""Many networks trained at once, as one compiled program."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float

from functional_nets.nn import count_parameters
from functional_nets.training.examples import Data, checked_data, checked_key, epoch_orders, steps_per_epoch
from functional_nets.training.fit import total_steps
from functional_nets.training.loop import make_loop
from functional_nets.training.step import Loss, init_state, make_train_step

TINY = 100
"""Parameters of a network, up to which networks are counted along the last axis, where vector instructions run."""
NEAR = 2**19
"""Parameters of the larger networks that are trained side by side. The program takes one such group after the other
through its epochs, since the parameters of all of them would come from far memory in each step, and not from the
processor's cache: 64 networks of 784-50-10 then took twice the time.
"""


class PopulationResult(NamedTuple):
    """What training a population returns.

    Attributes:
        params: The trained parameters; the first axis of each leaf counts the networks.
        losses: The mean loss of each network in each epoch, of which the last may be a part, or its loss in each
            step; NaN or infinite where one has diverged.
        compile_seconds: Time spent compiling.
        train_seconds: Time spent in the compiled steps.
        evaluations: What `evaluate` returned after each epoch, leaves stacked [epochs, networks, …].
    """

    params: Any
    losses: Float[np.ndarray, "networks epochs_or_steps"]
    compile_seconds: float
    train_seconds: float
    evaluations: Any


def fit_population(
    loss_fn: Loss,
    stacked_params: Any,
    data: Data,
    optimizer: optax.GradientTransformation | Callable[..., optax.GradientTransformation],
    *,
    batch_size: int,
    key: Array,
    epochs: int | None = None,
    steps: int | None = None,
    shuffle: bool = True,
    hyperparameters: dict[str, Array] | None = None,
    epochs_per_program: int = 1,
    evaluate: Callable[[Any], Any] | None = None,
    every_step: bool = False,
    on_program: Callable[[int], None] | None = None,
) -> PopulationResult:
    """Returns N networks, each trained as `fit` would train it, in one program that shares the data.

    All networks see the batches in the same order, that of `fit` with the same key. A network that diverges
    disturbs no other.

    Args:
        loss_fn: `loss_fn(params, *batch)`, a scalar.
        stacked_params: The N starting points; the first axis of each leaf counts the networks, as
            `jax.vmap(model.init)(keys)` makes them.
        data: As for `fit`.
        optimizer: From optax; with `hyperparameters`, what makes one from them, such as `optax.sgd`.
        batch_size: Examples of a step.
        key: What the order of the examples is drawn from.
        epochs: Passes over the data; give this or `steps`.
        steps: Steps, the last epoch being cut short; give this or `epochs`.
        shuffle: Whether each epoch draws a new order.
        hyperparameters: Arrays [N] by name, one value for each network, such as
            `{"learning_rate": jnp.array([0.1, 0.2])}`.
        epochs_per_program: Epochs that run as one compiled program; must divide `epochs`, but not `steps`.
        evaluate: A pure function of one network's parameters, taken for each after each program.
        every_step: Whether `losses` shall hold the loss of each step instead of each epoch's mean.
        on_program: Is given the number of steps taken so far after each program.

    Raises:
        ValueError: For sizes that do not fit, as when `epochs_per_program` does not divide `epochs`.
    """
    data, num_examples = checked_data(data, batch_size)
    if epochs_per_program < 1:
        raise ValueError(f"Expected epochs_per_program of at least 1, found {epochs_per_program}.")
    per_epoch = steps_per_epoch(num_examples, batch_size)
    total = total_steps(epochs, steps, per_epoch)
    if epochs is not None and epochs % epochs_per_program:
        raise ValueError(
            f"Expected epochs in multiples of epochs_per_program={epochs_per_program}, at least 1, found {epochs}."
        )
    data, key = jax.device_put(data), checked_key(key)
    hyperparameters = hyperparameters or {}

    def make_optimizer(values: dict[str, Array]) -> optax.GradientTransformation:
        return optimizer(**values) if callable(optimizer) else optimizer

    def init(params: Any, values: dict[str, Array]) -> Any:
        return init_state(params, make_optimizer(values))

    capacity = epochs_per_program * per_epoch

    def run(state: Any, values: dict[str, Array], data: Any, orders: Any, key: Array, first: Array) -> Any:
        train_step = make_train_step(loss_fn, make_optimizer(values))
        loop = make_loop(train_step, num_examples, batch_size, capacity=capacity, stop_on_bad_loss=False)
        stop = jnp.minimum(first + capacity, total)
        state, losses = loop(state, data, orders, key, first, stop)
        ran = (jnp.arange(capacity) < stop - first).reshape(epochs_per_program, -1)
        kept = losses if every_step else losses.reshape(ran.shape).mean(axis=1, where=ran)
        return state, kept, evaluate(state.params) if evaluate else None

    def arguments(state: Any, epoch: int) -> tuple[Any, ...]:
        orders = epoch_orders(key, epoch, epochs_per_program, num_examples) if shuffle else None
        return state, hyperparameters, data, orders, key, jnp.asarray(epoch * per_epoch)

    def together(state: Any, values: dict[str, Array], *shared: Any) -> Any:
        if axis == -1:
            return jax.vmap(run, in_axes=(-1, 0, *[None] * len(shared)), out_axes=(-1, 0, 0))(state, values, *shared)
        return jax.lax.map(lambda network: run(*network, *shared), (state, values), batch_size=side_by_side)

    networks = len(jax.tree.leaves(stacked_params)[0])
    parameters = count_parameters(stacked_params) // networks
    axis, side_by_side = (-1, networks) if parameters <= TINY else (0, group_size(networks, parameters))
    state = jax.jit(jax.vmap(init, out_axes=axis))(stacked_params, hyperparameters)
    start = time.perf_counter()
    compiled = jax.jit(together, donate_argnums=0).lower(*arguments(state, 0)).compile()
    compile_seconds = time.perf_counter() - start

    losses, evaluations = [], []
    start = time.perf_counter()
    for epoch in range(0, -(-total // per_epoch), epochs_per_program):
        state, kept, evaluation = compiled(*arguments(state, epoch))
        losses.append(np.asarray(kept))
        evaluations.append(jax.tree.map(np.asarray, evaluation))
        if on_program:
            on_program(min((epoch + epochs_per_program) * per_epoch, total))
    train_seconds = time.perf_counter() - start
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *evaluations)
    params = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, axis, 0), state.params)
    all_losses = np.concatenate(losses, axis=1)[:, : total if every_step else -(-total // per_epoch)]
    return PopulationResult(params, all_losses, compile_seconds, train_seconds, stacked)


def group_size(networks: int, parameters: int) -> int:
    """Returns how many networks, of so many parameters each, are trained side by side.

    They are as many as are near, or at least half of that, if then no smaller group is left over: it would be compiled
    for itself.
    """
    most = min(networks, max(1, NEAR // parameters))
    even = max(size for size in range(1, most + 1) if networks % size == 0)
    return even if 2 * even >= most else most
