"""The backward rule of every primitive, as a formula: the table that tape, layers and walk share."""

from functional_nets.backprop.rules import (  # noqa: F401  Each page registers its rules.
    arithmetic,
    contractions,
    functions,
    indexing,
    linear,
    reductions,
    scans,
    shapes,
    silent,
    windows,
)
from functional_nets.backprop.rules.table import (
    RULES,
    NoRuleError,
    Rule,
    backward,
    no_gradient,
    rule,
    unbroadcast,
)

__all__ = ["RULES", "Rule", "rule", "no_gradient", "backward", "unbroadcast", "NoRuleError"]
