"""One head of causal self-attention over one sequence, on an embedding."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

D = 4


def loss_fn(params, x, t):
    """Mean squared error of each number of the output."""
    h = jnp.tanh(x @ params["We"])  # @embed
    q = h @ params["Wq"]  # @query
    k = h @ params["Wk"]  # @key
    v = h @ params["Wv"]  # @value
    scores = q @ k.T / jnp.sqrt(D)  # @scores
    visible = jnp.tril(jnp.ones(scores.shape, bool))
    masked = jnp.where(visible, scores, -1e9)  # @mask
    p = jax.nn.softmax(masked, axis=-1)  # @softmax
    context = p @ v  # @context
    out = context @ params["Wo"]  # @project
    return jnp.mean((out - t) ** 2)  # @loss


def inputs(rng, n):
    """N steps of 3 features, embedded in 5, heads of 4, 2 outputs."""
    sizes = {"We": (3, 5), "Wq": (5, D), "Wk": (5, D), "Wv": (5, D), "Wo": (D, 2)}
    params = {key: rng.normal(size=size) for key, size in sizes.items()}
    return params, (rng.normal(size=(n, 3)), rng.normal(size=(n, 2)))


def softmax_back(dp, p):
    """Row by row."""
    return p * (dp - np.sum(dp * p, axis=-1, keepdims=True))


def scores_back(ds, q, k):
    """Dq and dk."""
    return ds @ k / np.sqrt(D), ds.T @ q / np.sqrt(D)


def grads(params, x, t, smax=softmax_back, sback=scores_back, visible=np.tril, value=None, to_h=None):
    """Backward; the parts that one gets wrong as given."""
    h = np.tanh(x @ params["We"])
    q, k, v = (h @ params[key] for key in ("Wq", "Wk", "Wv"))
    s = np.where(visible(np.ones((len(x), len(x)))) > 0, q @ k.T / np.sqrt(D), -1e9)
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    context = p @ v
    dout = 2 * (context @ params["Wo"] - t) / t.size
    dcontext = dout @ params["Wo"].T
    dv = p.T @ dcontext if value is None else value(p, dcontext)
    dq, dk = sback(smax(dcontext @ v.T, p), q, k)
    dh = dq @ params["Wq"].T + dk @ params["Wk"].T + dv @ params["Wv"].T if to_h is None else to_h(dq, dk, dv)
    return {
        "We": x.T @ (dh * (1 - h**2)),
        "Wq": h.T @ dq,
        "Wk": h.T @ dk,
        "Wv": h.T @ dv,
        "Wo": context.T @ dout,
    }


net = Network("causal_head", loss_fn, inputs, grads, batch=6)


@net.fault("transposed", at="scores")
def keys_without_transposed_scores(params, x, t):
    """DK = dS Q: dS is square, so nothing complains."""
    return grads(params, x, t, sback=lambda ds, q, k: (ds @ k / np.sqrt(D), ds @ q / np.sqrt(D)))


@net.fault("scale", at="scores", called=True)
def root_of_d_forgotten_in_backward(params, x, t):
    """DQ = dS K and dK = dSᵀ Q without 1/√d."""
    return grads(params, x, t, sback=lambda ds, q, k: (ds @ k, ds.T @ q))


@net.fault("wrong_derivative", "missing_term", at="softmax")
def softmax_diagonal(params, x, t):
    """DS = P (1 − P) dP."""
    return grads(params, x, t, smax=lambda dp, p: dp * p * (1 - p))


@net.fault("wrong_axis", at="softmax")
def softmax_sum_over_queries(params, x, t):
    """The sum in the softmax's backward runs over axis 0."""
    return grads(params, x, t, smax=lambda dp, p: p * (dp - np.sum(dp * p, axis=0, keepdims=True)))


@net.fault("overwritten", "missing_term", at=("query", "key", "value", "embed"))
def last_of_the_three_ways(params, x, t):
    """`dh = dQ WqT; dh = dK WkT; dh = dV WvT`."""

    def to_h(dq, dk, dv):
        dh = dq @ params["Wq"].T
        dh = dk @ params["Wk"].T
        dh = dv @ params["Wv"].T
        return dh

    return grads(params, x, t, to_h=to_h)


@net.fault("wrong_mask", at="mask", single=True)
def mask_forgotten_in_numpy(params, x, t):
    """The recomputed attention sees every step."""
    return grads(params, x, t, visible=lambda ones: ones)


@net.fault("transposed", "scale", at=("context", "loss"), n=4)
def values_and_the_factor_two(params, x, t):
    """Two slips: dV = P dO without the transpose, and no 2 of the square."""
    result = grads(params, x, t, value=lambda p, d: p @ d)
    return {key: grad / 2 for key, grad in result.items()}


@net.right()
def masked_once_more(params, x, t):
    """The scores' gradient is masked explicitly, where it is zero already."""
    return grads(params, x, t, smax=lambda dp, p: np.tril(softmax_back(dp, p)))


@net.right(seed=2)
def jacobians_of_rows(params, x, t):
    """diag(p) − ppᵀ of each row."""

    def smax(dp, p):
        return np.stack([(np.diag(row) - np.outer(row, row)) @ d for row, d in zip(p, dp, strict=True)])

    return grads(params, x, t, smax=smax)


@net.right(n=1)
def one_step_only(params, x, t):
    """With one step queries and keys have no effect: their gradients are zero."""
    return grads(params, x, t)
