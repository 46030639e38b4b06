"""Knowledge distillation: a student with ReLU and dropout, soft targets at a temperature, hard labels."""

import jax
import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network

T, ALPHA, KEEP = 3.0, 0.7, 0.8


def loss_fn(params, x, drop, teacher, labels):
    """α T² KL(teacher | student) + (1 - α) cross-entropy; `drop` is the mask of kept units."""
    a = x @ params["w1"] + params["b1"]  # @hidden
    h = jax.nn.relu(a)  # @relu
    h = h * drop / KEEP  # @dropout
    logits = h @ params["w2"] + params["b2"]  # @logits
    soft = jax.nn.softmax(teacher / T)  # @teacher
    log_q = jax.nn.log_softmax(logits / T)  # @student
    kl = jnp.sum(soft * (jnp.log(soft) - log_q), axis=-1)  # @kl
    log_p = jax.nn.log_softmax(logits)  # @hard
    ce = -log_p[jnp.arange(len(x)), labels]  # @ce
    return jnp.mean(ALPHA * T**2 * kl + (1 - ALPHA) * ce)  # @total


def inputs(rng, n):
    """Five features, seven hidden units, four classes."""
    params = {
        "w1": rng.normal(size=(5, 7)),
        "b1": rng.normal(size=7),
        "w2": rng.normal(size=(7, 4)),
        "b2": rng.normal(size=4),
    }
    drop = (rng.uniform(size=(n, 7)) < KEEP).astype(float)
    return params, (rng.normal(size=(n, 5)), drop, 3 * rng.normal(size=(n, 4)), rng.integers(0, 4, size=n))


def softmax(z):
    """Over classes."""
    z = z - z.max(axis=-1, keepdims=True)
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def student(params, x, drop):
    """Pre-activation, dropped hidden units, logits."""
    a = x @ params["w1"] + params["b1"]
    h = np.maximum(a, 0) * drop / KEEP
    return a, h, h @ params["w2"] + params["b2"]


def hard_grad(logits, labels):
    """p - onehot."""
    d = softmax(logits)
    d[np.arange(len(d)), labels] -= 1
    return d


def down(params, x, drop, a, h, dz):
    """From logits to parameters."""
    da = dz @ params["w2"].T * drop / KEEP * (a > 0)
    return {"w1": x.T @ da, "b1": da.sum(0), "w2": h.T @ dz, "b2": dz.sum(0)}


def grads(params, x, drop, teacher, labels):
    """α T (q - soft) + (1 - α)(p - onehot)."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, drop, a, h, dz / len(x))


net = Network("distillation", loss_fn, inputs, grads, batch=6)


@net.fault("scale", "wrong_loss", at=("total", "kl"))
def temperature_not_squared_back(params, x, drop, teacher, labels):
    """No T²: the soft part fades with the temperature."""
    a, h, z = student(params, x, drop)
    dz = ALPHA / T * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, drop, a, h, dz / len(x))


@net.fault("scale", "missing_term", at=("student", "total"), called=True)
def inner_temperature_forgotten(params, x, drop, teacher, labels):
    """T² (q - soft): the 1/T of logits / T is missing."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T**2 * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, drop, a, h, dz / len(x))


@net.fault("wrong_operand", "wrong_loss", "scale", at="teacher")
def teacher_at_temperature_one(params, x, drop, teacher, labels):
    """softmax(teacher)."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T * (softmax(z / T) - softmax(teacher)) + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, drop, a, h, dz / len(x))


@net.fault("wrong_operand", "wrong_loss", at="total")
def alpha_the_other_way_round(params, x, drop, teacher, labels):
    """α for the hard labels."""
    a, h, z = student(params, x, drop)
    dz = (1 - ALPHA) * T * (softmax(z / T) - softmax(teacher / T)) + ALPHA * hard_grad(z, labels)
    return down(params, x, drop, a, h, dz / len(x))


@net.fault("wrong_loss", at="kl", seed=1)
def reverse_kl(params, x, drop, teacher, labels):
    """KL(student | teacher)."""
    a, h, z = student(params, x, drop)
    q, soft = softmax(z / T), softmax(teacher / T)
    ratio = np.log(q / soft)
    dkl = q * (ratio - (q * ratio).sum(-1, keepdims=True))
    dz = ALPHA * T * dkl + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, drop, a, h, dz / len(x))


def _kl_mean(params, x, drop, teacher, labels):
    _, _, z = student(params, x, drop)
    q, soft, p = softmax(z / T), softmax(teacher / T), softmax(z)
    kl = np.mean(soft * np.log(soft / q))
    return ALPHA * T**2 * kl - (1 - ALPHA) * np.mean(np.log(p[np.arange(len(x)), labels]))


@net.fault("wrong_loss", "scale", "wrong_reduction", at=("kl", "total"), loss=_kl_mean)
def kl_div_with_reduction_mean(params, x, drop, teacher, labels):
    """PyTorch's default reduction divides by the classes as well."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T / 4 * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, drop, a, h, dz / len(x))


