"""How well a model does on data it has not seen."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from functional_nets.nn import scale_pixels, softmax_cross_entropy
from functional_nets.training.examples import Data


class Evaluation(NamedTuple):
    """The result of `evaluate`.

    Attributes:
        accuracy: Share of examples whose largest logit is their label's, from 0 to 1.
        loss: Mean softmax cross-entropy, in nats.
    """

    accuracy: float
    loss: float


def evaluate(apply: Callable[[Any, Array], Array], params: Any, data: Data, *, batch_size: int = 1000) -> Evaluation:
    """Returns accuracy and mean loss over all examples.

    Args:
        apply: From parameters and a batch of images to logits.
        params: The parameters.
        data: Images and labels, such as `data.test`.
        batch_size: Examples that are computed at once; it changes memory and speed alone.

    Raises:
        ValueError: Without examples, when images and labels differ in number, or with no example in a batch.
    """
    hits, loss, _ = _evaluate(apply, *_checked(params, data, batch_size))
    count = len(data[0])
    return Evaluation(int(hits) / count, float(loss) / count)


def predict(
    apply: Callable[[Any, Array], Array], params: Any, data: Data, *, batch_size: int = 1000
) -> Float[np.ndarray, "examples classes"]:
    """Returns the logits of all examples; after `evaluate` on the same data there is nothing to compile.

    Args:
        apply: From parameters and a batch of images to logits.
        params: The parameters.
        data: Images and labels, such as `data.test`.
        batch_size: As for `evaluate`.

    Raises:
        ValueError: As `evaluate` does.
    """
    return np.asarray(_evaluate(apply, *_checked(params, data, batch_size))[2])


def _checked(params: Any, data: Data, batch_size: int) -> tuple[int, Any, Array | np.ndarray, Array | np.ndarray]:
    x, labels = data
    if not hasattr(x, "shape"):
        raise ValueError("Expected images and labels, found a data set with several parts: give data.test.")
    if batch_size < 1:
        raise ValueError(f"Expected a batch size of at least 1, found {batch_size}.")
    if not len(x) or len(x) != len(labels):
        raise ValueError(f"Expected as many labels as images, at least 1, found {len(x)} images, {len(labels)} labels.")
    return min(batch_size, len(x)), params, x, labels


@partial(jax.jit, static_argnums=(0, 1))
def _evaluate(apply: Callable, batch_size: int, params: Any, x: Array, labels: Array) -> tuple[Array, Array, Array]:
    def sums(batch: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        images, labels = batch
        logits = apply(params, scale_pixels(images))
        hits = jnp.sum(jnp.argmax(logits, axis=-1) == labels)
        return hits, jnp.sum(softmax_cross_entropy(logits, labels)), logits

    count = len(x)
    full = count // batch_size * batch_size
    stacked = [array[:full].reshape(-1, batch_size, *array.shape[1:]) for array in (x, labels)]
    hits, losses, logits = lax.map(sums, tuple(stacked))
    logits = logits.reshape(full, logits.shape[-1])
    if full == count:
        return hits.sum(), losses.sum(), logits
    rest_hits, rest_loss, rest_logits = sums((x[full:], labels[full:]))
    return hits.sum() + rest_hits, losses.sum() + rest_loss, jnp.concatenate([logits, rest_logits])
