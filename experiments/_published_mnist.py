"""Notebook `002`: a softmax over the whole batch, whose gradient is wrong and whose network ends in NaN.

Its rows do not sum to 1, but all N of them together. The gradient of that loss for the logits is y - t / N;
the notebook's backward returns (y - t) / N, which is right for a softmax of each row. For the last bias the
mean error is (N - 1) / (N · C), 2 / 30 for three images and ten classes. Each step raises the logits and
so the next step's gradients, until in float64 they overflow after some 2,080 steps.
"""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from experiments._published_tape import shopping
from experiments._published_verdict import Answer, AtLeast, Between, Close, Same, Spread
from functional_nets import training
from functional_nets.data import Dataset
from functional_nets.models import mlp
from functional_nets.nn import classification_loss
from functional_nets.nn.losses import Loss

SIZES = (784, 50, 10)
MODEL = mlp(SIZES)
STEP_SIZE = 1e-4  # Of the book's central differences.
EPOCH = 600  # Steps between two lines of the notebook.
LEAVES = {"w1": ("dense1", "w"), "b1": ("dense1", "b"), "w2": ("dense2", "w"), "b2": ("dense2", "b")}


def answers(images: Dataset, seeds: int = 20) -> dict[str, Answer]:
    """Returns our value for each number that the notebook prints, or that belongs beside it."""
    return {
        **shopping(),
        **_arrays(),
        **_gradient_errors(images, seeds),
        **_divergence(images),
        "test accuracy with a softmax for each row, mean of five": AtLeast(_right_softmax(images)),
    }


def batch_softmax(logits: Float[Array, "batch classes"]) -> Float[Array, "batch classes"]:
    """Returns the notebook's softmax, which sums to 1 over the whole batch."""
    return jax.nn.softmax(logits.ravel()).reshape(logits.shape)


def notebook_loss(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Returns the cross-entropy that the notebook computes."""
    truth = jax.nn.one_hot(labels, logits.shape[1])
    return -jnp.sum(truth * jnp.log(batch_softmax(logits) + 1e-7)) / len(logits)


@jax.custom_vjp
def notebook_loss_and_backward(logits: Array, labels: Array) -> Array:
    """Returns the same, with the notebook's hand-written gradient instead of its own."""
    return notebook_loss(logits, labels)


def _forward(logits: Array, labels: Array) -> tuple[Array, tuple[Array, Array]]:
    return notebook_loss(logits, labels), (logits, labels)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, None]:
    logits, labels = saved
    return g * (batch_softmax(logits) - jax.nn.one_hot(labels, logits.shape[1])) / len(logits), None


notebook_loss_and_backward.defvjp(_forward, _backward)


def _of_model(loss: Loss) -> Loss:
    return lambda params, x, labels: loss(MODEL.apply(params, x), labels)


def _arrays() -> dict[str, Answer]:
    x = jnp.array([[1.0, -0.5], [-2.0, 3.0]])
    return {
        "mask of x ≤ 0": Same(str((x <= 0).tolist())),
        "x where the mask is not, else 0": Same(str(jnp.where(x <= 0, 0, x).tolist())),
        "shape of rand(2, 3)": Same(str(jax.random.uniform(jax.random.key(0), (2, 3)).shape)),
        "shape of rand(2)": Same(str(jax.random.uniform(jax.random.key(0), (2,)).shape)),
    }


def _draw(networks: int, dtype: DTypeLike = np.float32) -> dict[str, dict[str, np.ndarray]]:
    """Initial parameters of several networks, from NumPy's normal generator as in the notebook."""
    random = np.random.default_rng(0)
    return {
        f"dense{number}": {
            "w": 0.01 * random.standard_normal((networks, inputs, outputs)).astype(dtype),
            "b": np.zeros((networks, outputs), dtype),
        }
        for number, (inputs, outputs) in enumerate(pairwise(SIZES), 1)
    }


def _member(stacked: Any, number: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[number], stacked)


def _gradient_errors(images: Dataset, seeds: int) -> dict[str, Answer]:
    """The mean absolute differences that the notebook's check shows, for three images."""
    x, labels = images.train.x[:3] / np.float32(255), images.train.y[:3]

    def errors(params: Any) -> Any:
        written = jax.grad(_of_model(notebook_loss_and_backward))(params, x, labels)
        right = jax.grad(_of_model(notebook_loss))(params, x, labels)
        return jax.tree.map(lambda a, b: jnp.abs(a - b).mean(), written, right)

    spread = jax.jit(jax.vmap(errors))(_draw(seeds))
    found: dict[str, Answer] = {
        f"mean error of the gradient of {leaf}": Spread(np.asarray(spread[layer][name]), 8)
        for leaf, (layer, name) in LEAVES.items()
    }
    found["mean error of the gradient of b2"] = Close(
        _bias_error(x, labels),
        1e-11,
        "(N-1)/(N·C) = 2/30, and h²/6 · p(1-p)(1-2p) = 1.2e-10 of the central differences",
    )
    return found


def _bias_error(x: np.ndarray, labels: np.ndarray) -> float:
    """The last bias's error against central differences, in float64 as the notebook takes them."""
    params = _member(_draw(1, np.float64), 0)
    logits = np.maximum(x.reshape(3, 784) @ params["dense1"]["w"], 0) @ params["dense2"]["w"]

    @jax.jit
    def error(logits: Array, labels: Array) -> Array:
        def loss(bias: Array) -> Array:
            return notebook_loss(logits + bias, labels)

        steps = STEP_SIZE * jnp.eye(10)
        numerical = (jax.vmap(loss)(steps) - jax.vmap(loss)(-steps)) / (2 * STEP_SIZE)
        written = jax.grad(lambda bias: notebook_loss_and_backward(logits + bias, labels))(jnp.zeros(10))
        return jnp.abs(written - numerical).mean()

    with jax.enable_x64(True):
        return float(error(logits, labels))


def _divergence(images: Dataset) -> dict[str, Answer]:
    """Trains as the notebook does, in float64, until the logits are NaN."""
    with jax.enable_x64(True):
        result = training.fit_population(
            _of_model(notebook_loss_and_backward), _draw(1, np.float64), images.train, optax.sgd(0.1),
            batch_size=100, epochs=4, key=jax.random.key(0), every_step=True,
        )  # fmt: skip
        params = _member(result.params, 0)
        train, test = (training.evaluate(MODEL.apply, params, split) for split in (images.train, images.test))
    found: dict[str, Answer] = {
        "logits overflow to NaN between these steps": Between(int(np.argmin(np.isfinite(result.losses[0])))),
        "train accuracy from 2400 steps on: NaN is taken for 0": Same(str(train.accuracy)),
        "test accuracy from 2400 steps on: NaN is taken for 0": Same(str(test.accuracy)),
    }
    for steps, digit in ((EPOCH, 2), (2 * EPOCH, 6), (3 * EPOCH, 8)):
        for name, split in (("train", images.train), ("test", images.test)):
            what = f"{name} accuracy after {steps} steps: all are taken for {digit}"
            found[what] = Same(str(float(np.mean(split.y == digit))))
    return found


def _right_softmax(images: Dataset) -> float:
    """The mean test accuracy of five networks with a softmax for each row."""
    result = training.fit_population(
        classification_loss(MODEL.apply), _draw(5), images.train, optax.sgd(0.1),
        batch_size=100, epochs=17, key=jax.random.key(0), epochs_per_program=17,
    )  # fmt: skip
    networks = [_member(result.params, number) for number in range(5)]
    return float(np.mean([training.evaluate(MODEL.apply, params, images.test).accuracy for params in networks]))
