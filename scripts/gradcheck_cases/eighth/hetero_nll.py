"""Gaussian negative log-likelihood, mean and log-variance predicted by two heads."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

DECAY = 0.05


def loss_fn(params, x, y):
    """Mean NLL without the constant, plus weight decay of the trunk."""
    hidden = jnp.tanh(x @ params["trunk"]["w"] + params["trunk"]["b"])  # @trunk
    mu = hidden @ params["mu"]["w"] + params["mu"]["b"]  # @mu
    log_var = hidden @ params["log_var"]["w"] + params["log_var"]["b"]  # @log_var
    sq = (y - mu) ** 2  # @residual
    nll = 0.5 * (log_var + sq * jnp.exp(-log_var))  # @nll
    return jnp.mean(nll) + DECAY * jnp.sum(params["trunk"]["w"] ** 2)  # @loss


def inputs(rng, n):
    """Three inputs, five hidden units, two outputs."""

    def dense(i, o):
        return {"w": rng.normal(size=(i, o)) * 0.6, "b": rng.normal(size=o) * 0.3}

    params = {"trunk": dense(3, 5), "mu": dense(5, 2), "log_var": dense(5, 2)}
    return params, (rng.normal(size=(n, 3)), rng.normal(size=(n, 2)))


class Model:
    """Engineer's version, with methods to override."""

    def __init__(self, params):
        self.p = params

    def forward(self, x):
        p = self.p
        pre = x @ p["trunk"]["w"] + p["trunk"]["b"]
        h = np.tanh(pre)
        mu = h @ p["mu"]["w"] + p["mu"]["b"]
        lv = h @ p["log_var"]["w"] + p["log_var"]["b"]
        return SimpleNamespace(x=x, pre=pre, h=h, mu=mu, lv=lv)

    def d_heads(self, c, y):
        prec = np.exp(-c.lv)
        r = c.mu - y
        return r * prec / y.size, 0.5 * (1 - r**2 * prec) / y.size

    def d_hidden(self, dmu, dlv):
        return dmu @ self.p["mu"]["w"].T + dlv @ self.p["log_var"]["w"].T

    def d_tanh(self, dh, c):
        return dh * (1 - c.h**2)

    def decay(self):
        return 2 * DECAY * self.p["trunk"]["w"]

    def backward(self, x, y):
        c = self.forward(x)
        dmu, dlv = self.d_heads(c, y)
        dpre = self.d_tanh(self.d_hidden(dmu, dlv), c)
        return {
            "trunk": {"w": c.x.T @ dpre + self.decay(), "b": dpre.sum(0)},
            "mu": {"w": c.h.T @ dmu, "b": dmu.sum(0)},
            "log_var": {"w": c.h.T @ dlv, "b": dlv.sum(0)},
        }


def grads(params, x, y):
    """Right."""
    return Model(params).backward(x, y)


net = Network("hetero_nll", loss_fn, inputs, grads, batch=7)


@net.fault("wrong_loss", "wrong_derivative", "scale", at="nll")
def head_taken_for_log_sigma(params, x, y):
    """The gradient of log σ + r²/(2 σ²) with σ = exp(head)."""

    class M(Model):
        def d_heads(self, c, y):
            prec, r = np.exp(-2 * c.lv), c.mu - y
            return r * prec / y.size, (1 - r**2 * prec) / y.size

    return M(params).backward(x, y)


@net.fault("sign", at="nll", called=True)
def precision_slope_has_the_wrong_sign(params, x, y):
    """d exp(-s) = +exp(-s)."""

    class M(Model):
        def d_heads(self, c, y):
            prec, r = np.exp(-c.lv), c.mu - y
            return r * prec / y.size, 0.5 * (1 + r**2 * prec) / y.size

    return M(params).backward(x, y)


@net.fault("missing_term", at="nll")
def log_determinant_forgotten(params, x, y):
    """Only the quadratic term reaches the log-variance."""

    class M(Model):
        def d_heads(self, c, y):
            prec, r = np.exp(-c.lv), c.mu - y
            return r * prec / y.size, -0.5 * r**2 * prec / y.size

    return M(params).backward(x, y)


@net.fault("missing_term", "wrong_operand", "wrong_loss", at="nll")
def mean_trained_by_plain_squares(params, x, y):
    """The mean's error is not weighted by the precision."""

    class M(Model):
        def d_heads(self, c, y):
            r = c.mu - y
            return r / y.size, 0.5 * (1 - r**2 * np.exp(-c.lv)) / y.size

    return M(params).backward(x, y)


@net.fault("overwritten", "missing_term", at=("mu", "trunk"))
def second_head_overwrites_the_first(params, x, y):
    """`dh =` twice."""

    class M(Model):
        def d_hidden(self, dmu, dlv):
            dh = dmu @ self.p["mu"]["w"].T
            dh = dlv @ self.p["log_var"]["w"].T
            return dh

    return M(params).backward(x, y)


@net.fault("scale", "wrong_reduction", "wrong_loss", at="loss", single=True)
def divided_by_the_examples_only(params, x, y):
    """len(y) for y.size."""

    class M(Model):
        def d_heads(self, c, y):
            prec, r = np.exp(-c.lv), c.mu - y
            return r * prec / len(y), 0.5 * (1 - r**2 * prec) / len(y)

    return M(params).backward(x, y)


@net.fault("wrong_derivative", at="trunk")
def tanh_slope_at_the_preactivation(params, x, y):
    """1 - pre²."""

    class M(Model):
        def d_tanh(self, dh, c):
            return dh * (1 - c.pre**2)

    return M(params).backward(x, y)


@net.fault("scale", at="loss")
def decay_without_the_two(params, x, y):
    """λ w, as for λ/2 |w|²."""

    class M(Model):
        def decay(self):
            return DECAY * self.p["trunk"]["w"]

    return M(params).backward(x, y)


@net.fault("extra_term", at="loss")
def heads_decayed_too(params, x, y):
    """Weight decay of every matrix."""
    g = grads(params, x, y)
    for head in ("mu", "log_var"):
        g[head]["w"] += 2 * DECAY * params[head]["w"]
    return g


def _with_constant(params, x, y):
    c = Model(params).forward(x)
    nll = 0.5 * (np.log(2 * np.pi) + c.lv + (y - c.mu) ** 2 / np.exp(c.lv))
    return nll.mean() + DECAY * (params["trunk"]["w"] ** 2).sum()


@net.fault("wrong_loss", "extra_term", at=("nll", "loss"), loss=_with_constant)
def loss_has_the_constant(params, x, y):
    """The gradient is right, the value has ½ log 2π."""
    return grads(params, x, y)


@net.fault("wrong_derivative", "missing_term", at=("trunk", "loss"))
def linear_trunk_and_no_decay(params, x, y):
    """Two slips: no slope of tanh, no weight decay."""

    class M(Model):
        def d_tanh(self, dh, c):
            return dh

        def decay(self):
            return 0

    return M(params).backward(x, y)


@net.right(single=True)
def in_float32(params, x, y):
    """Single precision."""
    return grads(params, x, y)


@net.right(seed=4, n=1)
def by_sigma(params, x, y):
    """Through σ instead of exp(-s); one example."""

    class M(Model):
        def d_heads(self, c, y):
            sigma = np.exp(c.lv / 2)
            z = (c.mu - y) / sigma
            dsigma = 1 / sigma - z**2 / sigma
            return z / sigma / y.size, dsigma * sigma / 2 / y.size

    return M(params).backward(x, y)
