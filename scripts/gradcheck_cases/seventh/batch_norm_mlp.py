"""A dense layer with batch normalisation in training mode, written as in the staged backward of the course notes."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

EPS = 1e-3


def loss_fn(params, x, onehot):
    """Sum over classes, mean over the batch."""
    W1, gamma, beta, W2, b2 = params
    h = x @ W1  # @dense
    mu = 1 / len(h) * jnp.sum(h, axis=0)  # @mu
    xc = h - mu  # @centre
    var = jnp.mean(xc**2, axis=0)  # @var
    std = jnp.sqrt(var + EPS)  # @std
    xn = xc / std  # @normalise
    bn = gamma * xn + beta  # @scale_shift
    r = jax.nn.relu(bn)  # @relu
    scores = r @ W2 + b2  # @scores
    return -(onehot * jax.nn.log_softmax(scores)).sum() / len(x)  # @loss


def inputs(rng, n):
    """Four features, five units, three classes."""
    params = (
        rng.normal(size=(4, 5)),
        rng.uniform(0.5, 2, size=5),
        rng.normal(size=5) / 2,
        rng.normal(size=(5, 3)),
        rng.normal(size=3),
    )
    return params, (rng.normal(size=(n, 4)) + 0.5, np.eye(3)[rng.integers(0, 3, size=n)])


def forward(params, x):
    """The cache."""
    W1, gamma, beta, W2, b2 = params
    h = x @ W1
    xc = h - h.mean(axis=0)
    std = np.sqrt((xc**2).mean(axis=0) + EPS)
    xn = xc / std
    bn = gamma * xn + beta
    scores = np.maximum(bn, 0) @ W2 + b2
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return xc, std, xn, bn, e / e.sum(axis=1, keepdims=True)


def staged(dxn, xc, std):
    """Box by box."""
    n = len(xc)
    dxc = dxn / std
    dstd = -np.sum(dxn * xc / std**2, axis=0)
    dvar = 0.5 * dstd / std
    dxc = dxc + 2 / n * xc * dvar
    dmu = np.sum(dxc, axis=0)
    return dxc - dmu / n


def grads(params, x, onehot, norm=staged, cache=None, affine=None):
    """`norm(dxn, xc, std)` is the normalisation's backward, `affine(dbn, xn)` that of γ and β."""
    _, gamma, _, W2, _ = params
    xc, std, xn, bn, p = cache or forward(params, x)
    dscores = (p - onehot) / len(x)
    dbn = dscores @ W2.T * (bn > 0)
    dgamma, dbeta = affine(dbn, xn) if affine else ((dbn * xn).sum(axis=0), dbn.sum(axis=0))
    dh = norm(dbn * gamma, xc, std)
    return x.T @ dh, dgamma, dbeta, np.maximum(bn, 0).T @ dscores, dscores.sum(axis=0)


net = Network("batch_norm_mlp", loss_fn, inputs, grads, batch=6)


@net.fault("missing_term", at=("mu", "var", "normalise"))
def statistics_constant(params, x, onehot):
    """As in evaluation mode: dx = dy γ / σ."""
    return grads(params, x, onehot, norm=lambda d, xc, std: d / std)


@net.fault("overwritten", "missing_term", at=("centre", "normalise"), called=True)
def second_path_overwrites_the_first(params, x, onehot):
    """`dxc = 2/N xc dvar` for `dxc +=`."""

    def norm(dxn, xc, std):
        dstd = -np.sum(dxn * xc / std**2, axis=0)
        dxc = 2 / len(xc) * xc * (0.5 * dstd / std)
        return dxc - dxc.mean(axis=0)

    return grads(params, x, onehot, norm=norm)


@net.fault("wrong_derivative", "scale", at="std")
def half_of_the_root_missing(params, x, onehot):
    """dvar = dstd / std."""

    def norm(dxn, xc, std):
        dstd = -np.sum(dxn * xc / std**2, axis=0)
        dxc = dxn / std + 2 / len(xc) * xc * dstd / std
        return dxc - dxc.mean(axis=0)

    return grads(params, x, onehot, norm=norm)


@net.fault("sign", at=("normalise", "std"))
def sign_of_the_quotient_rule(params, x, onehot):
    """dstd without its minus."""

    def norm(dxn, xc, std):
        dvar = 0.5 * np.sum(dxn * xc / std**2, axis=0) / std
        dxc = dxn / std + 2 / len(xc) * xc * dvar
        return dxc - dxc.mean(axis=0)

    return grads(params, x, onehot, norm=norm)


@net.fault("wrong_reduction", "scale", at=("mu", "centre"))
def sum_for_the_mean(params, x, onehot):
    """dmu is not divided by N."""

    def norm(dxn, xc, std):
        dvar = 0.5 * -np.sum(dxn * xc / std**2, axis=0) / std
        dxc = dxn / std + 2 / len(xc) * xc * dvar
        return dxc - np.sum(dxc, axis=0)

    return grads(params, x, onehot, norm=norm)


@net.fault("mutated", at=("normalise", "centre"))
def centred_values_divided_in_place(params, x, onehot):
    """`xn = xc; xn /= std` in the forward pass: backward finds normalised values in xc."""
    W1, gamma, beta, W2, b2 = params
    xc = x @ W1
    xc -= xc.mean(axis=0)
    std = np.sqrt((xc**2).mean(axis=0) + EPS)
    xn = xc
    xn /= std
    bn, p = forward(params, x)[3:]
    return grads(params, x, onehot, cache=(xc, std, xn, bn, p))


@net.fault("wrong_operand", at="scale_shift")
def gamma_by_the_centred_values(params, x, onehot):
    """xc for xn."""
    xc = forward(params, x)[0]
    return grads(params, x, onehot, affine=lambda d, xn: ((d * xc).sum(axis=0), d.sum(axis=0)))


@net.fault("wrong_reduction", "scale", at="scale_shift", single=True)
def gamma_and_beta_averaged(params, x, onehot):
    """np.mean over the batch for both."""
    return grads(params, x, onehot, affine=lambda d, xn: ((d * xn).mean(axis=0), d.mean(axis=0)))


@net.fault("wrong_axis", at=("mu", "var", "normalise", "centre"))
def layer_norm_backward(params, x, onehot):
    """The backward pass averages over features."""

    def norm(dxn, xc, std):
        xn = xc / std
        share = (dxn * xn).mean(axis=1, keepdims=True)
        return (dxn - dxn.mean(axis=1, keepdims=True) - xn * share) / std

    return grads(params, x, onehot, norm=norm)


@net.right(called=True)
def in_one_line(params, x, onehot):
    """The paper's formula simplified."""

    def norm(dxn, xc, std):
        xn, n = xc / std, len(xc)
        return (n * dxn - dxn.sum(axis=0) - xn * (dxn * xn).sum(axis=0)) / (n * std)

    return grads(params, x, onehot, norm=norm)


@net.right(seed=9, n=11)
def by_the_papers_formulas(params, x, onehot):
    """∂L/∂σ² and ∂L/∂μ of the 2015 paper."""

    def norm(dxn, xc, std):
        n = len(xc)
        dvar = (dxn * xc).sum(axis=0) * -0.5 * std**-3.0
        dmu = -(dxn / std).sum(axis=0) + dvar * (-2 * xc).mean(axis=0)
        return dxn / std + dvar * 2 * xc / n + dmu / n

    return grads(params, x, onehot, norm=norm)
