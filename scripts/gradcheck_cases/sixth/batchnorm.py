"""CS231n, assignment 2: affine, batch norm, ReLU, affine, softmax."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .common import softmax

EPS = 1e-5


def loss_fn(params, x, y):
    """In training mode: the statistics are those of the batch."""
    a = x @ params["W1"]  # @affine1
    mu = jnp.mean(a, axis=0)  # @mu
    var = jnp.mean((a - mu) ** 2, axis=0)  # @var
    xhat = (a - mu) / jnp.sqrt(var + EPS)  # @xhat
    bn = params["gamma"] * xhat + params["beta"]  # @scale_shift
    r = jax.nn.relu(bn)  # @relu
    scores = r @ params["W2"] + params["b2"]  # @affine2
    log_p = jax.nn.log_softmax(scores)  # @softmax
    return -jnp.mean(log_p[jnp.arange(x.shape[0]), y])  # @nll


def inputs(rng, n):
    """Four features, five units, three classes."""
    params = {
        "W1": rng.normal(size=(4, 5)),
        "gamma": rng.uniform(0.5, 1.5, size=5),
        "beta": 0.3 * rng.normal(size=5),
        "W2": rng.normal(size=(5, 3)),
        "b2": 0.1 * rng.normal(size=3),
    }
    return params, (rng.normal(size=(n, 4)), rng.integers(0, 3, size=n))


def staged(dxhat, cache):
    """The batch norm's backward, stage by stage, from the gradient of xhat."""
    xmu, var = cache
    n = len(xmu)
    std = np.sqrt(var + EPS)
    divar = (dxhat * xmu).sum(axis=0)
    dxmu1 = dxhat / std
    dvar = divar * -0.5 * (var + EPS) ** -1.5
    dxmu2 = 2 * xmu * dvar / n
    dx1 = dxmu1 + dxmu2
    dmu = -dx1.sum(axis=0)
    return dx1 + dmu / n


def grads(params, x, y, bn_back=staged, dgamma=None):
    """Backward; `bn_back` takes the gradient of xhat and (a − μ, σ²)."""
    a = x @ params["W1"]
    xmu, var = a - a.mean(axis=0), a.var(axis=0)
    xhat = xmu / np.sqrt(var + EPS)
    bn = params["gamma"] * xhat + params["beta"]
    r = np.maximum(bn, 0)
    dscores = softmax(r @ params["W2"] + params["b2"])
    dscores[np.arange(len(x)), y] -= 1
    dscores /= len(x)
    dbn = dscores @ params["W2"].T * (bn > 0)
    da = bn_back(dbn * params["gamma"], (xmu, var))
    return {
        "W1": x.T @ da,
        "gamma": (dbn * xhat).sum(axis=0) if dgamma is None else dgamma(dbn, a, xhat),
        "beta": dbn.sum(axis=0),
        "W2": r.T @ dscores,
        "b2": dscores.sum(axis=0),
    }


net = Network("batchnorm", loss_fn, inputs, grads, batch=7)


@net.fault("wrong_derivative", at="xhat")
def power_of_the_inverse_root(params, x, y):
    """−½ (σ² + ε)^−½ for the slope of (σ² + ε)^−½."""

    def back(dxhat, cache):
        xmu, var = cache
        dvar = (dxhat * xmu).sum(axis=0) * -0.5 * (var + EPS) ** -0.5
        dx1 = dxhat / np.sqrt(var + EPS) + 2 * xmu * dvar / len(xmu)
        return dx1 - dx1.mean(axis=0)

    return grads(params, x, y, back)


@net.fault("missing_term", at=("mu", "xhat"))
def mean_not_differentiated(params, x, y):
    """dmu is computed and never added."""

    def back(dxhat, cache):
        xmu, var = cache
        dvar = (dxhat * xmu).sum(axis=0) * -0.5 * (var + EPS) ** -1.5
        return dxhat / np.sqrt(var + EPS) + 2 * xmu * dvar / len(xmu)

    return grads(params, x, y, back)


@net.fault("overwritten", "missing_term", at=("xhat", "var"))
def deviation_keeps_one_branch(params, x, y):
    """`dxmu =` where the second branch should be added: only the numerator's is left."""

    def back(dxhat, cache):
        xmu, var = cache
        dvar = (dxhat * xmu).sum(axis=0) * -0.5 * (var + EPS) ** -1.5
        dxmu = 2 * xmu * dvar / len(xmu)
        dxmu = dxhat / np.sqrt(var + EPS)
        return dxmu - dxmu.mean(axis=0)

    return grads(params, x, y, back)


@net.fault("wrong_operand", at="scale_shift")
def gamma_from_the_input(params, x, y):
    """dgamma is made of the input rather than of the normalised input."""
    return grads(params, x, y, dgamma=lambda dbn, a, xhat: (dbn * a).sum(axis=0))


@net.fault("wrong_axis", "wrong_shape", "wrong_reduction", at="scale_shift")
def gamma_summed_over_features(params, x, y):
    """axis=1: a number for each example."""
    return grads(params, x, y, dgamma=lambda dbn, a, xhat: (dbn * xhat).sum(axis=1))


@net.fault("missing_term", "wrong_operand", at="scale_shift", single=True)
def gamma_left_out_of_the_way_down(params, x, y):
    """dxhat = dout."""
    return grads(params, x, y, lambda dxhat, cache: staged(dxhat / params["gamma"], cache))


@net.fault("scale", "wrong_reduction", at="var")
def variance_branch_summed(params, x, y):
    """The variance's backward has no 1/N."""

    def back(dxhat, cache):
        xmu, var = cache
        dvar = (dxhat * xmu).sum(axis=0) * -0.5 * (var + EPS) ** -1.5
        dx1 = dxhat / np.sqrt(var + EPS) + 2 * xmu * dvar
        return dx1 - dx1.mean(axis=0)

    return grads(params, x, y, back)


@net.right(seed=1)
def in_one_line(params, x, y):
    """batchnorm_backward_alt."""

    def back(dxhat, cache):
        xmu, var = cache
        n = len(xmu)
        xhat = xmu / np.sqrt(var + EPS)
        return (n * dxhat - dxhat.sum(0) - xhat * (dxhat * xhat).sum(0)) / (n * np.sqrt(var + EPS))

    return grads(params, x, y, back)
