"""Draws the gradient graphs that the README shows: `python scripts/gradient_graphs.py`.

The computational graphs of the notebooks: the shopping of `002`, z = (x + y)² of `000`, (exp(x²))² of `001`, the
network that learns XOR in `000`, and the two-layer network of `002` with the gradient that its softmax gives.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import functional_nets as fn
from experiments.computational_graph import bill
from experiments.xor import LABELS, NOTEBOOK_PARAMS, X

FOLDER = Path(__file__).parents[1] / "docs" / "gradient_graphs"


def sum_squared(x, y):
    """The graph with which notebook `000` begins."""
    return (x + y) ** 2


def chain(x):
    """Three functions one after the other, of notebook `001`."""
    return jnp.exp(x**2) ** 2


def two_layers(params, x, labels):
    """The network of notebook `002` and its loss."""
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"])
    scores = hidden @ params["w2"] + params["b2"]
    log_y = jax.nn.log_softmax(scores)
    return -jnp.mean(log_y[jnp.arange(len(labels)), labels])


def by_the_notebook(params, x, labels):
    """The notebook's gradient of it, whose softmax divides by the sum over the whole batch."""
    hidden = np.maximum(x @ params["w1"] + params["b1"], 0)
    scores = hidden @ params["w2"] + params["b2"]
    e = np.exp(scores - np.max(scores))
    y = e / np.sum(e)
    d = (y - np.eye(10)[labels]) / len(labels)
    back = d @ params["w2"].T * (hidden > 0)
    return {"w1": x.T @ back, "b1": back.sum(axis=0), "w2": hidden.T @ d, "b2": d.sum(axis=0)}


def digits(count):
    """The first images of MNIST, which notebook `002` checks its gradients on, and their labels."""
    train = fn.data.load("mnist", source="embedded").train
    return train.x[:count].reshape(count, -1) / 255.0, train.y[:count]


def two_layer_params():
    """Weights as the notebook draws them, from a seed of ours."""
    random = np.random.RandomState(0)
    return {
        "w1": 0.01 * random.randn(784, 50),
        "b1": np.zeros(50),
        "w2": 0.01 * random.randn(50, 10),
        "b2": np.zeros(10),
    }


def graphs():
    """Returns the README's graphs by the names of their files."""
    graph = fn.report.gradient_graph
    xor_loss = fn.nn.binary_cross_entropy_loss(fn.models.xor_net().apply)
    return {
        "apples_and_oranges": graph(bill, 100.0, 2.0, 150.0, 3.0, 1.1),
        "sum_squared": graph(sum_squared, 1.0, 3.0),
        "chain": graph(chain, 0.5),
        "xor": graph(xor_loss, NOTEBOOK_PARAMS, X, LABELS),
        "two_layers": graph(two_layers, two_layer_params(), *digits(3), manual=by_the_notebook),
    }


def main() -> None:
    """Writes the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, graph in graphs().items():
        graph.save(FOLDER / f"{name}.svg")


if __name__ == "__main__":
    main()
