"""Linear-chain CRF: log-partition by the forward recursion minus the gold score."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from gradcheck_cases.corpus import Network


def loss_fn(params, x, tags):
    """Mean negative log-likelihood of tag sequences; `trans[i, j]` is from i to j."""
    emit = x @ params["w"] + params["b"]  # @emit
    alpha = params["start"] + emit[:, 0]  # @start
    for t in range(1, emit.shape[1]):
        paths = alpha[:, :, None] + params["trans"] + emit[:, t, None, :]  # @paths
        alpha = logsumexp(paths, axis=1)  # @recursion
    log_z = logsumexp(alpha, axis=1)  # @partition
    gold = params["start"][tags[:, 0]]  # @gold_start
    gold += jnp.take_along_axis(emit, tags[..., None], axis=2).sum(axis=(1, 2))  # @gold_emit
    gold += params["trans"][tags[:, :-1], tags[:, 1:]].sum(axis=1)  # @gold_trans
    return jnp.mean(log_z - gold)  # @loss


def inputs(rng, n):
    """Five steps, four features, three tags."""
    params = {
        "w": rng.normal(size=(4, 3)),
        "b": rng.normal(size=3),
        "start": rng.normal(size=3),
        "trans": rng.normal(size=(3, 3)),
    }
    return params, (rng.normal(size=(n, 5, 4)), rng.integers(0, 3, size=(n, 5)))


def lse(z, axis):
    """log Σ exp."""
    m = z.max(axis=axis, keepdims=True)
    return np.log(np.exp(z - m).sum(axis=axis)) + m.squeeze(axis)


def forward_backward(emit, start, trans):
    """Of one sequence: log α, log β, log Z."""
    length = len(emit)
    alpha, beta = np.zeros_like(emit), np.zeros_like(emit)
    alpha[0] = start + emit[0]
    for t in range(1, length):
        alpha[t] = lse(alpha[t - 1][:, None] + trans + emit[t], 0)
    for t in range(length - 2, -1, -1):
        beta[t] = lse(trans + emit[t + 1] + beta[t + 1], 1)
    return alpha, beta, lse(alpha[-1], 0)


def expectations(params, feats):
    """Expected counts: of tags at each step, of transitions."""
    emit = feats @ params["w"] + params["b"]
    alpha, beta, log_z = forward_backward(emit, params["start"], params["trans"])
    nodes = np.exp(alpha + beta - log_z)
    edges = np.zeros_like(params["trans"])
    for t in range(1, len(emit)):
        edges += np.exp(alpha[t - 1][:, None] + params["trans"] + emit[t] + beta[t] - log_z)
    return nodes, edges


def grads(params, x, tags, expect=expectations, count_edges=True, swap=False):
    """Expected minus observed counts."""
    g = {k: np.zeros_like(v) for k, v in params.items()}
    for feats, y in zip(x, tags, strict=True):
        nodes, edges = expect(params, feats)
        d = nodes.copy()
        d[np.arange(len(y)), y] -= 1
        if count_edges:
            for i, j in zip(y[:-1], y[1:], strict=True):
                if swap:
                    edges[j, i] -= 1
                else:
                    edges[i, j] -= 1
        g["w"] += feats.T @ d
        g["b"] += d.sum(0)
        g["start"] += d[0]
        g["trans"] += edges
    return {k: v / len(x) for k, v in g.items()}


net = Network("crf", loss_fn, inputs, grads, batch=3)


@net.fault("missing_term", at="gold_trans")
def gold_transitions_not_counted(params, x, tags):
    """Only the expected transitions."""
    return grads(params, x, tags, count_edges=False)


@net.fault("transposed", "permuted", at="gold_trans")
def gold_transitions_backwards(params, x, tags):
    """trans[to, from], as in the PyTorch tutorial, for the gold path only."""
    return grads(params, x, tags, swap=True)


@net.fault("transposed", "wrong_axis", at=("paths", "recursion"))
def transitions_transposed_in_the_recursion(params, x, tags):
    """The forward-backward takes trans[to, from]."""

    def expect(p, feats):
        nodes, edges = expectations({**p, "trans": p["trans"].T}, feats)
        return nodes, edges.T

    return grads(params, x, tags, expect=expect)


@net.fault("wrong_operand", "missing_term", at=("recursion", "paths", "partition"))
def filtered_for_smoothed(params, x, tags):
    """softmax(α_t) at each step: the backward messages are missing from the tags' marginals."""

    def expect(p, feats):
        emit = feats @ p["w"] + p["b"]
        alpha, _, _ = forward_backward(emit, p["start"], p["trans"])
        _, edges = expectations(p, feats)
        return np.exp(alpha - lse(alpha, 1)[:, None]), edges

    return grads(params, x, tags, expect=expect)


