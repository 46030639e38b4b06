"""An actor-critic loss: REINFORCE with a learned baseline and an entropy bonus on a shared trunk."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..corpus import Network
from .tools import softmax

BONUS = 0.1


def loss_fn(params, obs, actions, returns):
    """Policy gradient, half the squared error of the values, minus the bonus."""
    rows = jnp.arange(len(actions))
    h = jnp.tanh(obs @ params["w"] + params["b"])  # @trunk
    logits = h @ params["actor"]  # @actor
    value = (h @ params["critic"] + params["offset"])[:, 0]  # @critic
    log_p = jax.nn.log_softmax(logits)  # @softmax
    advantage = lax.stop_gradient(returns - value)  # @advantage
    policy_loss = -jnp.mean(log_p[rows, actions] * advantage)  # @policy
    value_loss = jnp.mean((returns - value) ** 2)  # @value
    entropy = -jnp.mean(jnp.sum(jnp.exp(log_p) * log_p, axis=1))  # @entropy
    return policy_loss + 0.5 * value_loss - BONUS * entropy  # @total


def inputs(rng, n):
    """Three observations, 6 units, 4 actions."""
    params = {
        "w": rng.normal(size=(3, 6)),
        "b": rng.normal(size=6),
        "actor": rng.normal(size=(6, 4)),
        "critic": rng.normal(size=(6, 1)),
        "offset": rng.normal(size=1),
    }
    return params, (rng.normal(size=(n, 3)), rng.integers(0, 4, size=n), 2 * rng.normal(size=n))


def forward(params, obs):
    """Hidden units, probabilities, values."""
    h = np.tanh(obs @ params["w"] + params["b"])
    return h, softmax(h @ params["actor"]), (h @ params["critic"] + params["offset"])[:, 0]


def entropy_backward(p):
    """Of the mean entropy."""
    log_p = np.log(p)
    return -p * (log_p - (p * log_p).sum(axis=1, keepdims=True)) / len(p)


def backward(params, obs, h, dlogits, dvalue, actor=1):
    """From both heads to the trunk."""
    dh = actor * dlogits @ params["actor"].T + dvalue[:, None] @ params["critic"].T
    da = dh * (1 - h**2)
    return {
        "w": obs.T @ da,
        "b": da.sum(axis=0),
        "actor": h.T @ dlogits,
        "critic": h.T @ dvalue[:, None],
        "offset": dvalue.sum(keepdims=True),
    }


def heads(params, obs, actions, returns, weight=None, entropy=entropy_backward):
    """Gradients of the logits and of the values."""
    h, p, value = forward(params, obs)
    weight = returns - value if weight is None else weight
    dlogits = (p - np.eye(4, dtype=p.dtype)[actions]) * weight[:, None] / len(obs) - BONUS * entropy(p)
    return h, dlogits, (value - returns) / len(obs)


def grads(params, obs, actions, returns, **changes):
    """All of it."""
    return backward(params, obs, *heads(params, obs, actions, returns, **changes))


net = Network("reinforce", loss_fn, inputs, grads, batch=7)


@net.fault("extra_term", at="advantage")
def advantage_not_detached(params, obs, actions, returns):
    """The policy loss trains the critic as well: `.detach()` is missing."""
    h, dlogits, dvalue = heads(params, obs, actions, returns)
    log_p = np.log(forward(params, obs)[1])[np.arange(len(obs)), actions]
    return backward(params, obs, h, dlogits, dvalue + log_p / len(obs))


@net.fault("sign", at=("entropy", "total"))
def entropy_minimised(params, obs, actions, returns):
    """The bonus with the wrong sign: the policy collapses."""
    return grads(params, obs, actions, returns, entropy=lambda p: -entropy_backward(p))


@net.fault("missing_term", "wrong_derivative", at="entropy", called=True)
def entropy_without_its_mean(params, obs, actions, returns):
    """P (log p + 1) taken as the logits' gradient: the softmax below is forgotten."""
    return grads(params, obs, actions, returns, entropy=lambda p: -p * (np.log(p) + 1) / len(p))


@net.fault("sign", at=("policy", "advantage"))
def gradient_ascent_for_the_actor(params, obs, actions, returns):
    """The text's ascent direction is handed to an optimiser that descends; the critic is right."""
    value = forward(params, obs)[2]
    return grads(params, obs, actions, returns, weight=value - returns)


@net.fault("accumulated", "scale", at=("trunk", "actor"))
def actor_counted_twice_in_the_trunk(params, obs, actions, returns):
    """Two calls of backward into the trunk, the second with a dh that still holds the actor's part."""
    return backward(params, obs, *heads(params, obs, actions, returns), actor=2)


@net.fault("wrong_axis", "wrong_reduction", at="policy", n=4)
def advantage_broadcast_along_actions(params, obs, actions, returns):
    """`(p - onehot) * advantage`, without [:, None]: four examples and four actions."""
    h, p, value = forward(params, obs)
    dlogits = (p - np.eye(4)[actions]) * (returns - value) / len(obs) - BONUS * entropy_backward(p)
    return backward(params, obs, h, dlogits, (value - returns) / len(obs))


@net.fault("scale", at=("value", "total"))
def two_of_the_square_not_halved(params, obs, actions, returns):
    """2 (v − R)/N although the loss has a coefficient of one half."""
    h, dlogits, dvalue = heads(params, obs, actions, returns)
    return backward(params, obs, h, dlogits, 2 * dvalue)


@net.fault("stale", "wrong_operand", at=("advantage", "policy"))
def advantage_of_the_last_iteration(params, obs, actions, returns):
    """The advantages were stored when the critic had other weights."""
    old = {**params, "critic": params["critic"] * 0.8, "offset": params["offset"] - 0.3}
    return grads(params, obs, actions, returns, weight=returns - forward(old, obs)[2])


@net.fault("wrong_shape", at="critic")
def offset_as_a_scalar(params, obs, actions, returns):
    """`dvalue.sum()` for a parameter of shape (1,)."""
    right = grads(params, obs, actions, returns)
    return {**right, "offset": right["offset"].sum()}


@net.fault("upstream", "wrong_loss", at=("policy", "advantage"), single=True)
def advantage_clipped(params, obs, actions, returns):
    """The advantages are clipped to ±1 on the way back only."""
    value = forward(params, obs)[2]
    return grads(params, obs, actions, returns, weight=np.clip(returns - value, -1, 1))


@net.fault("extra_term", "sign", at=("advantage", "entropy", "total"))
def not_detached_and_entropy_minimised(params, obs, actions, returns):
    """Two slips: the advantage is not detached and the bonus is added."""
    h, dlogits, dvalue = heads(params, obs, actions, returns, entropy=lambda p: -entropy_backward(p))
    log_p = np.log(forward(params, obs)[1])[np.arange(len(obs)), actions]
    return backward(params, obs, h, dlogits, dvalue + log_p / len(obs))


@net.right(called=True)
def with_log_probabilities(params, obs, actions, returns):
    """The gradient by log p first, then through the log-softmax."""
    h, p, value = forward(params, obs)
    d = BONUS * p * (np.log(p) + 1) / len(p)
    d[np.arange(len(p)), actions] -= (returns - value) / len(p)
    return backward(params, obs, h, d - p * d.sum(axis=1, keepdims=True), (value - returns) / len(p))


@net.right(n=1, seed=1)
def one_step(params, obs, actions, returns):
    """An episode of one step."""
    return grads(params, obs, actions, returns)


@net.right(single=True)
def float32(params, obs, actions, returns):
    """The same in float32."""
    return grads(params, obs, actions, returns)
