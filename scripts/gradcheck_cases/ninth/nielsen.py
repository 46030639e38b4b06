"""Nielsen's network.py: sigmoid layers, quadratic cost, every example a column."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, x, y):
    """Half the squared error, averaged over the mini-batch."""
    (w1, w2, w3), (b1, b2, b3) = params["weights"], params["biases"]
    z1 = w1 @ x + b1  # @z1
    a1 = jax.nn.sigmoid(z1)  # @a1
    z2 = w2 @ a1 + b2  # @z2
    a2 = jax.nn.sigmoid(z2)  # @a2
    z3 = w3 @ a2 + b3  # @z3
    a3 = jax.nn.sigmoid(z3)  # @a3
    return 0.5 * jnp.sum((a3 - y) ** 2) / x.shape[1]  # @cost


def inputs(rng, n):
    """A network of sizes [4, 5, 5, 3]."""
    sizes = [4, 5, 5, 3]
    weights = [rng.normal(size=(b, a)) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    biases = [rng.normal(size=(b, 1)) for b in sizes[1:]]
    return {"weights": weights, "biases": biases}, (rng.normal(size=(4, n)), np.eye(3)[np.arange(n) % 3].T)


def sigmoid(z):
    """The book's sigmoid."""
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    """Its derivative."""
    return sigmoid(z) * (1 - sigmoid(z))


def feed(params, x):
    """All weighted inputs and all activations."""
    activations, zs = [x], []
    for w, b in zip(params["weights"], params["biases"], strict=True):
        zs.append(np.dot(w, activations[-1]) + b)
        activations.append(sigmoid(zs[-1]))
    return activations, zs


def backprop(params, x, y):
    """The gradient of one example (or the sum over several columns)."""
    activations, zs = feed(params, x)
    weights = params["weights"]
    nabla_b, nabla_w = [None] * 3, [None] * 3
    delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
    nabla_b[-1] = delta.sum(axis=1, keepdims=True)
    nabla_w[-1] = np.dot(delta, activations[-2].T)
    for k in range(2, 4):
        delta = np.dot(weights[-k + 1].T, delta) * sigmoid_prime(zs[-k])
        nabla_b[-k] = delta.sum(axis=1, keepdims=True)
        nabla_w[-k] = np.dot(delta, activations[-k - 1].T)
    return nabla_b, nabla_w


def mini_batch(params, x, y, back=backprop, divide=True):
    """Sum of the examples' gradients, divided by their number."""
    nabla_b = [np.zeros(b.shape) for b in params["biases"]]
    nabla_w = [np.zeros(w.shape) for w in params["weights"]]
    for i in range(x.shape[1]):
        delta_b, delta_w = back(params, x[:, i : i + 1], y[:, i : i + 1])
        nabla_b = [nb + db for nb, db in zip(nabla_b, delta_b, strict=True)]
        nabla_w = [nw + dw for nw, dw in zip(nabla_w, delta_w, strict=True)]
    m = x.shape[1] if divide else 1
    return {"weights": [w / m for w in nabla_w], "biases": [b / m for b in nabla_b]}


def grads(params, x, y):
    """As update_mini_batch."""
    return mini_batch(params, x, y)


net = Network("nielsen", loss_fn, inputs, grads, batch=6)


@net.fault("sign", at="cost", n=1)
def target_minus_output(params, x, y):
    """`cost_derivative` returns y − a."""

    def back(params, x, y):
        return [[-g for g in part] for part in backprop(params, x, y)]

    return mini_batch(params, x, y, back)


@net.fault("wrong_derivative", at=("a1", "a2", "a3"))
def prime_of_the_activation(params, x, y):
    """`sigmoid_prime(a)` where the function applies the sigmoid itself."""

    def back(params, x, y):
        acts, _ = feed(params, x)
        d3 = (acts[3] - y) * sigmoid_prime(acts[3])
        d2 = np.dot(params["weights"][2].T, d3) * sigmoid_prime(acts[2])
        d1 = np.dot(params["weights"][1].T, d2) * sigmoid_prime(acts[1])
        return [d1, d2, d3], [np.dot(d1, acts[0].T), np.dot(d2, acts[1].T), np.dot(d3, acts[2].T)]

    return mini_batch(params, x, y, back)


