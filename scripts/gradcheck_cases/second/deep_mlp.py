"""Three affine layers in a list, a leaky ReLU after the first and an ELU after the second, half squared error."""

import jax
import jax.numpy as jnp
import numpy as np

from ..corpus import Network

SLOPE = 0.1


def loss_fn(params, x, t):
    """Half the squared distance, averaged over the batch."""
    (w1, b1), (w2, b2), (w3, b3) = params
    z1 = x @ w1 + b1  # @affine1
    h1 = jnp.where(z1 > 0, z1, SLOPE * z1)  # @leaky
    z2 = h1 @ w2 + b2  # @affine2
    h2 = jax.nn.elu(z2)  # @elu
    out = h2 @ w3 + b3  # @affine3
    return 0.5 * jnp.mean(jnp.sum((out - t) ** 2, axis=1))  # @loss


def inputs(rng, n):
    """Three features, two layers of 5 units, two outputs."""
    sizes = (3, 5, 5, 2)
    params = [(rng.normal(size=s) / np.sqrt(s[0]), rng.normal(size=s[1])) for s in zip(sizes, sizes[1:], strict=False)]
    return params, (rng.normal(size=(n, 3)), rng.normal(size=(n, 2)))


def elu(z):
    """Z or eᶻ − 1."""
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def forward(params, x):
    """All that backward needs."""
    (w1, b1), (w2, b2), (w3, b3) = params
    z1 = x @ w1 + b1
    h1 = np.where(z1 > 0, z1, SLOPE * z1)
    z2 = h1 @ w2 + b2
    h2 = elu(z2)
    return z1, h1, z2, h2, h2 @ w3 + b3


def leaky_slope(z):
    """1 or SLOPE."""
    return np.where(z > 0, 1.0, SLOPE)


def elu_slope(z):
    """1 or eᶻ."""
    return np.where(z > 0, 1.0, np.exp(np.minimum(z, 0)))


def grads(params, x, t, leaky=leaky_slope, elu=elu_slope):
    """Backpropagation by hand."""
    (w1, b1), (w2, b2), (w3, b3) = params
    z1, h1, z2, h2, out = forward(params, x)
    delta3 = (out - t) / len(x)
    delta2 = delta3 @ w3.T * elu(z2)
    delta1 = delta2 @ w2.T * leaky(z1)
    return [(x.T @ delta1, delta1.sum(0)), (h1.T @ delta2, delta2.sum(0)), (h2.T @ delta3, delta3.sum(0))]


net = Network("deep_mlp", loss_fn, inputs, grads, batch=6)


@net.fault("wrong_derivative", "wrong_mask", at="leaky")
def leaky_as_plain_relu(params, x, t):
    """The old ReLU's backward: nothing passes on the negative side."""
    return grads(params, x, t, leaky=lambda z: z > 0)


@net.fault("wrong_mask", at="leaky", single=True)
def leaky_by_the_sign_of_the_gradient(params, x, t):
    """`delta[delta < 0] *= slope`: the gradient's sign decides, not the input's."""
    (w1, b1), (w2, b2), (w3, b3) = params
    z1, h1, z2, h2, out = forward(params, x)
    delta3 = (out - t) / len(x)
    delta2 = delta3 @ w3.T * elu_slope(z2)
    delta1 = delta2 @ w2.T
    delta1[delta1 < 0] *= SLOPE
    return [(x.T @ delta1, delta1.sum(0)), (h1.T @ delta2, delta2.sum(0)), (h2.T @ delta3, delta3.sum(0))]


@net.fault("wrong_operand", at="affine2")
def weights_times_preactivation(params, x, t):
    """dW2 is made with z1: the leaky ReLU was forgotten in the outer product."""
    right = grads(params, x, t)
    z1, h1, z2, h2, out = forward(params, x)
    delta2 = (out - t) / len(x) @ params[2][0].T * elu_slope(z2)
    right[1] = (z1.T @ delta2, right[1][1])
    return right


@net.fault("transposed", at="affine2")
def square_weights_not_transposed(params, x, t):
    """`delta2 @ w2`: the shapes fit as both layers have 5 units."""
    (w1, b1), (w2, b2), (w3, b3) = params
    z1, h1, z2, h2, out = forward(params, x)
    delta3 = (out - t) / len(x)
    delta2 = delta3 @ w3.T * elu_slope(z2)
    delta1 = delta2 @ w2 * leaky_slope(z1)
    return [(x.T @ delta1, delta1.sum(0)), (h1.T @ delta2, delta2.sum(0)), (h2.T @ delta3, delta3.sum(0))]


