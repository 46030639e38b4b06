"""At a kink or a tie every derivative between the one-sided ones is right, and no other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nets as fn
from functional_nets.gradcheck import check
from tests.gradcheck.agreement import line_of

X = np.array([1.0, 0.0, -1.0, 0.0])
WEIGHTS = np.arange(1.0, 5.0)
TIED = np.array([1.0, 1.0, 0.0, 1.0])
IMAGE = np.zeros((4, 4))
FIRST, LAST = IMAGE.copy(), IMAGE.copy()
FIRST[::2, ::2] = LAST[1::2, 1::2] = 1


def relu(x):
    return jnp.sum(jax.nn.relu(x) * WEIGHTS)


def maximum(x):
    return jnp.sum(jnp.maximum(x, 0) * WEIGHTS)


def where(x):
    return jnp.sum(jnp.where(x > 0, x, 0.1 * x))


def times_mask(x):
    return jnp.sum(x * (x > 0))


def absolute(x):
    return jnp.sum(jnp.abs(x))


def clipped(x):
    return jnp.sum(jnp.clip(x, 0.0, 1.0) * WEIGHTS)


def largest(x):
    return 3 * jnp.max(x)


def smallest_of_rows(x):
    return jnp.sum(jnp.min(x.reshape(2, 2), axis=1) * np.array([1.0, 2.0]))


def windowed(image):
    return jnp.sum(jax.lax.reduce_window(image, -jnp.inf, jax.lax.max, (2, 2), (2, 2), "VALID"))


def pooled(image):
    return jnp.sum(fn.nn.max_pool2d(image[None, :, :, None]))


MIXED = np.kron([[0.1, 0.2], [0.3, 0.4]], np.ones((1, 1)))
MIXED = np.tile(MIXED, (2, 2))

RIGHT = [
    (relu, X, [1, 2, 0, 4]), (relu, X, [1, 0.5, 0, 3]), (relu, X, [1, 0, 0, 4]),
    (maximum, X, [1, 2, 0, 0]), (maximum, X, [1, 0, 0, 4]),
    (where, X, [1, 1, 0.1, 0.5]), (times_mask, X, [1, 0.3, 0, 1]),
    (absolute, X, [1, 0.3, -1, -0.7]), (clipped, X, [0, 2, 0, 1]),
    (largest, TIED, [3, 0, 0, 0]), (largest, TIED, [0, 0, 0, 3]), (largest, TIED, [1, 0.5, 0, 1.5]),
    (smallest_of_rows, TIED, [0.9, 0.1, 2, 0]),
    (windowed, IMAGE, LAST), (windowed, IMAGE, np.full((4, 4), 0.25)), (windowed, IMAGE, MIXED),
    (pooled, IMAGE, FIRST), (pooled, IMAGE, LAST), (pooled, IMAGE, np.full((4, 4), 0.25)), (pooled, IMAGE, MIXED),
]  # fmt: skip
WRONG = [
    (relu, X, [1, 3, 0, 4]), (relu, X, [1, -0.5, 0, 3]), (relu, X, [1, 2, 3, 4]),
    (maximum, X, [1, 2.2, 0, 0]), (where, X, [1, 1, 0.1, 0.05]), (times_mask, X, [1, 1.2, 0, 1]),
    (absolute, X, [1, 1.3, -1, 0]), (clipped, X, [0, 2, 3, 1]),
    (largest, TIED, [3, 3, 0, 3]), (largest, TIED, [1, 0.5, 0, 1.4]), (largest, TIED, [2, 2, 0, -1]),
    (smallest_of_rows, TIED, [1, 1, 2, 0]), (smallest_of_rows, TIED, [0.5, 0.5, 0, 2]),
    (windowed, IMAGE, np.ones((4, 4))), (pooled, IMAGE, np.ones((4, 4))), (pooled, IMAGE, IMAGE),
]  # fmt: skip


def named(cases):
    return [f"{loss.__name__}-{i}" for i, (loss, *_) in enumerate(cases)]


@pytest.mark.parametrize(("loss_fn", "x", "manual"), RIGHT, ids=named(RIGHT))
def test_what_lies_between_the_slopes_is_right(loss_fn, x, manual):
    report = check(loss_fn, x, manual=np.array(manual, float))
    assert report.ok
    assert all(leaf.ok for leaf in report.leaves)
    assert not report.causes


@pytest.mark.parametrize(("loss_fn", "x", "manual"), WRONG, ids=named(WRONG))
def test_what_lies_outside_is_wrong(loss_fn, x, manual):
    assert not check(loss_fn, x, manual=np.array(manual, float)).ok


def test_the_note_says_where():
    (note,) = check(relu, X, manual=np.array([1.0, 2, 0, 0])).notes
    line = line_of(__file__, "jax.nn.relu(x)")
    assert note.startswith(f"{__file__}:{line}: relu is at a kink in 1 element, at [1]")


def test_a_right_gradient_gets_no_note():
    assert not check(relu, X, manual=np.array([1.0, 0, 0, 0])).notes


def hidden_layers(params, x):
    for w in params:
        x = jax.nn.relu(x @ w)
    return jnp.mean((x - 1) ** 2)


def by_hand(params, x, mask):
    """The same by hand, with the masks that `mask(pre-activation)` makes."""
    inputs, masks = [x], []
    for w in params:
        masks.append(mask(inputs[-1] @ w))
        inputs.append(np.maximum(inputs[-1] @ w, 0))
    g, grads = 2 * (inputs[-1] - 1) / inputs[-1].size, []
    for w, active, a in zip(reversed(params), reversed(masks), reversed(inputs[:-1]), strict=True):
        g = g * active
        grads.append(a.T @ g)
        g = g @ w.T
    return grads[::-1]


@pytest.mark.parametrize("zero", ["inputs", "weights"])
def test_a_network_where_everything_is_zero(zero):
    random = np.random.default_rng(0)
    params = [random.normal(size=(3, 4)), random.normal(size=(4, 2))]
    x = random.normal(size=(5, 3))
    if zero == "inputs":
        x = 0 * x
    else:
        params[1] = 0 * params[1]
    for mask in (lambda a: a > 0, lambda a: a >= 0, lambda a: np.where(a == 0, 0.5, a > 0)):
        assert check(hidden_layers, params, x, manual=by_hand(params, x, mask)).ok
    wrong = by_hand(params, x, lambda a: a >= 0)
    wrong[1] = 3 * wrong[1] + 1
    assert not check(hidden_layers, params, x, manual=wrong).ok


def test_a_mask_that_rounding_has_flipped():
    random = np.random.default_rng(1)
    params = [random.normal(size=(6, 8)), random.normal(size=(8, 2))]
    x = random.normal(size=(5, 6))
    column = x[2] @ params[0][:, 3]
    params[0][0, 3] -= column / x[2, 0]  # Its pre-activation is 0, but for rounding.
    flipped = by_hand(params, x, lambda a: np.where(np.abs(a) < 1e-14, a <= 0, a > 0))
    report = check(hidden_layers, params, x, manual=flipped)
    assert report.ok
    assert "at [2, 3]" in report.notes[0]


def test_a_mistake_beside_a_kink_is_still_seen():
    random = np.random.default_rng(0)
    params = [random.normal(size=(3, 4)), random.normal(size=(4, 2))]
    x = np.concatenate([random.normal(size=(4, 3)), np.zeros((1, 3))])
    assert check(hidden_layers, params, x, manual=by_hand(params, x, lambda a: a >= 0)).ok
    doubled = [2 * leaf for leaf in by_hand(params, x, lambda a: a > 0)]
    assert not check(hidden_layers, params, x, manual=doubled).ok
    unmasked = by_hand(params, x, lambda a: np.ones_like(a))
    assert not check(hidden_layers, params, x, manual=unmasked).ok


def test_masks_that_float32_has_flipped():
    random = np.random.default_rng(1)
    params = [random.normal(size=(6, 8)).astype(np.float32), random.normal(size=(8, 2)).astype(np.float32)]
    x = random.normal(size=(5, 6)).astype(np.float32)
    for row, unit in ((2, 3), (4, 5)):
        params[0][0, unit] -= x[row] @ params[0][:, unit] / x[row, 0]
    wide = [leaf.astype(np.float64) for leaf in params]
    flipped = by_hand(wide, x.astype(np.float64), lambda a: np.where(np.abs(a) < 1e-6, a <= 0, a > 0))
    report = check(hidden_layers, params, x, manual=[leaf.astype(np.float32) for leaf in flipped])
    assert report.ok
    assert "2 elements, first at [2, 3]" in report.notes[0]
    # In float64 the sides are known.
    assert not check(hidden_layers, wide, x.astype(np.float64), manual=flipped).ok


def test_a_narrow_type_is_no_excuse_for_a_doubled_gradient():
    random = np.random.default_rng(2)
    params = [random.normal(size=(20, 60)), random.normal(size=(60, 3))]
    params, x = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (params, random.normal(size=(40, 20))))
    grads = jax.jit(jax.grad(hidden_layers))(params, x)
    assert check(hidden_layers, params, x, manual=grads).ok
    assert not check(hidden_layers, params, x, manual=[2 * leaf for leaf in grads]).ok


def test_a_tie_does_not_widen_the_tolerance():
    def loss(x):
        return jnp.sum(jnp.maximum(2 * x, x + 1))

    x = np.array([1.0, 3.0, 0.5], np.float32)
    right = jax.grad(loss)(x)
    assert check(loss, x, manual=right).ok
    report = check(loss, x, manual=np.asarray(right) * np.float32(1.01))
    assert not report.ok
    assert report.leaves[0].power < 1e-3
