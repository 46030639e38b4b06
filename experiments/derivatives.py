"""Derivatives by hand, by differences, by a tape and by JAX: the numbers of notebooks `000`, `001` and `003`.

Six short lessons, printed: x² at 4 has the slope 8; the chain rule through (exp(x²))² gives 3.297442541400256;
z = (x + y)² runs forward to 16 and backward to 8; what `requires_grad`, `detach` and `no_grad` are in JAX; what
a Jacobian is, and which product with it each mode computes (102.4, 1024, 0.1024); and why notebook `003`
prints 9 where 4.5 is right.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._command import OptionError, option
from experiments._main import main
from functional_nets.backprop import Variable, backward, numeric, tape
from functional_nets.report import gradient_graph

LARGEST = 1e150


@dataclass(frozen=True)
class Config:
    """What can be set."""

    x: float = option(4.0, "where x² is differentiated")

    def check(self) -> None:
        """Raises OptionError for the first value that cannot be used."""
        if not abs(self.x) <= LARGEST:
            raise OptionError(f"Expected --x between -{LARGEST:g} and {LARGEST:g}, found {self.x}: x² must be finite.")


class Lesson(NamedTuple):
    """One lesson.

    Attributes:
        title: What it is about.
        text: What is printed.
        numbers: What it has computed, by name.
    """

    title: str
    text: str
    numbers: dict[str, Any]


def _rows(numbers: dict[str, Any]) -> str:
    width = max(map(len, numbers))
    return "\n".join(f"  {name.ljust(width)}  {value}" for name, value in numbers.items())


def square(config: Config) -> Lesson:
    """x² at 4, as notebook `000` begins."""
    x = Variable(config.x, "x")
    numbers = {
        "by hand, 2x": 2 * config.x,
        "by differences, (f(x+h) - f(x-h)) / 2h": numeric.central(lambda x: x**2, config.x),
        "by the tape": float(backward(x**2)[x]),
        "by jax.grad": float(jax.grad(lambda x: x**2)(config.x)),
    }
    return Lesson(f"The derivative of x² at {config.x:g}", _rows(numbers), numbers)


def chain(config: Config) -> Lesson:
    """(exp(x²))² at 0.5: notebook `001`."""

    def f(x: Any) -> Any:
        return jnp.exp(x**2) ** 2

    a = 0.5**2
    b = np.exp(a)
    by_c = 2 * b  # Each function's own derivative, from the last to the first, times what came before.
    by_b = np.exp(a) * by_c
    by_a = 2 * 0.5 * by_b
    x = Variable(np.array(0.5))
    y: Any = tape.square(tape.exp(tape.square(x)))
    numbers = {
        "by hand, three local derivatives multiplied": float(by_a),
        "by the tape": float(backward(y)[x]),
        "by jax.grad": float(jax.grad(f)(0.5)),
    }
    graph = gradient_graph(f, 0.5)
    text = (
        "  The derivative of a chain is the product of its links' derivatives, each taken where the forward pass\n"
        "  has been. Backward, the product grows from the right end, below each edge:\n\n"
        f"{_indented(graph.drawing())}\n\n{_rows(numbers)}"
    )
    return Lesson("The chain rule: y = (exp(x²))² at x = 0.5", text, numbers)


def sum_squared(config: Config) -> Lesson:
    """The graph of z = (x + y)² at (1, 3), of notebook `000`."""

    def f(x: Any, y: Any) -> Any:
        return (x + y) ** 2

    x, y = Variable(1.0), Variable(3.0)
    z: Any = tape.square(x + y)
    numbers = {
        "forward, z": float(z.data),
        "backward by hand, dz/dt · dt/dx = 2t · 1": 2 * (1.0 + 3.0) * 1,
        "backward by the tape, dz/dx": float(backward(z)[x]),
        "backward by jax.grad, dz/dx": float(jax.grad(f)(1.0, 3.0)),
    }
    text = f"{_indented(gradient_graph(f, 1.0, 3.0).drawing())}\n\n{_rows(numbers)}"
    return Lesson("The graph of z = (x + y)² at x = 1, y = 3", text, numbers)


def constants(config: Config) -> Lesson:
    """What PyTorch's switches are in JAX."""

    def z(x: Any, y: Any) -> Any:
        return (x + y) ** 2

    x = Variable(1.0)
    kept = (x + 3.0) ** 2
    cut: Any = x.data * x  # `data` is the plain array: a constant.
    numbers = {
        "requires_grad on x only: jax.grad(z), the first argument": float(jax.grad(z)(1.0, 3.0)),
        "requires_grad on both: jax.grad(z, argnums=(0, 1))": tuple(map(float, jax.grad(z, (0, 1))(1.0, 3.0))),
        "detach: x · x": float(jax.grad(lambda x: x * x)(1.0)),
        "detach: stop_gradient(x) · x": float(jax.grad(lambda x: jax.lax.stop_gradient(x) * x)(1.0)),
        "detach on our tape: x.data · x": float(backward(cut)[x]),
        "no_grad: z, not differentiated": z(1.0, 3.0),
        "a variable that z does not depend on has the gradient": float(jax.grad(lambda x, w: z(x, 3.0), 1)(1.0, 5.0)),
        "the tape records a variable": kept.creator is not None,
    }
    text = (
        "  PyTorch marks tensors (`requires_grad`), because it records all the time. JAX records while `jax.grad`\n"
        "  runs a function, so one says at the call what to differentiate by: `argnums`. The rest is constant.\n"
        "  `x.detach()` is `jax.lax.stop_gradient(x)`. `torch.no_grad()` has no counterpart, for none is needed:\n"
        "  a function that is not differentiated records nothing.\n\n" + _rows(numbers)
    )
    return Lesson("requires_grad, detach and no_grad", text, numbers)


