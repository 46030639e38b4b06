"""Kipf and Welling's network with a random-walk normalisation: two graph convolutions, few labelled nodes."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import softmax


def loss_fn(params, adjacency, x, labels, train):
    """Mean cross-entropy of the labelled nodes."""
    a = adjacency + jnp.eye(len(x), dtype=x.dtype)  # @loops
    a = a / a.sum(axis=1, keepdims=True)  # @normalise
    z1 = a @ (x @ params["W0"]) + params["b0"]  # @layer1
    h = jax.nn.relu(z1)  # @relu
    z2 = a @ (h @ params["W1"]) + params["b1"]  # @layer2
    log_p = jax.nn.log_softmax(z2, axis=1)  # @softmax
    nll = -log_p[jnp.arange(len(x)), labels]  # @nll
    return jnp.sum(train * nll) / jnp.sum(train)  # @masked


def inputs(rng, n):
    """A directed graph; node 0 has no features and b0 is zero in part (a kink), every other node has a label."""
    params = {
        "W0": rng.normal(size=(4, 5)),
        "b0": 0.3 * rng.normal(size=5),
        "W1": rng.normal(size=(5, 3)),
        "b1": 0.1 * rng.normal(size=3),
    }
    adjacency = (rng.uniform(size=(n, n)) < 0.35).astype(float)
    np.fill_diagonal(adjacency, 0)
    adjacency[0] = 0
    x = rng.normal(size=(n, 4))
    x[0] = 0
    params["b0"][:2] = 0
    return params, (adjacency, x, rng.integers(0, 3, size=n), (np.arange(n) % 2 == 0).astype(float))


def propagate(adjacency):
    """D⁻¹(A + I)."""
    a = adjacency + np.eye(len(adjacency), dtype=adjacency.dtype)
    return a / a.sum(axis=1, keepdims=True)


def grads(params, adjacency, x, labels, train, a=None, back1=None, back2=None, d_of=None, mask=None):
    """Backward; back1 and back2 are what the layers' backward passes multiply by."""
    a = propagate(adjacency) if a is None else a
    back1, back2 = a.T if back1 is None else back1, a.T if back2 is None else back2
    z1 = a @ x @ params["W0"] + params["b0"]
    h = np.maximum(z1, 0)
    p = softmax(a @ h @ params["W1"] + params["b1"])
    d2 = p - np.eye(3, dtype=x.dtype)[labels]
    d2 = train[:, None] * d2 / train.sum() if d_of is None else d_of(d2)
    s2 = back2 @ d2
    d1 = s2 @ params["W1"].T * (z1 > 0 if mask is None else mask)
    return {"W0": x.T @ (back1 @ d1), "b0": d1.sum(axis=0), "W1": h.T @ s2, "b1": d2.sum(axis=0)}


net = Network("graph_conv", loss_fn, inputs, grads, batch=8)


@net.fault("transposed", at="layer2")
def second_propagation_not_transposed(params, adjacency, x, labels, train):
    """Â is not symmetric; the backward pass of the second layer multiplies by Â."""
    return grads(params, adjacency, x, labels, train, back2=propagate(adjacency))


@net.fault("transposed", at=("layer1", "layer2"))
def no_propagation_transposed(params, adjacency, x, labels, train):
    """Both layers multiply by Â, as with the symmetric normalisation."""
    a = propagate(adjacency)
    return grads(params, adjacency, x, labels, train, back1=a, back2=a)


@net.fault("wrong_operand", "missing_term", at="layer2", called=True)
def second_layer_as_if_dense(params, adjacency, x, labels, train):
    """No Â in the second layer's backward pass."""
    return grads(params, adjacency, x, labels, train, back2=np.eye(len(x)))


@net.fault("wrong_mask", at="masked")
def unlabelled_nodes_included(params, adjacency, x, labels, train):
    """All nodes give a gradient, divided by the number of the labelled ones."""
    return grads(params, adjacency, x, labels, train, d_of=lambda d: d / train.sum())


@net.fault("scale", at="masked", single=True)
def divided_by_all_nodes(params, adjacency, x, labels, train):
    """The mask is applied, but the division is by n."""
    return grads(params, adjacency, x, labels, train, d_of=lambda d: train[:, None] * d / len(x))


@net.fault("wrong_mask", at="relu")
def mask_before_propagation(params, adjacency, x, labels, train):
    """The ReLU's mask is made of x W0, the features before they were mixed."""
    return grads(params, adjacency, x, labels, train, mask=x @ params["W0"] + params["b0"] > 0)


@net.fault("permuted", at="nll", seed=2)
def labels_count_from_one(params, adjacency, x, labels, train):
    """The labels of the file start at 1, so that every class is the next one."""
    return grads(params, adjacency, x, (labels + 1) % 3, train)


@net.fault("wrong_axis", at="normalise")
def degrees_of_the_columns(params, adjacency, x, labels, train):
    """Â divides by the column sums: the degrees run over the wrong axis."""
    a = adjacency + np.eye(len(x))
    return grads(params, adjacency, x, labels, train, a=a / a.sum(axis=0, keepdims=True))


@net.fault("mutated", "extra_term", at=("loops", "normalise"))
def self_loops_added_twice(params, adjacency, x, labels, train):
    """The forward pass adds the self loops in place, the backward pass adds them once more."""
    np.fill_diagonal(adjacency, adjacency.diagonal() + 1)
    back = propagate(adjacency).T
    a = adjacency / adjacency.sum(axis=1, keepdims=True)
    return grads(params, adjacency, x, labels, train, a=a, back1=back, back2=back)


@net.right(seed=4)
def by_edges(params, adjacency, x, labels, train):
    """Messages along the edges, gathered and scattered."""
    a = propagate(adjacency)
    targets, sources = np.nonzero(a)
    weights = a[targets, sources][:, None]

    def gather(values):
        out = np.zeros((len(x), values.shape[1]))
        np.add.at(out, targets, weights * values[sources])
        return out

    def spread(values):
        out = np.zeros((len(x), values.shape[1]))
        np.add.at(out, sources, weights * values[targets])
        return out

    z1 = gather(x @ params["W0"]) + params["b0"]
    h = np.maximum(z1, 0)
    d2 = (softmax(gather(h @ params["W1"]) + params["b1"]) - np.eye(3)[labels]) * (train / train.sum())[:, None]
    d1 = spread(d2) @ params["W1"].T * (z1 > 0)
    return {"W0": x.T @ spread(d1), "b0": d1.sum(axis=0), "W1": h.T @ spread(d2), "b1": d2.sum(axis=0)}
