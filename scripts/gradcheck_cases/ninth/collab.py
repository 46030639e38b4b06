"""fast.ai's DotProductBias: matrix factorisation with biases, sigmoid_range and weight decay."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

HIGH = 5.5
WD = 0.05


def loss_fn(params, users, items, ratings):
    """Mean squared error of the ratings."""
    u = params["U"][users]  # @u
    v = params["V"][items]  # @v
    dot = jnp.sum(u * v, axis=1)  # @dot
    raw = dot + params["bu"][users] + params["bv"][items]  # @bias
    pred = jax.nn.sigmoid(raw) * HIGH  # @range
    mse = jnp.mean((pred - ratings) ** 2)  # @mse
    return mse + WD * (jnp.sum(params["U"] ** 2) + jnp.sum(params["V"] ** 2))  # @wd


def inputs(rng, n):
    """Five users, six films, three factors; users and films repeat."""
    params = {"U": rng.normal(size=(5, 3)), "V": rng.normal(size=(6, 3))}
    params |= {"bu": rng.normal(size=5), "bv": rng.normal(size=6)}
    return params, (np.arange(n) % 5, (np.arange(n) * 3 + 1) % 6, rng.uniform(0.5, 5, size=n))


def grads(params, users, items, ratings, wrong=()):
    """Rows scattered with np.add.at; `wrong` names slips."""
    u, v = params["U"][users], params["V"][items]
    s = 1 / (1 + np.exp(-(u * v).sum(axis=1) - params["bu"][users] - params["bv"][items]))
    draw = 2 * (s * HIGH - ratings) / len(ratings) * s * (1 - s)
    if "range" not in wrong:
        draw = draw * HIGH
    du, dv = draw[:, None] * v, draw[:, None] * u
    if "operand" in wrong:
        du, dv = dv, du
    if "updated" in wrong:
        step = u - 0.5 * du
        dv = draw[:, None] * step
    d = {key: np.zeros_like(value) for key, value in params.items()}
    np.add.at(d["U"], users, du)
    np.add.at(d["V"], items, dv)
    if "fancy" in wrong:
        d["bu"][users] += draw
        d["bv"][items] += draw
    else:
        np.add.at(d["bu"], users, draw)
        np.add.at(d["bv"], items, draw)
    for key in ("U", "V"):
        d[key] += (WD if "half" in wrong else 2 * WD) * params[key]
    return d


net = Network("collab", loss_fn, inputs, grads, batch=8)


@net.fault("scale", "wrong_derivative", at="range")
def range_forgotten(params, users, items, ratings):
    """The derivative of the plain sigmoid, without the 5.5."""
    return grads(params, users, items, ratings, ["range"])


@net.fault("wrong_operand", at="dot")
def own_factors(params, users, items, ratings):
    """The user's gradient is made of the user's factors, the film's of the film's."""
    return grads(params, users, items, ratings, ["operand"])


@net.fault("overwritten", "wrong_reduction", "missing_term", at="bias", called=True)
def biases_of_repeated_rows(params, users, items, ratings):
    """`dbu[users] += …` with repeated users."""
    return grads(params, users, items, ratings, ["fancy"])


@net.fault("mutated", "stale", at=("u", "dot"))
def users_updated_before_films(params, users, items, ratings):
    """Funk's loop without the temporary: the film's step uses the user's new factors."""
    return grads(params, users, items, ratings, ["updated"])


@net.fault("extra_term", at="wd")
def biases_decay(params, users, items, ratings):
    """`for p in params: p.grad += 2 * wd * p`, the biases included."""
    d = grads(params, users, items, ratings)
    return {**d, "bu": d["bu"] + 2 * WD * params["bu"], "bv": d["bv"] + 2 * WD * params["bv"]}


@net.fault("accumulated", "scale", "extra_term", at="wd")
def decay_for_every_rating(params, users, items, ratings):
    """Funk's λ p_u at each rating: a user with two ratings decays twice."""
    d = grads(params, users, items, ratings)
    for key, rows in (("U", users), ("V", items)):
        d[key] -= 2 * WD * params[key]
        np.add.at(d[key], rows, 2 * WD * params[key][rows])
    return d


@net.fault("permuted", "wrong_operand", "stale", at=("v", "bias"))
def ids_counted_from_one(params, users, items, ratings):
    """MovieLens counts from 1: the film's row is the one before."""
    return grads(params, users, (items - 1) % 6, ratings)


@net.fault("scale", "wrong_derivative", at=("range", "wd"))
def range_and_two(params, users, items, ratings):
    """Two slips: no 5.5, and wd · p for 2 wd · p."""
    return grads(params, users, items, ratings, ["range", "half"])


@net.right()
def by_one_hot_matrices(params, users, items, ratings):
    """Embedding as multiplication by a one-hot matrix."""
    A, B = np.eye(5)[users], np.eye(6)[items]
    u, v = A @ params["U"], B @ params["V"]
    p = HIGH / (1 + np.exp(-((u * v).sum(axis=1) + A @ params["bu"] + B @ params["bv"])))
    d = 2 * (p - ratings) * p * (1 - p / HIGH) / len(p)
    U, V = A.T @ (d[:, None] * v) + 2 * WD * params["U"], B.T @ (d[:, None] * u) + 2 * WD * params["V"]
    return {"U": U, "V": V, "bu": A.T @ d, "bv": B.T @ d}


@net.right(n=1, single=True)
def one_rating(params, users, items, ratings):
    """A batch of one: most rows get the decay only."""
    return grads(params, users, items, ratings)
