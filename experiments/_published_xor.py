"""Notebook `000`: derivatives, comparisons and views of small tensors, and XOR."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from experiments._published_verdict import Answer, Refused, Same
from experiments.xor import LABELS, NOTEBOOK_PARAMS, X
from functional_nets import training
from functional_nets.models import xor_net
from functional_nets.nn import binary_cross_entropy, binary_cross_entropy_loss, count_parameters
from functional_nets.nn.losses import Loss

SEED = 70
STEPS = 10_001


def answers() -> dict[str, Answer]:
    """Returns our value for each number that the notebook prints."""
    found = {**_derivatives(), **_first_network(), **_xor(), **_comparisons(), **_views()}
    return {what: value if isinstance(value, Refused) else Same(value) for what, value in found.items()}


def pytorch_networks(seed: int = SEED) -> list[list[np.ndarray]]:
    """Returns what PyTorch's CPU generator draws for two networks 2-2-1 after `torch.manual_seed(seed)`.

    The generator is MT19937, the same as NumPy's `RandomState`. `torch.nn.Linear` draws weights, one row per
    output, and then biases from U(-1/√2, 1/√2): the lowest 24 bits of each word, as a fraction.
    """
    words = np.random.RandomState(seed).randint(0, 2**32, 18, np.uint32)  # Its stream is meant.
    bound = np.float32(2**-0.5)
    values = (words & 0xFFFFFF).astype(np.float32) * np.float32(2**-24) * (2 * bound) - bound
    return [
        [hidden.reshape(2, 2), hidden_bias, output.reshape(1, 2), output_bias]
        for hidden, hidden_bias, output, output_bias in (
            np.split(network, [4, 6, 8]) for network in np.split(values, 2)
        )
    ]


def _derivatives() -> dict[str, str]:
    def t_function(x: Array, y: Array) -> Array:
        return x + y

    def z_function(t: Array) -> Array:
        return t**2

    x, y = jnp.array([1.0]), jnp.array([3.0])
    t = t_function(x, y)
    z, backward = jax.vjp(lambda x: z_function(t_function(x, y)), x)
    (dx,) = backward(jnp.ones(1))
    return {
        "derivative of x² at 4": f"{jax.grad(lambda x: x**2)(4.0):.1f}",
        "parameters of the network": str(count_parameters(NOTEBOOK_PARAMS)),
        "z = (x + y)² at (1, 3)": str(z_function(t).tolist()),
        "dz/dx by the chain rule": str((2 * t * 1).tolist()),
        "dz/dx by autograd": str(dx.tolist()),
        "z, its graph recorded": str(z.tolist()),
    }


def _first_network() -> dict[str, str]:
    first, _ = pytorch_networks()
    names = ("hidden weights", "hidden biases", "output weights", "output bias")
    return {
        **{
            f"{name} drawn first": "[" + ", ".join(f"{value:.4f}" for value in leaf.ravel()) + "]"
            for name, leaf in zip(names, first, strict=True)
        },
        "sizes of the four": str([leaf.size for leaf in first]),
    }


def _xor() -> dict[str, str]:
    model = xor_net()

    def notebook_loss(params: dict, x: Array, labels: Array) -> Array:
        """`BCELoss` after a sigmoid, as the notebook has it."""
        return binary_cross_entropy(jax.nn.sigmoid(model.apply(params, x)[:, 0]), labels).mean()

    def train(loss_fn: Loss) -> training.FitResult:
        return training.fit(
            loss_fn, NOTEBOOK_PARAMS, (X, LABELS), optimizer=optax.sgd(0.5), batch_size=4, steps=STEPS,
            shuffle=False, epochs_per_report=STEPS, key=jax.random.key(0),
        )  # fmt: skip

    result, on_logits = train(notebook_loss), train(binary_cross_entropy_loss(model.apply))
    answers = jax.nn.sigmoid(model.apply(result.params, jnp.asarray(X))) >= 0.5
    return {
        **{f"XOR, loss after {step} steps": f"{result.losses[step]:.4f}" for step in range(0, STEPS, 1000)},
        "XOR, the same with the loss on logits": " ".join(f"{loss:.4f}" for loss in on_logits.losses[::1000]),
        "XOR, predictions": str(answers.ravel().tolist()),
        "XOR, predictions as a column": str(answers.tolist()),
    }


def _comparisons() -> dict[str, str | Refused]:
    one, square = jnp.array([[1]]), jnp.array([[0, 1], [3, 4]])
    try:
        error = None
        jnp.greater_equal(jnp.array([[1, 2, 3, 4]]), square)
    except (TypeError, ValueError) as raised:
        error = f"{type(raised).__name__}: {str(raised).splitlines()[0]}"
    return {
        "[[1]] ≥ [[0, 1], [3, 4]]": str(jnp.greater_equal(one, square).tolist()),
        "[[1]] ≥ [0, 1, 3, 4]": str(jnp.greater_equal(one, jnp.array([0, 1, 3, 4])).tolist()),
        "[[1, 2, 3, 4]] ≥ [[0, 1], [3, 4]]": Refused(error),
    }


def _views() -> dict[str, str]:
    a, b = jnp.array([[1, 2], [3, 4]]), jnp.array([[1, 2, 3], [3, 4, 5], [5, 6, 7]])
    views = (a, a.reshape(-1), b, b.reshape(-1))
    return {
        "shape of [0, 1, 3, 4]": str(list(jnp.array([0, 1, 3, 4]).shape)),
        "shapes of a and b and of their views": " ".join(str(list(view.shape)) for view in views),
        "b": str(b.tolist()),
        "b.view(-1)": str(b.reshape(-1).tolist()),
        "b.view(3, -1)": str(b.reshape(3, -1).tolist()),
    }
