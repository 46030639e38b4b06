"""Matrix factorisation of ratings, of which only some are known."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

RIDGE = 0.1


class Factors(NamedTuple):
    """User and item factors, user and item biases, and the mean rating."""

    users: Any
    items: Any
    user_bias: Any
    item_bias: Any
    mean: Any


def loss_fn(params, ratings, known):
    """Sum of squared errors over known ratings, plus a ridge."""
    product = params.users @ params.items.T  # @product
    bias = params.user_bias[:, None] + params.item_bias  # @bias
    predicted = product + bias + params.mean  # @predict
    error = known * (ratings - predicted)  # @error
    ridge = jnp.sum(params.users**2) + jnp.sum(params.items**2)  # @ridge
    return 0.5 * jnp.sum(error**2) + 0.5 * RIDGE * ridge  # @loss


def inputs(rng, n):
    """As many users as items, two factors."""
    users, items = rng.normal(size=(n, 2)), rng.normal(size=(n, 2))
    params = Factors(users, items, rng.normal(size=n), rng.normal(size=n), rng.normal(size=()))
    return params, (rng.normal(size=(n, n)), (rng.uniform(size=(n, n)) < 0.6).astype(float))


def grads(params, ratings, known):
    """The error goes to both factors."""
    users, items, user_bias, item_bias, mean = params
    d = known * (users @ items.T + user_bias[:, None] + item_bias + mean - ratings)
    return Factors(d @ items + RIDGE * users, d.T @ users + RIDGE * items, d.sum(axis=1), d.sum(axis=0), d.sum())


def error_of(params, ratings):
    """Predictions minus ratings, known or not."""
    return params.users @ params.items.T + params.user_bias[:, None] + params.item_bias + params.mean - ratings


net = Network("factorisation", loss_fn, inputs, grads, batch=5)


@net.fault("wrong_mask", at="error")
def unknown_ratings_count(params, ratings, known):
    """An unknown rating is a zero, and is learnt as such."""
    d = error_of(params, ratings)
    users, items = d @ params.items + RIDGE * params.users, d.T @ params.users + RIDGE * params.items
    return Factors(users, items, d.sum(axis=1), d.sum(axis=0), d.sum())


@net.fault("stale", "mutated", at="product")
def items_after_the_users_step(params, ratings, known):
    """As in the well-known loop: users are updated first, and the items' gradient uses the new users."""
    right = grads(params, ratings, known)
    users = params.users - 0.1 * right.users
    d = known * error_of(params, ratings)
    return right._replace(items=d.T @ users + RIDGE * params.items)


@net.fault("transposed", at="product", called=True)
def error_not_transposed(params, ratings, known):
    """As many users as items: `d @ users` has the right shape."""
    d = known * error_of(params, ratings)
    return grads(params, ratings, known)._replace(items=d @ params.users + RIDGE * params.items)


@net.fault("wrong_axis", "permuted", "wrong_reduction", at="bias")
def biases_summed_over_the_wrong_axis(params, ratings, known):
    """axis=0 and axis=1 swapped."""
    right = grads(params, ratings, known)
    return right._replace(user_bias=right.item_bias, item_bias=right.user_bias)


@net.fault("missing_term", at=("ridge", "loss"))
def ridge_of_the_items_forgotten(params, ratings, known):
    """Only users are regularised."""
    right = grads(params, ratings, known)
    return right._replace(items=right.items - RIDGE * params.items)


@net.fault("sign", at=("error", "predict"))
def sign_of_the_mean_rating(params, ratings, known):
    """The mean rating's gradient is the sum of rating − prediction."""
    return grads(params, ratings, known)._replace(mean=np.sum(known * -error_of(params, ratings)))


@net.fault("wrong_operand", at="product")
def users_for_items(params, ratings, known):
    """Each user's gradient is made of its own factors."""
    d = known * error_of(params, ratings)
    return grads(params, ratings, known)._replace(users=d @ params.users + RIDGE * params.users)


@net.fault("extra_term", at=None)
def biases_regularised(params, ratings, known):
    """The ridge of the paper covers the biases, that of this loss does not."""
    right = grads(params, ratings, known)
    return right._replace(
        user_bias=right.user_bias + RIDGE * params.user_bias,
        item_bias=right.item_bias + RIDGE * params.item_bias,
    )


@net.fault("wrong_reduction", "scale", at="predict", single=True)
def mean_rating_averaged(params, ratings, known):
    """The mean over all cells of the matrix."""
    right = grads(params, ratings, known)
    return right._replace(mean=right.mean / ratings.size)


@net.right(called=True)
def rating_by_rating(params, ratings, known):
    """Simon Funk's loop, without the update."""
    users, items = RIDGE * params.users, RIDGE * params.items
    user_bias, item_bias, mean = np.zeros(len(users)), np.zeros(len(items)), 0.0
    for u, i in np.argwhere(known):
        error = error_of(params, ratings)[u, i]
        users[u] += error * params.items[i]
        items[i] += error * params.users[u]
        user_bias[u] += error
        item_bias[i] += error
        mean += error
    return Factors(users, items, user_bias, item_bias, np.array(mean))