def jacobian(config: Config) -> Lesson:
    """The Jacobian of y = 1024 x, and its products with a vector on either side: notebook `003`."""

    def doubled(x: Any) -> Any:
        for _ in range(10):  # The notebook doubles until the norm is 1000: ten times for its x.
            x = x * 2
        return x

    x, v = np.array([0.1111, 1.6964, 0.8650]), np.array([0.1, 1.0, 0.0001])
    _, pullback = jax.vjp(doubled, x)
    taped = Variable(x)

    def product_and_sum(u: Any) -> Any:
        return jnp.stack([u[0] * u[1], u[0] + u[1]])

    u, first = np.array([2.0, 3.0]), np.array([1.0, 0.0])
    numbers = {
        "Jacobian, row i and column j: dyᵢ/dxⱼ": np.asarray(jax.jacrev(doubled)(x)).tolist(),
        "vector-Jacobian product vᵀJ, jax.vjp": [float(f"{p:.10g}") for p in pullback(v)[0]],
        "vector-Jacobian product, our tape": [float(f"{p:.10g}") for p in backward(doubled(taped), v)[taped]],
        "Jacobian-vector product Jv, jax.jvp": [float(f"{p:.10g}") for p in jax.jvp(doubled, (x,), (v,))[1]],
        "(ab, a + b) at (2, 3): Jacobian": np.asarray(jax.jacrev(product_and_sum)(u)).tolist(),
        "[1, 0] from the left, jax.vjp: a row": jax.vjp(product_and_sum, u)[1](first)[0].tolist(),
        "[1, 0] from the right, jax.jvp: a column": jax.jvp(product_and_sum, (u,), (first,))[1].tolist(),
    }
    text = (
        "  A function from n numbers to m has m · n derivatives: its Jacobian. Nobody needs it whole. Backward mode\n"
        "  (`backward(v)`, jax.vjp) multiplies it from the left, and one pass gives all derivatives of one output,\n"
        "  such as a loss. Forward mode (jax.jvp) multiplies it from the right, and one pass gives the derivatives of\n"
        "  all outputs along one direction. This Jacobian is 1024 times the identity, so both give 1024 v.\n\n"
        + _rows(numbers)
    )
    return Lesson("What is a Jacobian?", text, numbers)


def nine(config: Config) -> Lesson:
    """Why notebook `003` prints 9."""

    def out(x: Any) -> Any:
        y = x + 2
        return (y * y * 3).mean()

    ones = np.ones((2, 2))
    right = np.asarray(jax.grad(out)(ones))
    held = np.zeros((2, 2))  # PyTorch's x.grad: `backward` adds to what is there.
    for _ in range(2):
        x = Variable(ones)
        held += backward(out(x))[x]
    numbers = {
        "by hand, 6 (x + 2) / 4": 6 * (1 + 2) / 4,
        "by jax.grad": float(right[0, 0]),
        "added up by two backward passes, as in the notebook": float(held[0, 0]),
    }
    text = (
        "  out = mean of 3 (x + 2)² over four ones. PyTorch's `backward` does not set `x.grad`, it adds to it, for\n"
        "  losses that arrive in parts; so one calls `zero_grad` before each step. In the notebook the cells of the\n"
        "  forward and backward pass ran twice, and twice 4.5 is 9. Here a gradient is a value that is returned:\n"
        "  there is nothing to reset.\n\n" + _rows(numbers)
    )
    return Lesson("Why notebook 003 prints 9 and not 4.5", text, numbers)


LESSONS: tuple[Callable[[Config], Lesson], ...] = (square, chain, sum_squared, constants, jacobian, nine)


def run(config: Config) -> dict[str, Lesson]:
    """Prints all lessons; returns them by the name of their function."""
    config.check()
    with jax.enable_x64(True):
        lessons = {lesson.__name__: lesson(config) for lesson in LESSONS}
    for number, lesson in enumerate(lessons.values(), 1):
        print(f"{number}. {lesson.title}\n\n{lesson.text}\n")
    return lessons


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


if __name__ == "__main__":
    main(Config, "derivatives", __doc__, run)
