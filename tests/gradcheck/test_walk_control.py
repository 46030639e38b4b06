"""Loops, branches, wrapped calls and what the tables do not know."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from functional_nets.gradcheck import check
from functional_nets.gradcheck.trace import trace
from tests.gradcheck.agreement import assert_agree, by_jax, walked

RANDOM = np.random.default_rng(0)
W = RANDOM.normal(size=(3, 3))
X = RANDOM.normal(size=(5, 3))
SQUARE = RANDOM.normal(size=(4, 4))
POSITIVE = SQUARE @ SQUARE.T + np.eye(4)


def weighed(x):
    return jnp.sum(jnp.cos(jnp.arange(x.size)).reshape(x.shape) * x)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [5, 1, 0])
def test_scan_with_inputs_and_outputs(length, reverse):
    def loss(params, xs):
        def step(carry, x):
            new = jnp.tanh(carry @ params["w"] + x)
            return new, (new[0] * params["scale"], x.sum())

        carry, (first, second) = lax.scan(step, params["start"], xs, reverse=reverse)
        return weighed(carry) + weighed(first) + jnp.sum(second * params["scale"])

    assert_agree(loss, {"w": W, "start": np.ones(3), "scale": 0.7}, X[:length])


def test_scan_by_length_and_within_a_scan():
    def loss(w):
        def outer(carry, _):
            inner = lax.scan(lambda c, k: (jnp.sin(c @ w) + k, None), carry, jnp.arange(3.0))[0]
            return inner, jnp.sum(inner)

        carry, sums = lax.scan(outer, jnp.ones(3, w.dtype), length=2)
        return weighed(carry) + weighed(sums)

    assert_agree(loss, W)


def test_associative_scan_and_map():
    assert_agree(lambda w: weighed(lax.associative_scan(jnp.multiply, w)), W)
    assert_agree(lambda w: weighed(lax.map(lambda row: jnp.tanh(row) * row.sum(), w)), W)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_branches(which):
    def loss(w, which):
        chosen = lax.switch(which, [jnp.sin, lambda x: x @ x, lambda x: jnp.ones_like(x)], w)
        return weighed(lax.cond(which > 0, lambda x: x * 2, jnp.tanh, chosen)) + jnp.sum(w[0] ** 2)

    assert_agree(loss, W, which)


def test_loops_with_a_fixed_number_of_turns():
    assert_agree(lambda w: weighed(lax.fori_loop(0, 3, lambda i, x: jnp.sin(x @ w) + i, w)), W)


def test_a_while_loop_that_jax_itself_cannot_differentiate():
    def loss(w):
        _, x = lax.while_loop(lambda state: state[0] < 3, lambda state: (state[0] + 1, jnp.sin(state[1] @ w)), (0, w))
        return weighed(x)

    def unrolled(w):
        x = w
        for _ in range(3):
            x = jnp.sin(x @ w)
        return weighed(x)

    (ours,), (theirs,) = walked(trace(loss, W)), by_jax(unrolled, W)
    assert np.max(np.abs(ours - theirs)) <= 1e-12 * np.max(np.abs(theirs))


@jax.jit
def jitted(x):
    return jnp.tanh(x) * jax.jit(jnp.sin)(x)


@jax.custom_jvp
def scaled(x):
    return jnp.sin(x) * 2


scaled.defjvp(lambda primals, tangents: (scaled(*primals), 2 * jnp.cos(primals[0]) * tangents[0]))


@jax.custom_vjp
def clipped(x):
    return jnp.tanh(x) ** 2


clipped.defvjp(lambda x: (clipped(x), x), lambda x, g: (g * 2 * jnp.tanh(x) * (1 - jnp.tanh(x) ** 2),))


@jax.custom_vjp
def wrongly(x):
    return jnp.sin(x)


wrongly.defvjp(lambda x: (wrongly(x), x), lambda x, g: (g * 3 * jnp.cos(x),))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def applied(function, x):
    return function(x)


applied.defjvp(lambda function, primals, tangents: jax.jvp(function, primals, tangents))

WRAPPED = {
    "jit inside jit": lambda w: weighed(jitted(jitted(w))),
    "remat": lambda w: weighed(jax.checkpoint(lambda x: jnp.sin(x @ x))(w)),
    "remat by policy": lambda w: weighed(
        jax.checkpoint(lambda x: jnp.sin(x @ x) @ x, policy=jax.checkpoint_policies.dots_saveable)(w)
    ),
    "custom_jvp": lambda w: weighed(scaled(w)),
    "custom_jvp of a function": lambda w: weighed(applied(jnp.tanh, w)),
    "custom_vjp": lambda w: weighed(clipped(w)),
    "vmap": lambda w: weighed(jax.vmap(jax.vmap(clipped))(w) + jax.vmap(jnp.dot, (0, 1))(w, w)),
    "vmap of a scan": lambda w: weighed(jax.vmap(lambda row: jnp.cumsum(row) + lax.scan(
        lambda c, x: (c * x, c), 1.0, row)[1])(w)),
    "platform_dependent": lambda w: weighed(lax.platform_dependent(w, cpu=jnp.sin, default=jnp.cos)),
    "a closure": lambda w: weighed(jax.jit(lambda x: x @ W + X[0])(w)),
    "named_call": lambda w: weighed(jax.named_call(jnp.tanh, name="layer")(w)),
    "a gradient in the loss": lambda w: weighed(jax.grad(lambda x: jnp.sum(jnp.sin(x) * x))(w)),
    "a Jacobian-vector product in the loss": lambda w: weighed(jax.jvp(jnp.tanh, (w,), (w * w,))[1]),
    "an optimization barrier": lambda w: weighed(lax.optimization_barrier(w) * w),
    "relu and its relatives": lambda w: weighed(
        jax.nn.relu6(3 * w) + jax.nn.leaky_relu(w) + jax.nn.hard_tanh(w) + jax.nn.selu(w) + jax.nn.mish(w)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_calls_are_entered(name):
    assert_agree(WRAPPED[name], W)


def test_a_custom_rule_is_not_believed():
    report = check(lambda w: weighed(wrongly(w)), W)
    assert not report.ok
    assert report.witnesses["jax.grad"] > 0.1
    right = np.cos(W) * np.cos(np.arange(9)).reshape(3, 3)
    assert check(lambda w: weighed(wrongly(w)), W, manual=right).ok


def test_random_numbers_in_the_loss():
    def loss(w, key):
        first, second = jax.random.split(key)
        kept = jax.random.bernoulli(first, 0.7, w.shape)
        return weighed(jnp.where(kept, w / 0.7, 0) + w * jax.random.normal(second, w.shape, w.dtype))

    assert_agree(loss, W, jax.random.key(3))
    assert_agree(lambda w: loss(w, jax.random.fold_in(jax.random.key(0), 7)), W)
    assert_agree(loss, W, jax.random.PRNGKey(3))


LINALG = {
    "cholesky": lambda a: jnp.linalg.cholesky(a @ a.T + jnp.eye(4)),
    "solve": lambda a: jnp.linalg.solve(a, a[:2].T),
    "inverse": lambda a: jnp.linalg.inv(a),
    "determinant": lambda a: jnp.linalg.slogdet(a)[1],
    "eigenvalues": lambda a: jnp.linalg.eigvalsh(a @ a.T),
    "singular values": lambda a: jnp.linalg.svd(a, compute_uv=False),
    "qr": lambda a: jnp.linalg.qr(a)[1],
    "norm": lambda a: jnp.linalg.norm(a, axis=0),
}


@pytest.mark.parametrize("name", LINALG)
def test_linear_algebra(name):
    assert_agree(lambda a: weighed(LINALG[name](a)), SQUARE, bound=1e-11, foreign=True)


def test_what_has_no_rule_is_said():
    report = check(lambda a: weighed(jnp.linalg.eigvalsh(a @ a.T)), SQUARE)
    assert report.ok
    assert any("eigh has no rule of its own" in note for note in report.notes)
    assert not check(lambda w: weighed(jnp.tanh(w)), W).notes


def test_fourier_transforms_and_complex_numbers():
    assert_agree(lambda w: weighed(jnp.abs(jnp.fft.fft(w)) ** 2), W, foreign=True)
    assert_agree(lambda w: weighed(jnp.real(jnp.exp(1j * w) * (w + 2j))), W)
