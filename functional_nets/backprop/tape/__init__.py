"""A define-by-run tape: plain NumPy code runs on `Variable`, and `backward` differentiates what it did.

    x = Variable(np.array(0.5))
    y = np.exp(x**2) ** 2
    backward(y)[x]              # 3.297442541400256

The tables that say what each function of NumPy is made of are in `elementwise`, `reductions`, `shapes` and
`products`.
"""

from functional_nets.backprop.tape import (  # noqa: F401  They fill the tables.
    elementwise,
    indexing,
    products,
    reductions,
    shapes,
)
from functional_nets.backprop.tape.derivative import Gradients, backward, grad, records
from functional_nets.backprop.tape.dispatch import DoesNotFitError
from functional_nets.backprop.tape.functions import (
    add,
    cos,
    div,
    exp,
    log,
    log_softmax,
    mul,
    neg,
    power,
    relu,
    sigmoid,
    sin,
    softmax,
    sqrt,
    square,
    sub,
    tanh,
)
from functional_nets.backprop.tape.graph import Node, Record
from functional_nets.backprop.tape.recording import recording
from functional_nets.backprop.tape.variable import Variable, primitive

__all__ = [
    "Variable", "backward", "Gradients", "grad", "records", "Record", "Node", "primitive", "recording",
    "DoesNotFitError",
    "add", "sub", "mul", "div", "neg", "power", "square", "sqrt", "exp", "log", "sin", "cos", "tanh",
    "sigmoid", "relu", "softmax", "log_softmax",
]  # fmt: skip
