"""What `check` promises: right gradients of any tree pass, wrong ones do not, and bad input is named."""

import dataclasses
import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nets as fn
from functional_nets.gradcheck import GradientMismatch, assert_gradients, check
from tests.gradcheck.agreement import QUICKLY, line_of

RANDOM = np.random.default_rng(0)


class Pair(NamedTuple):
    w: Any
    b: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    w: Any
    b: Any


W, B = RANDOM.normal(size=(3, 2)), RANDOM.normal(size=2)
X, LABELS = RANDOM.normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])


def network(w, b, x, labels):
    logits = jnp.tanh(x @ w + b)
    return fn.nn.softmax_cross_entropy(logits, labels).mean()


def gradient(loss_fn, params, *args):
    with jax.enable_x64(True):
        compiled = jax.jit(jax.grad(loss_fn), compiler_options=QUICKLY)
        return jax.tree.map(np.asarray, compiled(params, *args))


def nudge(tree, size=1e-3):
    """The tree with one number of its last array changed."""
    leaves, structure = jax.tree.flatten(tree)
    last = np.array(leaves[-1], np.float64)
    last[(-1,) * last.ndim] += size * (np.max(np.abs(last)) or 1)
    return jax.tree.unflatten(structure, [*leaves[:-1], last.astype(np.asarray(leaves[-1]).dtype)])


TREES = {
    "dict": (lambda p, x, t: network(p["w"], p["b"], x, t), {"w": W, "b": B}, {"w", "b"}),
    "nested": (lambda p, x, t: network(p["one"]["w"], p["b"], x, t), {"one": {"w": W}, "b": B}, {"one/w", "b"}),
    "list": (lambda p, x, t: network(*p, x, t), [W, B], {"0", "1"}),
    "tuple": (lambda p, x, t: network(*p, x, t), (W, B), {"0", "1"}),
    "named tuple": (lambda p, x, t: network(*p, x, t), Pair(W, B), {"w", "b"}),
    "dataclass": (lambda p, x, t: network(p.w, p.b, x, t), Layer(W, B), {"w", "b"}),
    "scalars": (
        lambda p, x, t: network(p["scale"] * W, p["shift"], x, t), {"scale": 0.3, "shift": np.float64(0.1)},
        {"scale", "shift"},
    ),
    "one array": (lambda p, x, t: network(p, B, x, t), W, {"params"}),
}  # fmt: skip


@pytest.mark.parametrize("tree", TREES)
def test_any_tree_of_parameters(tree):
    loss_fn, params, paths = TREES[tree]
    right = gradient(loss_fn, params, X, LABELS)
    report = check(loss_fn, params, X, LABELS, manual=right)
    assert report.ok
    assert report
    assert {leaf.path for leaf in report.leaves} == paths
    assert all(leaf.relative_error < 1e-12 for leaf in report.leaves)
    assert not check(loss_fn, params, X, LABELS, manual=nudge(right)).ok


def test_without_a_gradient_the_witnesses_are_compared():
    loss_fn, params, _ = TREES["dict"]
    report = check(loss_fn, params, X, LABELS)
    assert report.ok
    assert report.witnesses["jax.grad"] < 1e-12
    assert report.witnesses["finite differences"] < 1e-6


def test_a_function_that_returns_the_gradient():
    loss_fn, params, _ = TREES["dict"]
    assert check(loss_fn, params, X, LABELS, manual=lambda *inputs: gradient(loss_fn, *inputs)).ok


@pytest.mark.parametrize(("dtype", "visible"), [(np.float32, 1e-3), (jnp.bfloat16, 2.0)])
def test_a_narrow_type_has_the_tolerance_that_its_rounding_needs(dtype, visible):
    loss_fn, params, _ = TREES["dict"]
    params, x = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), (params, X))
    grads = jax.jit(jax.grad(loss_fn), compiler_options=QUICKLY)(params, x, LABELS)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(grads))
    report = check(loss_fn, params, x, LABELS, manual=grads)
    assert report.ok
    assert max(leaf.relative_error for leaf in report.leaves) > 1e-9
    assert not check(loss_fn, params, x, LABELS, manual=nudge(grads, visible)).ok


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_losses_of_any_size(scale):
    def loss_fn(p, x, labels):
        return scale * network(p["w"], p["b"], x, labels)

    right = gradient(loss_fn, {"w": W, "b": B}, X, LABELS)
    assert check(loss_fn, {"w": W, "b": B}, X, LABELS, manual=right).ok
    assert not check(loss_fn, {"w": W, "b": B}, X, LABELS, manual=nudge(right, 1e-6)).ok


