"""The gradient check: is it right, and if not, where and why."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from functional_nets.equations import Location
from functional_nets.gradcheck.comparison import compare, given_leaves, largest_error, leaf_paths
from functional_nets.gradcheck.complex_numbers import comparable, in_pairs, other_convention, slopes
from functional_nets.gradcheck.evidence import Evidence
from functional_nets.gradcheck.further import asked, heard
from functional_nets.gradcheck.hypotheses.careful import carefully
from functional_nets.gradcheck.hypotheses.hypothesis import Hypothesis
from functional_nets.gradcheck.hypotheses.leaves import first_use
from functional_nets.gradcheck.hypotheses.passes import losses
from functional_nets.gradcheck.hypotheses.shapes import misshapen
from functional_nets.gradcheck.inputs import refuse_chance, refuse_nan
from functional_nets.gradcheck.kinks import explained
from functional_nets.gradcheck.point import Point
from functional_nets.gradcheck.precision import SAFETY, epsilon, sensitivity
from functional_nets.gradcheck.program import Node, Program, active_nodes, gradient, walk
from functional_nets.gradcheck.report import Cause, GradientMismatch, Leaf, Report, Suspect
from functional_nets.gradcheck.search import search
from functional_nets.gradcheck.trace import trace
from functional_nets.gradcheck.witnesses import Difference, difference, jax_value_and_gradient


def check(
    loss_fn: Callable[..., Any],
    params: Any,
    *args: Any,
    manual: Any = None,
    manual_loss: Any = None,
    order: int = 1,
    forward: bool = False,
    batched: bool = False,
) -> Report:
    """Returns whether a gradient is that of the loss, and if not, the line and the mistake.

    The loss is traced, evaluated in float64 and walked backward with rules that share nothing with JAX's
    derivatives. If the gradient under test differs, the walk is repeated with plausible mistakes made on
    purpose; one that reproduces the numbers given is a cause.

    Args:
        loss_fn: `loss_fn(params, *args)`, a pure function that returns a scalar.
        params: A tree of arrays. The gradient by a complex one is JAX's, ∂L/∂x - i ∂L/∂y.
        args: What else the loss takes.
        manual: The gradient under test, a tree like `params` (NumPy, JAX or PyTorch arrays), or what
            returns one from `(params, *args)`. Without it, the witnesses are compared with `jax.grad`.
        manual_loss: The loss that the code under test computed, if it did.
        order: With 2, the derivative of the gradient is checked, too: that of `manual`, if it is a function,
            else JAX's own.
        forward: Whether to check `jax.jvp` of the loss.
        batched: Whether to check that `jax.vmap` of the gradient is the gradient of each.

    Raises:
        ValueError: When the loss is no scalar, not finite or differs from call to call, `manual` is a tree of
            another structure or holds a NaN, or no parameter holds floats.
    """
    witnesses = asked(order, forward, batched)
    report = _first_derivative(loss_fn, params, *args, manual=manual, manual_loss=manual_loss)
    return heard(report, witnesses, lambda: Point(loss_fn, params, args, manual))


def _first_derivative(loss_fn: Callable[..., Any], params: Any, *args: Any, manual: Any, manual_loss: Any) -> Report:
    program = trace(loss_fn, params, *args)
    active = active_nodes(program, program.leaves)
    reference = [np.asarray(leaf) for leaf in gradient(program, walk(program, active))]
    paths = leaf_paths(params)
    refuse_nan(program, reference, paths)
    notes = list(program.notes)
    witnesses: dict[str, float] = {}
    process: list[Cause] = []
    if manual is None:
        value, given = jax_value_and_gradient(loss_fn, params, *args)
        witnesses["jax.grad"] = largest_error(reference, given)
        measured = difference(loss_fn, reference, params, *args)
        scale = max(abs(measured.slope), abs(measured.measured)) or 1.0
        witnesses["finite differences"] = abs(measured.slope - measured.measured) / scale
        notes += _about(measured, scale)
        narrowest = epsilon()
    else:
        again = trace(loss_fn, params, *args)
        value = float(again.values[again.result])
        given = given_leaves(manual(params, *args) if callable(manual) else manual, params)
        if callable(manual):
            process = _unlike(given, given_leaves(manual(params, *args), params), paths)
        narrowest = epsilon(given, jax.tree.leaves(params), jax.tree.leaves(args))
    refuse_chance(loss_fn, program, value, params, *args)
    rounding = max(narrowest, program.epsilon) * SAFETY
    tolerances = [rounding * size for size in sensitivity(program, active, reference)]
    leaves = compare(paths, given, reference, tolerances)
    loss_ok = manual_loss is None or _loss_agrees(manual_loss, program, rounding)
    if loss_ok and not process and all(leaf.ok for leaf in leaves):
        return Report(True, leaves, notes=tuple(notes), witnesses=witnesses)
    conventions, given = other_convention(given, reference, paths, tolerances)
    evidence = Evidence(in_pairs(program), comparable(given, reference), paths, tolerances, rounding)
    in_loss = [] if loss_ok else losses.explanations(evidence, float(manual_loss), rounding)
    causes = [*process, *conventions, *(_cause(evidence, hypothesis, 0.0) for hypothesis in in_loss)]
    meant = explained(evidence, rounding) or _custom(evidence, manual, loss_fn, params, *args)
    if meant is not None and not conventions:
        leaves = tuple(leaf._replace(ok=True) for leaf in leaves)
        return Report(loss_ok and not process, leaves, tuple(causes), (), (*notes, *meant), witnesses)
    causes += carefully(evidence, "what has another shape", _shape_causes(evidence, given, reference))
    causes += [_cause(evidence, found.hypothesis, found.residual) for found in search(evidence)]
    suspects = () if causes else tuple(_suspects(evidence))
    return Report(False, leaves, tuple(causes), suspects, (*notes, *evidence.gaps), witnesses)


def assert_gradients(
    loss_fn: Callable[..., Any],
    params: Any,
    *args: Any,
    manual: Any = None,
    manual_loss: Any = None,
    order: int = 1,
    forward: bool = False,
    batched: bool = False,
) -> None:
    """Raises GradientMismatch, whose text is the report, unless `check` with the same arguments finds all well."""
    report = check(
        loss_fn, params, *args, manual=manual, manual_loss=manual_loss, order=order, forward=forward, batched=batched
    )
    if not report.ok:
        raise GradientMismatch(report)


def _about(measured: Difference, scale: float) -> list[str]:
    apart = abs(measured.slope - measured.measured)
    if measured.error > 1e-3 * scale:
        return [
            "finite differences cannot tell: along a random direction they are uncertain by "
            f"{measured.error / scale:.0e} of the slope."
        ]
    if apart > max(10 * measured.error, 1e-6 * scale):
        return [
            f"finite differences measure a slope of {measured.measured:.6g} where the gradient has "
            f"{measured.slope:.6g}: the loss has a stop_gradient, a jump, or a kink within reach of the step."
        ]
    return []


def _unlike(first: Sequence[Any], second: Sequence[Any], paths: Sequence[str]) -> list[Cause]:
    """A function that returns another gradient when it is called again: it adds up, or keeps something."""
    wrong = [
        leaf
        for leaf, (a, b) in enumerate(zip(first, second, strict=True))
        if np.shape(a) != np.shape(b) or largest_error([np.asarray(a)], [np.asarray(b)]) > 1e-3
    ]
    if not wrong:
        return []
    names = tuple(paths[leaf] for leaf in wrong)
    doubled = all(
        np.shape(first[leaf]) == np.shape(second[leaf])
        and largest_error([2 * np.asarray(first[leaf])], [np.asarray(second[leaf])]) < 1e-3
        for leaf in wrong
    )
    if doubled:
        text = "called again, the function returns twice the gradient: set it to zero before each backward pass"
        return [Cause("accumulated", "process", None, None, names, 0.0, text)]
    text = "called again, the function returns another gradient: it keeps something from the call before"
    return [Cause("stale", "process", None, None, names, 0.0, text)]


def _custom(
    evidence: Evidence, manual: Any, loss_fn: Callable[..., Any], params: Any, *args: Any
) -> tuple[str, ...] | None:
    """Accepts a gradient that is `jax.grad`'s where a custom rule differs from what its function computes."""
    if manual is None or len(evidence.compared) < len(evidence.given) or not evidence.wrong:
        return None
    try:
        _, by_jax = jax_value_and_gradient(loss_fn, params, *args)
    except (TypeError, ValueError, NotImplementedError):
        return None  # JAX has no gradient of this loss, as of a while loop.
    by_jax = [slopes(leaf, leaf) for leaf in by_jax]
    by_custom_rule = not all(leaf.ok for leaf in _against(evidence, by_jax, evidence.reference))
    if not by_custom_rule or not all(leaf.ok for leaf in _against(evidence, evidence.given, by_jax)):
        return None
    return (
        "the gradient is that of jax.grad, and not the derivative of what the loss computes: a custom rule in it "
        "says something else, such as a straight-through estimator. check_vjp compares the two.",
    )


