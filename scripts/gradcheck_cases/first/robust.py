"""Two regressions that are not least squares: Huber's loss, and counts with a softplus rate."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network
from .logistic_regression import sigmoid

DELTA = 0.7


def huber_loss_fn(params, x, t):
    """Quadratic near the target, linear far from it."""
    w, b = params
    error = x @ w + b - t  # @error
    small = 0.5 * error**2  # @small
    large = DELTA * (jnp.abs(error) - 0.5 * DELTA)  # @large
    return jnp.mean(jnp.where(jnp.abs(error) <= DELTA, small, large))  # @where


def huber_inputs(rng, n):
    """Some errors are small, some are large on either side."""
    return (rng.normal(size=3), rng.normal(size=())), (rng.normal(size=(n, 3)), rng.normal(size=n))


def line_back(x, d):
    """Through the line, and the mean."""
    return x.T @ d / len(x), d.mean()


def huber_grads(params, x, t):
    """The error, clipped."""
    return line_back(x, np.clip(x @ params[0] + params[1] - t, -DELTA, DELTA))


huber = Network("huber", huber_loss_fn, huber_inputs, huber_grads, batch=8)


@huber.fault("wrong_derivative", at="large")
def sign_of_the_error_forgotten(params, x, t):
    """The slope of |e| as 1."""
    error = x @ params[0] + params[1] - t
    return line_back(x, np.where(np.abs(error) <= DELTA, error, DELTA))


@huber.fault("scale", "wrong_operand", at="large")
def slope_of_the_large_errors(params, x, t):
    """±1 beyond δ; right for δ = 1 only."""
    error = x @ params[0] + params[1] - t
    return line_back(x, np.where(np.abs(error) <= DELTA, error, np.sign(error)))


@huber.fault("wrong_mask", at="where", called=True)
def branches_swapped(params, x, t):
    """> for <=."""
    error = x @ params[0] + params[1] - t
    return line_back(x, np.where(np.abs(error) > DELTA, error, DELTA * np.sign(error)))


@huber.fault("wrong_mask", "wrong_loss", at="where")
def always_quadratic(params, x, t):
    """The error itself, however large."""
    return line_back(x, x @ params[0] + params[1] - t)


@huber.fault("wrong_mask", at="where")
def clipped_above_only(params, x, t):
    """The absolute value is missing in the condition."""
    error = x @ params[0] + params[1] - t
    return line_back(x, np.where(error <= DELTA, error, DELTA * np.sign(error)))


@huber.fault("missing_term", "wrong_mask", at=("large", "where"), single=True)
def large_errors_ignored(params, x, t):
    """Zero beyond δ, as if the loss were constant there."""
    error = x @ params[0] + params[1] - t
    return line_back(x, np.where(np.abs(error) <= DELTA, error, 0))


@huber.right()
def by_where(params, x, t):
    """The three cases."""
    error = x @ params[0] + params[1] - t
    d = np.where(error > DELTA, DELTA, np.where(error < -DELTA, -DELTA, error))
    return x.T @ d / len(t), d.sum() / len(t)


def counts_loss_fn(params, x, counts, exposure):
    """Negative log-likelihood of Poisson counts, up to a constant."""
    z = x @ params["w"] + params["b"]  # @linear
    rate = jax.nn.softplus(z)  # @softplus
    expected = exposure * rate  # @exposure
    likelihood = counts * jnp.log(expected) - expected  # @likelihood
    return -jnp.sum(likelihood)  # @total


def counts_inputs(rng, n):
    """Three features; counts up to four; different times of observation."""
    params = {"w": rng.normal(size=3), "b": rng.normal(size=())}
    return params, (rng.normal(size=(n, 3)), rng.integers(0, 5, n).astype(float), rng.uniform(0.5, 2, n))


def counts_grads(params, x, counts, exposure, slope=sigmoid, drate=None):
    """Likelihood, exposure, softplus, line."""
    z = x @ params["w"] + params["b"]
    rate = np.log1p(np.exp(z))
    d = exposure - counts / rate if drate is None else drate(rate)
    dz = d * slope(z)
    return {"w": x.T @ dz, "b": dz.sum()}


poisson = Network("counts", counts_loss_fn, counts_inputs, counts_grads)


@poisson.fault("wrong_derivative", at="softplus")
def slope_of_an_exponential_link(params, x, counts, exposure):
    """Softplus derived as eᶻ."""
    return counts_grads(params, x, counts, exposure, slope=np.exp)


@poisson.fault("wrong_derivative", at="softplus", called=True)
def softplus_derived_as_relu(params, x, counts, exposure):
    """The step function."""
    return counts_grads(params, x, counts, exposure, slope=lambda z: (z > 0).astype(z.dtype))


@poisson.fault("wrong_derivative", at="softplus")
def softplus_passed_through(params, x, counts, exposure):
    """No slope."""
    return counts_grads(params, x, counts, exposure, slope=np.ones_like)


@poisson.fault("missing_term", "wrong_operand", at=("exposure", "likelihood"))
def exposure_forgotten(params, x, counts, exposure):
    """1 − k/λ, for an exposure of one."""
    return counts_grads(params, x, counts, exposure, drate=lambda rate: 1 - counts / rate)


@poisson.fault("missing_term", "overwritten", at="likelihood")
def rate_term_forgotten(params, x, counts, exposure):
    """Only k log λ."""
    return counts_grads(params, x, counts, exposure, drate=lambda rate: -counts / rate)


@poisson.fault("wrong_derivative", at="likelihood", single=True)
def logarithm_not_derived(params, x, counts, exposure):
    """The logarithm's 1/λ is missing."""
    return counts_grads(params, x, counts, exposure, drate=lambda rate: exposure - counts)


@poisson.fault("scale", "wrong_loss", at="total")
def mean_for_the_total(params, x, counts, exposure):
    """Averaged over observations; the loss is a sum."""
    return {key: grad / len(counts) for key, grad in counts_grads(params, x, counts, exposure).items()}


@poisson.fault("accumulated", "scale", at=None)
def two_passes(params, x, counts, exposure):
    """The gradient of the pass before is still in the buffer."""
    buffer = counts_grads(params, x, counts, exposure)
    for key, grad in counts_grads(params, x, counts, exposure).items():
        buffer[key] += grad
    return buffer
