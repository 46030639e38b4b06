"""A graph convolutional network on a directed graph, some nodes labelled, weight decay on the first layer."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .tools import softmax

DECAY = 0.05
KEEP = 0.5


def loss_fn(params, edges, x, kept, labels, train):
    """Mean cross-entropy of the nodes in `train`; `kept` says which hidden units dropout leaves."""
    loops = edges + jnp.eye(edges.shape[0])  # @loops
    degree = loops.sum(axis=1, keepdims=True)  # @degree
    adjacency = loops / degree  # @adjacency
    z = adjacency @ (x @ params["w1"]) + params["b1"]  # @first
    h = jax.nn.relu(z)  # @relu
    h = h * kept / KEEP  # @dropout
    logits = adjacency @ (h @ params["w2"]) + params["b2"]  # @second
    log_p = jax.nn.log_softmax(logits)  # @softmax
    picked = log_p[jnp.arange(len(labels)), labels]  # @pick
    data = -jnp.sum(train * picked) / jnp.sum(train)  # @loss
    return data + 0.5 * DECAY * jnp.sum(params["w1"] ** 2)  # @decay


def inputs(rng, n):
    """`n` nodes of 3 features, 5 units, 4 classes."""
    params = {
        "w1": rng.normal(size=(3, 5)),
        "b1": rng.normal(size=5),
        "w2": rng.normal(size=(5, 4)),
        "b2": rng.normal(size=4),
    }
    edges = (rng.uniform(size=(n, n)) < 0.35) * (1.0 - np.eye(n))
    kept = (rng.uniform(size=(n, 5)) < 0.6).astype(float)
    train = (np.arange(n) % 5 != 1).astype(float)
    return params, (edges, rng.normal(size=(n, 3)), kept, rng.integers(0, 4, size=n), train)


def neighbours(edges):
    """D⁻¹ (A + I)."""
    loops = edges + np.eye(len(edges), dtype=edges.dtype)
    return loops / loops.sum(axis=1, keepdims=True)


def grads(params, edges, x, kept, labels, train, adjacency=neighbours, transposed=True, keep=KEEP, slip=""):
    """Both layers back."""
    a = adjacency(edges)
    back = a.T if transposed else a
    z = a @ x @ params["w1"] + params["b1"]
    h = np.maximum(z, 0) * kept / KEEP
    d = softmax(a @ h @ params["w2"] + params["b2"])
    d[np.arange(len(x)), labels] -= 1
    if slip != "all nodes":
        d *= train[:, None]
    d /= train.sum()
    dh = back @ d @ params["w2"].T
    dz = dh * (z > 0) / keep
    if slip != "no dropout":
        dz = dz * kept
    dxw = dz if slip == "first" else back @ dz
    return {
        "w1": x.T @ dxw + DECAY * params["w1"],
        "b1": dz.sum(axis=0),
        "w2": (a @ h).T @ d,
        "b2": d.sum(axis=0),
    }


net = Network("graph", loss_fn, inputs, grads, batch=7)


@net.fault("transposed", at=("first", "second"))
def adjacency_taken_as_symmetric(params, *args):
    """Â for Âᵀ: right with the symmetric normalisation of an undirected graph only."""
    return grads(params, *args, transposed=False)


@net.fault("upstream", "wrong_operand", "missing_term", at="first")
def neighbours_forgotten_in_the_first_layer(params, *args):
    """dW1 = xᵀ dz, a dense layer's."""
    return grads(params, *args, slip="first")


@net.fault("missing_term", "wrong_operand", at="loops")
def no_self_loops(params, edges, *args):
    """The graph without A + I, forward and backward."""
    return grads(params, edges, *args, adjacency=lambda e: e / np.maximum(e.sum(axis=1, keepdims=True), 1))


@net.fault("wrong_axis", at=("degree", "adjacency"), called=True)
def normalised_by_in_degree(params, *args):
    """Columns of Â sum to one, not its rows."""

    def adjacency(edges):
        loops = edges + np.eye(len(edges))
        return loops / loops.sum(axis=0, keepdims=True)

    return grads(params, *args, adjacency=adjacency)


@net.fault("wrong_mask", at="loss")
def all_nodes_trained(params, *args):
    """The nodes that have no label in training get a gradient too."""
    return grads(params, *args, slip="all nodes")


@net.fault("scale", at="dropout", single=True)
def inverted_dropout_not_scaled(params, *args):
    """The mask on the way back without 1 / keep."""
    return grads(params, *args, keep=1.0)


@net.fault("extra_term", at="decay")
def both_layers_decayed(params, *args):
    """Weight decay on the second layer as well."""
    right = grads(params, *args)
    return {**right, "w2": right["w2"] + DECAY * params["w2"]}


@net.fault("permuted", at="pick", seed=2)
def labels_of_the_reordered_nodes(params, edges, x, kept, labels, train):
    """The labels are in the order of the file, training nodes first."""
    order = np.argsort(-train, kind="stable")
    return grads(params, edges, x, kept, labels[order], train)


@net.fault("wrong_mask", "missing_term", at=("dropout", "decay"))
def no_dropout_and_no_decay(params, *args):
    """Two slips: dropout is not applied on the way back, and weight decay is forgotten."""
    wrong = grads(params, *args, slip="no dropout")
    return {**wrong, "w1": wrong["w1"] - DECAY * params["w1"]}


@net.right()
def edge_by_edge(params, edges, x, kept, labels, train):
    """Messages along the edges, one after the other."""

    class Messages:
        """Âᵀ by loops."""

        def __init__(self, a):
            self.a = a

        def __matmul__(self, d):
            out = np.zeros_like(d)
            for i, j in np.argwhere(self.a):
                out[j] += self.a[i, j] * d[i]
            return out

    a = neighbours(edges)
    back = Messages(a)
    z = a @ x @ params["w1"] + params["b1"]
    h = np.maximum(z, 0) * kept / KEEP
    p = softmax(a @ h @ params["w2"] + params["b2"])
    d = (p - np.eye(4)[labels]) * train[:, None] / train.sum()
    dhw = back @ d
    dz = dhw @ params["w2"].T * (h > 0) / KEEP
    w1 = x.T @ (back @ dz) + DECAY * params["w1"]
    return {"w1": w1, "b1": dz.sum(axis=0), "w2": h.T @ dhw, "b2": d.sum(axis=0)}


@net.right(single=True, seed=1)
def float32(params, *args):
    """The same in float32."""
    return grads(params, *args)