def by_hand(params, x, y, out=sigmoid_prime, hidden=sigmoid_prime, w2_back=None, second_input=1):
    """Matrix form, whole batch at once, sums not yet divided."""
    acts, zs = feed(params, x)
    d3 = (acts[3] - y) * out(zs[2])
    d2 = params["weights"][2].T @ d3 * sigmoid_prime(zs[1])
    d1 = (params["weights"][1].T if w2_back is None else w2_back) @ d2 * hidden(zs[0])
    nabla_w = [d1 @ acts[0].T, d2 @ acts[second_input].T, d3 @ acts[2].T]
    return {"weights": nabla_w, "biases": [d.sum(axis=1, keepdims=True) for d in (d1, d2, d3)]}


def divided(result, m):
    """Every array divided by m."""
    return {key: [g / m for g in part] for key, part in result.items()}


@net.fault("wrong_derivative", "wrong_loss", at=("a3", "cost"), called=True)
def delta_of_the_cross_entropy(params, x, y):
    """Chapter 3's delta, a − y, with chapter 1's cost."""
    return divided(by_hand(params, x, y, out=np.ones_like), x.shape[1])


@net.fault("transposed", at="z2")
def weights_not_transposed(params, x, y):
    """The square middle matrix lets `np.dot(w, delta)` pass."""
    return divided(by_hand(params, x, y, w2_back=params["weights"][1]), x.shape[1])


@net.fault("wrong_operand", at="z2")
def activation_of_the_same_layer(params, x, y):
    """`activations[-l]` for `activations[-l-1]`."""
    return divided(by_hand(params, x, y, second_input=2), x.shape[1])


def _summed(params, x, y):
    return 0.5 * np.sum((feed(params, x)[0][-1] - y) ** 2)


@net.fault("scale", "wrong_loss", "wrong_reduction", at="cost", loss=_summed, seed=3)
def total_cost_for_mean_cost(params, x, y):
    """Cost and gradient are the sum over the examples."""
    return mini_batch(params, x, y, divide=False)


@net.fault("overwritten", "wrong_reduction", "missing_term", at="cost")
def last_example_of_the_batch(params, x, y):
    """`nabla_b, nabla_w = self.backprop(x, y)` in the loop, then the division."""
    m = x.shape[1]
    for i in range(m):
        nabla_b, nabla_w = backprop(params, x[:, i : i + 1], y[:, i : i + 1])
    return {"weights": [w / m for w in nabla_w], "biases": [b / m for b in nabla_b]}


@net.fault("accumulated", at=None)
def nablas_made_once_per_epoch(params, x, y):
    """The zeros are made outside the loop over mini-batches; this is the third one (on the same data)."""
    total = {"weights": [0.0] * 3, "biases": [0.0] * 3}
    for _ in range(3):
        for key, part in mini_batch(params, x, y).items():
            total[key] = [a + b for a, b in zip(total[key], part, strict=True)]
    return total


@net.fault("transposed", "wrong_shape", at="z1")
def activation_times_delta(params, x, y):
    """`np.dot(activations[-l-1], delta.T)` in the last turn of the loop."""
    result = grads(params, x, y)
    result["weights"][0] = result["weights"][0].T
    return result


@net.fault("wrong_derivative", "wrong_loss", "scale", at=("a3", "cost"))
def cross_entropy_delta_not_divided(params, x, y):
    """Two slips: a − y at the output, and no 1/m."""
    return by_hand(params, x, y, out=np.ones_like)


@net.right(called=True)
def whole_batch_at_once(params, x, y):
    """The matrix form of the book's exercise."""
    return divided(by_hand(params, x, y), x.shape[1])


@net.right(single=True, seed=4)
def in_float32(params, x, y):
    """Example after example, in float32."""
    return mini_batch(params, x, y)


@net.right(n=1)
def online_learning(params, x, y):
    """One example."""
    nabla_b, nabla_w = backprop(params, x, y)
    return {"biases": nabla_b, "weights": nabla_w}
