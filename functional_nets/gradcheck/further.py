"""What else one asks of a gradient: its own derivative, forward mode, and that it can be batched."""

from collections.abc import Callable, Sequence

import jax

from functional_nets.gradcheck.point import Point, Testimony
from functional_nets.gradcheck.report import Report
from functional_nets.gradcheck.second_order import second_order
from functional_nets.gradcheck.transformations import batched as in_batches
from functional_nets.gradcheck.transformations import forward_mode

Witness = Callable[[Point], Testimony]


def asked(order: int, forward: bool, batched: bool) -> list[Witness]:
    """Returns the further witnesses to hear.

    Raises:
        ValueError: There is no such order.
    """
    if order not in (1, 2):
        raise ValueError(f"Expected the order 1 or 2 of the derivative, found {order!r}.")
    wanted = ((second_order, order == 2), (forward_mode, forward), (in_batches, batched))
    return [witness for witness, wish in wanted if wish]


def heard(report: Report, witnesses: Sequence[Witness], point: Callable[[], Point]) -> Report:
    """Returns the report with what the further witnesses say of the same loss."""
    if not witnesses:
        return report
    witnesses, notes = _able(report, witnesses)
    with jax.enable_x64(True):
        here = point()
        found = [witness(here) for witness in witnesses]
    errors = {each.witness: each.error for each in found if each.error is not None}
    return report._replace(
        ok=report.ok and not any(each.causes for each in found),
        leaves=(*report.leaves, *(leaf for each in found for leaf in each.leaves)),
        causes=(*report.causes, *(cause for each in found for cause in each.causes)),
        notes=(*report.notes, *notes, *(note for each in found for note in each.notes)),
        witnesses={**report.witnesses, **errors},
    )


def _able(report: Report, witnesses: Sequence[Witness]) -> tuple[list[Witness], tuple[str, ...]]:
    """The witnesses that have something to compare: a gradient that is meant to be another has no Hessian."""
    if not report.ok:
        rest = [witness for witness in witnesses if witness is not second_order]
        note = "second derivative: not checked, since the first one is wrong."
    elif any(leaf.relative_error > leaf.power for leaf in report.leaves):
        rest = [witness for witness in witnesses if witness is in_batches]
        note = "second derivative, forward mode: not checked, since the gradient is not that of what the loss computes."
    else:
        return list(witnesses), ()
    return rest, (note,) if len(rest) < len(witnesses) else ()
