"""CS231n: affine, batch norm, ReLU, affine, softmax, with half the squared norm as the penalty."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

REG = 0.1
EPS = 1e-5


def loss_fn(params, x, y):
    """FullyConnectedNet.loss in train mode."""
    h = x @ params["W1"]  # @affine1
    mu = h.mean(axis=0)  # @mean
    xmu = h - mu  # @centre
    var = (xmu**2).mean(axis=0)  # @var
    xhat = xmu / jnp.sqrt(var + EPS)  # @xhat
    out = params["gamma"] * xhat + params["beta"]  # @scale_shift
    a = jax.nn.relu(out)  # @relu
    scores = a @ params["W2"] + params["b2"]  # @affine2
    log_p = jax.nn.log_softmax(scores)  # @softmax
    data = -jnp.mean(log_p[jnp.arange(len(y)), y])  # @data
    return data + 0.5 * REG * (jnp.sum(params["W1"] ** 2) + jnp.sum(params["W2"] ** 2))  # @reg


def inputs(rng, n):
    """Four features, five units, three classes."""
    params = {
        "W1": rng.normal(size=(4, 5)),
        "gamma": rng.uniform(0.5, 2, size=5),
        "beta": rng.normal(size=5),
        "W2": rng.normal(size=(5, 3)),
        "b2": rng.normal(size=3),
    }
    return params, (rng.normal(size=(n, 4)), np.arange(n) % 3)


def bn_forward(h, gamma, beta, ddof=0):
    """Output and cache."""
    xmu = h - h.mean(axis=0)
    var = h.var(axis=0, ddof=ddof)
    sqrtvar = np.sqrt(var + EPS)
    xhat = xmu / sqrtvar
    return gamma * xhat + beta, (xhat, gamma, xmu, 1 / sqrtvar, sqrtvar)


def bn_backward(dout, cache, wrong=""):
    """In the stages of the computational graph."""
    xhat, gamma, xmu, ivar, sqrtvar = cache
    N = len(dout)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    dsqrtvar = -1.0 / sqrtvar**2 * divar
    dvar = 0.5 / sqrtvar * dsqrtvar
    dsq = np.ones_like(dout) * dvar / (1 if wrong == "no mean" else N)
    dxmu2 = (1 if wrong == "no two" else 2) * xmu * dsq
    dx1 = dxmu1 + dxmu2
    dmu = (1 if wrong == "plus" else -1) * np.sum(dx1, axis=0)
    dx = dx1 if wrong == "no mu" else dx1 + np.ones_like(dout) * dmu / N
    return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


def grads(params, x, y, back=bn_backward, mask=None, reg=REG, ddof=0):
    """Backward through the whole network."""
    h = x @ params["W1"]
    out, cache = bn_forward(h, params["gamma"], params["beta"], ddof)
    a = np.maximum(0, out)
    scores = a @ params["W2"] + params["b2"]
    probs = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    dscores = probs.copy()
    dscores[np.arange(len(y)), y] -= 1
    dscores /= len(y)
    da = dscores @ params["W2"].T
    dout = da * ((out > 0) if mask is None else mask(h, a, da))
    dh, dgamma, dbeta = back(dout, cache)
    dW1, dW2 = x.T @ dh + reg * params["W1"], a.T @ dscores + reg * params["W2"]
    return {"W1": dW1, "gamma": dgamma, "beta": dbeta, "W2": dW2, "b2": dscores.sum(axis=0)}


net = Network("cs231n_bn", loss_fn, inputs, grads, batch=7)


@net.fault("missing_term", at=("mean", "centre"))
def path_through_the_mean(params, x, y):
    """dx = dx1: the last step of the graph is left out."""
    return grads(params, x, y, lambda d, c: bn_backward(d, c, "no mu"))


@net.fault("sign", at=("mean", "centre"))
def mean_added(params, x, y):
    """dmu without its minus."""
    return grads(params, x, y, lambda d, c: bn_backward(d, c, "plus"))


@net.fault("scale", "wrong_derivative", at="var", called=True)
def two_of_the_square(params, x, y):
    """d(x²) = x."""
    return grads(params, x, y, lambda d, c: bn_backward(d, c, "no two"))


@net.fault("scale", "wrong_reduction", at="var")
def variance_not_averaged(params, x, y):
    """The 1/N of the variance is forgotten on the way back."""
    return grads(params, x, y, lambda d, c: bn_backward(d, c, "no mean"))


@net.fault("missing_term", "stale", at=("mean", "centre", "var", "xhat"))
def test_mode_backward(params, x, y):
    """Mean and variance as the constants that they are at test time: dx = dout γ / σ."""

    def back(dout, cache):
        _, dgamma, dbeta = bn_backward(dout, cache)
        return dout * cache[1] * cache[3], dgamma, dbeta

    return grads(params, x, y, back)


@net.fault("wrong_mask", at="relu")
def mask_of_the_affine_output(params, x, y):
    """The ReLU's cache is the affine layer's output, from before batch norm was put between."""
    return grads(params, x, y, mask=lambda h, a, da: h > 0)


@net.fault("wrong_mask", at="relu", single=True)
def mask_that_never_bites(params, x, y):
    """`dout[a < 0] = 0` after a = max(0, ·): nothing is negative."""
    return grads(params, x, y, mask=lambda h, a, da: ~(a < 0))


@net.fault("scale", at="reg")
def penalty_without_its_half(params, x, y):
    """2 · reg · W, from the assignment before this one."""
    return grads(params, x, y, reg=2 * REG)


@net.fault("wrong_loss", "scale", "wrong_reduction", at="var", seed=2)
def unbiased_variance(params, x, y):
    """The forward pass of the hand-written code has `ddof=1`, as PyTorch's default `var` does."""
    return grads(params, x, y, ddof=1)


@net.fault("sign", "scale", at=("mean", "centre", "reg"))
def mean_added_and_penalty_doubled(params, x, y):
    """Two slips: dmu's sign and 2 · reg · W."""
    return grads(params, x, y, lambda d, c: bn_backward(d, c, "plus"), reg=2 * REG)


@net.right()
def batchnorm_backward_alt(params, x, y):
    """The simplified expression."""

    def back(dout, cache):
        xhat, gamma, _, ivar, _ = cache
        dgamma, dbeta = (dout * xhat).sum(axis=0), dout.sum(axis=0)
        return gamma * ivar / len(dout) * (len(dout) * dout - dbeta - xhat * dgamma), dgamma, dbeta

    return grads(params, x, y, back)


@net.right(single=True, seed=1)
def single_precision(params, x, y):
    """The same in float32."""
    return grads(params, x, y)
