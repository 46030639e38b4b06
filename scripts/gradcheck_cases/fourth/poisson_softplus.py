"""Regression of counts: a Poisson likelihood with a softplus link and exposures."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, x, counts, exposure):
    """The mean of rate − count log(rate)."""
    eta = x @ params["w"] + params["b"]  # @eta
    intensity = jax.nn.softplus(eta)  # @softplus
    rate = exposure * intensity  # @rate
    nll = rate - counts * jnp.log(rate)  # @nll
    return jnp.mean(nll)  # @mean


def inputs(rng, n):
    """Four features, counts around 2, exposures from ½ to 3."""
    params = {"w": rng.normal(size=4) * 0.7, "b": np.array(0.5)}
    return params, (rng.normal(size=(n, 4)), rng.poisson(2.0, size=n).astype(float), rng.uniform(0.5, 3, size=n))


def sigmoid(z):
    """The slope of softplus."""
    return 1 / (1 + np.exp(-z))


def forward(params, x, exposure):
    """eta, softplus(eta) and the rate."""
    eta = x @ params["w"] + params["b"]
    intensity = np.log1p(np.exp(eta))
    return eta, intensity, exposure * intensity


def collect(deta, x):
    """Gradients of w and b."""
    return {"w": x.T @ deta, "b": deta.sum()}


def grads(params, x, counts, exposure):
    """(1 − count/rate) exposure σ(eta)."""
    eta, _, rate = forward(params, x, exposure)
    return collect((1 - counts / rate) * exposure * sigmoid(eta) / len(x), x)


net = Network("poisson_softplus", loss_fn, inputs, grads, batch=7)


@net.fault("wrong_derivative", "wrong_loss", at="softplus")
def rate_minus_count(params, x, counts, exposure):
    """The GLM's formula for the canonical link, exp."""
    _, _, rate = forward(params, x, exposure)
    return collect((rate - counts) / len(x), x)


@net.fault("wrong_derivative", at="softplus")
def softplus_skipped(params, x, counts, exposure):
    """Its slope is left out."""
    _, _, rate = forward(params, x, exposure)
    return collect((1 - counts / rate) * exposure / len(x), x)


@net.fault("wrong_derivative", at="softplus", single=True)
def slope_at_the_output(params, x, counts, exposure):
    """σ(softplus(eta)): the layer cached its output."""
    _, intensity, rate = forward(params, x, exposure)
    return collect((1 - counts / rate) * exposure * sigmoid(intensity) / len(x), x)


@net.fault("wrong_operand", "missing_term", at="rate", called=True)
def exposure_not_chained(params, x, counts, exposure):
    """D rate/d intensity taken as 1."""
    eta, _, rate = forward(params, x, exposure)
    return collect((1 - counts / rate) * sigmoid(eta) / len(x), x)


@net.fault("sign", at="nll")
def plus_the_count(params, x, counts, exposure):
    """1 + count/rate."""
    eta, _, rate = forward(params, x, exposure)
    return collect((1 + counts / rate) * exposure * sigmoid(eta) / len(x), x)


@net.fault("upstream", at="softplus")
def layer_forgets_dout(params, x, counts, exposure):
    """Softplus.backward returns sigmoid(self.x), and dout is unused."""
    eta, _, rate = forward(params, x, exposure)
    return collect(sigmoid(eta), x)


@net.fault("scale", "wrong_reduction", at=("mean", "eta"))
def weights_summed_bias_averaged(params, x, counts, exposure):
    """Two slips: 1/N is missing in the error, and the bias takes the mean of what is averaged elsewhere."""
    eta, _, rate = forward(params, x, exposure)
    deta = (1 - counts / rate) * exposure * sigmoid(eta)
    return {"w": x.T @ deta, "b": deta.mean() / len(x)}


@net.right()
def with_the_intensity(params, x, counts, exposure):
    """Exposure − count/intensity."""
    eta, intensity, _ = forward(params, x, exposure)
    return collect((exposure - counts / intensity) * (1 - np.exp(-intensity)) / len(x), x)


@net.right(n=1, single=True)
def one_observation(params, x, counts, exposure):
    """In float32."""
    return grads(params, x, counts, exposure)
