"""Matrix factorisation of ratings: factors and biases of users and items, a global mean, an L2 penalty."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

LAM = 0.05


def loss_fn(params, users, items, ratings, mean):
    """Mean squared error over the ratings plus the penalty over the tables."""
    p = params["P"][users]  # @user_factors
    q = params["Q"][items]  # @item_factors
    dots = jnp.sum(p * q, axis=1)  # @dots
    predicted = mean + params["bu"][users] + params["bi"][items] + dots  # @predict
    err = ratings - predicted  # @error
    squares = sum(jnp.sum(table**2) for table in params.values())  # @squares
    return jnp.mean(err**2) + LAM * squares  # @loss


def inputs(rng, n):
    """Five users, 4 items, 3 factors; users rate several items."""
    params = {
        "P": rng.normal(size=(5, 3)),
        "Q": rng.normal(size=(4, 3)),
        "bu": rng.normal(size=5),
        "bi": rng.normal(size=4),
    }
    pairs = rng.permutation(20)[:n]
    ratings = rng.integers(1, 6, size=n).astype(float)
    return params, (pairs // 4, pairs % 4, ratings, np.array(3.1))


def error(params, users, items, ratings, mean):
    """Rating less prediction."""
    dots = (params["P"][users] * params["Q"][items]).sum(axis=1)
    return ratings - (mean + params["bu"][users] + params["bi"][items] + dots)


def grads(params, users, items, ratings, mean):
    """`np.add.at` adds up what belongs to the same user or item."""
    d = -2 * error(params, users, items, ratings, mean) / len(ratings)
    g = {key: 2 * LAM * table for key, table in params.items()}
    np.add.at(g["P"], users, d[:, None] * params["Q"][items])
    np.add.at(g["Q"], items, d[:, None] * params["P"][users])
    np.add.at(g["bu"], users, d)
    np.add.at(g["bi"], items, d)
    return g


net = Network("rated_items", loss_fn, inputs, grads, batch=12)


@net.fault("overwritten", "wrong_reduction", at=("user_factors", "item_factors"))
def fancy_indexing_adds_once(params, users, items, ratings, mean):
    """`g["P"][users] += …`: of repeated indices the last one counts."""
    d = -2 * error(params, users, items, ratings, mean) / len(ratings)
    g = {key: 2 * LAM * table for key, table in params.items()}
    g["P"][users] += d[:, None] * params["Q"][items]
    g["Q"][items] += d[:, None] * params["P"][users]
    np.add.at(g["bu"], users, d)
    np.add.at(g["bi"], items, d)
    return g


@net.fault("sign", at=("error", "predict", "loss"))
def descent_direction(params, users, items, ratings, mean):
    """Funk's update e·q − λp is taken for the gradient of the error, though only the penalty's sign fits."""
    d = 2 * error(params, users, items, ratings, mean) / len(ratings)
    g = {key: 2 * LAM * table for key, table in params.items()}
    np.add.at(g["P"], users, d[:, None] * params["Q"][items])
    np.add.at(g["Q"], items, d[:, None] * params["P"][users])
    np.add.at(g["bu"], users, d)
    np.add.at(g["bi"], items, d)
    return g


@net.fault("scale", at="loss")
def two_of_the_square_forgotten(params, users, items, ratings, mean):
    """−e q/n, while the penalty has its 2."""
    d = -error(params, users, items, ratings, mean) / len(ratings)
    g = {key: 2 * LAM * table for key, table in params.items()}
    np.add.at(g["P"], users, d[:, None] * params["Q"][items])
    np.add.at(g["Q"], items, d[:, None] * params["P"][users])
    np.add.at(g["bu"], users, d)
    np.add.at(g["bi"], items, d)
    return g


@net.fault("wrong_operand", at="dots")
def items_get_their_own_factors(params, users, items, ratings, mean):
    """DQ is made with Q: copied from the line above and not changed all the way."""
    d = -2 * error(params, users, items, ratings, mean) / len(ratings)
    g = grads(params, users, items, ratings, mean)
    g["Q"] = 2 * LAM * params["Q"]
    np.add.at(g["Q"], items, d[:, None] * params["Q"][items])
    return g


@net.fault("mutated", "stale", at="dots")
def users_updated_before_the_items(params, users, items, ratings, mean):
    """One pass of SGD: P has made its step when dQ is computed with it."""
    rate = 0.5
    d = -2 * error(params, users, items, ratings, mean) / len(ratings)
    g = {key: 2 * LAM * table for key, table in params.items()}
    np.add.at(g["P"], users, d[:, None] * params["Q"][items])
    params["P"] -= rate * g["P"]
    np.add.at(g["Q"], items, d[:, None] * params["P"][users])
    np.add.at(g["bu"], users, d)
    np.add.at(g["bi"], items, d)
    return g


@net.fault("accumulated", "extra_term", "scale", "wrong_reduction", at=("squares", "loss"))
def penalty_once_a_rating(params, users, items, ratings, mean):
    """As in SGD's update the penalty is added for each rating, not once for each row."""
    d = -2 * error(params, users, items, ratings, mean) / len(ratings)
    g = {key: np.zeros_like(table) for key, table in params.items()}
    for u, i, slope in zip(users, items, d, strict=True):
        g["P"][u] += slope * params["Q"][i] + 2 * LAM * params["P"][u]
        g["Q"][i] += slope * params["P"][u] + 2 * LAM * params["Q"][i]
        g["bu"][u] += slope + 2 * LAM * params["bu"][u]
        g["bi"][i] += slope + 2 * LAM * params["bi"][i]
    return g


