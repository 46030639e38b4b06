"""A GRU over three steps (Cho's convention, reset before the product), softmax at the end."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, xs, labels):
    """Cross-entropy of the last state; `xs` is (time, batch, feature)."""
    W, U, b = params["W"], params["U"], params["b"]
    h = jnp.zeros((xs.shape[1], 4), xs.dtype)
    for x in xs:
        z = jax.nn.sigmoid(x @ W["z"] + h @ U["z"] + b["z"])  # @update
        r = jax.nn.sigmoid(x @ W["r"] + h @ U["r"] + b["r"])  # @reset
        rh = r * h  # @gated
        c = jnp.tanh(x @ W["c"] + rh @ U["c"] + b["c"])  # @candidate
        h = z * h + (1 - z) * c  # @hidden
    log_p = jax.nn.log_softmax(h @ params["V"])  # @output
    return -jnp.mean(log_p[jnp.arange(len(labels)), labels])  # @loss


def inputs(rng, n):
    """Three steps, 3 features, 4 units, three classes."""
    params = {
        "W": {gate: rng.normal(size=(3, 4)) for gate in "zrc"},
        "U": {gate: rng.normal(size=(4, 4)) for gate in "zrc"},
        "b": {gate: rng.normal(size=4) for gate in "zrc"},
        "V": rng.normal(size=(4, 3)),
    }
    return params, (rng.normal(size=(3, n, 3)), np.arange(n) % 3)


def sigmoid(a):
    """Of an array."""
    return 1 / (1 + np.exp(-a))


def grads(params, xs, labels, wrong=""):
    """Backward through time; `wrong` names the slip."""
    W, U, b = params["W"], params["U"], params["b"]
    n = len(labels)
    h, cache = np.zeros((n, 4), xs.dtype), []
    for x in xs:
        z = sigmoid(x @ W["z"] + h @ U["z"] + b["z"])
        r = sigmoid(x @ W["r"] + h @ U["r"] + b["r"])
        c = np.tanh(x @ W["c"] + (r * h) @ U["c"] + b["c"])
        cache.append((x, h, z, r, c))
        h = z * h + (1 - z) * c
    p = np.exp(h @ params["V"])
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(n), labels] -= 1
    p /= n
    d = {k: {g: np.zeros_like(a) for g, a in params[k].items()} for k in "WUb"}
    d["V"] = h.T @ p
    dh = p @ params["V"].T
    for x, h, z, r, c in reversed(cache):
        dz = dh * (c - h) if wrong == "sign" else dh * (h - c)
        dc = dh * (z if wrong == "gates swapped" else 1 - z)
        dh_prev = dh * (1 - z if wrong == "gates swapped" else z)
        ac = dc if wrong == "no tanh" else dc * (1 - c**2)
        drh = ac @ U["c"].T
        dr = drh * (r if wrong == "same factor" else h)
        if wrong == "overwritten":
            dh_prev = drh * r
        elif wrong != "no reset path":
            dh_prev = dh_prev + drh * (h if wrong == "same factor" else r)
        az, ar = dz * z * (1 - z), dr * r * (1 - r)
        for gate, a, state in (("z", az, h), ("r", ar, h), ("c", ac, h if wrong == "state" else r * h)):
            d["W"][gate] += x.T @ a
            d["U"][gate] += state.T @ a
            d["b"][gate] += a.sum(axis=0)
        dh = dh_prev + ar @ U["r"].T + az @ U["z"].T
    return d


net = Network("gru_of_the_lecture", loss_fn, inputs, grads, batch=5)


@net.fault("sign", at="hidden")
def candidate_minus_state(params, xs, labels):
    """The update gate's gradient is that of z c + (1 − z) h."""
    return grads(params, xs, labels, "sign")


@net.fault("wrong_operand", "wrong_loss", at="hidden", called=True)
def z_and_one_minus_z(params, xs, labels):
    """The two shares are exchanged on the way back: PyTorch's and Cho's conventions mixed."""
    return grads(params, xs, labels, "gates swapped")


@net.fault("missing_term", at="gated")
def path_through_the_reset_product(params, xs, labels):
    """dh_prev lacks drh · r."""
    return grads(params, xs, labels, "no reset path")


@net.fault("overwritten", at=("hidden", "gated"))
def state_gradient_assigned(params, xs, labels):
    """`dh_prev = drh * r` for `+=`: dh · z is lost."""
    return grads(params, xs, labels, "overwritten")


@net.fault("wrong_operand", at="gated")
def product_rule_with_the_same_factor(params, xs, labels):
    """dr = drh · r and dh = drh · h."""
    return grads(params, xs, labels, "same factor")


@net.fault("wrong_operand", at=("candidate", "gated"))
def plain_state_for_the_candidate(params, xs, labels):
    """dUc is made of h, not of r ∘ h."""
    return grads(params, xs, labels, "state")


@net.fault("wrong_derivative", at="candidate", single=True)
def candidate_without_slope(params, xs, labels):
    """The tanh is passed straight through."""
    return grads(params, xs, labels, "no tanh")


@net.right()
def keys_in_another_order(params, xs, labels):
    """Returned as copies, in another order of keys."""
    d = grads(params, xs, labels)
    return {"b": d["b"], "V": d["V"].copy(), "U": dict(reversed(d["U"].items())), "W": d["W"]}


@net.right(n=1, seed=2)
def one_sequence(params, xs, labels):
    """A batch of one."""
    return grads(params, xs, labels)
