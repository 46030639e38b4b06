"""Matrix factorisation with biases, over a list of ratings."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

LAM = 0.1


def loss_fn(params, users, items, ratings, mean):
    """Mean squared error of the ratings and a penalty on everything that is learnt."""
    p, q = params["P"][users], params["Q"][items]  # @lookup
    dot = jnp.sum(p * q, axis=1)  # @dot
    pred = mean + params["bu"][users] + params["bi"][items] + dot  # @predict
    err = ratings - pred  # @error
    mse = jnp.mean(err**2)  # @mse
    factors = LAM * (jnp.sum(params["P"] ** 2) + jnp.sum(params["Q"] ** 2))  # @factors
    biases = LAM * (jnp.sum(params["bu"] ** 2) + jnp.sum(params["bi"] ** 2))  # @biases
    return mse + factors + biases  # @total


def inputs(rng, n):
    """Four users, five items, three factors."""
    params = {
        "P": 0.8 * rng.normal(size=(4, 3)),
        "Q": 0.8 * rng.normal(size=(5, 3)),
        "bu": 0.5 * rng.normal(size=4),
        "bi": 0.5 * rng.normal(size=5),
    }
    pairs = rng.permutation(20)[:n]
    return params, (pairs // 5, pairs % 5, rng.integers(1, 6, size=n).astype(float), np.array(3.2))


def error(params, users, items, ratings, mean):
    """Rating minus prediction."""
    dot = (params["P"][users] * params["Q"][items]).sum(axis=1)
    return ratings - mean - params["bu"][users] - params["bi"][items] - dot


def scatter(params, users, items, e):
    """e is the gradient of each prediction."""
    d = {key: 2 * LAM * value for key, value in params.items()}
    np.add.at(d["P"], users, e[:, None] * params["Q"][items])
    np.add.at(d["Q"], items, e[:, None] * params["P"][users])
    np.add.at(d["bu"], users, e)
    np.add.at(d["bi"], items, e)
    return d


def grads(params, users, items, ratings, mean):
    """Scattered with np.add.at."""
    e = -2 * error(params, users, items, ratings, mean) / len(ratings)
    return scatter(params, users, items, e)


net = Network("recommender", loss_fn, inputs, grads, batch=13)


@net.fault("overwritten", "wrong_reduction", at="lookup")
def fancy_index_with_repeats(params, users, items, ratings, mean):
    """`dP[users] += …` adds but once for a user with many ratings."""
    right = grads(params, users, items, ratings, mean)
    e = -2 * error(params, users, items, ratings, mean) / len(ratings)
    dP, dQ = 2 * LAM * params["P"], 2 * LAM * params["Q"]
    dP[users] += e[:, None] * params["Q"][items]
    dQ[items] += e[:, None] * params["P"][users]
    return {**right, "P": dP, "Q": dQ}


@net.fault("mutated", "stale", "wrong_operand", at=("dot", "lookup"))
def users_updated_before_the_items(params, users, items, ratings, mean):
    """P is updated in place, then dQ is made of the new P: Funk's well-known slip."""
    right = grads(params, users, items, ratings, mean)
    e = -2 * error(params, users, items, ratings, mean) / len(ratings)
    P = params["P"]
    P -= 0.3 * right["P"]
    dQ = 2 * LAM * params["Q"]
    np.add.at(dQ, items, e[:, None] * P[users])
    return {**right, "Q": dQ}


@net.fault("missing_term", "wrong_operand", at=("predict", "error"))
def global_mean_left_out(params, users, items, ratings, mean):
    """The error of the backward pass does not subtract μ."""
    e = -2 * error(params, users, items, ratings, 0.0) / len(ratings)
    return scatter(params, users, items, e)


@net.fault("sign", at=("error", "mse"), single=True)
def sign_of_the_error(params, users, items, ratings, mean):
    """The update rule's + e q is returned as the gradient; only the penalty has the right sign."""
    e = 2 * error(params, users, items, ratings, mean) / len(ratings)
    return scatter(params, users, items, e)


@net.fault("wrong_operand", at="dot")
def own_factor(params, users, items, ratings, mean):
    """The gradient of p q by p is taken as p."""
    right = grads(params, users, items, ratings, mean)
    e = -2 * error(params, users, items, ratings, mean) / len(ratings)
    dP = 2 * LAM * params["P"]
    np.add.at(dP, users, e[:, None] * params["P"][users])
    return {**right, "P": dP}


@net.fault("wrong_reduction", "scale", "wrong_loss", at=("factors", "biases"))
def penalty_for_every_rating(params, users, items, ratings, mean):
    """Surprise's loop: the penalty is added once per rating, so that busy users pay more."""
    e = -2 * error(params, users, items, ratings, mean) / len(ratings)
    d = {key: np.zeros_like(value) for key, value in params.items()}
    for u, i, slope in zip(users, items, e, strict=True):
        d["P"][u] += slope * params["Q"][i] + 2 * LAM * params["P"][u]
        d["Q"][i] += slope * params["P"][u] + 2 * LAM * params["Q"][i]
        d["bu"][u] += slope + 2 * LAM * params["bu"][u]
        d["bi"][i] += slope + 2 * LAM * params["bi"][i]
    return d


@net.fault("missing_term", at="biases")
def biases_not_penalised(params, users, items, ratings, mean):
    """λ for the factors only."""
    right = grads(params, users, items, ratings, mean)
    return {key: grad - (2 * LAM * params[key] if key[0] == "b" else 0) for key, grad in right.items()}


@net.fault("accumulated", at=None, called=True)
def gradient_buffers_not_zeroed(params, users, items, ratings, mean):
    """The buffers live through three epochs."""
    buffers = {key: np.zeros_like(value) for key, value in params.items()}
    for _epoch in range(3):
        for key, grad in grads(params, users, items, ratings, mean).items():
            buffers[key] += grad
    return buffers


@net.fault("permuted", "stale", at=None)
def ratings_sorted_apart(params, users, items, ratings, mean):
    """The table was sorted by user, the column of ratings was taken before."""
    order = np.argsort(users, kind="stable")
    return grads(params, users[order], items[order], ratings, mean)


@net.right(seed=1)
def by_a_dense_table(params, users, items, ratings, mean):
    """A users × items table of errors and two products."""
    table = np.zeros((4, 5))
    table[users, items] = -2 * error(params, users, items, ratings, mean) / len(ratings)
    d = {"P": table @ params["Q"], "Q": table.T @ params["P"], "bu": table.sum(axis=1), "bi": table.sum(axis=0)}
    return {key: grad + 2 * LAM * params[key] for key, grad in d.items()}


net.right(n=1)(grads)
