"""Policy gradient with a learned baseline, a shared body and an entropy bonus."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

BETA = 0.2


def loss_fn(params, obs, actions, returns):
    """Actor, critic and entropy of one batch of transitions."""
    h = jnp.tanh(obs @ params["w"] + params["b"])  # @body
    logits = h @ params["pi"]  # @policy
    value = (h @ params["v"])[:, 0]  # @value
    logp = jax.nn.log_softmax(logits)  # @log_softmax
    chosen = jnp.take_along_axis(logp, actions[:, None], axis=1)[:, 0]  # @chosen
    advantage = jax.lax.stop_gradient(returns - value)  # @advantage
    actor = -jnp.mean(chosen * advantage)  # @actor
    critic = jnp.mean((returns - value) ** 2)  # @critic
    entropy = -jnp.sum(jnp.exp(logp) * logp, axis=1)  # @entropy
    return actor + 0.5 * critic - BETA * jnp.mean(entropy)  # @total


def inputs(rng, n):
    """Five observations, four hidden units, three actions."""
    params = {
        "w": rng.normal(size=(5, 4)) * 0.5,
        "b": rng.normal(size=4) * 0.3,
        "pi": rng.normal(size=(4, 3)),
        "v": rng.normal(size=(4, 1)),
    }
    return params, (rng.normal(size=(n, 5)), rng.integers(0, 3, size=n), rng.normal(size=n) + 0.5)


def rollout(params, obs, actions, returns):
    """Hidden units, probabilities, one-hot actions, values."""
    h = np.tanh(obs @ params["w"] + params["b"])
    logits = h @ params["pi"]
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return h, p, np.eye(3)[actions].astype(p.dtype), (h @ params["v"])[:, 0]


def entropy_grad(p):
    """Of -BETA * H with respect to the logits, per example."""
    logp = np.log(p)
    ent = -(p * logp).sum(axis=1, keepdims=True)
    return BETA * p * (logp + ent)


def finish(params, obs, h, dlogits, dvalue, dh=None):
    """From the two heads down to the body."""
    if dh is None:
        dh = dlogits @ params["pi"].T + dvalue[:, None] * params["v"][:, 0]
    da = dh * (1 - h**2)
    return {"w": obs.T @ da, "b": da.sum(axis=0), "pi": h.T @ dlogits, "v": h.T @ dvalue[:, None]}


def grads(params, obs, actions, returns):
    """(p - onehot) * advantage, entropy, critic."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    adv = returns - value
    dlogits = ((p - onehot) * adv[:, None] + entropy_grad(p)) / n
    return finish(params, obs, h, dlogits, (value - returns) / n)


net = Network("policy_and_value", loss_fn, inputs, grads, batch=7)


@net.fault("sign", at=("entropy", "total"))
def entropy_penalised(params, obs, actions, returns):
    """The bonus is subtracted once too often: entropy is pushed down."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    dlogits = (p - onehot) * (returns - value)[:, None]
    dlogits -= entropy_grad(p)
    dlogits /= n
    return finish(params, obs, h, dlogits, (value - returns) / n)


@net.fault("wrong_derivative", "missing_term", at=("entropy", "log_softmax"))
def entropy_slope_in_p_taken_for_the_logits(params, obs, actions, returns):
    """p (log p + 1) as if the logits were free log-probabilities."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    dlogits = ((p - onehot) * (returns - value)[:, None] + BETA * p * (np.log(p) + 1)) / n
    return finish(params, obs, h, dlogits, (value - returns) / n)


