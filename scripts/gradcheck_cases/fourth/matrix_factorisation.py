"""Matrix factorisation of a table of ratings with gaps, with user and item factors and a ridge penalty."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network

LAM = 0.2


def loss_fn(params, R, M):
    """The squared errors of the known ratings; M is 1 where a rating is known."""
    predicted = params["P"] @ params["Q"].T  # @predict
    error = M * (R - predicted)  # @error
    data = jnp.sum(error**2)  # @data
    penalty = jnp.sum(params["P"] ** 2) + jnp.sum(params["Q"] ** 2)  # @penalty
    return data + LAM * penalty  # @total


def inputs(rng, n):
    """N users, five items, three factors; half of the ratings are unknown (and stored as 0)."""
    params = {"P": rng.normal(size=(n, 3)), "Q": rng.normal(size=(5, 3))}
    M = (rng.uniform(size=(n, 5)) < 0.55).astype(float)
    M[0, 0] = 1
    return params, (rng.integers(1, 6, size=(n, 5)) * M, M)


def grads(params, R, M):
    """−2 E Q + 2λP and −2 Eᵀ P + 2λQ."""
    P, Q = params["P"], params["Q"]
    E = M * (R - P @ Q.T)
    return {"P": -2 * E @ Q + 2 * LAM * P, "Q": -2 * E.T @ P + 2 * LAM * Q}


net = Network("matrix_factorisation", loss_fn, inputs, grads, batch=5)


@net.fault("wrong_mask", at="error")
def unknown_ratings_are_zeros(params, R, M):
    """No mask: the missing ratings are learnt as 0."""
    P, Q = params["P"], params["Q"]
    E = R - P @ Q.T
    return {"P": -2 * E @ Q + 2 * LAM * P, "Q": -2 * E.T @ P + 2 * LAM * Q}


@net.fault("transposed", at="predict", called=True)
def errors_not_transposed_for_items(params, R, M):
    """E P for Eᵀ P: as many users as items."""
    P, Q = params["P"], params["Q"]
    E = M * (R - P @ Q.T)
    return {"P": -2 * E @ Q + 2 * LAM * P, "Q": -2 * E @ P + 2 * LAM * Q}


@net.fault("scale", at=("penalty", "total"))
def penalty_without_its_two(params, R, M):
    """λP and λQ."""
    P, Q = params["P"], params["Q"]
    E = M * (R - P @ Q.T)
    return {"P": -2 * E @ Q + LAM * P, "Q": -2 * E.T @ P + LAM * Q}


@net.fault("stale", at=None)
def users_updated_first(params, R, M):
    """P is updated in place, and the items' gradient sees the new P."""
    P, Q = params["P"].copy(), params["Q"]
    E = M * (R - P @ Q.T)
    dP = -2 * E @ Q + 2 * LAM * P
    P -= 0.05 * dP
    E = M * (R - P @ Q.T)
    dQ = -2 * E.T @ P + 2 * LAM * Q
    return {"P": dP, "Q": dQ}


@net.fault("missing_term", at=("penalty", "total"))
def items_not_regularised(params, R, M):
    """The penalty of Q is left out."""
    P, Q = params["P"], params["Q"]
    E = M * (R - P @ Q.T)
    return {"P": -2 * E @ Q + 2 * LAM * P, "Q": -2 * E.T @ P}


@net.fault("mutated", at=("data", "error"))
def errors_squared_in_place(params, R, M):
    """`loss = np.square(E, out=E).sum()`: then E is the squared error."""
    P, Q = params["P"], params["Q"]
    E = M * (R - P @ Q.T)
    loss = np.square(E, out=E).sum()
    loss += LAM * ((P**2).sum() + (Q**2).sum())
    return {"P": -2 * E @ Q + 2 * LAM * P, "Q": -2 * E.T @ P + 2 * LAM * Q}


@net.fault("sign", "missing_term", at=("error", "data", "penalty"), single=True)
def error_reversed_and_no_penalty(params, R, M):
    """Two slips: + for − in front of the errors, and no penalty at all."""
    P, Q = params["P"], params["Q"]
    E = M * (R - P @ Q.T)
    return {"P": 2 * E @ Q, "Q": 2 * E.T @ P}


@net.right()
def rating_by_rating(params, R, M):
    """A loop over the known ratings, the penalty afterwards."""
    P, Q = params["P"], params["Q"]
    result = {"P": 2 * LAM * P, "Q": 2 * LAM * Q}
    for u, i in zip(*np.nonzero(M), strict=True):
        e = R[u, i] - P[u] @ Q[i]
        result["P"][u] -= 2 * e * Q[i]
        result["Q"][i] -= 2 * e * P[u]
    return result


@net.right(n=1, seed=2)
def one_user(params, R, M):
    """One user: items that were not rated have the penalty only."""
    return grads(params, R, M)