def _against(evidence: Evidence, given: Sequence[Any], right: Sequence[Any]) -> tuple[Leaf, ...]:
    return compare(evidence.paths, given, right, evidence.tolerances)


def _loss_agrees(manual_loss: Any, program: Program, rounding: float) -> bool:
    right = float(program.values[program.result])
    if float(np.float32(manual_loss)) == float(manual_loss):  # As a Python float, too, it shows its origin.
        rounding = max(rounding, 2.0**-24 * SAFETY)
    return abs(float(manual_loss) - right) <= max(rounding, 1e-12) * 8 * max(1.0, abs(right))


def _shape_causes(evidence: Evidence, given: Sequence[Any], reference: Sequence[Any]) -> Iterator[Cause]:
    for leaf, (array, kept) in enumerate(zip(given, evidence.given, strict=True)):
        if kept is None:
            kind, text = misshapen(evidence, leaf, array, reference[leaf])
            node, place = located(evidence, first_use(evidence, leaf))
            path = evidence.paths[leaf]
            yield Cause(kind, node.op if node else "", *place, (path,), 0.0, f"{path}: {text}")


def located(evidence: Evidence, position: int | None) -> tuple[Node | None, tuple[str | None, int | None]]:
    """Returns a node, and the file and line that it comes from."""
    if position is None:
        return None, (None, None)
    node = evidence.program.nodes[position]
    where: Location | None = node.where
    return node, (where.file, where.line) if where else (None, None)


def _cause(evidence: Evidence, hypothesis: Hypothesis, residual: float) -> Cause:
    node, place = located(evidence, hypothesis.position)
    leaves = tuple(evidence.paths[leaf] for leaf in evidence.wrong)
    op = node.op if node else "process"
    return Cause(hypothesis.kind, op, *place, leaves, residual, hypothesis.text)


def _suspects(evidence: Evidence) -> list[Suspect]:
    """Returns the operations that every wrong leaf's gradient passes through and no right one's does."""
    wrong = frozenset(evidence.wrong)
    right = frozenset(evidence.compared) - wrong
    places = []
    for position in evidence.active:
        inputs = evidence.program.nodes[position].inputs
        reached = frozenset().union(*(evidence.reach.get(number, frozenset()) for number in inputs))
        if wrong <= reached and not reached & right:
            places.append(position)
    if not places:
        places = [p for p in (first_use(evidence, leaf) for leaf in evidence.wrong) if p is not None]
    found = []
    for position in places:
        _, (file, line) = located(evidence, position)
        found.append(Suspect(evidence.program.nodes[position].op, file, line))
    return list(dict.fromkeys(found))
