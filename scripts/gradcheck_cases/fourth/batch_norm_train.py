"""A dense layer, batch normalisation with the batch's statistics, ReLU and a linear output."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

EPS = 1e-5


def loss_fn(params, x, t):
    """Half the squared error a row."""
    h = x @ params["W"] + params["b"]  # @dense
    mu = jnp.mean(h, axis=0)  # @mean
    xmu = h - mu  # @centre
    var = jnp.mean(xmu**2, axis=0)  # @var
    std = jnp.sqrt(var + EPS)  # @std
    xhat = xmu / std  # @normalise
    out = params["gamma"] * xhat + params["beta"]  # @affine
    a = jax.nn.relu(out)  # @relu
    y = a @ params["V"]  # @output
    return 0.5 * jnp.sum((y - t) ** 2) / len(x)  # @loss


def inputs(rng, n):
    """Three features, five units, two outputs."""
    params = {
        "W": rng.normal(size=(3, 5)),
        "b": rng.normal(size=5),
        "gamma": rng.uniform(0.5, 2, size=5),
        "beta": rng.normal(size=5),
        "V": rng.normal(size=(5, 2)),
    }
    return params, (rng.normal(size=(n, 3)), rng.normal(size=(n, 2)))


def staged(dout, xhat, xmu, std, gamma):
    """The nine steps of the computational graph."""
    n = len(dout)
    dxhat = dout * gamma
    dinv = np.sum(dxhat * xmu, axis=0)
    dxmu = dxhat / std
    dstd = -1 / std**2 * dinv
    dvar = 0.5 / std * dstd
    dxmu = dxmu + 2 * xmu * np.ones_like(dout) / n * dvar
    dmu = -np.sum(dxmu, axis=0)
    return dxmu + dmu / n, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


def grads(params, x, t, back=staged, ddof=0, axis=0):
    """Backward with the normalisation's backward as given: it returns dh, dgamma and dbeta."""
    n = len(x)
    h = x @ params["W"] + params["b"]
    xmu = h - h.mean(axis=axis, keepdims=True)
    std = np.sqrt(h.var(axis=axis, ddof=ddof, keepdims=True) + EPS)
    xhat = xmu / std
    out = params["gamma"] * xhat + params["beta"]
    a = np.maximum(out, 0)
    dy = (a @ params["V"] - t) / n
    dout = dy @ params["V"].T * (out > 0)
    dh, dgamma, dbeta = back(dout, xhat, xmu, std, params["gamma"])
    return {"W": x.T @ dh, "b": dh.sum(axis=0), "gamma": dgamma, "beta": dbeta, "V": a.T @ dy}


net = Network("batch_norm_train", loss_fn, inputs, grads, batch=7)


@net.fault("missing_term", at=("mean", "var", "centre", "std", "normalise"))
def as_in_test_mode(params, x, t):
    """Dx = dout γ/σ: mean and variance taken for constants."""

    def back(dout, xhat, xmu, std, gamma):
        return dout * gamma / std, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)

    return grads(params, x, t, back=back)


@net.fault("wrong_operand", at="affine", called=True)
def gamma_with_the_input(params, x, t):
    """Dgamma = Σ dout (h − μ): not divided by σ yet."""

    def back(dout, xhat, xmu, std, gamma):
        dh, _, dbeta = staged(dout, xhat, xmu, std, gamma)
        return dh, np.sum(dout * xmu, axis=0), dbeta

    return grads(params, x, t, back=back)


@net.fault("wrong_loss", "scale", at=("var", "std"), n=4)
def unbiased_variance(params, x, t):
    """`np.std(h, axis=0, ddof=1)` in the hand-written forward pass."""
    return grads(params, x, t, ddof=1)


@net.fault("mutated", at=("affine", "normalise"))
def xhat_scaled_in_place(params, x, t):
    """`out = xhat; out *= gamma; out += beta`, and the backward pass reads xhat."""
    n = len(x)
    h = x @ params["W"] + params["b"]
    xmu = h - h.mean(axis=0)
    std = np.sqrt(h.var(axis=0) + EPS)
    xhat = xmu / std
    out = xhat
    out *= params["gamma"]
    out += params["beta"]
    a = np.maximum(out, 0)
    dy = (a @ params["V"] - t) / n
    dout = dy @ params["V"].T * (out > 0)
    dxhat = dout * params["gamma"]
    dh = (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / std
    dgamma = np.sum(dout * xhat, axis=0)
    return {"W": x.T @ dh, "b": dh.sum(axis=0), "gamma": dgamma, "beta": dout.sum(axis=0), "V": a.T @ dy}


@net.fault("scale", "wrong_derivative", at=("std", "var"))
def half_of_the_square_root_missing(params, x, t):
    """Dvar = Σ dx̂ (h − μ) · −(σ²+ε)^(−3/2): the −1/2 became −1."""

    def back(dout, xhat, xmu, std, gamma):
        n = len(dout)
        dxhat = dout * gamma
        dvar = np.sum(dxhat * xmu, axis=0) * -1 * std**-3
        dmu = np.sum(-dxhat / std, axis=0) + dvar * np.mean(-2 * xmu, axis=0)
        dh = dxhat / std + dvar * 2 * xmu / n + dmu / n
        return dh, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)

    return grads(params, x, t, back=back)


@net.fault("wrong_axis", at=("mean", "var", "centre", "std", "normalise"))
def sums_along_the_features(params, x, t):
    """The sums of the short formula run along each row."""

    def back(dout, xhat, xmu, std, gamma):
        dxhat = dout * gamma
        d = dout.shape[1]
        s1, s2 = dxhat.sum(axis=1, keepdims=True), (dxhat * xhat).sum(axis=1, keepdims=True)
        return (d * dxhat - s1 - xhat * s2) / (d * std), np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)

    return grads(params, x, t, back=back)


@net.fault("wrong_derivative", "wrong_reduction", at=("std", "normalise", "affine"), single=True)
def reciprocal_and_gamma(params, x, t):
    """Two slips: d(1/σ) = −1/σ for −1/σ², and dgamma is a mean."""

    def back(dout, xhat, xmu, std, gamma):
        n = len(dout)
        dxhat = dout * gamma
        dstd = -1 / std * np.sum(dxhat * xmu, axis=0)
        dxmu = dxhat / std + xmu / n * dstd / std
        return dxmu - dxmu.mean(axis=0), np.mean(dout * xhat, axis=0), np.sum(dout, axis=0)

    return grads(params, x, t, back=back)


@net.right()
def mean_without_the_way_through_the_variance(params, x, t):
    """dμ leaves out −2 Σ(h − μ)/n · dvar, which is zero."""

    def back(dout, xhat, xmu, std, gamma):
        n = len(dout)
        dxhat = dout * gamma
        dvar = np.sum(dxhat * xmu, axis=0) * -0.5 * std**-3
        dmu = -np.sum(dxhat / std, axis=0)
        return dxhat / std + dvar * 2 * xmu / n + dmu / n, (dout * xhat).sum(axis=0), dout.sum(axis=0)

    return grads(params, x, t, back=back)


@net.right(single=True)
def bias_gradient_is_zero(params, x, t):
    """The short formula; the dense layer's bias has no effect and its gradient is set to zero."""

    def back(dout, xhat, xmu, std, gamma):
        n = len(dout)
        s1, s2 = dout.sum(axis=0), (dout * xhat).sum(axis=0)
        return gamma / (n * std) * (n * dout - s1 - xhat * s2), s2, s1

    return grads(params, x, t, back=back) | {"b": np.zeros_like(params["b"])}
