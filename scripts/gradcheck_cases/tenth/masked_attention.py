"""Layer norm and one head of self-attention with a residual, as in a block of a transformer."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

EPS = 1e-5


def loss_fn(params, x, target, keep):
    """Squared error; `x` is (batch, time, feature), `keep` tells real positions from padding."""
    mu = jnp.mean(x, axis=-1, keepdims=True)  # @mu
    var = jnp.var(x, axis=-1, keepdims=True)  # @var
    xhat = (x - mu) / jnp.sqrt(var + EPS)  # @xhat
    u = xhat * params["gamma"] + params["beta"]  # @affine
    q = u @ params["Wq"]  # @q
    k = u @ params["Wk"]  # @k
    v = u @ params["Wv"]  # @v
    scores = q @ jnp.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1])  # @scores
    scores = jnp.where(keep[:, None, :], scores, -1e9)  # @mask
    att = jax.nn.softmax(scores, axis=-1)  # @softmax
    mixed = att @ v  # @mix
    out = u + mixed  # @residual
    return jnp.mean((out - target) ** 2)  # @loss


def inputs(rng, n):
    """Four positions, 5 features; the last position of every second sequence is padding."""
    params = {name: rng.normal(size=(5, 5)) / 1.5 for name in ("Wq", "Wk", "Wv")}
    params |= {"gamma": rng.uniform(0.5, 1.5, size=5), "beta": 0.5 * rng.normal(size=5)}
    keep = np.ones((n, 4), bool)
    keep[::2, -1] = False
    return params, (rng.normal(size=(n, 4, 5)), rng.normal(size=(n, 4, 5)), keep)


def swap(a):
    """Transpose the last two axes."""
    return a.swapaxes(-1, -2)


def forward(params, x, keep):
    """All that backward needs."""
    xhat = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + EPS)
    u = xhat * params["gamma"] + params["beta"]
    q, k, v = u @ params["Wq"], u @ params["Wk"], u @ params["Wv"]
    scores = np.where(keep[:, None, :], q @ swap(k) / np.sqrt(5), -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return xhat, u, q, k, v, e / e.sum(axis=-1, keepdims=True)


def softmax_back(datt, att):
    """The rows' Jacobians."""
    return att * (datt - (datt * att).sum(axis=-1, keepdims=True))


def grads(params, x, target, keep, soft=softmax_back, root=5**0.5, slip=""):
    """Backward; `soft` is the softmax's, `root` what the scores are divided by."""
    xhat, u, q, k, v, att = forward(params, x, keep)
    dout = 2 * (u + att @ v - target) / target.size
    dv = (att if slip == "dv" else swap(att)) @ dout
    ds = soft(dout @ swap(v), att) / root
    dq = ds @ k
    dk = (ds if slip == "dk" else swap(ds)) @ q
    du = np.zeros_like(u) if slip == "no residual" else dout.copy()
    for name, d in (("Wq", dq), ("Wk", dk), ("Wv", dv)):
        if slip == "last":
            du = d @ params[name].T
        elif slip != "only residual":
            du += d @ params[name].T
    gamma = du * (u if slip == "gamma" else xhat)
    result = {"gamma": gamma.sum(axis=(0, 1)), "beta": du.sum(axis=(0, 1))}
    for name, d in (("Wq", dq), ("Wk", dk), ("Wv", dv)):
        result[name] = np.einsum("nti,nto->io", u, d)
    return result


net = Network("masked_attention", loss_fn, inputs, grads, batch=3)


@net.fault("scale", at="scores")
def root_of_d_forgotten(params, x, target, keep):
    """The scores' backward lacks 1/√d."""
    return grads(params, x, target, keep, root=1.0)


@net.fault("wrong_derivative", at="softmax", called=True)
def softmax_as_if_a_sigmoid(params, x, target, keep):
    """p (1 − p), the diagonal of the Jacobian only."""
    return grads(params, x, target, keep, soft=lambda d, p: d * p * (1 - p))


@net.fault("wrong_axis", at="softmax")
def softmax_backward_over_queries(params, x, target, keep):
    """The sum in the softmax's backward runs over axis 1, the queries."""
    return grads(params, x, target, keep, soft=lambda d, p: p * (d - (d * p).sum(axis=1, keepdims=True)))


@net.fault("transposed", at="scores")
def scores_not_transposed_for_keys(params, x, target, keep):
    """dk = ds q, with ds square: time by time."""
    return grads(params, x, target, keep, slip="dk")


@net.fault("transposed", at="mix", single=True)
def attention_not_transposed_for_values(params, x, target, keep):
    """dv = att dout, and not its transpose."""
    return grads(params, x, target, keep, slip="dv")


@net.fault("missing_term", at="residual")
def residual_forgotten(params, x, target, keep):
    """The skip connection's gradient is not added."""
    return grads(params, x, target, keep, slip="no residual")


@net.fault("overwritten", "missing_term", at=("q", "k", "v", "residual"))
def only_the_values_path(params, x, target, keep):
    """`du =` for each of the projections: the residual's, the queries' and the keys' are lost."""
    return grads(params, x, target, keep, slip="last")


@net.fault("wrong_operand", at="affine")
def gamma_times_the_output(params, x, target, keep):
    """dγ is made with the layer norm's output and not with x̂."""
    return grads(params, x, target, keep, slip="gamma")


@net.fault("scale", "wrong_operand", at=("scores", "affine"))
def no_root_and_wrong_gamma(params, x, target, keep):
    """Two slips: 1/√d is missing in backward, and dγ has u for x̂."""
    return grads(params, x, target, keep, root=1.0, slip="gamma")


@net.right(n=2)
def jacobians_row_by_row(params, x, target, keep):
    """diag(p) − p pᵀ for every row."""

    def soft(datt, att):
        jacobian = np.eye(4) * att[..., None] - att[..., None] * att[..., None, :]
        return np.einsum("nqk,nqkl->nql", datt, jacobian)

    return grads(params, x, target, keep, soft=soft)


@net.right(called=True, seed=1)
def all_positions_flat(params, x, target, keep):
    """Weight gradients by one matrix product over all positions."""
    result = grads(params, x, target, keep)
    _, u, _, _, v, att = forward(params, x, keep)
    dout = 2 * (u + att @ v - target) / target.size
    result["Wv"] = u.reshape(-1, 5).T @ (swap(att) @ dout).reshape(-1, 5)
    return result
