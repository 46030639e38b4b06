"""PyTorch's shape of things: weights (out, in), integer labels, `gather` by take_along_axis."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(model, x, labels):
    """Negative log-likelihood, averaged."""
    h1 = x @ model["fc1"]["weight"].T + model["fc1"]["bias"]  # @fc1
    a1 = jnp.where(h1 > 0, h1, 0)  # @relu1
    h2 = a1 @ model["fc2"]["weight"].T + model["fc2"]["bias"]  # @fc2
    a2 = jnp.where(h2 > 0, h2, 0)  # @relu2
    logits = a2 @ model["fc3"]["weight"].T + model["fc3"]["bias"]  # @fc3
    logp = logits - jax.scipy.special.logsumexp(logits, axis=1, keepdims=True)  # @logsoftmax
    picked = jnp.take_along_axis(logp, labels[:, None], axis=1)  # @pick
    return -picked.mean()  # @loss


def inputs(rng, n):
    """Four features, five and five units, six classes of which some may be absent."""
    shapes = {"fc1": (5, 4), "fc2": (5, 5), "fc3": (6, 5)}
    model = {k: {"weight": rng.normal(size=s), "bias": 0.3 * rng.normal(size=s[0])} for k, s in shapes.items()}
    return model, (rng.normal(size=(n, 4)), rng.integers(0, 6, size=n))


def linear(x, layer):
    """F.linear."""
    return x @ layer["weight"].T + layer["bias"]


def softmax(z):
    """Of rows."""
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def linear_backward(dout, x):
    """Gradients of the parameters."""
    return {"weight": dout.T @ x, "bias": dout.sum(0)}


def grads(model, x, labels, dlogits=None, back=None):
    """`dlogits` and the layers' backward may be given."""
    back = {"fc1": linear_backward, "fc2": linear_backward, "fc3": linear_backward, **(back or {})}
    h1 = linear(x, model["fc1"])
    a1 = h1 * (h1 > 0)
    h2 = linear(a1, model["fc2"])
    a2 = h2 * (h2 > 0)
    p = softmax(linear(a2, model["fc3"]))
    if dlogits is None:
        d = p.copy()
        d[np.arange(len(x)), labels] -= 1
        d /= len(x)
    else:
        d = dlogits(p)
    dh2 = d @ model["fc3"]["weight"] * (h2 > 0)
    dh1 = dh2 @ model["fc2"]["weight"] * (h1 > 0)
    return {"fc1": back["fc1"](dh1, x), "fc2": back["fc2"](dh2, a1), "fc3": back["fc3"](d, a2)}


net = Network("mlp_labels", loss_fn, inputs, grads, batch=8)


@net.fault("transposed", at="fc2")
def square_weight_gradient_transposed(model, x, labels):
    """x.T @ dout fits as the layer is square."""
    return grads(model, x, labels, back={"fc2": lambda d, a: {"weight": a.T @ d, "bias": d.sum(0)}})


@net.fault("transposed", "wrong_shape", at="fc1")
def first_weight_gradient_in_out(model, x, labels):
    """(in, out) for (out, in)."""
    return grads(model, x, labels, back={"fc1": lambda d, a: {"weight": a.T @ d, "bias": d.sum(0)}})


@net.fault("transposed", at="fc2", called=True)
def back_through_the_transpose(model, x, labels):
    """dout @ W.T as if the weights were (in, out)."""
    h1 = linear(x, model["fc1"])
    a1 = np.maximum(h1, 0)
    h2 = linear(a1, model["fc2"])
    a2 = np.maximum(h2, 0)
    d = (softmax(linear(a2, model["fc3"])) - np.eye(6)[labels]) / len(x)
    dh2 = d @ model["fc3"]["weight"] * (h2 > 0)
    dh1 = dh2 @ model["fc2"]["weight"].T * (h1 > 0)
    return {"fc1": linear_backward(dh1, x), "fc2": linear_backward(dh2, a1), "fc3": linear_backward(d, a2)}


@net.fault("permuted", at="pick")
def labels_counted_from_one(model, x, labels):
    """labels − 1, as in the MATLAB exercise; class 0 wraps round to the last."""

    def dlogits(p):
        p[np.arange(len(x)), labels - 1] -= 1
        return p / len(x)

    return grads(model, x, labels, dlogits=dlogits)


@net.fault("wrong_operand", "extra_term", "wrong_mask", at="pick")
def all_rows_indexed(model, x, labels):
    """p[:, labels] -= 1 takes one from every row at all classes that occur."""

    def dlogits(p):
        p[:, labels] -= 1
        return p / len(x)

    return grads(model, x, labels, dlogits=dlogits)


@net.fault("missing_term", at=("pick", "logsoftmax"))
def one_never_subtracted(model, x, labels):
    """The gradient of logsumexp only."""
    return grads(model, x, labels, dlogits=lambda p: p / len(x))


def _no_log(model, x, labels):
    a1 = np.maximum(linear(x, model["fc1"]), 0)
    p = softmax(linear(np.maximum(linear(a1, model["fc2"]), 0), model["fc3"]))
    return -p[np.arange(len(x)), labels].mean()


@net.fault("wrong_loss", at=("logsoftmax", "pick", "loss"), loss=_no_log)
def nll_of_probabilities(model, x, labels):
    """nll_loss was fed softmax, not log_softmax."""

    def dlogits(p):
        chosen = p[np.arange(len(x)), labels][:, None]
        return -chosen * (np.eye(6)[labels] - p) / len(x)

    return grads(model, x, labels, dlogits=dlogits)


@net.fault("stale", at=None, single=True)
def backward_after_optimizer_step(model, x, labels):
    """Forward and backward ran once more after the step, learning rate 0.3."""
    step = grads(model, x, labels)
    moved = {k: {m: model[k][m] - 0.3 * g for m, g in part.items()} for k, part in step.items()}
    return grads(moved, x, labels)


@net.fault("wrong_shape", "wrong_reduction", at="fc1", n=1)
def squeeze_of_a_batch_of_one(model, x, labels):
    """`squeeze` takes the batch axis away as well, so the bias is summed over units."""

    def back(d, a):
        return {"weight": d.T @ a, "bias": np.squeeze(d).sum(axis=0)}

    return grads(model, x, labels, back={"fc1": back})


@net.fault("scale", "transposed", at=("fc2", "loss", "pick"))
def transposed_and_not_averaged(model, x, labels):
    """Two slips: no division by the batch, and the square weight's gradient transposed."""

    def dlogits(p):
        p[np.arange(len(x)), labels] -= 1
        return p

    back = {"fc2": lambda d, a: {"weight": np.dot(a.T, d), "bias": d.sum(0)}}
    return grads(model, x, labels, dlogits=dlogits, back=back)


@net.right(n=1, seed=2)
def by_outer_products(model, x, labels):
    """A batch of one."""
    return grads(
        model,
        x,
        labels,
        back={"fc1": lambda d, a: {"weight": np.outer(d[0], a[0]), "bias": d[0]}},
    )


@net.right(called=True, seed=4)
def by_put_along_axis(model, x, labels):
    """Scatter the picked gradient, then log-softmax backward in general form."""

    def dlogits(p):
        dlogp = np.zeros_like(p)
        np.put_along_axis(dlogp, labels[:, None], -1 / len(x), axis=1)
        return dlogp - p * dlogp.sum(axis=1, keepdims=True)

    return grads(model, x, labels, dlogits=dlogits)
