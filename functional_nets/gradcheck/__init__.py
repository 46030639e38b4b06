"""The gradient check: where independent witnesses meet JAX, and a wrong gradient is explained.

What is named here is loaded when it is first asked for, so that pytest can load the plug-in without JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functional_nets.gradcheck.audit import Audit, Finding, audit_loss
    from functional_nets.gradcheck.checking import assert_gradients, check
    from functional_nets.gradcheck.custom_rules import check_vjp
    from functional_nets.gradcheck.layers import check_layer
    from functional_nets.gradcheck.networks import check_network
    from functional_nets.gradcheck.report import Cause, GradientMismatch, Leaf, Report, Suspect

__all__ = [
    "check", "assert_gradients", "check_layer", "check_network", "check_vjp", "audit_loss",
    "GradientMismatch", "Report", "Leaf", "Cause", "Suspect", "Audit", "Finding",
]  # fmt: skip

_HOMES = {
    "checking": ("check", "assert_gradients"),
    "custom_rules": ("check_vjp",),
    "layers": ("check_layer",),
    "networks": ("check_network",),
    "audit": ("audit_loss", "Audit", "Finding"),
    "report": ("GradientMismatch", "Report", "Leaf", "Cause", "Suspect"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
