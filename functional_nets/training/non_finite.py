"""Training that stops on a number which is NaN or infinite: at which step it began, and with which operation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nets.training.chunks import Chunks
from functional_nets.training.loop import TrainStep
from functional_nets.training.origin import Origin, first_non_finite
from functional_nets.training.parallel import at_hand
from functional_nets.training.step import BatchLoss, TrainState, stays_finite

stayed_finite = jax.jit(stays_finite)


class NonFiniteLossError(ArithmeticError):
    """Training has stopped: the loss, its gradient or the parameters are NaN or infinite.

    Attributes:
        step: The first step, counted from 0, of which one of them was.
        epoch: The epoch, counted from 1, of that step.
        found: Which: `"loss"`, `"gradient"` or `"parameters"` (with the optimizer's memory), the first in this order.
        loss: The loss of that step.
        gradient_norm: The Euclidean norm of its gradient.
        origin: The operation that made the first such value, if running the step once more made it again.
        learning_rate: That of the step, where it is known.
    """

    def __init__(
        self, step: int, epoch: int, loss: float, *, found: str = "loss", gradient_norm: float = float("nan"),
        origin: Origin | None = None, learning_rate: float | None = None,
    ):  # fmt: skip
        super().__init__(step, epoch, loss)
        self.step, self.epoch, self.loss, self.found = step, epoch, loss, found
        self.gradient_norm, self.origin, self.learning_rate = gradient_norm, origin, learning_rate

    def __str__(self) -> str:
        kind = f"a finite {self.found}" if self.found != "parameters" else "finite parameters"
        value = f"{self.loss} first" if self.found == "loss" else "NaN or infinity first"
        details = [f"gradient norm {self.gradient_norm:.4g}"] if not np.isnan(self.gradient_norm) else []
        details += [f"learning rate {self.learning_rate:g}"] if self.learning_rate is not None else []
        details += [str(self.origin)] if self.origin else []
        was_given = self.origin is not None and self.origin.argument is not None
        remedy = (
            "look where it comes from"
            if was_given
            else "try a smaller learning rate, or look for a logarithm or a division of 0 in the loss"
        )
        return (
            f"Expected {kind}, found {value} at step {self.step} (epoch {self.epoch})"
            f"{''.join(f'; {each}' for each in details)}: {remedy}."
        )


class SkippedTooOftenError(NonFiniteLossError):
    """More steps had to be skipped than were `allowed`; the attributes are those of the first one too many."""

    def __init__(self, last: NonFiniteLossError, allowed: int):
        super().__init__(
            last.step, last.epoch, last.loss, found=last.found, gradient_norm=last.gradient_norm, origin=last.origin
        )
        self.allowed = allowed

    def __str__(self) -> str:
        return f"Expected at most {self.allowed} steps to be skipped, found one more. {super().__str__()}"


def explain(
    chunks: Chunks, train_step: TrainStep, batch_loss: BatchLoss, before: TrainState, losses: np.ndarray
) -> NonFiniteLossError:
    """Returns what went wrong in a chunk, whose steps are run again, by the same program, up to the bad one.

    Args:
        chunks: What ran the chunk.
        train_step: The step that it runs.
        batch_loss: The loss in it.
        before: The finite state in which the chunk began; left as it is.
        losses: The losses that the chunk gave: the last one is not finite, or else the parameters after it are not.
    """
    state = at_hand(_last_finite(chunks, before, losses), chunks.mesh)
    step = int(state.step)
    batch, key = chunks.batch(step)
    loss, gradient = jax.jit(jax.value_and_grad(batch_loss))(state.params, batch, key)
    loss_is_fine = bool(jnp.isfinite(loss))
    gradient_is_fine = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    return NonFiniteLossError(
        step,
        step // chunks.per_epoch + 1,
        float(loss),
        found="parameters" if loss_is_fine and gradient_is_fine else "gradient" if loss_is_fine else "loss",
        gradient_norm=_norm(gradient),
        origin=first_non_finite(train_step, state, batch, key, names=("the state", "the batch", "the key")),
    )


def _norm(tree: Any) -> float:
    """The Euclidean norm, in float64, in which the squares of large numbers of float32 do not overflow."""
    sizes = [np.abs(np.asarray(leaf)).astype(np.float64) for leaf in jax.tree.leaves(tree)]
    return float(np.sqrt(sum(np.sum(np.square(size)) for size in sizes)))


def _last_finite(chunks: Chunks, before: TrainState, losses: np.ndarray) -> TrainState:
    """Returns the state before the first step whose loss, gradient or parameters are not finite."""

    def state_at(step: int) -> TrainState:
        return chunks.run(jax.tree.map(jnp.copy, before), step)[0]

    finite = int(before.step)  # Steps after which the parameters are known to be finite,
    bad = finite + len(losses)  # and after which they are not.
    if not np.isfinite(losses[-1]):
        bad -= 1
        state = state_at(bad)
        if stayed_finite(before, state):
            return state
    middle = bad - 1  # Where it is most often.
    while bad - finite > 1:
        if stayed_finite(before, state_at(middle)):
            finite = middle
        else:
            bad = middle
        middle = (finite + bad) // 2
    return state_at(finite)
