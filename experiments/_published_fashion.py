"""Notebook `004`: one small gradient, and ten epochs of Fashion-MNIST from weights that were not seeded.

The notebook is one draw; twenty networks, trained as one program, say what draws look like.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from experiments._published import FASHION_TRAIN_LOSSES
from experiments._published_verdict import Answer, Same, Spread, Unanswered
from functional_nets import training
from functional_nets.data import Dataset
from functional_nets.models import mlp
from functional_nets.nn import (
    classification_loss,
    scale_pixels,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
)

BATCH = 64
EPOCHS = 10
PRINTED_W = np.array(
    [
        [0.1176, 0.2751, 0.5637],
        [0.2183, 0.1850, 1.1942],
        [0.0509, -0.3063, -1.7054],
        [0.2399, -0.2647, 1.2183],
        [0.0580, -0.9009, -0.2244],
    ],
    np.float32,
)
PRINTED_GRADIENT = np.array([0.2056, 0.1073, 0.1913], np.float32)


def answers(images: Dataset, seeds: int = 20) -> dict[str, Answer]:
    """Returns our value for each number that the notebook prints."""
    return {**_logistic(), **_training(images, seeds)}


def _logistic() -> dict[str, Answer]:
    """The first cells print no b; but the gradient of b is sigmoid(z) / 3, which tells z and so b."""
    x, y = jnp.ones(5), jnp.zeros(3)
    probability = 3 * PRINTED_GRADIENT
    b = np.log(probability / (1 - probability)) - PRINTED_W.sum(axis=0)

    def loss_fn(w: Array, b: Array) -> Array:
        return sigmoid_binary_cross_entropy(x @ w + b, y).mean()

    loss, (w_grad, b_grad) = jax.value_and_grad(loss_fn, argnums=(0, 1))(PRINTED_W, b)
    return {
        "loss of the printed weights": Same(f"{loss:.4f}"),
        "gradient of b": Same(str([round(float(value), 4) for value in b_grad])),
        "each of the five rows of w's gradient": Same(
            str(*{str([round(float(value), 4) for value in row]) for row in w_grad})
        ),
    }


def _training(images: Dataset, seeds: int) -> dict[str, Answer]:
    wanted = {
        f"epoch {epoch + 1}, training loss of batch {100 * number}": (epoch, 100 * number)
        for epoch, losses in enumerate(FASHION_TRAIN_LOSSES)
        for number in range(len(losses.split()))
    }
    if not images.complete:
        missing = Unanswered("not run: needs all of Fashion-MNIST, --data-dir or --source tfds")
        scores = [f"epoch {epoch}, test {score}" for epoch in (1, 2) for score in ("accuracy, %", "loss")]
        return dict.fromkeys([*wanted, *scores, "epoch 10, test accuracy, %"], missing)

    model = mlp((784, 512, 512, 10))
    stacked = jax.jit(jax.vmap(model.init))(jax.random.split(jax.random.key(0), seeds))
    result = training.fit_population(
        classification_loss(model.apply), stacked, images.train, optax.sgd(1e-3),
        batch_size=BATCH, epochs=EPOCHS, key=jax.random.key(0), shuffle=False, every_step=True,
        evaluate=lambda params: _test(model.apply, params, images.test),
    )  # fmt: skip
    losses = result.losses.reshape(seeds, EPOCHS, -1)
    found: dict[str, Answer] = {what: Spread(losses[:, epoch, batch], 4) for what, (epoch, batch) in wanted.items()}
    for epoch in (1, 2, EPOCHS):
        found[f"epoch {epoch}, test accuracy, %"] = Spread(100 * result.evaluations["accuracy"][epoch - 1], 1)
        found[f"epoch {epoch}, test loss"] = Spread(result.evaluations["loss"][epoch - 1], 4)
    del found[f"epoch {EPOCHS}, test loss"]  # Not published.
    return found


def _test(apply: Any, params: Any, test: Any) -> dict[str, Array]:
    """Accuracy, and the mean of the batches' mean losses: the last batch's 16 count as much as 64 do."""

    def score(batch: tuple[Array, ...]) -> tuple[Array, Array]:
        x, labels = batch
        logits = apply(params, scale_pixels(x))
        return softmax_cross_entropy(logits, labels).mean(), jnp.sum(jnp.argmax(logits, axis=-1) == labels)

    full = len(test.x) // BATCH * BATCH
    batches = tuple(jnp.asarray(array[:full].reshape(-1, BATCH, *array.shape[1:])) for array in test)
    losses, hits = lax.map(score, batches)
    last_loss, last_hits = score(tuple(jnp.asarray(array[full:]) for array in test))
    return {
        "accuracy": (hits.sum() + last_hits) / len(test.x),
        "loss": jnp.append(losses, last_loss).mean(),
    }
