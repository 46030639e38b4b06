"""Five wrong gradients of one small network, and what the check says of each: the README's guide.

A hand-written backward pass with one mistake at a time, as people make them.
"""

import jax
import jax.numpy as jnp
import numpy as np

from functional_nets import gradcheck


def loss_fn(params, x, labels):
    """A two-layer network with ReLU and softmax cross-entropy."""
    z = x @ params["w1"] + params["b1"]
    h = jax.nn.relu(z)
    logits = h @ params["w2"] + params["b2"]
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.mean(log_probabilities[jnp.arange(len(labels)), labels])


def backward(params, x, labels, bug=None):
    """The gradient by hand, in NumPy; `bug` names the mistake to make."""
    n = len(labels)
    z = x @ params["w1"] + params["b1"]
    h = np.maximum(z, 0)
    logits = h @ params["w2"] + params["b2"]
    axis = None if bug == "softmax over the whole batch" else 1
    e = np.exp(logits - logits.max())
    y = e / e.sum(axis=axis, keepdims=True)
    d = (y - np.eye(y.shape[1])[labels]) / (1 if bug == "batch size forgotten" else n)
    dw2, db2 = h.T @ d, d.mean(axis=0) if bug == "bias averaged" else d.sum(axis=0)
    d = d @ params["w2"].T
    d = d if bug == "ReLU's mask forgotten" else d * (z > 0)
    dw1 = x.T @ d * (2 if bug == "one gradient doubled" else 1)
    return {"w1": dw1, "b1": d.sum(axis=0), "w2": dw2, "b2": db2}


def main() -> None:
    """Prints the report of each bug."""
    random = np.random.default_rng(0)
    shapes = {"w1": (5, 7), "b1": (7,), "w2": (7, 4), "b2": (4,)}
    params = {name: random.normal(size=shape) for name, shape in shapes.items()}
    x, labels = random.normal(size=(6, 5)), random.integers(0, 4, 6)
    for bug in (
        "batch size forgotten",
        "softmax over the whole batch",
        "ReLU's mask forgotten",
        "bias averaged",
        "one gradient doubled",
    ):
        print(f"\n--- {bug}")
        print(gradcheck.check(loss_fn, params, x, labels, manual=backward(params, x, labels, bug)))


if __name__ == "__main__":
    main()
