"""Bishop, chapter 9: negative log-likelihood of a mixture of isotropic Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, x):
    """Summed over the points."""
    log_pi = jax.nn.log_softmax(params["logits"])  # @log_pi
    diff = x[:, None, :] - params["means"]  # @diff
    sq = jnp.sum(diff**2, axis=-1)  # @sq
    var = jnp.exp(2 * params["log_sigma"])  # @var
    normaliser = x.shape[1] * (params["log_sigma"] + 0.5 * jnp.log(2 * jnp.pi))  # @normaliser
    log_gauss = -0.5 * sq / var - normaliser  # @log_gauss
    log_joint = log_pi + log_gauss  # @log_joint
    ll = jax.scipy.special.logsumexp(log_joint, axis=1)  # @logsumexp
    return -jnp.sum(ll)  # @nll


def inputs(rng, n):
    """Points in the plane, three components."""
    params = {"logits": rng.normal(size=3), "means": rng.normal(size=(3, 2)), "log_sigma": 0.3 * rng.normal(size=3)}
    return params, (1.5 * rng.normal(size=(n, 2)),)


def e_step(params, x, with_pi=True, axis=1):
    """Responsibilities, differences and squared distances."""
    diff = x[:, None, :] - params["means"]
    sq = (diff**2).sum(axis=-1)
    p = np.exp(-0.5 * sq / np.exp(2 * params["log_sigma"])) / np.exp(x.shape[1] * params["log_sigma"])
    if with_pi:
        p = p * np.exp(params["logits"])
    return p / p.sum(axis=axis, keepdims=True), diff, sq


def grads(params, x, r=None, sign=1):
    """By the responsibilities."""
    right, diff, sq = e_step(params, x)
    r = right if r is None else r
    var = np.exp(2 * params["log_sigma"])
    pi = np.exp(params["logits"]) / np.exp(params["logits"]).sum()
    dmeans = -sign * (r[:, :, None] * diff).sum(axis=0) / var[:, None]
    dlog_sigma = -(r * (sq / var - x.shape[1])).sum(axis=0)
    return {"logits": len(x) * pi - r.sum(axis=0), "means": dmeans, "log_sigma": dlog_sigma}


net = Network("gmm", loss_fn, inputs, grads, batch=8)


@net.fault("missing_term", at="normaliser")
def normaliser_forgotten(params, x):
    """log σ appears in the exponent only."""
    r, _, sq = e_step(params, x)
    return {**grads(params, x), "log_sigma": -(r * sq / np.exp(2 * params["log_sigma"])).sum(axis=0)}


@net.fault("wrong_derivative", at=("var", "normaliser"))
def gradient_by_sigma(params, x):
    """∂/∂σ, where the parameter is log σ."""
    right = grads(params, x)
    return {**right, "log_sigma": right["log_sigma"] / np.exp(params["log_sigma"])}


@net.fault("missing_term", "wrong_operand", at="log_joint")
def responsibilities_without_pi(params, x):
    """The mixing coefficients are left out of the E step."""
    return grads(params, x, r=e_step(params, x, with_pi=False)[0])


@net.fault("wrong_axis", at="logsumexp")
def normalised_over_the_points(params, x):
    """`sum(axis=0)` in the E step: each component's responsibilities add up to 1."""
    return grads(params, x, r=e_step(params, x, axis=0)[0])


@net.fault("wrong_loss", "wrong_derivative", "wrong_mask", at="logsumexp", single=True)
def hard_assignment(params, x):
    """As k-means: the likeliest component gets the whole point."""
    return grads(params, x, r=np.eye(3)[e_step(params, x)[0].argmax(axis=1)])


@net.fault("wrong_derivative", "missing_term", at="log_pi")
def gradient_by_pi(params, x):
    """−N_k/π_k: with respect to π, not to its logits."""
    pi = np.exp(params["logits"]) / np.exp(params["logits"]).sum()
    return {**grads(params, x), "logits": -e_step(params, x)[0].sum(axis=0) / pi}


@net.fault("sign", at="nll", seed=1)
def ascent_direction(params, x):
    """The gradient of the log-likelihood."""
    return {key: -g for key, g in grads(params, x).items()}


@net.fault("wrong_loss", "scale", "missing_term", at="logsumexp")
def likelihood_without_the_log(params, x):
    """The gradient of Σ p(x): the division by p(x) is missing."""
    _, diff, sq = e_step(params, x)
    pi = np.exp(params["logits"]) / np.exp(params["logits"]).sum()
    gauss = np.exp(-0.5 * sq / np.exp(2 * params["log_sigma"])) / (2 * np.pi * np.exp(2 * params["log_sigma"]))
    joint = pi * gauss
    result = grads(params, x, r=joint)
    return {**result, "logits": joint.sum() * pi - joint.sum(axis=0)}


@net.fault("missing_term", "sign", at=("normaliser", "diff"))
def normaliser_and_sign(params, x):
    """Two slips: no −D, and (μ − x)."""
    r, _, sq = e_step(params, x)
    result = grads(params, x, sign=-1)
    return {**result, "log_sigma": -(r * sq / np.exp(2 * params["log_sigma"])).sum(axis=0)}


@net.right(called=True)
def m_step_form(params, x):
    """By N_k and the M step's means: N_k (μ − μ_new)/σ²."""
    r, _, _ = e_step(params, x)
    n_k = r.sum(axis=0)
    new = (r.T @ x) / n_k[:, None]
    means = n_k[:, None] * (params["means"] - new) / np.exp(2 * params["log_sigma"])[:, None]
    return {**grads(params, x), "means": means}


@net.right(n=1)
def one_point(params, x):
    """A single point."""
    return grads(params, x)


@net.right(seed=9, single=True)
def float32_points(params, x):
    """In float32."""
    return grads(params, x)
