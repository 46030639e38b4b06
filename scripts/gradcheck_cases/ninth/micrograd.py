"""A neuron whose pre-activation is used three times, differentiated by a scalar engine like micrograd."""

import jax.numpy as jnp
import numpy as np

from gradcheck_cases.corpus import Network


def loss_fn(params, x, y):
    """Mean squared error of n tanh(n) + n."""
    n = x @ params["w"] + params["b"]  # @neuron
    t = jnp.tanh(n)  # @tanh
    s = t * n  # @product
    e = s + n  # @sum
    return jnp.mean((e - y) ** 2)  # @loss


def inputs(rng, n):
    """Two inputs, a weight vector and a bias."""
    return {"w": rng.normal(size=2), "b": rng.normal()}, (rng.normal(size=(n, 2)), rng.normal(size=n))


class Value:
    """A scalar and its gradient; `wrong` names the slip in the engine."""

    wrong = ""

    def __init__(self, data, children=()):
        self.data, self.grad, self._prev = data, 0.0, children
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def _backward():
            self.grad += other.data * out.grad
            other.grad = self.data * out.grad + (0.0 if self.wrong == "mul assigns" else other.grad)

        out._backward = _backward
        return out

    def __pow__(self, k):
        out = Value(self.data**k, (self,))

        def _backward():
            self.grad += k * self.data ** (k if self.wrong == "power" else k - 1) * out.grad

        out._backward = _backward
        return out

    def tanh(self):
        """tanh."""
        t = np.tanh(self.data)
        out = Value(t, (self,))

        def _backward():
            slope = 1 - (self.data if self.wrong == "slope" else t) ** 2
            if self.wrong == "no upstream":
                self.grad += slope
            elif self.wrong == "tanh assigns":
                self.grad = slope * out.grad
            else:
                self.grad += slope * out.grad

        out._backward = _backward
        return out

    def backward(self):
        """In topological order."""
        order, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for child in v._prev:
                    build(child)
                order.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(order):
            v._backward()


def grads(params, x, y, wrong="", times=1):
    """Builds the graph of the batch; `times` backward passes without zeroing."""
    engine = type("Engine", (Value,), {"wrong": wrong})
    w = [engine(float(v)) for v in params["w"]]
    b = engine(float(params["b"]))
    for _ in range(times):
        loss = engine(0.0)
        for row, target in zip(x, y, strict=True):
            n = _add(engine, _add(engine, _mul(engine, w[0], row[0]), _mul(engine, w[1], row[1])), b)
            t = _same(engine, Value.tanh(n))
            s = _mul(engine, t, n)
            e = _add(engine, s, n)
            error = _same(engine, Value.__pow__(_add(engine, e, -target), 2))
            loss = _add(engine, loss, error)
        loss = _mul(engine, loss, 1 / len(y))
        loss.backward()
    return {"w": np.array([v.grad for v in w]), "b": np.array(b.grad)}


def _same(engine, value):
    value.__class__ = engine
    return value


def _add(engine, a, b):
    return _same(engine, a + b)


def _mul(engine, a, b):
    return _same(engine, a * b)


net = Network("micrograd", loss_fn, inputs, grads, batch=4)


@net.fault("overwritten", at=("tanh", "product", "sum"))
def tanh_assigns_its_gradient(params, x, y):
    """`self.grad = …` in tanh: n's two other uses are lost."""
    return grads(params, x, y, "tanh assigns")


@net.fault("overwritten", at=("product", "sum"), called=True)
def second_factor_assigned(params, x, y):
    """`other.grad =` in the product."""
    return grads(params, x, y, "mul assigns")


@net.fault("upstream", at="tanh")
def tanh_without_the_chain_rule(params, x, y):
    """The local derivative is added without `* out.grad`."""
    return grads(params, x, y, "no upstream")


@net.fault("wrong_derivative", at="tanh")
def slope_at_the_input(params, x, y):
    """1 − self.data² for 1 − t²."""
    return grads(params, x, y, "slope")


@net.fault("wrong_derivative", at="loss")
def power_rule_without_minus_one(params, x, y):
    """k · x^k."""
    return grads(params, x, y, "power")


@net.fault("accumulated", at=None)
def zero_grad_forgotten(params, x, y):
    """The third step of the training loop with the gradients of the first two still there (learning rate 0)."""
    return grads(params, x, y, times=3)


@net.fault("overwritten", "wrong_reduction", at="neuron")
def bias_of_the_last_example(params, x, y):
    """`self.bias.grad = out.grad` in the neuron: it remembers one example of the batch."""
    return {**grads(params, x, y), "b": grads(params, x[-1:], y[-1:])["b"] / len(y)}


@net.right()
def vectorised(params, x, y):
    """With arrays."""
    n = x @ params["w"] + params["b"]
    t = np.tanh(n)
    dn = 2 * (t * n + n - y) / len(y) * (t + n * (1 - t**2) + 1)
    return {"w": dn @ x, "b": dn.sum()}


@net.right(n=1, seed=3)
def single_example(params, x, y):
    """One example through the engine."""
    return grads(params, x, y)
