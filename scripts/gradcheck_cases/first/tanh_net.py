"""Three tanh layers as a list of (w, b) pairs, all matrices square: no shape tells W from Wᵀ."""

import jax.numpy as jnp
import numpy as np

from ..corpus import Network


def loss_fn(params, x, t):
    """Half the squared distance to the targets, averaged over examples."""
    (w1, b1), (w2, b2), (w3, b3) = params
    h1 = jnp.tanh(x @ w1 + b1)  # @first
    z2 = h1 @ w2 + b2  # @second
    h2 = jnp.tanh(z2)  # @tanh
    y = jnp.tanh(h2 @ w3 + b3)  # @third
    error = y - t  # @error
    return 0.5 * jnp.sum(error**2) / len(x)  # @loss


def inputs(rng, n):
    """Four numbers in, four out."""
    params = [(rng.normal(size=(4, 4)) * 0.6, rng.normal(size=4) * 0.3) for _ in range(3)]
    return params, (rng.normal(size=(n, 4)), rng.uniform(-1, 1, size=(n, 4)))


def forward(params, x):
    """All activations, the input first."""
    hs = [x]
    for w, b in params:
        hs.append(np.tanh(hs[-1] @ w + b))
    return hs


def grads(params, x, t):
    """From the last layer to the first."""
    hs = forward(params, x)
    dh = (hs[-1] - t) / len(x)
    result = []
    for (w, _), h, y in zip(params[::-1], hs[-2::-1], hs[:0:-1], strict=True):
        dz = dh * (1 - y**2)
        result.insert(0, (h.T @ dz, dz.sum(axis=0)))
        dh = dz @ w.T
    return result


net = Network("tanh_net", loss_fn, inputs, grads)


def backward(params, x, t, slopes, matrices=None):
    """Backward with the given slopes of the three activations and the matrices to go back through."""
    hs = forward(params, x)
    w2, w3 = matrices or (params[1][0].T, params[2][0].T)
    dz3 = (hs[3] - t) / len(x) * slopes[2]
    dz2 = dz3 @ w3 * slopes[1]
    dz1 = dz2 @ w2 * slopes[0]
    return [(h.T @ dz, dz.sum(axis=0)) for h, dz in zip(hs, (dz1, dz2, dz3), strict=False)]


@net.fault("wrong_derivative", at="tanh")
def not_squared(params, x, t):
    """The slope of tanh as 1 − y, in the middle layer."""
    _, h1, h2, y = forward(params, x)
    return backward(params, x, t, (1 - h1**2, 1 - h2, 1 - y**2))


@net.fault("wrong_derivative", at="tanh", called=True)
def slope_of_the_sigmoid(params, x, t):
    """The middle layer was a sigmoid once: y(1 − y)."""
    _, h1, h2, y = forward(params, x)
    return backward(params, x, t, (1 - h1**2, h2 * (1 - h2), 1 - y**2))


@net.fault("wrong_derivative", at="third")
def slope_at_the_output(params, x, t):
    """1 − tanh(y)² where y is tanh(z) already."""
    _, h1, h2, y = forward(params, x)
    return backward(params, x, t, (1 - h1**2, 1 - h2**2, 1 - np.tanh(y) ** 2))


@net.fault("wrong_derivative", at="third")
def output_taken_as_linear(params, x, t):
    """No slope at the output, as for a linear one."""
    _, h1, h2, _ = forward(params, x)
    return backward(params, x, t, (1 - h1**2, 1 - h2**2, 1))


@net.fault("wrong_derivative", "missing_term", at="first", single=True)
def no_slope_at_the_first_layer(params, x, t):
    """The loop multiplies by the slope before it steps to a layer, so the first layer gets none."""
    _, _, h2, y = forward(params, x)
    return backward(params, x, t, (1, 1 - h2**2, 1 - y**2))


@net.fault("wrong_derivative", "wrong_operand", at="tanh")
def slope_of_another_layer(params, x, t):
    """An index off by one: the slope of layer 1 at layer 2."""
    _, h1, _, y = forward(params, x)
    return backward(params, x, t, (1 - h1**2, 1 - h1**2, 1 - y**2))


@net.fault("transposed", at="third")
def back_through_w3_not_transposed(params, x, t):
    """`dz3 @ w3` for `dz3 @ w3.T`."""
    _, h1, h2, y = forward(params, x)
    return backward(params, x, t, (1 - h1**2, 1 - h2**2, 1 - y**2), (params[1][0].T, params[2][0]))


@net.fault("transposed", at="second")
def back_through_w2_not_transposed(params, x, t):
    """One `.T` is missing."""
    _, h1, h2, y = forward(params, x)
    return backward(params, x, t, (1 - h1**2, 1 - h2**2, 1 - y**2), (params[1][0], params[2][0].T))


