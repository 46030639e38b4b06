"""The independent witness: backpropagation from scratch, in NumPy and the standard library only.

`rules` and `values` state how the gradient of each primitive of JAX flows back, and what it computes. `tape`
records plain NumPy code as it runs and differentiates it by these rules; `layers` are the book's layer
objects, made of them; `numeric` asks differences of values. Nothing here has heard of JAX's own derivatives.
"""

from functional_nets.backprop import layers, numeric, rules, tape, values
from functional_nets.backprop.tape import Gradients, Node, Record, Variable, backward, grad, records

__all__ = [
    "rules", "values", "tape", "layers", "numeric",
    "Variable", "backward", "grad", "records", "Gradients", "Record", "Node",
]  # fmt: skip
