"""Slips that people make with labels, lists, slices, windows, powers and cosines, each in a program of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nets.gradcheck import check
from functional_nets.gradcheck.hypotheses import careful
from tests.gradcheck.causes import found, line_of

RANDOM = np.random.default_rng(11)
X, T = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(6, 3))
W, V, B = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(3, 3)), RANDOM.normal(size=3)
LABELS = np.array([0, 2, 2, 0, 0, 2])


@pytest.fixture(autouse=True)
def raise_errors_of_the_search(monkeypatch):
    monkeypatch.setattr(careful, "STRICT", True)


def entropy(params, x, labels):
    scores = x @ params["w"] + params["b"]
    shifted = scores - scores.max(axis=1, keepdims=True)
    total = jnp.log(jnp.sum(jnp.exp(shifted), axis=1))
    picked = shifted[jnp.arange(len(labels)), labels]
    return jnp.mean(total - picked)


def entropy_gradient(subtract):
    e = np.exp(X @ W + B)
    p = e / e.sum(axis=1, keepdims=True)
    subtract(p)
    return {"w": X.T @ p / len(X), "b": p.sum(axis=0) / len(X)}


def from_the_own_class(p):
    p[np.arange(len(p)), LABELS] -= 1


def from_every_row(p):
    p[:, LABELS] -= 1


def test_a_label_that_is_not_subtracted_is_found_although_the_largest_logit_is_subtracted_in_the_loss():
    cause = found(entropy, {"w": W, "b": B}, X, LABELS, manual=entropy_gradient(lambda p: None))
    assert (cause.mistake, cause.line) == ("missing_term", line_of(entropy, "shifted[jnp"))


def test_one_that_is_subtracted_in_every_row_is_found():
    cause = found(entropy, {"w": W, "b": B}, X, LABELS, manual=entropy_gradient(from_every_row))
    assert cause.mistake == "wrong_mask"
    assert "not of its own" in cause.message


def test_the_right_gradient_is_right_although_the_largest_logit_is_subtracted_in_the_loss():
    assert check(entropy, {"w": W, "b": B}, X, LABELS, manual=entropy_gradient(from_the_own_class)).ok


def test_a_bias_whose_gradient_is_summed_to_a_number_that_cancels_is_a_wrong_reduction():
    wrong = entropy_gradient(from_the_own_class)
    wrong["b"] = wrong["b"].sum()
    report = check(entropy, {"w": W, "b": B}, X, LABELS, manual=wrong)
    assert report.causes[0].mistake == "wrong_reduction"


def layers(params, x):
    for layer in params:
        x = jnp.tanh(x @ layer["w"] + layer["b"])
    return jnp.sum(x**2)


def layers_gradient(params, x):
    kept = [x]
    for layer in params:
        kept.append(np.tanh(kept[-1] @ layer["w"] + layer["b"]))
    d, grads = 2 * kept[-1], []
    for layer, x, y in zip(params[::-1], kept[-2::-1], kept[:0:-1], strict=True):
        d = d * (1 - y**2)
        grads.append({"w": x.T @ d, "b": d.sum(axis=0)})
        d = d @ layer["w"].T
    return grads[::-1]


@pytest.mark.parametrize("first", [V, W], ids=["of the same shapes", "of other shapes"])
def test_a_list_of_layers_that_is_left_in_reverse_order_is_permuted(first):
    params = [{"w": first, "b": B}, {"w": V, "b": 2 * B}, {"w": V.T, "b": -B}]
    right = layers_gradient(params, X[:, : len(first)])
    assert check(layers, params, X[:, : len(first)], manual=right).ok
    report = check(layers, params, X[:, : len(first)], manual=right[::-1])
    assert report.causes[0].mistake == "permuted"


def two_terms(params, x, t):
    error = x @ params["w"] - t
    return jnp.mean(error**2) + 0.2 * jnp.sum(params["w"] ** 2)


def test_a_gradient_that_was_added_up_twice_is_accumulated_although_the_loss_ends_in_a_sum():
    right = 2 * X.T @ (X @ W - T) / T.size + 0.4 * W
    assert found(two_terms, {"w": W}, X, T, manual={"w": 2 * right}).mistake == "accumulated"


def stencil(params, x):
    u = jnp.tanh(x @ params["w"])
    second = u[2:] - 2 * u[1:-1] + u[:-2]
    return jnp.sum((second - u[1:-1] ** 3) ** 2) + u[0] ** 2


def stencil_gradient(assigned=False, slope=None, edge=True):
    u = np.tanh(X @ W[:, 0])
    d = 2 * (np.diff(u, 2) - u[1:-1] ** 3)
    du = np.zeros_like(u)
    du[2:] = d
    if assigned:
        du[:-2] = d
    else:
        du[:-2] += d
    du[1:-1] -= d * (2 + (3 * u[1:-1] ** 2 if slope is None else slope(u[1:-1])))
    du[0] += 2 * u[0] * edge
    return {"w": X.T @ (du * (1 - u**2))}


def test_two_slices_of_several_that_are_assigned_where_they_overlap_are_overwritten():
    params = {"w": W[:, 0]}
    assert check(stencil, params, X, manual=stencil_gradient()).ok
    cause = found(stencil, params, X, manual=stencil_gradient(assigned=True))
    assert (cause.mistake, cause.line) == ("overwritten", line_of(stencil, "second ="))


def power(params, x):
    return jnp.sum((x @ params["w"] + 3) ** 3) / 10 + jnp.sum(((x @ params["w"]) ** 2 + 1) ** -0.5)


@pytest.mark.parametrize("slip", [lambda a: 2 * a, lambda a: 3 * a, lambda a: 3 * a**3], ids=["2x", "3x", "3x³"])
def test_a_power_rule_that_loses_the_power_is_a_wrong_derivative(slip):
    z = X @ W[:, 0]
    d = slip(z + 3) / 10 - z * (z**2 + 1) ** -1.5
    assert found(power, {"w": W[:, 0]}, X, manual={"w": X.T @ d}).mistake == "wrong_derivative"


def test_a_root_whose_exponent_does_not_come_down_is_found_at_its_line():
    def loss(params, x):
        size = jnp.sum((x @ params["w"]) ** 2, axis=1)
        length = (size + 1e-3) ** 0.5
        return jnp.sum(length)

    y = X @ W
    d = 2 * y / np.sqrt((y**2).sum(axis=1, keepdims=True) + 1e-3)
    cause = found(loss, {"w": W}, X, manual={"w": X.T @ d})
    assert cause.mistake in ("scale", "wrong_derivative")
    assert cause.line == line_of(loss, "length =")


def pooled(params, images):
    maps = jax.nn.relu(images * params["scale"] + params["shift"])
    largest = maps.reshape(2, 3, 2, 3, 2).max(axis=(2, 4))
    return jnp.sum(largest**2)


def swapped(windows, best):
    return best.transpose(0, 1, 4, 3, 2).reshape(2, 6, 6)


def side_by_side(windows, best):
    return best.transpose(0, 1, 3, 2, 4).reshape(2, 6, 6)


@pytest.mark.parametrize("laid", [swapped, side_by_side])
def test_pooling_windows_that_are_laid_out_otherwise_on_the_way_back_are_wrong_pooling(laid):
    images = RANDOM.normal(size=(2, 6, 6))
    maps = np.maximum(images * 1.5 + 0.3, 0)
    windows = maps.reshape(2, 3, 2, 3, 2)
    top = windows.max(axis=(2, 4), keepdims=True)
    d = laid(windows, 2 * top * (windows == top)) * (maps > 0)
    wrong = {"scale": np.sum(d * images), "shift": d.sum(axis=(1, 2))}
    params = {"scale": np.array(1.5), "shift": np.full((2, 1, 1), 0.3)}
    cause = found(pooled, params, images, manual=wrong | {"shift": wrong["shift"][:, None, None]})
    assert (cause.mistake, cause.line) == ("wrong_pooling", line_of(pooled, "largest ="))


def alike(params, left, right):
    a, b = left @ params["w"], right @ params["w"]
    size = jnp.sqrt(jnp.sum(a**2, axis=1)) * jnp.sqrt(jnp.sum(b**2, axis=1))
    cosine = jnp.sum(a * b, axis=1) / size
    return jnp.sum(cosine**2)


def cosine_gradient(left, right, axis=1, minus=1.0):
    a, b = left @ W, right @ W
    na, nb = (np.sqrt(np.sum(v**2, axis=axis, keepdims=True)) for v in (a, b))
    cosine = np.sum(a / na * b / nb, axis=1, keepdims=True)
    da = 2 * cosine * (b / nb - minus * cosine * a / na) / na
    db = 2 * cosine * (a / na - minus * cosine * b / nb) / nb
    return {"w": left.T @ da + right.T @ db}


@pytest.mark.parametrize(
    ("slip", "mistake", "line"),
    [({"axis": 0}, "wrong_axis", "size ="), ({"minus": -1.0}, "sign", "cosine =")],
    ids=["norms of columns", "a plus for the minus"],
)
def test_a_cosines_norms_and_signs_are_told_apart(slip, mistake, line):
    cause = found(alike, {"w": W}, X, X[::-1] + 1, manual=cosine_gradient(X, X[::-1] + 1, **slip))
    assert (cause.mistake, cause.line) == (mistake, line_of(alike, line))


def weighted(params, x, y, class_weight):
    z = x @ params["w"]
    weight = jnp.where(y == 1, class_weight[1], class_weight[0])
    return jnp.mean(weight * jnp.log1p(jnp.exp(-z * (2 * y - 1))))


def test_class_weights_the_other_way_round_are_found_where_they_are_picked():
    y, w = LABELS / 2, W[:, 0]
    z = (2 * y - 1) * (X @ w)
    d = -(2 * y - 1) / (1 + np.exp(z)) * np.where(y == 1, 0.5, 3.0) / len(y)
    cause = found(weighted, {"w": w}, X, y, np.array([0.5, 3.0]), manual={"w": X.T @ d})
    assert (cause.mistake, cause.line) == ("permuted", line_of(weighted, "jnp.where"))