@net.fault("permuted", "wrong_operand", at=("item_factors", "predict", "dots"), seed=2)
def item_numbers_from_one(params, users, items, ratings, mean):
    """MovieLens counts from 1; `items - 1` was done once more than needed."""
    return grads(params, users, items - 1, ratings, mean)


@net.fault("stale", at=None)
def errors_of_the_last_epoch(params, users, items, ratings, mean):
    """The gradient is that of the parameters before their last step."""
    step = grads(params, users, items, ratings, mean)
    before = {key: params[key] + 0.3 * step[key] for key in params}
    return grads(before, users, items, ratings, mean)


@net.fault("sign", "missing_term", at=("error", "predict", "squares", "loss"))
def sign_lost_and_no_penalty(params, users, items, ratings, mean):
    """Two mistakes: e instead of −e, and no penalty at all."""
    d = 2 * error(params, users, items, ratings, mean) / len(ratings)
    g = {key: np.zeros_like(table) for key, table in params.items()}
    np.add.at(g["P"], users, d[:, None] * params["Q"][items])
    np.add.at(g["Q"], items, d[:, None] * params["P"][users])
    np.add.at(g["bu"], users, d)
    np.add.at(g["bi"], items, d)
    return g


@net.right(called=True)
def by_indicator_matrices(params, users, items, ratings, mean):
    """One-hot matrices of users and items instead of `np.add.at`."""
    U, V = np.eye(5)[users], np.eye(4)[items]
    d = 2 / len(ratings) * -error(params, users, items, ratings, mean)
    D = U.T @ (d[:, None] * V)
    return {
        "P": D @ params["Q"] + 2 * LAM * params["P"],
        "Q": D.T @ params["P"] + 2 * LAM * params["Q"],
        "bu": D.sum(axis=1) + 2 * LAM * params["bu"],
        "bi": D.sum(axis=0) + 2 * LAM * params["bi"],
    }


@net.right(seed=1, n=4)
def one_rating_at_a_time(params, users, items, ratings, mean):
    """Funk's loop, with the penalty added once at the end."""
    g = {key: np.zeros_like(table) for key, table in params.items()}
    for u, i, r in zip(users, items, ratings, strict=True):
        e = r - (mean + params["bu"][u] + params["bi"][i] + params["P"][u] @ params["Q"][i])
        g["P"][u] -= e * params["Q"][i]
        g["Q"][i] -= e * params["P"][u]
        g["bu"][u] -= e
        g["bi"][i] -= e
    return {key: 2 * (g[key] / len(ratings) + LAM * params[key]) for key in params}


@net.right(single=True, seed=4)
def by_bincount(params, users, items, ratings, mean):
    """Biases by `np.bincount`."""
    g = grads(params, users, items, ratings, mean)
    d = -2 * error(params, users, items, ratings, mean) / len(ratings)
    g["bu"] = np.bincount(users, weights=d, minlength=5) + 2 * LAM * params["bu"]
    g["bi"] = np.bincount(items, weights=d, minlength=4) + 2 * LAM * params["bi"]
    return g
