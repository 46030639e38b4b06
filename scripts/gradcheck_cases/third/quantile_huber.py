"""Several quantiles at once (QR-DQN): the quantile Huber loss on a leaky ReLU layer."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

KAPPA = 0.6
SLOPE = 0.1


def loss_fn(params, x, t, taus):
    """Sum over the quantiles, mean over the examples."""
    z = x @ params["w1"] + params["b1"]  # @hidden
    a = jnp.where(z > 0, z, SLOPE * z)  # @leaky
    q = a @ params["w2"] + params["b2"]  # @quantiles
    u = t[:, None] - q  # @error
    huber = jnp.where(jnp.abs(u) <= KAPPA, 0.5 * u**2, KAPPA * (jnp.abs(u) - 0.5 * KAPPA))  # @huber
    weight = jnp.abs(taus - (u < 0))  # @weight
    return jnp.mean(jnp.sum(weight * huber / KAPPA, axis=1))  # @loss


def inputs(rng, n):
    """Four features, 5 units, 3 quantiles."""
    params = {
        "w1": rng.normal(size=(4, 5)),
        "b1": rng.normal(size=5),
        "w2": rng.normal(size=(5, 3)) / 2,
        "b2": rng.normal(size=3),
    }
    return params, (rng.normal(size=(n, 4)), rng.normal(size=n), np.array([0.1, 0.5, 0.8]))


def clipped(u):
    """The Huber function's derivative."""
    return np.clip(u, -KAPPA, KAPPA)


def pinball(u, taus):
    """τ above, 1 − τ below."""
    return np.where(u < 0, 1 - taus, taus)


def grads(params, x, t, taus, huber=clipped, weight=pinball, leaky=None, sums=lambda d: d.sum(axis=0)):
    """Back through all of it."""
    z = x @ params["w1"] + params["b1"]
    a = np.where(z > 0, z, SLOPE * z)
    u = t[:, None] - a @ params["w2"] - params["b2"]
    dq = -weight(u, taus) * huber(u) / KAPPA / len(x)
    dz = dq @ params["w2"].T * (np.where(z > 0, 1, SLOPE) if leaky is None else leaky(z, a))
    return {"w1": x.T @ dz, "b1": dz.sum(axis=0), "w2": a.T @ dq, "b2": sums(dq)}


net = Network("quantile_huber", loss_fn, inputs, grads, batch=8)


@net.fault("wrong_derivative", "wrong_mask", at="huber")
def never_linear(params, x, t, taus):
    """U everywhere: the squared loss."""
    return grads(params, x, t, taus, huber=lambda u: u)


@net.fault("wrong_derivative", "scale", at="huber", called=True)
def linear_part_with_slope_one(params, x, t, taus):
    """sign(u) for κ sign(u)."""
    return grads(params, x, t, taus, huber=lambda u: np.where(np.abs(u) <= KAPPA, u, np.sign(u)))


@net.fault("wrong_mask", "wrong_operand", at="weight")
def over_and_under_exchanged(params, x, t, taus):
    """τ where the target is below."""
    return grads(params, x, t, taus, weight=lambda u, taus: np.where(u < 0, taus, 1 - taus))


@net.fault("sign", at="weight")
def indicator_without_absolute_value(params, x, t, taus):
    """τ − 1[u < 0] as a weight: negative below, as in the plain pinball loss."""
    return grads(params, x, t, taus, weight=lambda u, taus: taus - (u < 0))


@net.fault("wrong_axis", "wrong_reduction", at="quantiles", n=3)
def bias_summed_over_the_quantiles(params, x, t, taus):
    """`axis=1`: three examples, three quantiles."""
    return grads(params, x, t, taus, sums=lambda d: d.sum(axis=1))


def mean_over_everything(params, x, t, taus):
    """`.mean()` without an axis."""
    return float(loss_fn(params, x, t, taus)) / len(taus)


@net.fault("wrong_loss", "scale", at="loss", loss=mean_over_everything)
def mean_over_quantiles_too(params, x, t, taus):
    """A third of it."""
    return {key: g / 3 for key, g in grads(params, x, t, taus).items()}


@net.fault("wrong_derivative", "wrong_mask", at="leaky")
def leak_forgotten(params, x, t, taus):
    """The mask of a plain ReLU."""
    return grads(params, x, t, taus, leaky=lambda z, a: z > 0)


@net.fault("mutated", "wrong_derivative", "wrong_mask", at="leaky")
def slopes_written_over_the_input(params, x, t, taus):
    """`z[z < 0] = 0.1; z[z > 0] = 1`: the first line's results are positive when the second one runs."""

    def leaky(z, a):
        z = z.copy()
        z[z < 0] = SLOPE
        z[z > 0] = 1
        return z

    return grads(params, x, t, taus, leaky=leaky)


@net.fault("wrong_reduction", "overwritten", at=("quantiles", "hidden", "loss"))
def gradients_of_the_last_example(params, x, t, taus):
    """A loop over the batch that assigns: the last example's share remains."""
    for i in range(len(x)):
        result = {key: g / len(x) for key, g in grads(params, x[i : i + 1], t[i : i + 1], taus).items()}
    return result


@net.right()
def cases_written_out(params, x, t, taus):
    """Four cases with loops."""

    def huber(u):
        return np.array([[max(-KAPPA, min(KAPPA, value)) for value in row] for row in u])

    return grads(params, x, t, taus, huber=huber, weight=lambda u, taus: np.abs(taus - (u < 0)))


@net.right(seed=9, called=True)
def slope_of_the_output(params, x, t, taus):
    """The leaky ReLU's output has the sign of its input."""
    return grads(params, x, t, taus, leaky=lambda z, a: np.where(a > 0, 1, SLOPE))


@net.right(single=True, n=1)
def one_example(params, x, t, taus):
    """A batch of one in float32."""
    return grads(params, x, t, taus)
