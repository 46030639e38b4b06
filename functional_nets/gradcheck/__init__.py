"""The gradient check: where independent witnesses meet JAX, and a wrong gradient is explained."""

from functional_nets.gradcheck.check import assert_gradients, check
from functional_nets.gradcheck.custom_rules import check_vjp
from functional_nets.gradcheck.layers import check_layer
from functional_nets.gradcheck.networks import check_network
from functional_nets.gradcheck.report import Cause, GradientMismatch, Leaf, Report, Suspect

__all__ = [
    "check", "assert_gradients", "check_layer", "check_network", "check_vjp", "GradientMismatch", "Report", "Leaf", "Cause", "Suspect",
]  # fmt: skip
