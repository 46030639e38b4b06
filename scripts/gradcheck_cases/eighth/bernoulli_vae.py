"""A small variational autoencoder with Bernoulli pixels; the noise is an argument."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(enc, x, eps):
    """Negative ELBO per example; the encoder's and decoder's weights are in one dictionary."""
    h = jax.nn.softplus(x @ enc["wh"])  # @encoder
    mu = h @ enc["wm"]  # @mu
    logvar = h @ enc["wv"]  # @logvar
    std = jnp.exp(0.5 * logvar)  # @std
    z = mu + std * eps  # @sample
    out = z @ enc["wd"] + enc["bd"]  # @decoder
    bce = jnp.sum(jnp.logaddexp(0, out) - x * out)  # @bce
    kl = -0.5 * jnp.sum(1 + logvar - mu**2 - jnp.exp(logvar))  # @kl
    return (bce + kl) / len(x)  # @elbo


def inputs(rng, n):
    """Six pixels, five hidden units, two latent variables."""
    shapes = {"wh": (6, 5), "wm": (5, 2), "wv": (5, 2), "wd": (2, 6), "bd": (6,)}
    params = {k: 0.6 * rng.normal(size=s) for k, s in shapes.items()}
    return params, (rng.uniform(size=(n, 6)), rng.normal(size=(n, 2)))


def grads(
    p,
    x,
    eps,
    kl_mu=lambda mu: mu,
    kl_logvar=lambda lv: 0.5 * (np.exp(lv) - 1),
    path_logvar=lambda dz, eps, std: dz * eps * 0.5 * std,
    slope=lambda pre: 1 / (1 + np.exp(-pre)),
    d_out=lambda y, x: (y - x) / len(x),
    both_heads=True,
):
    """Backward, with the places of the usual slips as arguments."""
    pre = x @ p["wh"]
    h = np.logaddexp(0, pre)
    mu, lv = h @ p["wm"], h @ p["wv"]
    std = np.exp(lv / 2)
    z = mu + std * eps
    y = 1 / (1 + np.exp(-(z @ p["wd"] + p["bd"])))
    dout = d_out(y, x)
    dz = dout @ p["wd"].T
    dmu = dz + kl_mu(mu) / len(x)
    dlv = path_logvar(dz, eps, std) + kl_logvar(lv) / len(x)
    dh = dlv @ p["wv"].T
    if both_heads:
        dh += dmu @ p["wm"].T
    dpre = dh * slope(pre)
    return {"wh": x.T @ dpre, "wm": h.T @ dmu, "wv": h.T @ dlv, "wd": z.T @ dout, "bd": dout.sum(0)}


net = Network("bernoulli_vae", loss_fn, inputs, grads, batch=4)


@net.fault("sign", at=("kl", "elbo"))
def kl_has_the_wrong_sign(p, x, eps):
    """bce - kl in the gradient: the ELBO's two terms with one sign."""
    return grads(p, x, eps, kl_mu=lambda mu: -mu, kl_logvar=lambda lv: 0.5 * (1 - np.exp(lv)))


@net.fault("scale", at="kl", called=True)
def half_of_the_kl_forgotten(p, x, eps):
    """The ½ before the sum is lost."""
    return grads(p, x, eps, kl_mu=lambda mu: 2 * mu, kl_logvar=lambda lv: np.exp(lv) - 1)


@net.fault("wrong_derivative", "scale", "missing_term", at="std")
def half_of_the_exponent_forgotten(p, x, eps):
    """d exp(½ s) = exp(½ s)."""
    return grads(p, x, eps, path_logvar=lambda dz, eps, std: dz * eps * std)


@net.fault("wrong_operand", "missing_term", at=("sample", "std"))
def noise_forgotten(p, x, eps):
    """The path to the variance without ε."""
    return grads(p, x, eps, path_logvar=lambda dz, eps, std: 0.5 * dz * std)


@net.fault("missing_term", at=("sample", "std"), seed=2)
def no_reparametrisation(p, x, eps):
    """The log-variance learns from the KL alone."""
    return grads(p, x, eps, path_logvar=lambda dz, eps, std: 0.0)


@net.fault("wrong_derivative", "extra_term", at="bce")
def sigmoid_slope_once_too_often(p, x, eps):
    """(y - x) y (1 - y): the cross-entropy's slope has it cancelled already."""
    return grads(p, x, eps, d_out=lambda y, x: (y - x) * y * (1 - y) / len(x))


def _mean_bce(p, x, eps):
    h = np.logaddexp(0, x @ p["wh"])
    mu, lv = h @ p["wm"], h @ p["wv"]
    out = (mu + np.exp(lv / 2) * eps) @ p["wd"] + p["bd"]
    return np.mean(np.logaddexp(0, out) - x * out) - 0.5 * np.sum(1 + lv - mu**2 - np.exp(lv)) / len(x)


@net.fault("wrong_loss", "scale", "wrong_reduction", at=("bce", "elbo"), loss=_mean_bce)
def pixels_averaged(p, x, eps):
    """The default reduction: mean over pixels too, the KL summed."""
    return grads(p, x, eps, d_out=lambda y, x: (y - x) / x.size)


@net.fault("wrong_derivative", at="encoder", single=True)
def softplus_taken_for_relu(p, x, eps):
    """A step instead of the sigmoid."""
    return grads(p, x, eps, slope=lambda pre: (pre > 0).astype(pre.dtype))


@net.fault("overwritten", "missing_term", at=("mu", "encoder"))
def head_of_the_mean_overwritten(p, x, eps):
    """dh of the log-variance's head only."""
    return grads(p, x, eps, both_heads=False)


@net.fault("accumulated", at=None)
def no_zero_grad_after_the_first_sample(p, x, eps):
    """Gradients of an earlier noise sample are still there."""
    old, new = grads(p, x, np.roll(eps, 1, axis=0)), grads(p, x, eps)
    for k in new:
        new[k] += old[k]
    return new


@net.fault("accumulated", "scale", at="decoder")
def decoder_updated_in_both_passes(p, x, eps):
    """`self.grad +=` runs for the reconstruction and again in the pass for the KL."""
    g = grads(p, x, eps)
    for k in ("wd", "bd"):
        g[k] += g[k]
    return g


@net.fault("wrong_derivative", "scale", at=("encoder", "kl"))
def kl_doubled_and_encoder_slope_lost(p, x, eps):
    """Two slips: no slope of the softplus, KL without ½."""
    return grads(p, x, eps, kl_mu=lambda m: 2 * m, kl_logvar=lambda lv: np.exp(lv) - 1, slope=lambda pre: 1.0)


@net.right()
def by_sigma_squared(p, x, eps):
    """KL's slope through σ²."""
    return grads(p, x, eps, kl_logvar=lambda lv: 0.5 * np.expm1(lv), slope=lambda a: 0.5 * (1 + np.tanh(a / 2)))


@net.right(single=True, seed=6)
def in_float32(p, x, eps):
    """Single precision."""
    return grads(p, x, eps)


@net.right(n=1)
def one_image(p, x, eps):
    """A batch of one, through d bce/d y."""

    def d_out(y, x):
        return ((1 - x) / (1 - y) - x / y) * y * (1 - y) / len(x)

    return grads(p, x, eps, d_out=d_out)