@net.fault("wrong_mask", at="dropout")
def dropout_forgotten_in_backward(params, x, drop, teacher, labels):
    """Dropped units get a gradient; the scale is there."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, np.ones_like(drop), a, h, dz / len(x))


@net.fault("scale", at="dropout")
def dropout_not_rescaled(params, x, drop, teacher, labels):
    """The mask without 1 / keep in the backward pass."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, KEEP * drop, a, h, dz / len(x))


@net.fault("stale", "wrong_mask", at="dropout")
def a_fresh_dropout_mask(params, x, drop, teacher, labels):
    """The backward pass draws its own mask."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    fresh = (np.random.default_rng(99).uniform(size=drop.shape) < KEEP).astype(drop.dtype)
    return down(params, x, fresh, a, h, dz / len(x))


@net.fault("upstream", at="relu")
def relu_passes_its_mask(params, x, drop, teacher, labels):
    """`return (a > 0)` from the ReLU's backward: the upstream gradient is dropped."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    dz /= len(x)
    da = (a > 0).astype(x.dtype)
    return {"w1": x.T @ da, "b1": da.sum(0), "w2": h.T @ dz, "b2": dz.sum(0)}


@net.fault("upstream", "scale", "missing_term", at=("total", "ce"))
def cross_entropy_layer_ignores_dout(params, x, drop, teacher, labels):
    """SoftmaxWithLoss.backward(dout=1) returns (p - t) / n whatever dout is: its weight 1 - α is lost."""
    a, h, z = student(params, x, drop)

    def softmax_with_loss_backward(dout=1):
        return hard_grad(z, labels) / len(x)

    dz = ALPHA * T * (softmax(z / T) - softmax(teacher / T)) / len(x)
    dz += softmax_with_loss_backward(1 - ALPHA)
    return down(params, x, drop, a, h, dz)


@net.fault("mutated", at=("student", "hard"))
def logits_divided_in_place(params, x, drop, teacher, labels):
    """`z /= T` for the soft part; the hard part comes after it."""
    a, h, z = student(params, x, drop)
    z /= T
    soft_part = softmax(z) - softmax(teacher / T)
    dz = ALPHA * T * soft_part + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, drop, a, h, dz / len(x))


@net.fault("wrong_mask", "scale", at=("relu", "student", "total"))
def relu_mask_and_temperature(params, x, drop, teacher, labels):
    """Two slips: no ReLU mask, T² where T is due."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T**2 * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, drop, np.ones_like(a), h, dz / len(x))


@net.right()
def mask_from_the_output(params, x, drop, teacher, labels):
    """h > 0 has dropout's mask in it."""
    a, h, z = student(params, x, drop)
    dz = ALPHA * T * (softmax(z / T) - softmax(teacher / T)) + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, np.ones_like(drop), h, h, dz / len(x))


@net.right(n=1, seed=4, single=True)
def one_example(params, x, drop, teacher, labels):
    """A batch of one in float32."""
    return grads(params, x, drop, teacher, labels)


@net.right(seed=11, called=True)
def by_full_chain(params, x, drop, teacher, labels):
    """-soft / q through the softmax's Jacobian."""
    a, h, z = student(params, x, drop)
    q, soft = softmax(z / T), softmax(teacher / T)
    dq = -soft / q
    dz = ALPHA * T**2 * q * (dq - (dq * q).sum(-1, keepdims=True)) / T + (1 - ALPHA) * hard_grad(z, labels)
    return down(params, x, drop, a, h, dz / len(x))
