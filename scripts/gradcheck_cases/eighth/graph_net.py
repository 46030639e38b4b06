"""Two graph convolutions with a row-normalised adjacency, max read-out over the real nodes, a linear head."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, adj, nodes, real, y):
    """Mean squared error; `adj` is (graph, to, from), `real` marks nodes that are no padding."""
    (w1, b1), (w2, b2), head = params
    p = adj / jnp.maximum(adj.sum(axis=2, keepdims=True), 1)  # @row_normalise
    m1 = p @ nodes  # @message1
    h1 = jnp.maximum(m1 @ w1 + b1, 0)  # @layer1
    m2 = p @ h1  # @message2
    h2 = m2 @ w2 + b2  # @layer2
    masked = jnp.where(real[:, :, None] > 0, h2, -1e9)  # @padding
    readout = masked.max(axis=1)  # @readout
    pred = (readout @ head)[:, 0]  # @head
    return jnp.mean((pred - y) ** 2)  # @loss


def inputs(rng, n):
    """Graphs of five nodes, the last one or two padding in some; directed edges and self-loops."""
    params = [
        (rng.normal(size=(3, 4)), rng.normal(size=4) * 0.5),
        (rng.normal(size=(4, 4)), rng.normal(size=4) * 0.5),
        rng.normal(size=(4, 1)),
    ]
    real = (np.arange(5) < 5 - np.arange(n)[:, None] % 3).astype(float)
    adj = np.maximum(rng.integers(0, 2, size=(n, 5, 5)), np.eye(5)) * real[:, None] * real[:, :, None]
    return params, (adj, rng.normal(size=(n, 5, 3)), real, rng.normal(size=n))


def forward(params, adj, nodes, real):
    """Everything that the backward pass wants."""
    (w1, b1), (w2, b2), head = params
    c = {"p": adj / np.maximum(adj.sum(axis=2, keepdims=True), 1)}
    c["m1"] = c["p"] @ nodes
    c["a1"] = c["m1"] @ w1 + b1
    c["h1"] = np.maximum(c["a1"], 0)
    c["m2"] = c["p"] @ c["h1"]
    c["h2"] = c["m2"] @ w2 + b2
    c["masked"] = np.where(real[:, :, None] > 0, c["h2"], -1e9).astype(nodes.dtype)
    c["r"] = c["masked"].max(axis=1)
    c["pred"] = (c["r"] @ head)[:, 0]
    return c


def to_argmax(dr, c, real):
    """The read-out's gradient goes to each feature's largest node."""
    dh2 = np.zeros_like(c["h2"])
    np.put_along_axis(dh2, c["masked"].argmax(axis=1)[:, None], dr[:, None], axis=1)
    return dh2


def grads(params, adj, nodes, real, y, unpool=to_argmax, back=None, cache=None, relu=None):
    """Head, read-out, two layers."""
    (w1, b1), (w2, b2), head = params
    c = cache or forward(params, adj, nodes, real)
    back = back or (lambda dm, p: p.swapaxes(1, 2) @ dm)
    relu = relu or (lambda dh, c: dh * (c["a1"] > 0))
    dpred = 2 * (c["pred"] - y)[:, None] / len(y)
    dh2 = unpool(dpred @ head.T, c, real)
    dh1 = back(dh2 @ w2.T, c["p"])
    da1 = relu(dh1, c)
    dw1 = np.tensordot(c["m1"], da1, axes=([0, 1], [0, 1]))
    dw2 = np.tensordot(c["m2"], dh2, axes=([0, 1], [0, 1]))
    return [(dw1, da1.sum((0, 1))), (dw2, dh2.sum((0, 1))), c["r"].T @ dpred]


net = Network("graph_net", loss_fn, inputs, grads, batch=4)


@net.fault("transposed", at=("message2", "message1"))
def adjacency_not_transposed(params, adj, nodes, real, y):
    """P for Pᵀ: right only for an undirected graph without the normalisation."""
    return grads(params, adj, nodes, real, y, back=lambda dm, p: p @ dm)


@net.fault("missing_term", "wrong_operand", at="message2", called=True)
def neighbours_skipped(params, adj, nodes, real, y):
    """No adjacency in the backward pass: every node keeps its message's gradient."""
    return grads(params, adj, nodes, real, y, back=lambda dm, p: dm)