def test_a_batch_of_one():
    loss_fn, params, _ = TREES["dict"]
    right = gradient(loss_fn, params, X[:1], LABELS[:1])
    assert check(loss_fn, params, X[:1], LABELS[:1], manual=right).ok


def test_gradients_that_are_zero():
    def loss_fn(params):
        return jnp.sum(params["used"] ** 2) + 0 * jnp.sum(params["unused"])

    params = {"used": np.zeros(3), "unused": np.ones(2)}
    assert check(loss_fn, params, manual={"used": np.zeros(3), "unused": np.zeros(2)}).ok
    assert not check(loss_fn, params, manual={"used": np.zeros(3), "unused": np.array([0.0, 1e-6])}).ok


def test_parameters_without_numbers():
    assert check(lambda p: jnp.sum(p["w"] ** 2), {"w": np.zeros((0, 3))}, manual={"w": np.zeros((0, 3))}).ok


@pytest.mark.parametrize("kind", [np.int64, jax.dtypes.float0])
def test_integers_among_the_parameters_have_no_gradient(kind):
    def loss_fn(params):
        return jnp.sum(params["w"] ** 2) * params["steps"]

    params = {"w": B, "steps": np.array(3)}
    assert check(loss_fn, params, manual={"w": 6 * B, "steps": np.zeros((), kind)}).ok
    assert check(loss_fn, params).ok


def test_the_loss_is_compared_too():
    loss_fn, params, _ = TREES["dict"]
    right = gradient(loss_fn, params, X, LABELS)
    loss = float(jax.jit(loss_fn, compiler_options=QUICKLY)(params, X, LABELS))
    assert check(loss_fn, params, X, LABELS, manual=right, manual_loss=loss).ok
    assert not check(loss_fn, params, X, LABELS, manual=right, manual_loss=5 * loss).ok


def test_another_shape_is_a_finding():
    loss_fn, params, _ = TREES["dict"]
    right = gradient(loss_fn, params, X, LABELS)
    report = check(loss_fn, params, X, LABELS, manual=right | {"b": right["b"][None]})
    assert not report.ok
    assert "wrong_shape" in {cause.mistake for cause in report.causes}


def test_the_report_for_people_and_for_programs():
    loss_fn, params, _ = TREES["dict"]
    right = gradient(loss_fn, params, X, LABELS)
    for manual in (right, nudge(right), right | {"b": -right["b"]}, right | {"b": right["b"][None]}):
        report = check(loss_fn, params, X, LABELS, manual=manual)
        read = json.loads(report.to_json())
        assert read["ok"] is report.ok
        assert [leaf["path"] for leaf in read["leaves"]] == [leaf.path for leaf in report.leaves]
        assert [cause["mistake"] for cause in read["causes"]] == [cause.mistake for cause in report.causes]
        text = str(report)
        assert ("ok" if report.ok else "WRONG") in text.splitlines()[0]
        assert all(leaf.path in text for leaf in report.leaves)


def test_assert_gradients_raises_with_the_report():
    loss_fn, params, _ = TREES["dict"]
    right = gradient(loss_fn, params, X, LABELS)
    assert_gradients(loss_fn, params, X, LABELS, manual=right)
    with pytest.raises(AssertionError, match="WRONG in 1 of 2 arrays") as caught:
        assert_gradients(loss_fn, params, X, LABELS, manual=right | {"b": 2 * right["b"]})
    assert isinstance(caught.value, GradientMismatch)
    assert caught.value.report.causes[0].mistake in ("scale", "accumulated")


def test_a_mistake_is_named_with_its_line():
    loss_fn, params, _ = TREES["dict"]
    right = gradient(loss_fn, params, X, LABELS)
    cause = check(loss_fn, params, X, LABELS, manual=jax.tree.map(lambda g: 5 * g, right)).causes[0]
    line = line_of(__file__, ".mean()")
    assert (cause.mistake, cause.file, cause.line) == ("scale", __file__, line)
