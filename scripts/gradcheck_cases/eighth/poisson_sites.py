"""Poisson regression with exposure, site effects and a ridge penalty."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

RIDGE = 0.3


def loss_fn(params, x, site, exposure, counts):
    """Mean negative log-likelihood up to the factorial, plus the penalty of beta."""
    eta = x @ params["beta"] + params["intercept"]  # @linear
    eta = eta + params["site"][site]  # @site
    mu = exposure * jnp.exp(eta)  # @rate
    nll = jnp.mean(mu - counts * jnp.log(mu))  # @nll
    return nll + 0.5 * RIDGE * params["beta"] @ params["beta"]  # @penalty


def inputs(rng, n):
    """Three covariates, four sites, counts of a few."""
    params = {"beta": rng.normal(size=3) * 0.5, "intercept": np.array(0.3), "site": rng.normal(size=4) * 0.5}
    x, site = rng.normal(size=(n, 3)), np.arange(n) * 3 % 4
    return params, (x, site, rng.uniform(0.5, 3, size=n), rng.poisson(2.0, size=n).astype(float))


def predict(params, x, site, exposure):
    """Expected counts."""
    return exposure * np.exp(x @ params["beta"] + params["intercept"] + params["site"][site])


def assemble(params, x, site, d):
    """From the gradient of η."""
    dsite = np.zeros_like(params["site"])
    np.add.at(dsite, site, d)
    return {"beta": x.T @ d + RIDGE * params["beta"], "intercept": d.sum(), "site": dsite}


def grads(params, x, site, exposure, counts):
    """(μ - y) / n."""
    return assemble(params, x, site, (predict(params, x, site, exposure) - counts) / len(x))


net = Network("poisson_sites", loss_fn, inputs, grads, batch=10)


@net.fault("overwritten", at="site")
def repeated_sites_lose_gradients(params, x, site, exposure, counts):
    """`dsite[site] += d` adds only once for each site."""
    d = (predict(params, x, site, exposure) - counts) / len(x)
    g = assemble(params, x, site, d)
    g["site"] = np.zeros_like(params["site"])
    g["site"][site] += d
    return g


@net.fault("wrong_reduction", "scale", at="site")
def site_effects_averaged(params, x, site, exposure, counts):
    """Mean of the residuals of each site, by bincount."""
    g = grads(params, x, site, exposure, counts)
    g["site"] = g["site"] / np.bincount(site, minlength=4)
    return g


@net.fault("missing_term", "wrong_operand", at="rate", called=True)
def exposure_forgotten(params, x, site, exposure, counts):
    """exp(η) - y."""
    return assemble(params, x, site, (predict(params, x, site, 1.0) - counts) / len(x))


@net.fault("wrong_derivative", "extra_term", at=("rate", "nll"))
def residual_times_the_slope(params, x, site, exposure, counts):
    """(μ - y) μ, as for squares: the link's slope once too often."""
    mu = predict(params, x, site, exposure)
    return assemble(params, x, site, (mu - counts) * mu / len(x))


@net.fault("sign", at="nll")
def score_for_gradient(params, x, site, exposure, counts):
    """y - μ, the score of the log-likelihood; the penalty has the right sign."""
    return assemble(params, x, site, (counts - predict(params, x, site, exposure)) / len(x))


@net.fault("extra_term", at="penalty")
def everything_penalised(params, x, site, exposure, counts):
    """Ridge of intercept and sites too."""
    g = grads(params, x, site, exposure, counts)
    return {k: g[k] + (0 if k == "beta" else RIDGE) * params[k] for k in g}


@net.fault("wrong_shape", at="linear")
def intercept_as_a_vector(params, x, site, exposure, counts):
    """A column of ones: shape (1,) for a scalar."""
    d = (predict(params, x, site, exposure) - counts) / len(x)
    g = assemble(params, x, site, d)
    g["intercept"] = np.ones((1, len(x))) @ d
    return g


@net.fault("stale", at=None)
def after_the_update(params, x, site, exposure, counts):
    """At the parameters after a step of gradient descent."""
    g = grads(params, x, site, exposure, counts)
    new = {k: params[k] - 0.1 * g[k] for k in params}
    return grads(new, x, site, exposure, counts)


@net.fault("stale", "permuted", at=None)
def counts_of_the_next_example(params, x, site, exposure, counts):
    """The counts are off by one row."""
    return grads(params, x, site, exposure, np.roll(counts, -1))


@net.fault("accumulated", "scale", at=None)
def microbatches_added_up(params, x, site, exposure, counts):
    """Gradient accumulation over two halves of the batch, each a mean: nobody divides by two."""
    total = {k: np.zeros_like(v) for k, v in params.items()}
    for half in (slice(0, len(x) // 2), slice(len(x) // 2, None)):
        g = grads(params, x[half], site[half], exposure[half], counts[half])
        for k in total:
            total[k] = total[k] + g[k]
    return total


def _deviance(params, x, site, exposure, counts):
    mu = predict(params, x, site, exposure)
    return 2 * np.mean(mu - counts * np.log(mu)) + 0.5 * RIDGE * (params["beta"] ** 2).sum()


@net.fault("scale", "wrong_loss", at="nll", loss=_deviance)
def deviance(params, x, site, exposure, counts):
    """Twice the likelihood, loss and gradient, as statisticians have it."""
    return assemble(params, x, site, 2 * (predict(params, x, site, exposure) - counts) / len(x))


@net.fault("scale", "overwritten", at=("nll", "site"))
def sum_and_lost_sites(params, x, site, exposure, counts):
    """Two slips: not divided by n, sites by fancy assignment."""
    d = predict(params, x, site, exposure) - counts
    g = assemble(params, x, site, d)
    g["site"] = np.zeros_like(params["site"])
    g["site"][site] = d
    return g


@net.right()
def by_one_hot(params, x, site, exposure, counts):
    """Sites through an indicator matrix."""
    d = (predict(params, x, site, exposure) - counts) / len(x)
    g = assemble(params, x, site, d)
    g["site"] = np.eye(4)[site].T @ d
    return g


@net.right(seed=3, called=True)
def by_offset(params, x, site, exposure, counts):
    """log exposure as an offset, chain rule through μ."""
    eta = x @ params["beta"] + params["intercept"] + params["site"][site] + np.log(exposure)
    dmu = (1 - counts / np.exp(eta)) / len(x)
    return assemble(params, x, site, dmu * np.exp(eta))


@net.right(single=True)
def in_float32(params, x, site, exposure, counts):
    """Single precision."""
    return grads(params, x, site, exposure, counts)