@net.fault("extra_term", at=("advantage", "actor"))
def advantage_not_detached(params, obs, actions, returns):
    """The actor's term reaches the value head through the advantage."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    adv = returns - value
    dlogits = ((p - onehot) * adv[:, None] + entropy_grad(p)) / n
    dvalue = (value - returns) / n + np.log(p[np.arange(n), actions]) / n
    return finish(params, obs, h, dlogits, dvalue)


@net.fault("wrong_operand", "missing_term", at=("advantage", "actor"), called=True)
def returns_without_baseline(params, obs, actions, returns):
    """Plain REINFORCE: weighted by the return."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    dlogits = ((p - onehot) * returns[:, None] + entropy_grad(p)) / n
    return finish(params, obs, h, dlogits, (value - returns) / n)


@net.fault("sign", at=("actor", "chosen"))
def actor_descends(params, obs, actions, returns):
    """onehot - p, as in the ascent form of the textbook."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    dlogits = ((onehot - p) * (returns - value)[:, None] + entropy_grad(p)) / n
    return finish(params, obs, h, dlogits, (value - returns) / n)


@net.fault("scale", at=("critic", "total"))
def half_of_the_critic_forgotten(params, obs, actions, returns):
    """2 (V - R) / n."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    dlogits = ((p - onehot) * (returns - value)[:, None] + entropy_grad(p)) / n
    return finish(params, obs, h, dlogits, 2 * (value - returns) / n)


@net.fault("upstream", "wrong_loss", "wrong_derivative", at="critic")
def critic_error_clipped(params, obs, actions, returns):
    """The temporal-difference error is clipped before it goes down, as DQN does."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    dlogits = ((p - onehot) * (returns - value)[:, None] + entropy_grad(p)) / n
    return finish(params, obs, h, dlogits, np.clip(value - returns, -0.5, 0.5) / n)


@net.fault("missing_term", at="value", seed=3)
def critic_does_not_train_the_body(params, obs, actions, returns):
    """dh has the policy head only."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    dlogits = ((p - onehot) * (returns - value)[:, None] + entropy_grad(p)) / n
    return finish(params, obs, h, dlogits, (value - returns) / n, dh=dlogits @ params["pi"].T)


@net.fault("wrong_loss", "wrong_derivative", "missing_term", at=("log_softmax", "chosen", "actor"))
def probability_for_log_probability(params, obs, actions, returns):
    """The gradient of p(a) * advantage: the log is missing."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    pa = p[np.arange(n), actions][:, None]
    dlogits = (pa * (p - onehot) * (returns - value)[:, None] + entropy_grad(p)) / n
    return finish(params, obs, h, dlogits, (value - returns) / n)


@net.fault("wrong_operand", "wrong_loss", at=("advantage", "actor"))
def advantages_standardised(params, obs, actions, returns):
    """The usual trick, which the loss does not have."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    adv = returns - value
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    dlogits = ((p - onehot) * adv[:, None] + entropy_grad(p)) / n
    return finish(params, obs, h, dlogits, (value - returns) / n)


@net.fault("sign", "scale", at=("actor", "chosen", "advantage", "critic", "total"))
def baseline_minus_return_and_critic_doubled(params, obs, actions, returns):
    """Two slips: advantage the wrong way round, 0.5 of the critic forgotten."""
    n = len(obs)
    h, p, onehot, value = rollout(params, obs, actions, returns)
    delta = value - returns
    dlogits = ((p - onehot) * delta[:, None] + entropy_grad(p)) / n
    return finish(params, obs, h, dlogits, 2 * delta / n)


@net.right(seed=5)
def one_transition_at_a_time(params, obs, actions, returns):
    """Adds up the gradients of single transitions."""
    total = None
    for o, a, r in zip(obs, actions, returns, strict=True):
        g = grads(params, o[None], a[None], r[None])
        total = g if total is None else {k: total[k] + g[k] for k in g}
    return {k: v / len(obs) for k, v in total.items()}


@net.right(single=True, seed=8)
def in_float32(params, obs, actions, returns):
    """The same in single precision."""
    return grads(params, obs, actions, returns)


@net.right(n=1, called=True)
def one_transition(params, obs, actions, returns):
    """A batch of one."""
    return grads(params, obs, actions, returns)