@net.fault("mutated", "stale", at=("affine3", "affine2"))
def each_layer_updated_at_once(params, x, t):
    """The loop over the layers makes its step before it passes delta on through the new weights."""
    rate, layers = 0.2, [[w.copy(), b.copy()] for w, b in params]
    z1, h1, z2, h2, out = forward(params, x)
    delta, result = (out - t) / len(x), []
    for layer, h, slope in zip(reversed(layers), (h2, h1, x), (elu_slope(z2), leaky_slope(z1), 1), strict=True):
        dw, db = h.T @ delta, delta.sum(0)
        layer[0] -= rate * dw
        layer[1] -= rate * db
        delta = delta @ layer[0].T * slope if h is not x else None
        result.insert(0, (dw, db))
    return result


@net.fault("mutated", "wrong_derivative", at="elu")
def elu_in_place(params, x, t):
    """`h2 = z2` is the same array: exp is taken of values that have been through the ELU."""
    (w1, b1), (w2, b2), (w3, b3) = params
    z1 = x @ w1 + b1
    h1 = np.where(z1 > 0, z1, SLOPE * z1)
    z2 = h1 @ w2 + b2
    h2 = z2
    negative = h2 < 0
    h2[negative] = np.exp(h2[negative]) - 1
    delta3 = (h2 @ w3 + b3 - t) / len(x)
    delta2 = delta3 @ w3.T
    delta2[negative] *= np.exp(z2[negative])
    delta1 = delta2 @ w2.T * leaky_slope(z1)
    return [(x.T @ delta1, delta1.sum(0)), (h1.T @ delta2, delta2.sum(0)), (h2.T @ delta3, delta3.sum(0))]


@net.fault("wrong_reduction", "scale", at="affine1")
def first_bias_averaged(params, x, t):
    """`mean(0)` for a delta that has been divided by the batch size already."""
    right = grads(params, x, t)
    return [(right[0][0], right[0][1] / len(x)), *right[1:]]


@net.fault("wrong_shape", "wrong_reduction", at="affine3", n=1)
def one_example_leaves_a_row(params, x, t):
    """Tested with one example: the bias gradient is delta itself, of shape (1, 2)."""
    right = grads(params, x, t)
    delta3 = forward(params, x)[-1] - t
    return [*right[:2], (right[2][0], delta3)]


@net.fault("scale", "wrong_derivative", "wrong_mask", at=("loss", "leaky"))
def relu_and_no_batch_size(params, x, t):
    """Two mistakes: no 1/N, and a ReLU's mask for the leaky one."""
    (w1, b1), (w2, b2), (w3, b3) = params
    z1, h1, z2, h2, out = forward(params, x)
    delta3 = out - t
    delta2 = delta3 @ w3.T * elu_slope(z2)
    delta1 = delta2 @ w2.T * (z1 > 0)
    return [(x.T @ delta1, delta1.sum(0)), (h1.T @ delta2, delta2.sum(0)), (h2.T @ delta3, delta3.sum(0))]


def _mean_of_all(params, x, t):
    return 0.5 * np.mean((forward(params, x)[-1] - t) ** 2)


@net.fault("wrong_loss", "scale", at="loss", loss=_mean_of_all)
def mean_over_the_outputs_as_well(params, x, t):
    """`.mean()` of all squares, in the loss and in the gradient."""
    return [(dw / t.shape[1], db / t.shape[1]) for dw, db in grads(params, x, t)]


@net.right(called=True)
def slopes_from_the_outputs(params, x, t):
    """H > 0 exactly where z > 0; the ELU's slope is h + 1 on the negative side."""
    (w1, b1), (w2, b2), (w3, b3) = params
    _, h1, _, h2, out = forward(params, x)
    delta3 = (out - t) / x.shape[0]
    delta2 = (delta3 @ w3.T) * np.where(h2 > 0, 1, h2 + 1)
    delta1 = (delta2 @ w2.T) * np.where(h1 > 0, 1, SLOPE)
    return [(x.T @ delta1, delta1.sum(0)), (h1.T @ delta2, delta2.sum(0)), (h2.T @ delta3, delta3.sum(0))]


@net.right(n=1, seed=2)
def one_example_with_outer_products(params, x, t):
    """Stochastic gradient: vectors and outer products."""
    (w1, b1), (w2, b2), (w3, b3) = params
    z1, h1, z2, h2, out = (a[0] for a in forward(params, x))
    delta3 = out - t[0]
    delta2 = w3 @ delta3 * elu_slope(z2)
    delta1 = w2 @ delta2 * leaky_slope(z1)
    return [(np.outer(x[0], delta1), delta1), (np.outer(h1, delta2), delta2), (np.outer(h2, delta3), delta3)]


@net.right(seed=4, single=True)
def sum_over_examples(params, x, t):
    """Mean of the gradients of the examples, in float32."""
    total = None
    for i in range(len(x)):
        each = grads(params, x[i : i + 1], t[i : i + 1])
        total = each if total is None else [(a + c, b + d) for (a, b), (c, d) in zip(total, each, strict=True)]
    return [(w / len(x), b / len(x)) for w, b in total]