@net.fault("wrong_loss", at=("recursion", "partition"))
def viterbi_for_the_sum(params, x, tags):
    """The structured perceptron's gradient: counts of the best path."""

    def expect(p, feats):
        emit = feats @ p["w"] + p["b"]
        score, back = p["start"] + emit[0], []
        for e in emit[1:]:
            paths = score[:, None] + p["trans"]
            back.append(paths.argmax(0))
            score = paths.max(0) + e
        path = [int(score.argmax())]
        for pointer in back[::-1]:
            path.insert(0, int(pointer[path[0]]))
        edges = np.zeros((3, 3))
        np.add.at(edges, (path[:-1], path[1:]), 1)
        return np.eye(3)[path], edges

    return grads(params, x, tags, expect=expect)


@net.fault("scale", "wrong_loss", at="loss", called=True)
def mean_over_tokens(params, x, tags):
    """Divided by the number of tokens."""
    return {k: v / x.shape[1] for k, v in grads(params, x, tags).items()}


@net.fault("permuted", at="gold_emit")
def tags_shifted_by_one(params, x, tags):
    """Gold tags of the emissions rolled by one step."""
    g = {k: np.zeros_like(v) for k, v in params.items()}
    for feats, y in zip(x, tags, strict=True):
        nodes, edges = expectations(params, feats)
        d = nodes - np.eye(3)[np.roll(y, 1)]
        np.subtract.at(edges, (y[:-1], y[1:]), 1)
        g["w"] += feats.T @ d
        g["b"] += d.sum(0)
        g["start"] += nodes[0] - np.eye(3)[y[0]]
        g["trans"] += edges
    return {k: v / len(x) for k, v in g.items()}


@net.fault("overwritten", "wrong_reduction", at="paths", n=2)
def transitions_of_the_last_step(params, x, tags):
    """`edges =` in the loop over steps."""

    def expect(p, feats):
        emit = feats @ p["w"] + p["b"]
        alpha, beta, log_z = forward_backward(emit, p["start"], p["trans"])
        for t in range(1, len(emit)):
            edges = np.exp(alpha[t - 1][:, None] + p["trans"] + emit[t] + beta[t] - log_z)
        return np.exp(alpha + beta - log_z), edges

    return grads(params, x, tags, expect=expect)


@net.fault("overwritten", "missing_term", at="gold_trans", seed=4)
def repeated_transitions_counted_once(params, x, tags):
    """`edges[y[:-1], y[1:]] -= 1` with repeated indices."""
    g = grads(params, x, tags, count_edges=False)
    for y in tags:
        observed = np.zeros((3, 3))
        observed[y[:-1], y[1:]] += 1
        g["trans"] -= observed / len(tags)
    return g


@net.right(n=1, seed=5)
def by_enumeration(params, x, tags):
    """All 243 paths of one sequence."""

    def expect(p, feats):
        emit = feats @ p["w"] + p["b"]
        nodes, edges, total = np.zeros((5, 3)), np.zeros((3, 3)), 0.0
        for path in np.ndindex(*[3] * 5):
            path = np.array(path)
            weight = np.exp(p["start"][path[0]] + emit[range(5), path].sum() + p["trans"][path[:-1], path[1:]].sum())
            total += weight
            nodes[range(5), path] += weight
            np.add.at(edges, (path[:-1], path[1:]), weight)
        return nodes / total, edges / total

    return grads(params, x, tags, expect=expect)


@net.right(single=True)
def in_float32(params, x, tags):
    """Single precision."""
    return grads(params, x, tags)