@net.fault("transposed", at="second", called=True)
def weight_gradient_transposed(params, x, t):
    """`dz.T @ h` is the convention of weights as (out, in)."""
    first, (dw2, db2), third = grads(params, x, t)
    return [first, (dw2.T, db2), third]


@net.fault("wrong_operand", at="second")
def input_of_another_layer(params, x, t):
    """The gradient of w2 is made of x, the input of the first layer."""
    _, _, h2, y = forward(params, x)
    first, (_, db2), third = grads(params, x, t)
    dz2 = (y - t) / len(x) * (1 - y**2) @ params[2][0].T * (1 - h2**2)
    return [first, (x.T @ dz2, db2), third]


@net.fault("wrong_operand", at="third")
def output_for_input(params, x, t):
    """The last weight's gradient uses the layer's output instead of its input."""
    _, _, _, y = forward(params, x)
    first, second, (_, db3) = grads(params, x, t)
    dz3 = (y - t) / len(x) * (1 - y**2)
    return [first, second, (y.T @ dz3, db3)]


@net.fault("wrong_operand", at="third")
def wrong_matrix(params, x, t):
    """Copy and paste: back through w2 twice."""
    _, h1, h2, y = forward(params, x)
    w2 = params[1][0].T
    return backward(params, x, t, (1 - h1**2, 1 - h2**2, 1 - y**2), (w2, w2))


@net.fault("scale", at=("loss", "error"))
def two_without_the_half(params, x, t):
    """The derivative of a square, but the loss has a ½."""
    return [(2 * dw, 2 * db) for dw, db in grads(params, x, t)]


@net.fault("scale", at="loss")
def divided_twice(params, x, t):
    """1/N in the error and again when the gradients are stored."""
    return [(dw / len(x), db / len(x)) for dw, db in grads(params, x, t)]


@net.fault("upstream", "wrong_derivative", "stale", at=("error", "third"))
def clipped_on_the_way(params, x, t):
    """The error is clipped to ±0.05 before it goes back."""
    hs = forward(params, x)
    dh = np.clip((hs[-1] - t) / len(x), -0.05, 0.05)
    result = []
    for (w, _), h, y in zip(params[::-1], hs[-2::-1], hs[:0:-1], strict=True):
        dz = dh * (1 - y**2)
        result.insert(0, (h.T @ dz, dz.sum(axis=0)))
        dh = dz @ w.T
    return result


@net.fault("stale", at=None)
def activations_of_the_last_batch(params, x, t):
    """The error is this batch's, the cached activations are those of the batch before."""
    y = forward(params, x)[3]
    cached = forward(params, np.roll(x, 1, axis=0))
    dz3 = (y - t) / len(x) * (1 - y**2)
    dz2 = dz3 @ params[2][0].T * (1 - cached[2] ** 2)
    dz1 = dz2 @ params[1][0].T * (1 - cached[1] ** 2)
    return [(h.T @ dz, dz.sum(axis=0)) for h, dz in zip(cached, (dz1, dz2, dz3), strict=False)]


@net.fault("mutated", at=("first", "second", "tanh", "third"))
def one_buffer_for_all_activations(params, x, t):
    """`out=h` saves memory; the cache then holds the last layer's activations four times."""
    h = x.copy()
    hs = [h]
    for w, b in params:
        np.tanh(h @ w + b, out=h)
        hs.append(h)
    dz3 = (hs[3] - t) / len(x) * (1 - hs[3] ** 2)
    dz2 = dz3 @ params[2][0].T * (1 - hs[2] ** 2)
    dz1 = dz2 @ params[1][0].T * (1 - hs[1] ** 2)
    return [(h.T @ dz, dz.sum(axis=0)) for h, dz in zip(hs, (dz1, dz2, dz3), strict=False)]


@net.right()
def with_cosh(params, x, t):
    """The slope of tanh as 1 / cosh²."""
    (w1, b1), (w2, b2), (w3, b3) = params
    z1 = x @ w1 + b1
    z2 = np.tanh(z1) @ w2 + b2
    z3 = np.tanh(z2) @ w3 + b3
    d3 = (np.tanh(z3) - t) / len(x) / np.cosh(z3) ** 2
    d2 = np.einsum("nj,ij->ni", d3, w3) / np.cosh(z2) ** 2
    d1 = np.einsum("nj,ij->ni", d2, w2) / np.cosh(z1) ** 2
    pairs = ((x, d1), (np.tanh(z1), d2), (np.tanh(z2), d3))
    return [(np.einsum("ni,nj->ij", h, d), np.einsum("nj->j", d)) for h, d in pairs]