@net.fault("wrong_operand", "scale", at=("message2", "row_normalise"))
def adjacency_not_normalised_in_backward(params, adj, nodes, real, y):
    """adjᵀ instead of the row-normalised one's transpose."""
    return grads(params, adj, nodes, real, y, back=lambda dm, p: adj.swapaxes(1, 2) @ dm)


@net.fault("wrong_pooling", "wrong_mask", at="readout")
def readout_to_every_node(params, adj, nodes, real, y):
    """As if the read-out were a sum."""
    return grads(params, adj, nodes, real, y, unpool=lambda dr, c, real: dr[:, None] * np.ones_like(c["h2"]))


@net.fault("wrong_pooling", at="readout")
def readout_as_a_mean(params, adj, nodes, real, y):
    """Shared out over the real nodes, as a mean would."""

    def unpool(dr, c, real):
        return dr[:, None] * (real / real.sum(axis=1, keepdims=True))[:, :, None]

    return grads(params, adj, nodes, real, y, unpool=unpool)


@net.fault("wrong_mask", at="padding", n=6)
def padding_can_win(params, adj, nodes, real, y):
    """argmax over all nodes, padding included."""

    def unpool(dr, c, real):
        dh2 = np.zeros_like(c["h2"])
        np.put_along_axis(dh2, c["h2"].argmax(axis=1)[:, None], dr[:, None], axis=1)
        return dh2

    return grads(params, adj, nodes, real, y, unpool=unpool)


@net.fault("mutated", "wrong_mask", at="layer1")
def relu_in_place(params, adj, nodes, real, y):
    """`np.maximum(a1, 0, out=a1)`, and the mask is `a1 >= 0`."""
    c = forward(params, adj, nodes, real)
    np.maximum(c["a1"], 0, out=c["a1"])
    return grads(params, adj, nodes, real, y, cache=c, relu=lambda dh, c: dh * (c["a1"] >= 0))


@net.fault("upstream", at=None)
def clipped_after_the_readout(params, adj, nodes, real, y):
    """All gradients clipped to ±0.1, a leftover of the training loop."""
    g = grads(params, adj, nodes, real, y)
    return [tuple(np.clip(v, -0.1, 0.1) for v in pair) for pair in g[:2]] + [np.clip(g[2], -0.1, 0.1)]


@net.fault("wrong_shape", at="head")
def head_flattened(params, adj, nodes, real, y):
    """(4,) for (4, 1)."""
    g = grads(params, adj, nodes, real, y)
    c = forward(params, adj, nodes, real)
    g[2] = (2 * (c["pred"] - y) / len(y)) @ c["r"]
    return g


@net.fault("stale", "permuted", at=None)
def targets_shuffled(params, adj, nodes, real, y):
    """The targets of another batch order."""
    return grads(params, adj, nodes, real, y[::-1])


@net.fault("transposed", "wrong_mask", at=("message2", "message1", "layer1"))
def not_transposed_and_no_relu(params, adj, nodes, real, y):
    """Two slips: P for Pᵀ and no ReLU mask."""
    return grads(params, adj, nodes, real, y, back=lambda dm, p: p @ dm, relu=lambda dh, c: dh)


@net.right()
def by_loops(params, adj, nodes, real, y):
    """The read-out's and the message's gradients by loops over nodes."""

    def unpool(dr, c, real):
        dh2 = np.zeros_like(c["h2"])
        for g, f in np.ndindex(*dr.shape):
            dh2[g, c["masked"][g, :, f].argmax(), f] += dr[g, f]
        return dh2

    def back(dm, p):
        dh = np.zeros_like(dm)
        for g, i, j in zip(*p.nonzero(), strict=True):
            dh[g, j] += p[g, i, j] * dm[g, i]
        return dh

    return grads(params, adj, nodes, real, y, unpool, back)


@net.right(single=True, seed=2)
def in_float32(params, adj, nodes, real, y):
    """Single precision."""
    return grads(params, adj, nodes, real, y)


@net.right(n=1, called=True, seed=3)
def one_graph(params, adj, nodes, real, y):
    """A batch of one."""
    return grads(params, adj, nodes, real, y)
