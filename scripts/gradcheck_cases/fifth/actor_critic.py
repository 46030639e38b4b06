"""Advantage actor-critic: policy gradient, entropy bonus, and the critic's squared error."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

from .tools import softmax

VALUE = 0.5
ENTROPY = 0.2


def loss_fn(params, states, actions, returns):
    """To be minimised; the advantage is a constant for the actor."""
    n = states.shape[0]
    h = jnp.tanh(states @ params["w"] + params["b"])  # @body
    logits = h @ params["actor"]  # @actor
    value = h @ params["critic"]  # @critic
    logp = jax.nn.log_softmax(logits)  # @softmax
    advantage = returns - jax.lax.stop_gradient(value)  # @advantage
    policy = -jnp.sum(logp[jnp.arange(n), actions] * advantage) / n  # @policy
    entropy = -jnp.sum(jnp.exp(logp) * logp) / n  # @entropy
    error = jnp.sum((value - returns) ** 2) / n  # @error
    return policy + VALUE * error - ENTROPY * entropy  # @total


def inputs(rng, n):
    """Three numbers in a state, five hidden units, four actions."""
    params = {"w": rng.normal(size=(3, 5)), "b": rng.normal(size=5)}
    params |= {"actor": rng.normal(size=(5, 4)), "critic": rng.normal(size=5)}
    return params, (rng.normal(size=(n, 3)), rng.integers(0, 4, size=n), rng.normal(size=n) * 2)


def forward(params, states, actions, returns):
    """Hidden units, probabilities, one-hot actions minus them, entropies, value."""
    h = np.tanh(states @ params["w"] + params["b"])
    p = softmax(h @ params["actor"])
    return h, p, np.eye(4)[actions] - p, -np.sum(p * np.log(p), axis=1, keepdims=True), h @ params["critic"]


def body(params, states, h, dlogits, dvalue):
    """Both heads into the body."""
    dh = dlogits @ params["actor"].T + dvalue[:, None] * params["critic"]
    dpre = dh * (1 - h**2)
    return {"w": states.T @ dpre, "b": dpre.sum(0), "actor": h.T @ dlogits, "critic": h.T @ dvalue}


def grads(params, states, actions, returns):
    """Entropy's gradient in the logits is -p (log p + H)."""
    n = len(states)
    h, p, score, entropy, value = forward(params, states, actions, returns)
    advantage = returns - value
    dlogits = -score * advantage[:, None] / n + ENTROPY * p * (np.log(p) + entropy) / n
    return body(params, states, h, dlogits, 2 * VALUE * (value - returns) / n)


net = Network("actor_critic", loss_fn, inputs, grads, batch=6)


@net.fault("extra_term", at="advantage")
def advantage_not_detached(params, states, actions, returns):
    """The actor's loss also moves the critic, as when .detach() is forgotten."""
    n = len(states)
    h, p, score, entropy, value = forward(params, states, actions, returns)
    logp = np.log(p[np.arange(n), actions])
    dlogits = (-score * (returns - value)[:, None] + ENTROPY * p * (np.log(p) + entropy)) / n
    dvalue = (2 * VALUE * (value - returns) + logp) / n
    return body(params, states, h, dlogits, dvalue)


@net.fault("sign", at=("entropy", "total"))
def entropy_punished(params, states, actions, returns):
    """The bonus has the wrong sign: exploration is minimised."""
    n = len(states)
    h, p, score, entropy, value = forward(params, states, actions, returns)
    dlogits = (-score * (returns - value)[:, None] - ENTROPY * p * (np.log(p) + entropy)) / n
    return body(params, states, h, dlogits, 2 * VALUE * (value - returns) / n)


@net.fault("wrong_derivative", "missing_term", at=("entropy", "softmax"), called=True)
def entropy_without_the_softmax(params, states, actions, returns):
    """d(p log p) = (log p + 1) taken as the logits' gradient, without the softmax's Jacobian."""
    n = len(states)
    h, p, score, _, value = forward(params, states, actions, returns)
    dlogits = (-score * (returns - value)[:, None] + ENTROPY * (np.log(p) + 1)) / n
    return body(params, states, h, dlogits, 2 * VALUE * (value - returns) / n)


@net.fault("stale", "permuted", at=None)
def rewards_of_the_next_step(params, states, actions, returns):
    """Off by one in the replay buffer: actions and returns belong to the state before."""
    return grads(params, states, np.roll(actions, 1), np.roll(returns, 1))


@net.fault("upstream", "missing_term", "wrong_operand", at=("policy", "advantage"))
def no_advantage(params, states, actions, returns):
    """Behavioural cloning: the log-probability's gradient is not multiplied by the advantage."""
    n = len(states)
    h, p, score, entropy, value = forward(params, states, actions, returns)
    dlogits = (-score + ENTROPY * p * (np.log(p) + entropy)) / n
    return body(params, states, h, dlogits, 2 * VALUE * (value - returns) / n)


@net.fault("missing_term", "scale", at=("entropy", "total", "error"))
def no_entropy_and_half_a_critic(params, states, actions, returns):
    """Two mistakes: no entropy bonus, and the critic's square is differentiated without its 2."""
    n = len(states)
    h, p, score, _, value = forward(params, states, actions, returns)
    dlogits = -score * (returns - value)[:, None] / n
    return body(params, states, h, dlogits, VALUE * (value - returns) / n)


@net.right()
def three_losses_in_turn(params, states, actions, returns):
    """Adds the gradients of actor, critic and entropy."""
    n = len(states)
    h, p, score, entropy, value = forward(params, states, actions, returns)
    none, nothing = np.zeros_like(p), np.zeros_like(value)
    parts = [
        body(params, states, h, -score * (returns - value)[:, None] / n, nothing),
        body(params, states, h, none, 2 * VALUE * (value - returns) / n),
        body(params, states, h, ENTROPY * p * (np.log(p) + entropy) / n, nothing),
    ]
    return {key: sum(part[key] for part in parts) for key in params}


@net.right(n=1, single=True, called=True)
def one_transition(params, states, actions, returns):
    """A single step of experience in float32."""
    return grads(params, states, actions, returns)
